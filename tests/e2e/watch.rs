//! Owns the watching of a whole stack: something breaks between Connect and eMite, people get one message that says what and
//! what to do, and one more when it is mended. The commands in the messages are run as they stand.

use std::collections::BTreeMap;

use emite_connect_tests::alerts::{Ear, Mail};
use emite_connect_tests::functions::until;
use emite_connect_tests::instance::storage_config;
use emite_connect_tests::metrics::{Metric, flat};
use serde_json::{Value, json};

use crate::watched::{WINDOW, Watched, unique};
use crate::world::Targets;

pub(crate) const EVENTS: &str = "AGENT_EVENTS";
const RECORDS: &str = "CONTACT_TRACE_RECORDS";

/// A way to break the integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakage {
    AssociationLost,
    AssociationTaken,
    RecordsLost,
    RecordsTaken,
    OriginDeleted,
    ConsumerGone,
    ProducerSilent,
    DeliveryFailing,
    ClusterRed,
    DiskFull,
    AccessNarrowed,
    AccountShutOut,
    RetentionShortened,
    TrustChanged,
    StrangerTrusted,
    GuardDropped,
    SessionShortened,
    PolicyDeleted,
    BoundaryTakenAway,
    EmailUnconfirmed,
    EventNotHandled,
}

/// What the message says that it causes.
struct Told {
    check: &'static str,
    severity: &'static str,
    title: &'static str,
    body: Vec<String>,
    /// The repair that it offers mends it.
    mends: bool,
}

impl Breakage {
    const ALL: [Self; 21] = [
        Self::AssociationLost,
        Self::AssociationTaken,
        Self::RecordsLost,
        Self::RecordsTaken,
        Self::OriginDeleted,
        Self::ConsumerGone,
        Self::ProducerSilent,
        Self::DeliveryFailing,
        Self::ClusterRed,
        Self::DiskFull,
        Self::AccessNarrowed,
        Self::AccountShutOut,
        Self::RetentionShortened,
        Self::TrustChanged,
        Self::StrangerTrusted,
        Self::GuardDropped,
        Self::SessionShortened,
        Self::PolicyDeleted,
        Self::BoundaryTakenAway,
        Self::EmailUnconfirmed,
        Self::EventNotHandled,
    ];

    fn told(self, watched: &Watched) -> Told {
        let told = |check, severity, title, body: &[&str], mends| Told {
            check,
            severity,
            title,
            body: body.iter().map(|text| (*text).to_owned()).collect(),
            mends,
        };
        let stream = watched.setting("agentEventStream");
        match self {
            Self::AssociationLost => told(
                "data-streaming",
                "Critical",
                "agent events are not sent to eMite",
                &["agent events", stream],
                true,
            ),
            Self::AssociationTaken => told(
                "data-streaming",
                "Critical",
                "agent events are not sent to eMite",
                &["e2e-foreign-stream", stream],
                true,
            ),
            Self::RecordsLost => {
                told("data-streaming", "Critical", "contact records are not sent to eMite", &["anywhere"], true)
            }
            Self::RecordsTaken => told(
                "data-streaming",
                "Critical",
                "contact records are not sent to eMite",
                &["e2e-foreign-stream", watched.setting("deliveryStream")],
                true,
            ),
            Self::OriginDeleted => told(
                "approved-origins",
                "Warning",
                "eMite is not an approved origin",
                &[watched.setting("emiteOrigin")],
                true,
            ),
            Self::ConsumerGone => told(
                "iterator-age",
                "Warning",
                "agent events",
                &["eMite has stopped reading agent events", stream],
                false,
            ),
            Self::ProducerSilent => told(
                "agent-event-flow",
                "Critical",
                "agent events are not arriving",
                &["No agent event has arrived"],
                false,
            ),
            Self::DeliveryFailing => told(
                "firehose-delivery",
                "Critical",
                "contact records are not delivered",
                &["No contact record has got into the search domain"],
                false,
            ),
            Self::ClusterRed => told(
                "search-domain",
                "Critical",
                "the search domain",
                &["is red", "some of its data is not available"],
                false,
            ),
            Self::DiskFull => {
                told("search-domain", "", "the search domain is running out of space", &["storage"], false)
            }
            Self::AccessNarrowed => {
                told("domain-access", "", "eMite cannot reach the search domain", &["203.0.113.10"], true)
            }
            Self::AccountShutOut => {
                told("domain-access", "Critical", "this account cannot use the search domain", &["this account"], true)
            }
            Self::RetentionShortened => told(
                "agent-event-stream",
                "Warning",
                "agent events are kept too short",
                &["24 hours", "48 hours"],
                true,
            ),
            Self::TrustChanged => told("emite-role", "Critical", "eMite cannot use its role", &[], true),
            Self::StrangerTrusted => {
                told("emite-role", "Warning", "others can use the eMite role", &["999999999999"], true)
            }
            Self::PolicyDeleted => told(
                "emite-role",
                "Critical",
                "permissions of the eMite role have changed",
                &["kinesis:GetRecords"],
                true,
            ),
            Self::BoundaryTakenAway => {
                told("emite-role", "", "the limit of the eMite role has changed", &["permissions boundary"], true)
            }
            Self::GuardDropped => {
                told("emite-role", "Warning", "others can use the eMite role", &["without your customer ID"], true)
            }
            Self::SessionShortened => {
                told("emite-role", "", "sessions of the eMite role are too short", &["12 hours"], true)
            }
            Self::EmailUnconfirmed => told(
                "alert-path",
                "Warning",
                "a subscription to alerts is not confirmed",
                &["a…@example.com", "Subscription Confirmation"],
                false,
            ),
            Self::EventNotHandled => told("alert-path", "Warning", "some events were not handled", &["1 event"], false),
        }
    }

