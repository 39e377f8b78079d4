//! Owns the hand-over: what is stored and announced agrees whatever breaks, however often and in whatever order it is asked for;
//! nothing is called verified that nobody saw, and no deployment is taken back for it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emite_connect_tests::faults::{Fault, Plan};
use emite_connect_tests::local_aws::local_aws;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::matrix::{ATTEMPTS, CELLS, NEVER_CAME, Then, broken, is_read, plans, problems, stuck_writes};
use crate::preflight::make_key;
use crate::scenario::expect_success;
use crate::world::{AMPLE, Answer, Event, RESERVE, Targets, World};

const HANDOVER: &str = "Custom::EmiteHandover";
const FOLDER: &str = "emite-connect/e2e-firehose/handover/";
/// Each property, and whether it may be empty.
pub(crate) const PROPERTIES: [(&str, bool); 14] = [
    ("InstanceArn", false),
    ("RoleArn", false),
    ("CustomerId", true),
    ("AgentEventStreamArn", false),
    ("ContactRecordTargetArn", false),
    ("SearchEndpoint", false),
    ("DomainArn", false),
    ("TimeZone", false),
    ("ServerAddress", true),
    ("ServerId", true),
    ("Bucket", false),
    ("Prefix", false),
    ("BucketKeyArn", true),
    ("Release", false),
];
const CUSTOMER: &str = "acme-support-7421";

/// What is handed over in every world, and only looked at: role and search domain.
struct Things {
    role: String,
    domain: String,
    endpoint: String,
}

impl Things {
    async fn get() -> &'static Self {
        static THINGS: OnceCell<Things> = OnceCell::const_new();
        THINGS.get_or_init(Self::make).await
    }

    async fn make() -> Self {
        let aws = local_aws();
        let domain = aws.new_domain("e2e-handover", "Elasticsearch_6.8").await;
        make_role("e2e-handover-role").await;
        let role = format!("arn:aws:iam::{}:role/e2e-handover-role", aws.endpoints.account_id);
        Self { role, domain: domain.arn, endpoint: domain.endpoint }
    }
}

/// A role as the template makes eMite's.
async fn make_role(name: &str) {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::444455556666:root" }, "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "sts:ExternalId": CUSTOMER } },
    }]});
    let trust: String = trust.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = format!(
        "Action=CreateRole&Version=2010-05-08&RoleName={name}&MaxSessionDuration=43200&AssumeRolePolicyDocument={trust}"
    );
    local_aws().form_call("iam", &form).await;
}

/// The Create of a world's first hand-over, with everything as it should be.
pub(crate) async fn first(world: &World) -> Event {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let (things, targets, aws) = (Things::get().await, Targets::get().await, world.aws);
    aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.stream).await;
    aws.stream_to(&world.instance, "CONTACT_TRACE_RECORDS", &targets.firehose).await;
    let bucket = format!("e2e-handover-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    aws.make_bucket(&bucket, &aws.endpoints.region).await;
    let properties = json!({
        "InstanceArn": world.instance.arn, "RoleArn": things.role, "CustomerId": CUSTOMER,
        "AgentEventStreamArn": targets.stream, "ContactRecordTargetArn": targets.firehose,
        "SearchEndpoint": things.endpoint, "DomainArn": things.domain, "TimeZone": "Australia/Sydney",
        "ServerAddress": "", "ServerId": "", "Bucket": bucket, "Prefix": FOLDER, "BucketKeyArn": "", "Release": "0.1.0",
    });
    Event::new("Create", HANDOVER, &properties)
}

/// The same properties in the next release, and a value that is another.
fn changed(create: &Event) -> Value {
    let update = create.clone().property("Release", "0.2.0").property("TimeZone", "Europe/Dublin");
    update.0["ResourceProperties"].clone()
}

/// What there is of a hand-over.
#[derive(Clone, Debug, PartialEq)]
struct Handed {
    document: Value,
    text: String,
}

impl Handed {
    async fn over(world: &World, event: &Event) -> Option<Self> {
        let bucket = event.0["ResourceProperties"]["Bucket"].as_str().unwrap();
        let object = async |name: &str| world.aws.object(bucket, &format!("{FOLDER}{name}")).await;
        let (document, text) = (object("emite-handover.json").await?, object("emite-handover.txt").await?);
        Some(Self {
            document: serde_json::from_slice(&document).unwrap(),
            text: String::from_utf8(text.to_vec()).unwrap(),
        })
    }

    fn unverified(&self) -> Vec<&Value> {
        let items = self.document["items"].as_array().unwrap();
        items.iter().filter(|item| item["verified"] != true).collect()
    }

