//! Owns the tests of the repair: what it mends, that it says what it did not, and that nobody else's things are lost. The
//! commands of the messages run it in [`crate::watch`]; here its real binary runs behind a network that breaks.

use std::collections::BTreeSet;
use std::time::Duration;

use emite_connect_tests::faults::{Fault, Plan};
use emite_connect_tests::functions::until;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::matrix::is_read;
use crate::process::Process;
use crate::watch::{Breakage, EVENTS, access_policy, role_call, set_access_policy, set_role_policy, stop_streaming};
use crate::watched::Watched;
use crate::world::{Targets, delete_stream, make_stream};

/// What a repair mends, and with which writes.
const MENDED: [(Breakage, &str); 12] = [
    (Breakage::AssociationLost, "connect:AssociateInstanceStorageConfig"),
    (Breakage::AssociationTaken, "connect:UpdateInstanceStorageConfig"),
    (Breakage::RecordsLost, "connect:AssociateInstanceStorageConfig"),
    (Breakage::RecordsTaken, "connect:UpdateInstanceStorageConfig"),
    (Breakage::OriginDeleted, "connect:AssociateApprovedOrigin"),
    (Breakage::AccessNarrowed, "es:UpdateDomainConfig"),
    (Breakage::RetentionShortened, "kinesis:IncreaseStreamRetentionPeriod"),
    (Breakage::TrustChanged, "iam:UpdateAssumeRolePolicy"),
    (Breakage::StrangerTrusted, "iam:UpdateAssumeRolePolicy"),
    (Breakage::SessionShortened, "iam:UpdateRole"),
    (Breakage::PolicyDeleted, "iam:PutRolePolicy"),
    (Breakage::BoundaryTakenAway, "iam:PutRolePermissionsBoundary"),
];

/// The stack that these tests share, one at a time, with nothing broken that a repair mends: an account has room for few.
async fn shared() -> MutexGuard<'static, Watched> {
    static SHARED: OnceCell<Mutex<Watched>> = OnceCell::const_new();
    let shared = SHARED.get_or_init(|| async { Mutex::new(Watched::healthy().await) }).await;
    let watched = shared.lock().await;
    watched.aws.keep_changing(watched.name_in("domain"), false).await;
    let report = watched.check().await;
    if report["status"] != "Healthy" {
        watched.aws.invoke(watched.id("RepairFunction"), &apply()).await.expect("a repair");
    }
    watched
}

async fn repair(watched: &Watched) -> Process {
    Process::twin(watched, "repair", "RepairFunction").await
}

fn apply() -> Value {
    json!({ "mode": "apply", "replace": true, "requestedBy": "an end-to-end test" })
}

/// What came of each change: its result, and its error.
fn outcomes(answer: &Value) -> Vec<(&str, &str)> {
    answer["outcomes"]
        .as_array()
        .expect("outcomes")
        .iter()
        .map(|outcome| (outcome["result"].as_str().unwrap_or_default(), outcome["error"].as_str().unwrap_or_default()))
        .collect()
}

fn once(action: &str, fault: Fault) -> [Plan; 1] {
    [Plan { action: action.to_owned(), nth: 1, times: 1, fault }]
}

fn always(action: &str, fault: Fault) -> [Plan; 1] {
    [Plan { action: action.to_owned(), nth: 1, times: usize::MAX, fault }]
}

async fn is_healthy(watched: &Watched) -> Result<(), String> {
    let report = watched.check().await;
    if report["status"] == "Healthy" { Ok(()) } else { Err(format!("not healthy: {report:#}")) }
}