    pub(crate) async fn happen(self, watched: &mut Watched) {
        match self {
            Self::AssociationLost => stop_streaming(watched, EVENTS).await,
            Self::AssociationTaken => take_streaming(watched, EVENTS).await,
            Self::RecordsLost => stop_streaming(watched, RECORDS).await,
            Self::RecordsTaken => take_streaming(watched, RECORDS).await,
            Self::OriginDeleted => delete_origin(watched).await,
            // Two hours ago, all went well.
            Self::ConsumerGone => watched.measure("iterator_age", &flat(WINDOW, 120, 500.0)).await,
            Self::ProducerSilent => watched.measure("agent_events", &flat(WINDOW, 120, 20.0)).await,
            Self::DeliveryFailing => {
                let points = [flat(WINDOW, 120, 1.0), flat(115, 0, 0.0)].concat();
                watched.measure("delivery_success", &points).await;
            }
            Self::ClusterRed => watched.measure("domain_red", &flat(WINDOW, 0, 1.0)).await,
            Self::DiskFull => watched.measure("domain_free_storage", &flat(WINDOW, 0, 5_000.0)).await,
            Self::AccessNarrowed => {
                let policy = access_policy(watched).await;
                set_access_policy(watched, &policy.replace("203.0.113.10", "198.51.100.77")).await;
            }
            Self::AccountShutOut => {
                let mut policy: Value = serde_json::from_str(&access_policy(watched).await).expect("JSON");
                policy["Statement"].as_array_mut().expect("statements").retain(|one| one["Sid"] != "ThisAccount");
                set_access_policy(watched, &policy.to_string()).await;
            }
            Self::RetentionShortened => set_retention(watched, "Decrease", 24).await,
            Self::TrustChanged => {
                set_trust(watched, &watched.setting("emitePrincipal").into(), "somebody-elses-id").await
            }
            Self::StrangerTrusted => {
                let both = json!([watched.setting("emitePrincipal"), "arn:aws:iam::999999999999:root"]);
                set_trust(watched, &both, watched.setting("customerId")).await;
            }
            Self::GuardDropped => {
                let trust = json!({ "Version": "2012-10-17", "Statement": [{
                    "Effect": "Allow", "Principal": { "AWS": watched.setting("emitePrincipal") }, "Action": "sts:AssumeRole",
                }] });
                put_trust(watched, &trust).await;
            }
            Self::SessionShortened => set_session(watched, 3600).await,
            Self::PolicyDeleted => {
                role_call(watched, "DeleteRolePolicy", "&PolicyName=emite-role-policy").await.clear()
            }
            Self::BoundaryTakenAway => role_call(watched, "DeleteRolePermissionsBoundary", "").await.clear(),
            Self::EmailUnconfirmed => {
                watched.aws.subscribe_email(watched.setting("alertTopic"), "admin@example.com").await;
            }
            Self::EventNotHandled => {
                put_bad_event(watched).await;
                watched.await_dead_letters(1).await;
            }
        }
    }