    /// What does not depend on how often something broke on the way, or on whose instance it is.
    fn essence(&self, world: &World) -> String {
        let essence = json!([self.document["items"], self.document["release"], self.document["notIncluded"]]);
        essence.to_string().replace(&world.instance.arn, "<instance>")
    }

    /// Text and document, what was announced last and what is remembered all say the same.
    async fn agrees(world: &World, event: &Event) -> Result<Self, String> {
        let handed = Self::over(world, event).await.ok_or("nothing is stored")?;
        let document = &handed.document;
        let values =
            document["items"].as_array().unwrap().iter().map(|item| item["value"].as_str().unwrap().to_owned());
        let words: Vec<String> = values.chain([format!("number {},", document["revision"])]).collect();
        if let Some(word) = words.iter().find(|word| !handed.text.contains(*word)) {
            return Err(format!("{word} is not in {}", handed.text));
        }
        let announced = announced(world);
        if announced.last() != Some(document) {
            return Err(format!("announced {:#?}, stored {document:#}", announced.last()));
        }
        let items = world.aws.ledger_items(&world.table).await;
        let [item] = items.as_slice() else { return Err(format!("remembered: {items:#?}")) };
        let body: Value = serde_json::from_str(item["body"]["S"].as_str().unwrap()).unwrap();
        if body["handover"] != *document || body["isStored"] != true || body["isAnnounced"] != true {
            return Err(format!("remembered {body:#}, stored {document:#}"));
        }
        Ok(handed)
    }
}

/// The details of the events so far; of several attempts of one call each.
fn announced(world: &World) -> Vec<Value> {
    let bodies = world.proxy.events().into_iter().map(|body| serde_json::from_str::<Value>(&body).unwrap());
    let entries = bodies.flat_map(|body| body["Entries"].as_array().unwrap().clone());
    let detail = |entry: Value| {
        assert_eq!((&entry["Source"], &entry["DetailType"]), (&json!("emite-connect"), &json!("Integration Handover")));
        serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()
    };
    entries.map(detail).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Update,
}

/// A world about to take a step.
struct Stage {
    world: World,
    create: Event,
    event: Event,
    before: Option<Handed>,
}

impl Stage {
    async fn new(step: Step) -> Result<Self, String> {
        let world = World::with_environment(&[("PERMISSION_GRACE_SECONDS", "10")]).await;
        let create = first(&world).await;
        if step == Step::Create {
            return Ok(Self { world, event: create.clone(), create, before: None });
        }
        let made = expect_success("the Create before", world.try_send(&create, AMPLE).await)?;
        let event = create.update(&changed(&create), &made.physical_id);
        let before = Handed::over(&world, &create).await;
        Ok(Self { world, create, event, before })
    }

    /// The same event again comes to what a clean run comes to.
    async fn rerun(&self, clean: &str) -> Result<(), String> {
        let again = expect_success("the rerun", self.world.try_send(&self.event, AMPLE).await)?;
        if !again.reason.is_empty() {
            return Err(format!("the rerun notes {}", again.reason));
        }
        let handed = Handed::agrees(&self.world, &self.event).await?;
        if handed.essence(&self.world) == clean {
            Ok(())
        } else {
            Err(format!("after the rerun {:#}, in the clean run {clean}", handed.document))
        }
    }

    /// What CloudFormation does after a failure, or when it hears nothing.
    async fn roll_back(&self) -> Result<(), String> {
        let Some(before) = &self.before else {
            let delete = self.create.delete("e2e-TheThing-1A2B3C4D5E6F");
            return expect_success("the Delete", self.world.try_send(&delete, AMPLE).await).map(drop);
        };
        let back = self.event.update(&self.create.0["ResourceProperties"], "handover");
        expect_success("the rollback", self.world.try_send(&back, AMPLE).await)?;
        let handed = Handed::agrees(&self.world, &self.create).await?;
        if handed.essence(&self.world) == before.essence(&self.world) {
            Ok(())
        } else {
            Err(format!("rolled back to {:#}", handed.document))
        }
    }

    async fn end(self, then: Then, clean: &str) -> Result<(), String> {
        match then {
            Then::Rerun => self.rerun(clean).await?,
            Then::RollBack => self.roll_back().await?,
        }
        let kept = Handed::over(&self.world, &self.create).await;
        let delete = self.create.delete("handover");
        expect_success("the Delete", self.world.try_send(&delete, AMPLE).await)?;
        if Handed::over(&self.world, &self.create).await != kept {
            return Err("the Delete touched the documents".to_owned());
        }
        self.world.try_end().await
    }
}