#[tokio::test]
async fn a_plan_names_every_change_and_writes_nothing() {
    let mut watched = shared().await;
    let all = [
        Breakage::AssociationLost,
        Breakage::OriginDeleted,
        Breakage::AccessNarrowed,
        Breakage::RetentionShortened,
        Breakage::TrustChanged,
        Breakage::SessionShortened,
        Breakage::PolicyDeleted,
        Breakage::BoundaryTakenAway,
    ];
    for breakage in all {
        breakage.happen(&mut watched).await;
    }
    let before = watched.ledger().await;
    let process = repair(&watched).await;
    let plan = process.invoke(&json!({})).await.unwrap();
    let actions: Vec<&str> =
        plan["planned"].as_array().unwrap().iter().map(|change| change["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "associate",
            "associate",
            "increase-retention",
            "merge-access-policy",
            "merge-trust",
            "set-session",
            "set-boundary",
            "merge-policy"
        ]
    );
    assert_eq!((&plan["mode"], &plan["outcomes"], &plan["after"]), (&json!("plan"), &json!([]), &Value::Null));
    assert_eq!(plan["before"]["status"], "Failing");
    let named = process.invoke(&json!({ "mode": "plan", "checks": ["emite-role"] })).await.unwrap();
    assert_eq!(named["planned"].as_array().unwrap().len(), 4, "{named:#}");
    let writes: Vec<String> = process.end().await.into_iter().filter(|action| !is_read(action)).collect();
    assert_eq!(writes, Vec::<String>::new());
    assert_eq!(watched.ledger().await, before);
    let answer = watched.aws.invoke(watched.id("RepairFunction"), &json!({ "mode": "apply" })).await.unwrap();
    assert!(outcomes(&answer).iter().all(|(result, _)| *result == "Applied"), "{answer:#}");
    assert_eq!(answer["after"]["status"], "Healthy", "{answer:#}");
    is_healthy(&watched).await.unwrap();
    was_audited(&watched, 8).await;
}