    /// Somebody changes once more what a repair is about to mend.
    pub(crate) async fn interfere(self, watched: &Watched) {
        match self {
            Self::AssociationLost => {
                let foreign = &Targets::get().await.foreign_stream;
                watched.aws.stream_to(&watched.stack.instance, EVENTS, foreign).await;
            }
            Self::AssociationTaken => stop_streaming(watched, EVENTS).await,
            Self::AccessNarrowed => {
                let policy = access_policy(watched).await;
                set_access_policy(watched, &policy.replace("198.51.100.77", "198.51.100.99")).await;
            }
            Self::RetentionShortened => set_retention(watched, "Increase", 36).await,
            Self::TrustChanged => set_trust(watched, &watched.setting("emitePrincipal").into(), "a-third-id").await,
            Self::SessionShortened => set_session(watched, 7200).await,
            Self::PolicyDeleted => {
                let deny = json!({ "Effect": "Deny", "Action": "kinesis:DescribeLimits", "Resource": "*" });
                set_role_policy(watched, &json!({ "Version": "2012-10-17", "Statement": [deny] })).await;
            }
            Self::BoundaryTakenAway => {
                let other = encoded("arn:aws:iam::aws:policy/ReadOnlyAccess");
                role_call(watched, "PutRolePermissionsBoundary", &format!("&PermissionsBoundary={other}")).await;
            }
            other => panic!("no repair mends {other:?}"),
        }
    }

    /// By hand, where no repair does it.
    async fn mend(self, watched: &Watched) {
        match self {
            Self::ConsumerGone => watched.measure_healthy("iterator_age").await,
            Self::ProducerSilent => watched.measure_healthy("agent_events").await,
            Self::DeliveryFailing => watched.measure_healthy("delivery_success").await,
            Self::ClusterRed => watched.measure_healthy("domain_red").await,
            Self::DiskFull => watched.measure_healthy("domain_free_storage").await,
            Self::EmailUnconfirmed => {
                watched.aws.confirm_email(watched.setting("alertTopic"), "admin@example.com").await;
            }
            Self::EventNotHandled => purge(watched).await,
            // Where the repair of the message did not do it, what follows begins with all mended all the same.
            _ => {
                let event = json!({ "mode": "apply", "replace": true });
                watched.aws.invoke(watched.id("RepairFunction"), &event).await.expect("a repair");
            }
        }
    }
}

pub(crate) async fn stop_streaming(watched: &Watched, resource_type: &str) {
    let path = association(watched, resource_type).await;
    watched.aws.connect_call("DELETE", &path, &Value::Null).await;
}

/// Somebody points it at a data stream of theirs.
async fn take_streaming(watched: &Watched, resource_type: &str) {
    let path = association(watched, resource_type).await;
    let target = &Targets::get().await.foreign_stream;
    watched.aws.connect_call("POST", &path, &json!({ "StorageConfig": storage_config(target) })).await;
}

/// The path of an association.
async fn association(watched: &Watched, resource_type: &str) -> String {
    let configs = watched.aws.storage_configs(&watched.stack.instance, resource_type).await;
    let id = configs[0]["AssociationId"].as_str().expect("an id").to_owned();
    format!("/instance/{}/storage-config/{id}?resourceType={resource_type}", watched.stack.instance.id)
}

async fn delete_origin(watched: &Watched) {
    let path =
        format!("/instance/{}/approved-origin?origin={}", watched.stack.instance.id, watched.setting("emiteOrigin"));
    watched.aws.connect_call("DELETE", &path, &Value::Null).await;
}

pub(crate) async fn access_policy(watched: &Watched) -> String {
    let path = format!("/2021-01-01/opensearch/domain/{}", watched.name_in("domain"));
    let reply = watched.aws.rest_call("es", "GET", &path, "").await;
    let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    answer["DomainStatus"]["AccessPolicies"].as_str().expect("a policy").to_owned()
}

pub(crate) async fn set_access_policy(watched: &Watched, policy: &str) {
    let path = format!("/2021-01-01/opensearch/domain/{}/config", watched.name_in("domain"));
    let body = json!({ "AccessPolicies": policy }).to_string();
    let reply = watched.aws.rest_call("es", "POST", &path, &body).await;
    assert!(reply.status < 300, "{reply:?}");
}