/// The calls of a step when nothing breaks, and what it comes to.
async fn clean_run(step: Step) -> (Vec<String>, String) {
    let stage = Stage::new(step).await.unwrap();
    let moment = Instant::now();
    let answer = stage.world.send(&stage.event).await.succeeded();
    assert_eq!((answer.physical_id.as_str(), answer.reason.as_str()), ("handover", ""));
    let calls = stage.world.calls_since(moment).into_iter().map(|call| call.action).collect();
    let handed = Handed::agrees(&stage.world, &stage.event).await.unwrap();
    assert_eq!(answer.data, json!({ "DocumentUri": handed.document["documentUri"] }));
    assert_eq!(handed.unverified(), Vec::<&Value>::new());
    let essence = handed.essence(&stage.world);
    stage.world.end().await;
    (calls, essence)
}

/// What a fault may come to.
async fn judge(stage: &Stage, step: Step, plan: &Plan, answer: &Answer) -> Result<(), String> {
    if answer.physical_id != "handover" {
        return Err(format!("PhysicalResourceId {}", answer.physical_id));
    }
    if plan.times == 1 {
        Handed::agrees(&stage.world, &stage.event).await?;
        return match answer.success && answer.reason.is_empty() {
            true => Ok(()),
            false => Err(format!("a passing fault was not survived: {}", answer.reason)),
        };
    }
    if !answer.success && plan.fault != Fault::Denied && answer.reason.contains("time was up") {
        return Ok(());
    }
    let (first_write, update) = (plan.action == "dynamodb:PutItem" && plan.nth == 1, step == Step::Update);
    let asks = plan.action.starts_with("cloudformation:");
    let may_fail = asks || plan.action == "dynamodb:GetItem" || first_write || plan.action == "s3:PutObject" && !update;
    if answer.success == may_fail {
        return Err(format!("success {}: {}", answer.success, answer.reason));
    }
    if !may_fail && is_read(&plan.action) {
        return unverified_only_by(stage, &plan.action, answer).await;
    }
    if answer.reason.contains(&plan.action) { Ok(()) } else { Err(format!("the reason: {}", answer.reason)) }
}

/// What could not be looked at is not called verified, all else is, and whoever deploys is told of it.
async fn unverified_only_by(stage: &Stage, action: &str, answer: &Answer) -> Result<(), String> {
    let handed = Handed::agrees(&stage.world, &stage.event).await?;
    let unverified = handed.unverified();
    let named = |item: &&Value| item["problem"].as_str().is_some_and(|problem| problem.contains(action));
    let noted = unverified.iter().all(|item| answer.reason.contains(item["name"].as_str().unwrap()));
    if unverified.is_empty() || !unverified.iter().all(named) || !noted || !handed.text.starts_with("NOT EVERYTHING") {
        return Err(format!("{}: {unverified:#?}", answer.reason));
    }
    if unverified.len() > 2 { Err(format!("it hides others: {unverified:#?}")) } else { Ok(()) }
}

async fn cell(step: Step, clean: &str, plan: &Plan, then: Then) -> Result<(), String> {
    for factor in ATTEMPTS {
        let stage = Stage::new(step).await?;
        stage.world.proxy.plan([plan.clone()]);
        if let Some(answer) = broken(&stage.world, &stage.event, plan, factor).await? {
            stage.world.proxy.heal();
            judge(&stage, step, plan, &answer).await?;
            return stage.end(then, clean).await;
        }
    }
    Err(NEVER_CAME.to_owned())
}

async fn matrix(step: Step) {
    let (calls, clean) = clean_run(step).await;
    let called: BTreeSet<&str> = calls.iter().map(String::as_str).collect();
    assert_eq!(called, BTreeSet::from(CALLS));
    let plans = plans(&calls);
    let cells = plans.len();
    let problems = problems(plans, async |plan, then| cell(step, &clean, plan, then).await).await;
    assert!(problems.is_empty(), "{} of {cells} cells:\n{}", problems.len(), problems.join("\n"));
}

const CALLS: [&str; 11] = [
    "cloudformation:DescribeStackResource",
    "cloudformation:DescribeStacks",
    "connect:DescribeInstance",
    "connect:ListInstanceStorageConfigs",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "es:DescribeDomain",
    "events:PutEvents",
    "iam:GetRole",
    "kinesis:DescribeStreamSummary",
    "s3:PutObject",
];

#[tokio::test]
async fn handing_over_for_the_first_time_survives_every_fault() {
    matrix(Step::Create).await;
}

#[tokio::test]
async fn handing_over_again_survives_every_fault() {
    matrix(Step::Update).await;
}