/// The last repair stands in the ledger, with what it did.
async fn was_audited(watched: &Watched, changes: usize) {
    let items = watched.ledger().await;
    let mut audits: Vec<&Value> = items.iter().filter(|item| item["pk"]["S"] == "audit#repair").collect();
    audits.sort_by_key(|item| item["sk"]["S"].as_str().unwrap().to_owned());
    let audit = audits.last().expect("an audit");
    let body: Value = serde_json::from_str(audit["body"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(body["outcomes"].as_array().map(Vec::len), Some(changes), "{body:#}");
    assert_eq!(body["planned"].as_array().map(Vec::len), Some(changes), "{body:#}");
    assert!(audit["expiresAt"]["N"].is_string(), "{audit}");
}

/// Breaks one thing and lets a repair meet a fault at its write; the answer, and whether all is well after a second repair.
async fn meet(watched: &mut Watched, breakage: Breakage, plan: [Plan; 1]) -> Result<Value, String> {
    breakage.happen(watched).await;
    let process = repair(watched).await;
    process.proxy.plan(plan);
    let answer = process.invoke(&apply()).await?;
    process.proxy.heal();
    let second = process.invoke(&apply()).await?;
    process.end().await;
    if second["after"]["status"] != "Healthy" {
        return Err(format!("the second repair does not mend it: {second:#}"));
    }
    is_healthy(watched).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_write_that_is_denied_is_named_and_one_whose_answer_gets_lost_is_done_once() {
    let mut watched = shared().await;
    let mut problems = Vec::new();
    for (breakage, write) in MENDED {
        match meet(&mut watched, breakage, always(write, Fault::Denied)).await {
            Err(problem) => problems.push(format!("{breakage:?} denied: {problem}")),
            Ok(answer) => match outcomes(&answer)[..] {
                [("Failed", error)] if error.contains(write) && answer["after"]["status"] != "Healthy" => {}
                _ => problems.push(format!("{breakage:?} denied: {answer:#}")),
            },
        }
        match meet(&mut watched, breakage, once(write, Fault::Lost)).await {
            Err(problem) => problems.push(format!("{breakage:?} lost: {problem}")),
            Ok(answer) => match outcomes(&answer)[..] {
                [("Applied" | "Unchanged", "")] if answer["after"]["status"] == "Healthy" => {}
                _ => problems.push(format!("{breakage:?} lost: {answer:#}")),
            },
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn a_repair_that_dies_bars_the_next_one_for_as_long_as_it_could_have_lived_and_no_longer() {
    let mut watched = shared().await;
    for (breakage, write) in MENDED {
        breakage.happen(&mut watched).await;
        let [plan] = once(write, Fault::Stuck);
        repair(&watched).await.die_within(&apply(), plan).await;
        let process = repair(&watched).await;
        let error = process.invoke(&apply()).await.unwrap_err();
        assert!(error.contains("Locked") && error.contains("is at work, until 2"), "{breakage:?}: {error}");
        process.invoke(&json!({ "mode": "plan" })).await.expect("a plan needs no lock");
        let_the_lock_expire(&watched).await;
        let answer = process.invoke(&apply()).await.unwrap();
        assert_eq!(answer["after"]["status"], "Healthy", "{breakage:?}: {answer:#}");
        process.end().await;
    }
}

async fn let_the_lock_expire(watched: &Watched) {
    let items = watched.ledger().await;
    let mut lock = items.into_iter().find(|item| item["pk"]["S"] == "lock#repair").expect("a lock");
    let mut body: Value = serde_json::from_str(lock["body"]["S"].as_str().unwrap()).unwrap();
    body["until"] = json!("2026-01-01T00:00:00Z");
    lock["body"] = json!({ "S": body.to_string() });
    let input = json!({ "TableName": watched.deployment.outputs["LedgerTable"], "Item": lock });
    watched.aws.json_call("dynamodb", "DynamoDB_20120810.PutItem", &input).await;
}

#[tokio::test]
async fn of_two_repairs_at_once_the_second_is_told_of_the_first() {
    let mut watched = shared().await;
    Breakage::SessionShortened.happen(&mut watched).await;
    let (first, second) = (repair(&watched).await, repair(&watched).await);
    first.proxy.plan(once("iam:UpdateRole", Fault::Held));
    let event = apply();
    let (done, refused) = tokio::join!(first.invoke(&event), async {
        first.proxy.stuck().await;
        let refused = second.invoke(&event).await;
        first.proxy.release();
        refused
    });
    assert!(refused.unwrap_err().contains("Locked"));
    assert_eq!(outcomes(&done.unwrap()), [("Applied", "")]);
    let nothing_left = second.invoke(&event).await.unwrap();
    assert_eq!(nothing_left["planned"], json!([]));
}

/// The read right before a write, counted within one repair, that shows what changed since the plan was made.
const REREADS: [(Breakage, &str, usize); 8] = [
    (Breakage::AssociationLost, "connect:ListInstanceStorageConfigs", 3),
    (Breakage::AssociationTaken, "connect:ListInstanceStorageConfigs", 3),
    (Breakage::AccessNarrowed, "es:DescribeDomainConfig", 2),
    (Breakage::RetentionShortened, "kinesis:DescribeStreamSummary", 2),
    (Breakage::TrustChanged, "iam:GetRole", 2),
    (Breakage::SessionShortened, "iam:GetRole", 2),
    (Breakage::PolicyDeleted, "iam:GetRolePolicy", 1),
    (Breakage::BoundaryTakenAway, "iam:GetRole", 2),
];

#[tokio::test]
async fn what_somebody_changes_in_between_is_left_alone_and_said() {
    let mut watched = shared().await;
    let mut problems = Vec::new();
    for (breakage, read, nth) in REREADS {
        breakage.happen(&mut watched).await;
        let process = repair(&watched).await;
        process.proxy.plan([Plan { action: read.to_owned(), nth, times: 1, fault: Fault::Held }]);
        let event = apply();
        let (answer, ()) = tokio::join!(process.invoke(&event), async {
            process.proxy.stuck().await;
            breakage.interfere(&watched).await;
            process.proxy.release();
        });
        let answer = answer.unwrap();
        let told = outcomes(&answer);
        if !matches!(told[..], [("ChangedMeanwhile", error)] if error.contains("left alone")) {
            problems.push(format!("{breakage:?}: {answer:#}"));
        }
        process.proxy.heal();
        let again = process.invoke(&event).await.unwrap();
        if again["after"]["status"] != "Healthy" {
            problems.push(format!("{breakage:?} again: {again:#}"));
        }
        process.end().await;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn repair_waits_for_a_busy_domain_after_all_other_changes() {
    let mut watched = shared().await;
    Breakage::AccessNarrowed.happen(&mut watched).await;
    Breakage::SessionShortened.happen(&mut watched).await;
    watched.aws.keep_changing(watched.name_in("domain"), true).await;
    let process = repair(&watched).await;
    let event = apply();
    let (answer, ()) = tokio::join!(process.invoke(&event), async {
        until("the session is repaired", || async { process.proxy.actions().contains("iam:UpdateRole").then_some(()) })
            .await;
        watched.aws.keep_changing(watched.name_in("domain"), false).await;
    });
    let answer = answer.unwrap();
    assert_eq!(outcomes(&answer), [("Applied", ""), ("Applied", "")], "{answer:#}");
    assert_eq!(answer["after"]["status"], "Healthy", "{answer:#}");
    let writes = process.proxy.calls().into_iter().filter(|call| call.action == "es:UpdateDomainConfig").count();
    assert_eq!(writes, 2, "refused once, then accepted");
    process.end().await;
}

#[tokio::test]
async fn repair_waits_for_a_busy_stream() {
    let mut watched = shared().await;
    Breakage::RetentionShortened.happen(&mut watched).await;
    let process = repair(&watched).await;
    // As AWS answers while the stream is not ACTIVE.
    process.proxy.plan(once("kinesis:IncreaseStreamRetentionPeriod", Fault::Refused("ResourceInUseException")));
    let answer = process.invoke(&apply()).await.unwrap();
    assert_eq!(outcomes(&answer), [("Applied", "")], "{answer:#}");
    Breakage::RetentionShortened.happen(&mut watched).await;
    process.proxy.plan(always("kinesis:IncreaseStreamRetentionPeriod", Fault::Refused("ResourceInUseException")));
    let answer = process.invoke_within(Duration::from_secs(105), &apply()).await.unwrap();
    let advice = "another change to the stream of agent events is in progress: run the repair again when it finishes";
    assert_eq!(outcomes(&answer), [("TryAgainLater", advice)], "{answer:#}");
    process.end().await;
}

#[tokio::test]
async fn lost_answer_is_not_taken_for_another_change() {
    let mut watched = shared().await;
    Breakage::AccessNarrowed.happen(&mut watched).await;
    let process = repair(&watched).await;
    // AWS accepts it and begins the change; the attempt that follows the lost answer meets that.
    process.proxy.plan(once("es:UpdateDomainConfig", Fault::Stuck));
    let event = apply();
    let (answer, ()) = tokio::join!(process.invoke(&event), async {
        process.proxy.stuck().await;
        watched.aws.keep_changing(watched.name_in("domain"), true).await;
    });
    watched.aws.keep_changing(watched.name_in("domain"), false).await;
    assert_eq!(outcomes(&answer.unwrap()), [("Applied", "")]);
    process.end().await;
}

#[tokio::test]
async fn domain_that_stays_busy_is_to_be_tried_again_later() {
    let mut watched = shared().await;
    Breakage::AccessNarrowed.happen(&mut watched).await;
    watched.aws.keep_changing(watched.name_in("domain"), true).await;
    let process = repair(&watched).await;
    // All but 30 s of it are kept back for reading again and publishing.
    let answer = process.invoke_within(Duration::from_secs(130), &apply()).await;
    watched.aws.keep_changing(watched.name_in("domain"), false).await;
    let answer = answer.unwrap();
    let advice = "another change to the search domain is in progress: run the repair again when it finishes";
    assert_eq!(outcomes(&answer), [("TryAgainLater", advice)], "{answer:#}");
    let again = process.invoke(&apply()).await.unwrap();
    assert_eq!(outcomes(&again), [("Applied", "")], "{again:#}");
    process.end().await;
}

#[tokio::test]
async fn what_somebody_else_streams_to_is_replaced_only_on_request_and_given_back_with_the_stack() {
    let mut watched = Watched::healthy().await;
    Breakage::AssociationTaken.happen(&mut watched).await;
    let foreign = Targets::get().await.foreign_stream.clone();
    let process = repair(&watched).await;
    let refused = process.invoke(&json!({ "mode": "apply", "checks": ["data-streaming"] })).await.unwrap();
    assert!(matches!(outcomes(&refused)[..], [("Failed", error)] if error.contains("\"replace\":true")), "{refused:#}");
    assert_eq!(refused["planned"][0]["replacesForeign"], true);
    let state = watched.aws.instance_state(&watched.stack.instance).await;
    assert_eq!(state.target("AGENT_EVENTS").as_deref(), Some(foreign.as_str()));
    let replaced = process.invoke(&apply()).await.unwrap();
    assert_eq!(outcomes(&replaced), [("Applied", "")]);
    assert_eq!(replaced["after"]["status"], "Healthy", "{replaced:#}");
    // A third party streams elsewhere for a while, and then deletes its stream.
    let passing = make_stream("e2e-passing-repair").await;
    stop_streaming(&watched, EVENTS).await;
    watched.aws.stream_to(&watched.stack.instance, EVENTS, &passing).await;
    let replaced = process.invoke(&apply()).await.unwrap();
    assert_eq!(outcomes(&replaced), [("Applied", "")]);
    delete_stream("e2e-passing-repair").await;
    process.end().await;
    let (good, deletion) = watched.aws.delete(&watched.stack.name).await;
    assert!(good, "{deletion:#?}");
    let state = watched.aws.instance_state(&watched.stack.instance).await;
    assert_eq!(state.target(EVENTS).as_deref(), Some(foreign.as_str()), "it is given back");
}

/// Else the stack would put back, one day, what its owner took away on purpose.
#[tokio::test]
async fn a_repair_that_came_to_nothing_leaves_what_the_stack_will_give_back_as_it_was() {
    let mut watched = Watched::healthy().await;
    let claims = async |watched: &Watched| {
        let items = watched.ledger().await;
        let claim = |item: &Value| item["pk"]["S"].as_str().is_some_and(|key| key.starts_with("association#"));
        let bodies = items.into_iter().filter(claim).map(|item| item["body"]["S"].as_str().unwrap().to_owned());
        bodies.collect::<BTreeSet<String>>()
    };
    let before = claims(&watched).await;
    Breakage::AssociationTaken.happen(&mut watched).await;
    let process = repair(&watched).await;
    process.proxy.plan(always("connect:UpdateInstanceStorageConfig", Fault::Denied));
    let answer = process.invoke(&apply()).await.unwrap();
    assert!(matches!(outcomes(&answer)[..], [("Failed", _)]), "{answer:#}");
    assert_eq!(claims(&watched).await, before);
    process.proxy.heal();
    stop_streaming(&watched, EVENTS).await;
    let answer = process.invoke(&apply()).await.unwrap();
    assert_eq!(outcomes(&answer), [("Applied", "")]);
    process.end().await;
    let (good, deletion) = watched.aws.delete(&watched.stack.name).await;
    assert!(good, "{deletion:#?}");
    let state = watched.aws.instance_state(&watched.stack.instance).await;
    assert_eq!(state.target(EVENTS), None, "nothing was there before the stack, and nobody wanted the other");
}

/// The looks behind a write decide nothing: what was done is said to be done.
#[tokio::test]
async fn a_look_that_fails_after_the_write_makes_no_failure_of_it() {
    let mut watched = shared().await;
    let looks = [
        (Breakage::AssociationLost, "connect:ListInstanceStorageConfigs", 5),
        (Breakage::OriginDeleted, "connect:ListApprovedOrigins", 3),
        (Breakage::AccessNarrowed, "es:DescribeDomainConfig", 3),
        (Breakage::TrustChanged, "iam:GetRole", 3),
    ];
    for (breakage, action, nth) in looks {
        breakage.happen(&mut watched).await;
        let process = repair(&watched).await;
        let denied = Plan { action: action.to_owned(), nth, times: usize::MAX, fault: Fault::Denied };
        process.proxy.plan([denied]);
        let answer = process.invoke(&apply()).await.unwrap();
        assert_eq!(outcomes(&answer), [("Applied", "")], "{breakage:?}: {answer:#}");
        assert_ne!(answer["after"]["status"], "Failing", "{breakage:?}: {answer:#}");
        process.end().await;
        is_healthy(&watched).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_told_to_whoever_asked_and_what_cannot_be_seen_is_not_begun() {
    let mut watched = shared().await;
    Breakage::SessionShortened.happen(&mut watched).await;
    let process = repair(&watched).await;
    for action in ["cloudformation:DescribeStacks", "ssm:GetParameter", "dynamodb:PutItem"] {
        process.proxy.plan(always(action, Fault::Denied));
        let error = process.invoke(&apply()).await.expect_err(action);
        assert!(error.contains(action), "{action}: {error}");
    }
    process.proxy.plan(always("events:PutEvents", Fault::Denied));
    let answer = process.invoke(&apply()).await.unwrap();
    assert_eq!(outcomes(&answer), [("Applied", "")]);
    assert!(answer["notPublished"].as_str().is_some_and(|text| text.contains("events:PutEvents")), "{answer:#}");
    process.end().await;
}

/// With the rule open, as it is in a stack: nothing is put onto the bus by the test.
#[tokio::test]
async fn people_hear_that_it_is_over_as_soon_as_it_is_repaired() {
    let mut watched = shared().await;
    Breakage::AssociationLost.happen(&mut watched).await;
    let (_, mails) = watched.look_twice().await;
    assert_eq!(mails.len(), 1, "{mails:#?}");
    watched.switch_rule("ReportRule", true).await;
    watched.aws.invoke(watched.id("RepairFunction"), &apply()).await.unwrap();
    watched.was_invoked(1);
    let mails = watched.heard().await;
    let [over] = &mails[..] else { panic!("{mails:#?}") };
    assert!(over.subject.starts_with("[Resolved] ") && over.body.contains("a repair looked again"), "{over:#?}");
}

#[tokio::test]
async fn nobodys_statement_is_lost_by_a_repair() {
    let watched = shared().await;
    let theirs = json!({
        "Sid": "Theirs", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::999999999999:root" },
        "Action": "es:ESHttpGet", "Resource": format!("{}/*", watched.setting("domain")),
    });
    set_access_policy(&watched, &json!({ "Version": "2012-10-17", "Statement": [theirs] }).to_string()).await;
    let deny = json!({ "Sid": "TheirsToo", "Effect": "Deny", "Action": "kinesis:DescribeLimits", "Resource": "*" });
    set_role_policy(&watched, &json!({ "Version": "2012-10-17", "Statement": [deny] })).await;
    let answer = watched.aws.invoke(watched.id("RepairFunction"), &apply()).await.unwrap();
    assert!(outcomes(&answer).iter().all(|(result, _)| *result == "Applied"), "{answer:#}");
    let policy: Value = serde_json::from_str(&access_policy(&watched).await).unwrap();
    assert!(policy["Statement"].as_array().unwrap().contains(&theirs), "{policy:#}");
    let policy = role_call(&watched, "GetRolePolicy", "&PolicyName=emite-role-policy").await;
    assert!(policy.contains("kinesis%3ADescribeLimits") && policy.contains("TheirsToo"), "{policy}");
    // Who else is admitted to the domain is told, and nobody's to take away.
    assert_eq!(answer["after"]["status"], "Healthy", "{answer:#}");
}

#[tokio::test]
async fn rubbish_is_refused_with_all_that_is_wrong_before_anything_is_looked_at() {
    let watched = Watched::shared().await;
    let process = repair(&watched).await;
    let wrong = json!({ "mode": "mend", "checks": ["data-streaming", "everything"], "replace": 1, "force": true });
    let error = process.invoke(&wrong).await.unwrap_err();
    for word in ["BadInput", "mode must be", "checks must be", "replace must be", "nothing but"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    for rubbish in [json!("apply"), json!([]), json!(null), json!({ "checks": {} })] {
        assert!(process.invoke(&rubbish).await.unwrap_err().contains("BadInput"), "{rubbish}");
    }
    assert_eq!(process.end().await, BTreeSet::new());
}

/// Every action that a repair calls that mends whatever can be mended.
pub(crate) async fn calls_of_repairs() -> BTreeSet<String> {
    let mut watched = shared().await;
    let mut actions = BTreeSet::new();
    for (breakage, _) in MENDED {
        breakage.happen(&mut watched).await;
        let process = repair(&watched).await;
        let answer = process.invoke(&apply()).await.unwrap();
        assert_eq!(answer["after"]["status"], "Healthy", "{breakage:?}: {answer:#}");
        actions.extend(process.end().await);
    }
    actions
}