/// The trust as it was deployed, with another principal or customer id.
async fn set_trust(watched: &Watched, principal: &Value, customer_id: &str) {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "AllowEmite", "Effect": "Allow", "Principal": { "AWS": principal },
        "Action": "sts:AssumeRole", "Condition": { "StringEquals": { "sts:ExternalId": customer_id } },
    }] });
    put_trust(watched, &trust).await;
}

async fn put_trust(watched: &Watched, trust: &Value) {
    role_call(watched, "UpdateAssumeRolePolicy", &format!("&PolicyDocument={}", encoded(&trust.to_string()))).await;
}

pub(crate) async fn role_call(watched: &Watched, action: &str, more: &str) -> String {
    let role = watched.name_in("emiteRole");
    watched.aws.form_call("iam", &format!("Action={action}&Version=2010-05-08&RoleName={role}{more}")).await
}

/// Puts a document in place of the stack's inline policy of the role.
pub(crate) async fn set_role_policy(watched: &Watched, policy: &Value) {
    let document = encoded(&policy.to_string());
    role_call(watched, "PutRolePolicy", &format!("&PolicyName=emite-role-policy&PolicyDocument={document}")).await;
}

async fn set_retention(watched: &Watched, direction: &str, hours: u32) {
    let target = format!("Kinesis_20131202.{direction}StreamRetentionPeriod");
    let input = json!({ "StreamName": watched.name_in("agentEventStream"), "RetentionPeriodHours": hours });
    watched.aws.json_call("kinesis", &target, &input).await;
}

async fn set_session(watched: &Watched, seconds: u32) {
    role_call(watched, "UpdateRole", &format!("&MaxSessionDuration={seconds}")).await;
}

/// A report of a version that nobody knows. The reporter refuses it as often as Lambda tries.
async fn put_bad_event(watched: &mut Watched) {
    let detail = json!({ "version": 99, "stackId": watched.setting("stackId") });
    let entry = json!({
        "Source": "emite-connect", "DetailType": "Integration Health Report", "Detail": detail.to_string(),
    });
    watched.switch_rule("ReportRule", true).await;
    watched.aws.json_call("events", "AWSEvents.PutEvents", &json!({ "Entries": [entry] })).await;
    watched.switch_rule("ReportRule", false).await;
    watched.was_invoked(TRIES);
}

/// How often Lambda hands an event to the reporter before it gives up.
const TRIES: usize = 3;