#[tokio::test]
async fn a_process_that_dies_right_after_a_write_leaves_a_hand_over_that_the_next_one_finishes_or_takes_back() {
    let mut cells = Vec::new();
    for step in [Step::Create, Step::Update] {
        let (calls, clean) = clean_run(step).await;
        for plan in stuck_writes(&calls) {
            for then in [Then::Rerun, Then::RollBack] {
                let name = format!("{step:?}, {} call {}, {then:?}", plan.action, plan.nth);
                let (plan, clean) = (plan.clone(), clean.clone());
                cells.push(async move {
                    let outcome = async {
                        let _turn = CELLS.acquire().await.unwrap();
                        let mut stage = Stage::new(step).await?;
                        stage.world.proxy.plan([plan]);
                        let event = stage.event.clone();
                        stage.world.kill_within(&event).await?;
                        stage.end(then, &clean).await
                    };
                    outcome.await.err().map(|problem: String| format!("{name}: {problem}"))
                });
            }
        }
    }
    assert_eq!(cells.len(), 2 * 2 * 5);
    let problems: Vec<String> = futures::future::join_all(cells).await.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn same(first: &Answer, second: &Answer) {
    let essence = |answer: &Answer| (answer.success, answer.data.clone(), answer.reason.clone());
    assert_eq!(essence(first), essence(second));
}

#[tokio::test]
async fn what_comes_twice_or_changes_nothing_is_announced_once() {
    for step in [Step::Create, Step::Update] {
        let stage = Stage::new(step).await.unwrap();
        let world = &stage.world;
        let other = world.second_process(&[]).await;
        let (one, two) =
            tokio::join!(world.try_send(&stage.event, AMPLE), world.try_send_to(&other, &stage.event, AMPLE));
        same(&one.unwrap().succeeded(), &two.unwrap().succeeded());
        other.stop().await;
        let handed = Handed::agrees(world, &stage.event).await.unwrap();
        let revisions: BTreeSet<u64> = announced(world).iter().map(|one| one["revision"].as_u64().unwrap()).collect();
        assert_eq!(revisions, BTreeSet::from_iter(1..=if step == Step::Create { 1 } else { 2 }));
        let (moment, told) = (Instant::now(), announced(world).len());
        world.send(&stage.event).await.succeeded();
        // Another request that wants the same.
        let same_again = stage.event.update(&stage.event.0["ResourceProperties"], "handover");
        world.send(&same_again).await.succeeded();
        assert_eq!(announced(world).len(), told);
        assert!(world.calls_since(moment).iter().all(|call| call.action != "s3:PutObject"));
        assert_eq!(Handed::agrees(world, &stage.event).await.unwrap(), handed);
        stage.world.end().await;
    }
}

#[tokio::test]
async fn a_duplicate_that_comes_after_the_rollback_leaves_what_was_rolled_back_to() {
    let stage = Stage::new(Step::Update).await.unwrap();
    let world = &stage.world;
    world.send(&stage.event).await.succeeded();
    let back = stage.event.update(&stage.create.0["ResourceProperties"], "handover");
    world.send(&back).await.succeeded();
    let handed = Handed::agrees(world, &stage.create).await.unwrap();
    assert_eq!(handed.essence(world), stage.before.as_ref().unwrap().essence(world));
    let told = announced(world).len();
    for late in [&stage.event, &stage.create] {
        world.send(late).await.succeeded();
    }
    assert_eq!(announced(world).len(), told);
    assert_eq!(Handed::agrees(world, &stage.create).await.unwrap(), handed);
    stage.world.end().await;
}

#[tokio::test]
async fn a_refreshed_hand_over_says_what_changed_since_the_last_release() {
    let stage = Stage::new(Step::Update).await.unwrap();
    stage.world.send(&stage.event).await.succeeded();
    let handed = Handed::agrees(&stage.world, &stage.event).await.unwrap();
    let changes = json!([{ "name": "Time zone", "from": "Australia/Sydney", "to": "Europe/Dublin" }]);
    let told = &handed.document;
    assert_eq!(
        (&told["changes"], &told["previousRelease"], &told["release"]),
        (&changes, &json!("0.1.0"), &json!("0.2.0"))
    );
    assert!(handed.text.contains("from Australia/Sydney\n    to   Europe/Dublin"), "{}", handed.text);
    stage.world.end().await;
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_said_and_takes_no_deployment_back() {
    let (things, targets) = (Things::get().await, Targets::get().await);
    make_role("e2e-handover-other").await;
    let wrong = [
        ("RoleArn", things.role.replace("-role", "-nobody"), "IAM role", "does not exist"),
        ("RoleArn", things.role.replace("role/", "role/path/"), "IAM role", "does not exist"),
        ("CustomerId", "another-id".to_owned(), "External id", "does not ask for it"),
        ("AgentEventStreamArn", targets.stream_renamed.clone(), "Amazon Connect instance", "stream to"),
        ("ContactRecordTargetArn", targets.foreign_firehose.clone(), "Amazon Connect instance", "stream to"),
        ("SearchEndpoint", "https://search.example.com".to_owned(), "Search endpoint", "answers at"),
        ("DomainArn", things.domain.replace("e2e-handover", "e2e-nowhere"), "Search endpoint", "does not exist"),
    ];
    let checks = wrong.into_iter().map(|(property, value, name, problem)| async move {
        let _turn = CELLS.acquire().await.unwrap();
        let world = World::new().await;
        let create = first(&world).await.property(property, value);
        let answer = world.send(&create).await.succeeded();
        assert!(answer.reason.contains(name), "{property}: {}", answer.reason);
        let handed = Handed::agrees(&world, &create).await.unwrap();
        let unverified = handed.unverified();
        let item = unverified.iter().find(|item| item["name"].as_str().unwrap().starts_with(name));
        let found = item.unwrap_or_else(|| panic!("{property}: {unverified:#?}"));
        assert!(found["problem"].as_str().unwrap().contains(problem), "{found}");
        assert!(handed.text.starts_with("NOT EVERYTHING HERE IS VERIFIED"), "{}", handed.text);
        world.end().await;
    });
    futures::future::join_all(checks).await;
}

#[tokio::test]
async fn what_never_answers_is_not_verified_and_hides_nothing_else() {
    let stage = Stage::new(Step::Create).await.unwrap();
    let (action, fault) = ("es:DescribeDomain".to_owned(), Fault::Silence);
    stage.world.proxy.plan([Plan { action: action.clone(), nth: 1, times: usize::MAX, fault }]);
    let answer = stage.world.send(&stage.event).await.succeeded();
    unverified_only_by(&stage, &action, &answer).await.unwrap();
    stage.world.end().await;
}

#[tokio::test]
async fn another_key_encrypts_what_is_there_and_is_no_news() {
    let stage = Stage::new(Step::Update).await.unwrap();
    let world = &stage.world;
    let key = make_key(world.aws, "SYMMETRIC_DEFAULT").await;
    let under_key = stage.create.clone().property("BucketKeyArn", key.clone());
    let told = announced(world).len();
    world.send(&stage.create.update(&under_key.0["ResourceProperties"], "handover")).await.succeeded();
    assert_eq!(announced(world).len(), told);
    assert_eq!(Handed::agrees(world, &stage.create).await.unwrap(), stage.before.clone().unwrap());
    let bucket = under_key.0["ResourceProperties"]["Bucket"].as_str().unwrap();
    for name in ["json", "txt"] {
        let path = format!("/{bucket}/{FOLDER}emite-handover.{name}");
        let head = world.aws.rest_call("s3", "HEAD", &path, "").await;
        let header = |name: &str| head.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(header("x-amz-server-side-encryption"), Some("aws:kms"), "{head:?}");
        assert_eq!(header("x-amz-server-side-encryption-aws-kms-key-id"), Some(key.as_str()), "{head:?}");
    }
    stage.world.end().await;
}

#[tokio::test]
async fn an_update_whose_document_cannot_be_stored_is_made_up_for_by_the_next() {
    let stage = Stage::new(Step::Update).await.unwrap();
    let gone =
        Plan { action: "s3:PutObject".to_owned(), nth: 1, times: usize::MAX, fault: Fault::Refused("NoSuchBucket") };
    stage.world.proxy.plan([gone]);
    let told = announced(&stage.world).len();
    let answer = stage.world.try_send(&stage.event, RESERVE + Duration::from_secs(25)).await.unwrap().succeeded();
    assert!(answer.reason.contains("s3:PutObject"), "{}", answer.reason);
    assert_eq!(announced(&stage.world).len(), told, "what is not stored is not announced");
    stage.world.proxy.heal();
    let next = stage.event.clone().property("Release", "0.3.0");
    stage.world.send(&stage.event.update(&next.0["ResourceProperties"], "handover")).await.succeeded();
    let handed = Handed::agrees(&stage.world, &next).await.unwrap();
    let told = &handed.document;
    assert_eq!((&told["previousRelease"], told["changes"].as_array().unwrap().len()), (&json!("0.1.0"), 1));
    stage.world.end().await;
}