async fn purge(watched: &Watched) {
    let input = json!({ "QueueUrl": watched.setting("deadLetterQueue") });
    watched.aws.json_call("sqs", "AmazonSQS.PurgeQueue", &input).await;
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Breaks it, has it told, mends it, has that told.
async fn one_after_the_other(watched: &mut Watched, breakage: Breakage) -> Result<(), String> {
    breakage.happen(watched).await;
    let (report, mails) = watched.look_twice().await;
    let outcome = match mails.as_slice() {
        [mail] => told_and_mended(watched, breakage, mail).await,
        mails => Err(format!("{} messages instead of one: {mails:#?}\nthe report: {report:#}", mails.len())),
    };
    let mails = match &outcome {
        // One look of the repair is enough.
        Ok(Some(repair)) => watched.tell_repair(repair).await,
        _ => {
            breakage.mend(watched).await;
            watched.look_twice().await.1
        }
    };
    let report = watched.check().await;
    outcome?;
    let title = breakage.told(watched).title;
    match mails.as_slice() {
        [mail] if mail.subject.starts_with("[Resolved] ") && mail.subject.contains(title) => {}
        mails => return Err(format!("not one message that it is over: {mails:#?}\nthe report: {report:#}")),
    }
    if report["status"] == "Healthy" { Ok(()) } else { Err(format!("not mended: {report:#}")) }
}

/// What the repair of the message answered, if it offers one.
async fn told_and_mended(watched: &Watched, breakage: Breakage, mail: &Mail) -> Result<Option<Value>, String> {
    let told = breakage.told(watched);
    let on_one_line = mail.body.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut missing: Vec<&str> =
        told.body.iter().map(String::as_str).filter(|word| !on_one_line.contains(word)).collect();
    missing.extend([told.title, told.severity].iter().filter(|word| !mail.subject.contains(**word)));
    if !missing.is_empty() {
        return Err(format!("{missing:?} is not in {mail:#?}"));
    }
    let attributes = ["check", "state"].map(|name| mail.attribute(name));
    if attributes != [told.check, "opened"] || mail.attribute("severity").is_empty() {
        return Err(format!("the attributes of {mail:#?}"));
    }
    if !mail.subject.is_ascii() || mail.subject.len() > 99 || mail.body.is_empty() {
        return Err(format!("SNS would not take {mail:#?}"));
    }
    let printed = run_commands(watched, mail).await?;
    let repair = printed.iter().filter_map(|text| first_value(text)).rfind(|answer| answer["mode"] == "apply");
    let Some(repair) = repair.filter(|_| told.mends) else {
        return if told.mends { Err(format!("no repair in {mail:#?}")) } else { Ok(None) };
    };
    if !repair["notPublished"].is_null() {
        return Err(format!("it was not published: {repair:#}"));
    }
    let outcomes = repair["outcomes"].as_array().cloned().unwrap_or_default();
    if outcomes.is_empty() || outcomes.iter().any(|outcome| outcome["result"] != "Applied") {
        return Err(format!("it was not repaired: {repair:#}"));
    }
    match repair["after"]["status"].as_str() {
        Some("Healthy") => Ok(Some(repair)),
        _ => Err(format!("its repair does not mend it: {:#?}\n{repair:#}", mail.commands())),
    }
}

/// The answer of a function, in front of what the command line says of the call.
fn first_value(printed: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(printed).into_iter().next()?.ok()
}

/// Runs the commands of a message as they stand, but for the one that mutes the check; what they printed.
async fn run_commands(watched: &Watched, mail: &Mail) -> Result<Vec<String>, String> {
    let commands: Vec<String> = mail.commands().into_iter().filter(|command| !command.contains("silence")).collect();
    if commands.is_empty() {
        return Err(format!("no command in {mail:#?}"));
    }
    let mut printed = Vec::new();
    for command in &commands {
        printed.push(watched.aws.paste(command).await.map_err(|said| format!("{command}\nfailed: {said}"))?);
    }
    Ok(printed)
}

#[tokio::test]
async fn whatever_breaks_is_told_once_with_commands_that_run_and_once_more_when_it_is_mended() {
    let mut watched = Watched::healthy().await;
    let mut problems = BTreeMap::new();
    for breakage in Breakage::ALL {
        if let Err(problem) = one_after_the_other(&mut watched, breakage).await {
            problems.insert(format!("{breakage:?}"), problem);
        }
    }
    let listing: Vec<String> = problems.iter().map(|(name, problem)| format!("--- {name}: {problem}")).collect();
    assert!(problems.is_empty(), "{}", listing.join("\n"));
}

#[tokio::test]
async fn a_report_that_comes_twice_or_late_or_beside_another_is_told_once() {
    let mut watched = Watched::healthy().await;
    let healthy = watched.check().await;
    let before = watched.later(&healthy);
    stop_streaming(&watched, EVENTS).await;
    let report = watched.check().await;
    let report = watched.later(&report);
    let mails = watched.put(&[report.clone(), report.clone(), report.clone()]).await;
    assert_eq!(mails.len(), 1, "{mails:#?}");
    assert_eq!(watched.put(&[report]).await, [], "again");
    assert_eq!(watched.put(&[before]).await, [], "an older one");
    Breakage::AssociationLost.mend(&watched).await;
    let (_, mails) = watched.look_twice().await;
    assert_eq!(mails.len(), 1, "{mails:#?}");
}

#[tokio::test]
async fn the_command_that_mutes_a_check_mutes_it() {
    let mut watched = Watched::healthy().await;
    set_session(&watched, 3600).await;
    let (_, mails) = watched.look_twice().await;
    let commands = mails.first().map(Mail::commands).unwrap_or_default();
    let mute = commands.iter().find(|command| command.contains("silence")).expect("a command that mutes");
    let answer = watched.aws.paste(mute).await.unwrap();
    watched.was_invoked(1);
    assert!(answer.contains("silenced"), "{answer}");
    set_session(&watched, 43_200).await;
    watched.look_twice().await;
    set_session(&watched, 3600).await;
    let (_, mails) = watched.look_twice().await;
    assert_eq!(mails, [], "it is muted");
    let unmute = json!({ "silence": { "check": "emite-role", "until": null } });
    watched.aws.invoke(watched.id("ReporterFunction"), &unmute).await.unwrap();
    watched.was_invoked(1);
    let (_, mails) = watched.look_twice().await;
    assert_eq!(mails.len(), 1, "it is told what was not: {mails:#?}");
}

#[tokio::test]
async fn who_is_the_first_to_confirm_hears_of_the_deployment_and_of_all_that_is_wrong() {
    const ADDRESS: &str = "first@example.com";
    let mut watched = Watched::healthy().await;
    let (aws, topic) = (watched.aws, watched.setting("alertTopic").to_owned());
    aws.unsubscribe_all(&topic).await;
    aws.subscribe_email(&topic, ADDRESS).await;
    stop_streaming(&watched, EVENTS).await;
    let (report, _) = watched.look_twice().await;
    let nobody = |finding: &Value| finding["check"] == "alert-path" && finding["status"] == "Missing";
    assert!(report["findings"].as_array().unwrap().iter().any(nobody), "{report:#}");
    aws.confirm_email(&topic, ADDRESS).await;
    let report = watched.check().await;
    watched.tell(&report).await;
    let mails: Vec<Value> = aws.mailbox(ADDRESS).into_iter().skip(1).collect();
    let subjects: Vec<&str> = mails.iter().filter_map(|mail| mail["subject"].as_str()).collect();
    assert_eq!(subjects.len(), 2, "{mails:#?}");
    assert!(subjects[0].starts_with("[Deployed] ") && subjects[1].starts_with("[Critical] "), "{subjects:?}");
    // As it was handed over, before anybody heard.
    assert!(mails[0]["body"].as_str().unwrap().contains("emite-handover.txt"), "{mails:#?}");
    assert!(
        mails[1]["body"].as_str().unwrap().contains("Amazon Connect does not send its agent events anywhere"),
        "{mails:#?}"
    );
    Breakage::AssociationLost.mend(&watched).await;
    watched.look_twice().await;
    let last = aws.mailbox(ADDRESS).pop().unwrap();
    assert!(last["subject"].as_str().unwrap().starts_with("[Resolved] "), "{last:#}");
}

#[tokio::test]
async fn what_is_handed_over_again_is_told_in_one_mail_with_what_changed_and_the_command_that_prints_it() {
    let mut watched = Watched::healthy().await;
    watched.switch_rule("ReportRule", true).await;
    watched.stack.updated(&[("TimeZone", "Europe/Dublin")]).await;
    watched.was_invoked(1);
    let mails = watched.heard().await;
    let [mail] = mails.as_slice() else { panic!("{mails:#?}") };
    assert_eq!((mail.attribute("state"), mail.attribute("severity")), ("deployed", "Info"), "{mail:#?}");
    for words in
        ["Time zone: from Australia/Sydney to Europe/Dublin", watched.setting("searchEndpoint"), "was verified"]
    {
        assert!(mail.body.contains(words), "{words} is not in {mail:#?}");
    }
    let commands: Vec<&str> = mail.body.lines().filter(|line| line.starts_with("aws s3 cp ")).collect();
    let [command] = commands.as_slice() else { panic!("{mail:#?}") };
    let printed = watched.aws.paste(command).await.unwrap();
    assert!(printed.contains("Europe/Dublin\n  verified") && printed.contains("number 2,"), "{printed}");
    // An update of something else is no news.
    watched.stack.updated(&[("AgentSilenceMinutes", "45")]).await;
    assert_eq!(watched.heard().await, []);
}

#[tokio::test]
async fn a_stack_checks_itself_every_minute_and_a_check_that_crashes_is_told() {
    let mut watched = Watched::new("1").await;
    let heard = until("the first message", || async {
        let mails = watched.ear.hear(watched.aws).await;
        if mails.is_empty() { None } else { Some(mails) }
    })
    .await;
    assert!(heard[0].subject.starts_with("[Deployed] "), "{heard:#?}");
    assert!(heard[0].body.contains(watched.setting("emiteRole")), "{heard:#?}");
    let keys: Vec<Value> = watched.ledger().await.into_iter().map(|item| item["pk"]["S"].clone()).collect();
    for prefix in ["latch#", "alert#"] {
        assert!(keys.iter().any(|key| key.as_str().is_some_and(|key| key.starts_with(prefix))), "{keys:?}");
    }
    let completed = Metric {
        namespace: "EmiteConnect",
        name: "Completed",
        dimensions: vec![("Stack", watched.stack.name.clone())],
    };
    until("the metric of the first run", || watched.aws.metric_sum(&completed)).await;
    watched.switch_rule("HealthCheckSchedule", false).await;

    let function = watched.id("HealthCheckFunction").to_owned();
    let variables = watched.aws.configuration(&function).await["Environment"]["Variables"].clone();
    let mut without = variables.clone();
    without.as_object_mut().unwrap().remove("SPEC_PARAMETER");
    set_environment(&watched, &function, &without).await;
    watched.aws.invoke_later(&function, &json!({})).await;
    let mail =
        until("the message of the crash", || async { watched.ear.hear(watched.aws).await.into_iter().next() }).await;
    assert!(mail.subject.contains("the health check itself failed"), "{mail:#?}");
    assert!(mail.subject.contains("[Critical]") || mail.subject.contains("[Warning]"), "{mail:#?}");
    assert!(!mail.commands().is_empty(), "{mail:#?}");

    set_environment(&watched, &function, &variables).await;
    watched.aws.invoke(&function, &json!({})).await.unwrap();
    let mail =
        until("the message that it is over", || async { watched.ear.hear(watched.aws).await.into_iter().next() }).await;
    assert!(mail.subject.starts_with("[Resolved] "), "{mail:#?}");
    settings_that_nobody_can_read(&mut watched).await;
    the_alarm_reaches_people(&watched).await;
    watched.stack.deleted().await;
}

async fn set_environment(watched: &Watched, function: &str, variables: &Value) {
    let path = format!("/2015-03-31/functions/{function}/configuration");
    let body = json!({ "Environment": { "Variables": variables } }).to_string();
    let reply = watched.aws.rest_call("lambda", "PUT", &path, &body).await;
    assert!(reply.status < 300, "{reply:?}");
}

/// Straight from CloudWatch, with the whole text.
async fn the_alarm_reaches_people(watched: &Watched) {
    watched.ear.hear(watched.aws).await;
    let alarm = json!({ "AlarmName": watched.id("WatchdogAlarm"), "StateValue": "ALARM", "StateReason": "no run" });
    watched.aws.json_call("monitoring", "GraniteServiceVersion20100801.SetAlarmState", &alarm).await;
    let mails = watched.ear.hear(watched.aws).await;
    assert_eq!(mails.len(), 1, "{mails:#?}");
    for word in ["has not completed a run", watched.id("HealthCheckFunction")] {
        assert!(mails[0].body.contains(word), "{word} is not in {mails:#?}");
    }
}

/// Then neither function can work: what should have been told waits in the queue, and is reported once it can be.
async fn settings_that_nobody_can_read(watched: &mut Watched) {
    let parameter =
        |value: &str| json!({ "Name": watched.id("Spec"), "Value": value, "Type": "String", "Overwrite": true });
    watched.aws.json_call("ssm", "AmazonSSM.PutParameter", &parameter("{\"version\"")).await;
    watched.aws.invoke_later(watched.id("HealthCheckFunction"), &json!({})).await;
    watched.await_dead_letters(1).await;
    watched.aws.json_call("ssm", "AmazonSSM.PutParameter", &parameter(&watched.spec.to_string())).await;
    let report = watched.check().await;
    let found = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["resource"] == watched.spec["deadLetterQueue"]);
    assert_eq!(found.map(|finding| &finding["check"]), Some(&json!("alert-path")), "{report:#}");
    purge(watched).await;
}

/// A name and a number that are nobody's.
const NAME: &str = "Quirinius Zabriskie-Marker";
const NUMBER: &str = "+61491570006";

#[tokio::test]
async fn nothing_of_a_contact_gets_out_of_the_data_path() {
    let mut watched = Watched::healthy().await;
    let bus = listen_to_the_bus(&watched).await;
    let record = json!({ "ContactId": "1", "CustomerEndpoint": { "Address": NUMBER }, "Attributes": { "name": NAME } });
    put_records(&watched, &record).await;
    put_failed_object(&watched, &record).await;
    let (report, mails) = watched.look_twice().await;
    let about = mails.iter().find(|mail| mail.attribute("check") == "failed-records");
    assert!(about.is_some_and(|mail| mail.body.contains("mapper_parsing_exception")), "{mails:#?}\n{report:#}");

    let mut places: Vec<(String, String)> = vec![
        ("the report".to_owned(), report.to_string()),
        ("messages".to_owned(), format!("{mails:?}")),
        ("the ledger".to_owned(), format!("{:?}", watched.ledger().await)),
        ("the bus".to_owned(), format!("{:?}", bus.hear_raw(watched.aws).await)),
    ];
    for function in ["HealthCheckFunction", "ReporterFunction", "CustomResourceFunction"] {
        places.push((function.to_owned(), watched.aws.function_log(watched.id(function)).await.join("\n")));
    }
    let metrics = watched.aws.json_call("monitoring", "GraniteServiceVersion20100801.ListMetrics", &json!({})).await;
    places.push(("metrics".to_owned(), metrics.to_string()));
    for (place, text) in &places {
        assert!(text.len() > 20, "{place} is empty: {text}");
        for marker in [NAME, NUMBER, "Zabriskie", "491570006"] {
            assert!(!text.contains(marker), "{marker} is in {place}: {text}");
        }
    }
}

/// A queue that gets every event of this stack.
async fn listen_to_the_bus(watched: &Watched) -> Ear {
    let name = format!("{}-bus-{}", watched.stack.name, unique());
    let ear = Ear::for_service(watched.aws, "events.amazonaws.com", &name).await;
    let pattern = json!({ "detail": { "stackId": [watched.setting("stackId")] } }).to_string();
    watched.aws.json_call("events", "AWSEvents.PutRule", &json!({ "Name": name, "EventPattern": pattern })).await;
    let targets = json!({ "Rule": name, "Targets": [{ "Id": "queue", "Arn": watched.aws.arn("sqs", &name) }] });
    watched.aws.json_call("events", "AWSEvents.PutTargets", &targets).await;
    ear
}

async fn put_records(watched: &Watched, record: &Value) {
    let data = base64(record.to_string().as_bytes());
    let stream = json!({
        "StreamName": watched.name_in("agentEventStream"), "PartitionKey": "agent", "Data": data });
    watched.aws.json_call("kinesis", "Kinesis_20131202.PutRecord", &stream).await;
    let delivery = json!({ "DeliveryStreamName": watched.name_in("deliveryStream"), "Record": { "Data": data } });
    watched.aws.json_call("firehose", "Firehose_20150804.PutRecord", &delivery).await;
}

/// As Firehose writes what the domain refused, with the engine's words about it.
pub(crate) async fn put_failed_object(watched: &Watched, record: &Value) -> String {
    let name = watched.name_in("deliveryStream");
    let key = format!(
        "emite-connect/{name}/failed/AmazonOpenSearchService-failed/2026/11/24/01/{name}-1-2026-11-24-01-02-03-x"
    );
    let reason = json!({ "type": "mapper_parsing_exception", "reason":
        format!("failed to parse field [Attributes.name] of type [date]: '{NAME}' called from {NUMBER}") });
    let line = json!({
        "attemptsMade": 4, "arrivalTimestamp": 1_795_395_751_000_u64, "errorCode": "400", "errorMessage": reason.to_string(),
        "attemptEndingTimestamp": 1_795_395_791_000_u64, "rawData": base64(record.to_string().as_bytes()),
        "esDocumentId": "1", "esIndexName": "emite-contacts-2026-11", "esTypeName": "contacts" });
    let path = format!("/{}/{key}", watched.setting("backupBucket"));
    let reply = watched.aws.rest_call("s3", "PUT", &path, &format!("{line}\n")).await;
    assert!(reply.status < 300, "{reply:?}");
    key
}

pub(crate) async fn delete_object(watched: &Watched, key: &str) {
    let path = format!("/{}/{key}", watched.setting("backupBucket"));
    let reply = watched.aws.rest_call("s3", "DELETE", &path, "").await;
    assert!(reply.status < 300, "{reply:?}");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number =
            chunk.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[number >> (18 - 6 * place) & 63]);
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}
