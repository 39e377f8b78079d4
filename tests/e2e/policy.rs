//! Owns the proof of each function's policy: what it calls is allowed (the life cycles and the watching show that under IAM
//! enforcement), what is allowed is called or stands in the tables below with its source, and a missing right is named by the
//! answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use emite_connect_tests::faults::{Fault, Plan};
use serde_json::{Value, json};

use crate::life_cycles::Stack;
use crate::matrix::CELLS;
use crate::preflight::{engine_upgrade, make_key, make_topic, thorough};
use crate::process::Process;
use crate::repair::calls_of_repairs;
use crate::scenario::{Before, Scenario, every_scenario};
use crate::surroundings::delete_after_the_previous_went;
use crate::watch::{delete_object, put_failed_object};
use crate::watched::Watched;
use crate::world::{Event, RESERVE, World};

/// Allowed to the function of the custom resources, and never called by it.
///
/// The first group is what Connect does with the caller's rights: the dependent actions of `AssociateInstanceStorageConfig`,
/// `UpdateInstanceStorageConfig` and `DescribeInstance` in the Service Authorization Reference
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonconnect.html>), without those for S3, to
/// which nothing here streams. The second is what S3 does with the caller's rights under a key, and what the Lambda service does with the role's rights
/// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>).
const CALLED_BY_AWS: [(&str, &str); 9] = [
    ("ds:DescribeDirectories", "Connect looks up the instance's directory for the caller"),
    ("iam:PutRolePolicy", "Connect lets its own role write to the stream, for the caller"),
    ("iam:AttachRolePolicy", "Connect completes its own role, for the caller"),
    ("iam:CreateServiceLinkedRole", "Connect makes its own role for an instance that has none, for the caller"),
    ("kms:CreateGrant", "Connect grants its own role the key of an encrypted stream, for the caller"),
    ("kms:Decrypt", "S3 uses the key of an encrypted bucket for the caller"),
    ("kms:GenerateDataKey", "S3 encrypts an object of an encrypted bucket for the caller"),
    ("logs:CreateLogStream", "Lambda writes the function's log"),
    ("logs:PutLogEvents", "Lambda writes the function's log"),
];

/// The stack of these tests has no server. That all of these are called where there is one, [`crate::self_hosted`] proves.
const SERVER: &str = "looks at, or mends, a server in this account";

/// Allowed to the health check, and never called by it: what Connect and S3 do with the caller's rights
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>), and what the Lambda service does with
/// those of the role, records of failed runs included
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>).
const CALLED_BEHIND_THE_HEALTH_CHECK: [(&str, &str); 10] = [
    ("ds:DescribeDirectories", "Connect looks up the instance's directory for the caller"),
    ("ec2:DescribeAddresses", SERVER),
    ("ec2:DescribeIamInstanceProfileAssociations", SERVER),
    ("ec2:DescribeInstanceStatus", SERVER),
    ("ec2:DescribeInstances", SERVER),
    ("ec2:DescribeSecurityGroups", SERVER),
    ("kms:Decrypt", "S3 decrypts an object of an encrypted bucket for the caller"),
    ("lambda:InvokeFunction", "Lambda hands the record of a failed run to the reporter"),
    ("logs:CreateLogStream", "Lambda writes the function's log"),
    ("logs:PutLogEvents", "Lambda writes the function's log"),
];

/// Allowed to the reporter, and never called by it.
const CALLED_BEHIND_THE_REPORTER: [(&str, &str); 3] = [
    ("logs:CreateLogStream", "Lambda writes the function's log"),
    ("logs:PutLogEvents", "Lambda writes the function's log"),
    ("sqs:SendMessage", "Lambda keeps what the function could not handle"),
];

/// Actions that are allowed and not called, with the reason.
type Reasons = &'static [(&'static str, &'static str)];

/// Allowed to the repair, and never called by it in what the tests break: what Connect and S3 do with the caller's rights, what
/// the Lambda service does with those of the role, and what undoes a change that turned out to be for a stack that is going, or
/// that Connect would not make in one step.
const CALLED_BEHIND_THE_REPAIR: [(&str, &str); 21] = [
    ("connect:DisassociateApprovedOrigin", "undoes what was done for a stack that is going"),
    ("connect:DisassociateInstanceStorageConfig", "where Connect refuses to update to storage of another type"),
    ("ds:DescribeDirectories", "Connect looks up the instance's directory for the caller"),
    ("ec2:AssociateAddress", SERVER),
    ("ec2:AssociateIamInstanceProfile", SERVER),
    ("ec2:DescribeAddresses", SERVER),
    ("ec2:DescribeIamInstanceProfileAssociations", SERVER),
    ("ec2:DescribeInstanceStatus", SERVER),
    ("ec2:DescribeInstances", SERVER),
    ("ec2:DescribeSecurityGroups", SERVER),
    ("ec2:ReplaceIamInstanceProfileAssociation", SERVER),
    ("iam:AttachRolePolicy", "Connect completes its own role, for the caller"),
    ("iam:CreateServiceLinkedRole", "Connect makes its own role for an instance that has none, for the caller"),
    ("iam:PassRole", "EC2 gives a server the role of a profile for the caller"),
    ("kinesis:DescribeStream", "Connect looks at the stream for the caller"),
    ("kms:CreateGrant", "Connect grants its own role the key of an encrypted stream, for the caller"),
    ("kms:Decrypt", "S3 decrypts an object of an encrypted bucket for the caller"),
    ("kms:DescribeKey", "Connect looks at the key of an encrypted stream for the caller"),
    ("logs:CreateLogStream", "Lambda writes the function's log"),
    ("logs:PutLogEvents", "Lambda writes the function's log"),
    ("s3:GetObject", "tells why records were refused, if there are any"),
];

/// Allowed to the redrive, and never called by it in [`calls_of_a_redrive`]: what S3 asks of the caller behind a call, what the
/// Lambda service does, and what an upload that came to nothing needs.
const CALLED_BEHIND_THE_REDRIVE: [(&str, &str); 6] = [
    ("kms:Decrypt", "S3 decrypts an object of an encrypted bucket for the caller"),
    ("kms:GenerateDataKey", "S3 encrypts an object of an encrypted bucket for the caller"),
    ("logs:CreateLogStream", "Lambda writes the function's log"),
    ("logs:PutLogEvents", "Lambda writes the function's log"),
    ("s3:AbortMultipartUpload", "gives up the upload of a large quarantine object"),
    ("s3:ListBucket", "without it S3 calls an object that is gone denied"),
];

/// A way to have the function of the custom resources call something.
#[derive(Clone, Copy, Debug)]
enum Way {
    Link(Scenario),
    Preflight,
    EngineUpgrade,
    /// An Update to what was before the last one.
    Back,
    /// A Delete, when the stream to go back to is gone.
    NowhereToGoBackTo,
    /// The deployment counts as a run of the health check.
    Watch,
    Handover,
    /// A Delete after the ledger table was deleted.
    LedgerGone,
}

impl Way {
    fn all() -> Vec<Self> {
        every_scenario()
            .into_iter()
            .map(Self::Link)
            .chain([
                Self::Preflight,
                Self::EngineUpgrade,
                Self::Back,
                Self::NowhereToGoBackTo,
                Self::Watch,
                Self::Handover,
                Self::LedgerGone,
            ])
            .collect()
    }

    /// A world in which the event is the next thing to happen.
    async fn ready(self) -> (World, Event) {
        match self {
            Self::Link(scenario) => {
                let stage = scenario.stage().await.unwrap_or_else(|problem| panic!("{scenario:?}: {problem}"));
                (stage.world, stage.event)
            }
            other => {
                let world = World::new().await;
                let event = match other {
                    Self::EngineUpgrade => engine_upgrade(&world, "Elasticsearch_7.10").await,
                    Self::Back => crate::preflight::back(&world).await,
                    Self::Watch => Event::new("Create", "Custom::EmiteWatch", &json!({ "HealthCheckMinutes": "5" })),
                    Self::Handover => crate::handover::first(&world)
                        .await
                        .property("ServerId", "i-0a1b2c3d4e5f60718")
                        .property("ServerAddress", "198.51.100.20"),
                    Self::LedgerGone => crate::lost_ledger::delete(&world).await,
                    Self::NowhereToGoBackTo => delete_after_the_previous_went(&world, "AGENT_EVENTS").await,
                    _ => thorough(&world).await,
                };
                (world, event)
            }
        }
    }
}

/// Every action that the function of the custom resources calls, with one way to make it.
async fn called() -> BTreeMap<String, Way> {
    let runs = Way::all().into_iter().map(|way| async move {
        let _turn = CELLS.acquire().await.unwrap();
        let (world, event) = way.ready().await;
        let moment = std::time::Instant::now();
        world.send(&event).await.succeeded();
        let actions: BTreeSet<String> = world.calls_since(moment).into_iter().map(|call| call.action).collect();
        world.end().await;
        (way, actions)
    });
    let mut called = BTreeMap::new();
    for (way, actions) in futures::future::join_all(runs).await {
        for action in actions {
            called.entry(action).or_insert(way);
        }
    }
    called
}

/// The actions that the template allows each function when everything optional is given, by logical id. The stack lives and
/// goes under IAM enforcement meanwhile.
async fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let mut stack = Stack::new(Before::Nothing).await;
    let bucket = format!("{}-bucket", stack.name);
    stack.aws.make_bucket(&bucket, &stack.aws.endpoints.region).await;
    let topic = make_topic(stack.aws, &stack.name, "cloudwatch.amazonaws.com").await;
    let (stream_key, bucket_key) =
        tokio::join!(make_key(stack.aws, "SYMMETRIC_DEFAULT"), make_key(stack.aws, "SYMMETRIC_DEFAULT"));
    stack.parameters.extend([
        ("BackupBucketName", bucket),
        ("BackupBucketKeyArn", bucket_key),
        ("AlertTopicArn", topic),
        ("AgentEventKeyArn", stream_key),
    ]);
    let server = crate::self_hosted::server(&stack).await;
    // eMite is admitted as well.
    stack.parameters.extend(server.into_iter().filter(|(_, value)| !value.is_empty()));
    let deployment = stack.created().await;
    let mut allowed = BTreeMap::new();
    for (logical_id, resource) in &deployment.resources {
        if resource.kind == "AWS::Lambda::Function" {
            let function = resource.physical_id.as_deref().expect("a name");
            allowed.insert(logical_id.clone(), actions(&stack.aws.statements(function).await));
        }
    }
    let aws = stack.aws;
    stack.deleted().await;
    crate::self_hosted::clean_up(aws, &deployment).await;
    allowed
}

fn actions(statements: &[Value]) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow", "a Deny needs thought here: {statement}");
        assert!(statement["NotAction"].is_null(), "{statement}");
        match &statement["Action"] {
            Value::String(action) => allowed.extend([action.clone()]),
            Value::Array(actions) => allowed.extend(actions.iter().map(|action| action.as_str().unwrap().to_owned())),
            other => panic!("Action {other}"),
        }
    }
    assert!(!allowed.is_empty());
    assert!(allowed.iter().all(|action| !action.contains('*')), "a wildcard allows what nobody knows: {allowed:?}");
    allowed
}

#[tokio::test]
async fn each_policy_allows_what_its_function_calls_and_what_aws_asks_behind_it_and_nothing_else() {
    let (allowed, called, looked, redriven, repaired, reported) = tokio::join!(
        allowed(),
        called(),
        calls_of_a_check(),
        calls_of_a_redrive(),
        calls_of_repairs(),
        calls_of_a_report()
    );
    let called: BTreeSet<String> = called.into_keys().collect();
    let proofs: [(&str, BTreeSet<String>, Reasons); 5] = [
        ("CustomResourceFunction", called, &CALLED_BY_AWS),
        ("HealthCheckFunction", looked, &CALLED_BEHIND_THE_HEALTH_CHECK),
        ("RedriveFunction", redriven, &CALLED_BEHIND_THE_REDRIVE),
        ("RepairFunction", repaired, &CALLED_BEHIND_THE_REPAIR),
        ("ReporterFunction", reported, &CALLED_BEHIND_THE_REPORTER),
    ];
    let functions: Vec<&str> = proofs.iter().map(|(function, _, _)| *function).collect();
    assert_eq!(allowed.keys().collect::<Vec<_>>(), functions, "a new function needs a proof of its own");
    for (function, called, behind) in proofs {
        let missing: Vec<&String> = called.difference(&allowed[function]).collect();
        assert!(missing.is_empty(), "{function}: called and not allowed: {missing:?}");
        let beyond: BTreeSet<String> = allowed[function].difference(&called).cloned().collect();
        let justified: BTreeSet<String> = behind.iter().map(|(action, _)| (*action).to_owned()).collect();
        assert_eq!(beyond, justified, "{function}: allowed and not called, against the table");
    }
}

/// What a health check calls that finds all there is to look at, for the first time.
async fn calls_of_a_check() -> BTreeSet<String> {
    let watched = Watched::shared().await;
    let key = put_failed_object(&watched, &json!({})).await;
    let process = Process::of(&watched, "health-check", "HealthCheckFunction").await;
    process.invoke(&json!({})).await.unwrap();
    delete_object(&watched, &key).await;
    process.end().await
}

/// What the redrive calls to put a record back, to put another one into quarantine, and to tell of both. What goes to the domain
/// does not pass the network that is watched here.
async fn calls_of_a_redrive() -> BTreeSet<String> {
    let watched = Watched::shared().await;
    let key = put_failed_object(&watched, &json!({})).await;
    let bucket = watched.setting("backupBucket").to_owned();
    let with_rubbish = [&watched.aws.object(&bucket, &key).await.expect("it is there")[..], b"rubbish\n"].concat();
    watched.aws.put_object(&bucket, &key, with_rubbish).await;
    let process = Process::of(&watched, "redrive", "RedriveFunction").await;
    let answer = process.invoke(&json!({ "mode": "apply", "keys": [key] })).await.unwrap();
    assert_eq!((&answer["indexed"], &answer["quarantined"]), (&json!(1), &json!(1)), "{answer}");
    process.invoke(&json!({ "mode": "summarise", "results": [answer] })).await.unwrap();
    // Others share the stack, and what is in quarantine is told.
    let stream = watched.name_in("deliveryStream");
    for key in watched.aws.keys(&bucket, &format!("emite-connect/{stream}/quarantine/")).await {
        watched.aws.delete_object(&bucket, &key).await;
    }
    let mut actions = process.end().await;
    actions.insert("es:ESHttpPost".to_owned());
    actions
}

/// What the reporter calls to tell something.
async fn calls_of_a_report() -> BTreeSet<String> {
    let watched = Watched::shared().await;
    let process = Process::of(&watched, "reporter", "ReporterFunction").await;
    process.invoke(&json!({ "test": true })).await.unwrap();
    assert_eq!(watched.ear.hear(watched.aws).await.len(), 1);
    process.end().await
}

/// Without these there is no report at all, or nobody could be told.
const NEEDED_FOR_A_REPORT: [&str; 2] = ["events:PutEvents", "ssm:GetParameter"];
/// What only fills in or remembers: who misses it is judged all the same.
const NOT_NEEDED_FOR_A_VERDICT: [&str; 3] = ["cloudformation:DescribeStacks", "dynamodb:PutItem", "s3:GetObject"];

#[tokio::test]
async fn a_look_that_is_denied_is_unobservable_and_hides_no_other() {
    let actions = calls_of_a_check().await;
    assert!(actions.len() >= 16, "{actions:?}");
    let watched = Watched::shared().await;
    let process = Process::of(&watched, "health-check", "HealthCheckFunction").await;
    let mut problems = Vec::new();
    for action in actions {
        process.proxy.plan([Plan { action: action.clone(), nth: 1, times: usize::MAX, fault: Fault::Denied }]);
        let answer = process.invoke(&json!({})).await;
        process.proxy.heal();
        if let Err(problem) = denied(&action, &answer) {
            problems.push(format!("{action}: {problem}: {answer:#?}"));
        }
    }
    process.end().await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// One call of each protocol.
const PROTOCOLS: [&str; 5] = [
    "cloudwatch:GetMetricData",
    "es:DescribeDomain",
    "firehose:DescribeDeliveryStream",
    "iam:GetRole",
    "s3:ListBucket",
];

#[tokio::test]
async fn unparsable_answer_is_logged_with_its_reason_and_without_its_content() {
    const CONTENT: &str = "<caller>+61412345678</caller>";
    let watched = Watched::shared().await;
    let process = Process::of(&watched, "health-check", "HealthCheckFunction").await;
    process.proxy.plan(PROTOCOLS.map(|action| {
        let fault = Fault::Garbled(CONTENT);
        Plan { action: action.to_owned(), nth: 1, times: usize::MAX, fault }
    }));
    process.invoke(&json!({})).await.unwrap();
    let log = process.log();
    for action in PROTOCOLS {
        let line = log.lines().find(|line| line.contains(action) && line.contains("could not look"));
        let line = line.unwrap_or_else(|| panic!("{action}: {log}"));
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["fields"]["code"], "UnparsableAnswer", "{line:#}");
        let reason = line["fields"]["reason"].as_str().unwrap();
        assert!(reason.len() > 20 && reason != "no message", "{line:#}");
    }
    assert!(!log.contains("61412345678"), "{log}");
    process.end().await;
}

#[tokio::test]
async fn a_right_that_the_reporter_misses_is_named_by_its_error() {
    let actions = calls_of_a_report().await;
    let watched = Watched::shared().await;
    let process = Process::of(&watched, "reporter", "ReporterFunction").await;
    for action in actions {
        process.proxy.plan([Plan { action: action.clone(), nth: 1, times: usize::MAX, fault: Fault::Denied }]);
        let error = process.invoke(&json!({ "test": true })).await.expect_err(&action);
        assert!(error.contains(&action), "{action}: {error}");
        process.proxy.heal();
    }
    assert_eq!(watched.ear.hear(watched.aws).await, []);
    // What waits is not lost.
    process.invoke(&json!({ "test": true })).await.unwrap();
    assert!(!watched.ear.hear(watched.aws).await.is_empty());
    process.end().await;
}

fn denied(action: &str, answer: &Result<Value, String>) -> Result<(), &'static str> {
    let report = match answer {
        Err(error) if NEEDED_FOR_A_REPORT.contains(&action) && error.contains(action) => return Ok(()),
        Err(_) => return Err("the run failed"),
        Ok(_) if NEEDED_FOR_A_REPORT.contains(&action) => return Err("there is a report"),
        Ok(report) => report,
    };
    let with = |outcome: &str| {
        let checks = report["checks"].as_array().expect("checks");
        checks.iter().filter(|check| check["outcome"] == outcome).count()
    };
    if NOT_NEEDED_FOR_A_VERDICT.contains(&action) {
        return if with("Unobservable") == 0 { Ok(()) } else { Err("something is unobservable") };
    }
    let findings = report["findings"].as_array().expect("findings");
    let names_it = |finding: &Value| {
        finding["status"] == "Unobservable" && finding["summary"].as_str().is_some_and(|text| text.contains(action))
    };
    if !findings.iter().any(names_it) {
        return Err("no finding names it");
    }
    if findings.iter().any(|finding| finding["status"] != "Unobservable") {
        return Err("something that is well is called broken");
    }
    if with("Passed") < 5 { Err("it hides others") } else { Ok(()) }
}

#[tokio::test]
async fn every_right_that_is_missing_is_named_by_the_answer() {
    let proofs = called().await.into_iter().map(|(action, way)| async move {
        let _turn = CELLS.acquire().await.unwrap();
        let (world, event) = way.ready().await;
        world.proxy.plan([Plan { action: action.clone(), nth: 1, times: usize::MAX, fault: Fault::Denied }]);
        let answer = world
            .try_send(&event, RESERVE + Duration::from_secs(25))
            .await
            .map_err(|objection| format!("{action}: {objection}"))?;
        world.proxy.heal();
        world.try_end().await?;
        // The first run of the health check is counted in advance, which is no reason to take a deployment back.
        if action.starts_with("cloudwatch:") {
            return if answer.success { Ok(()) } else { Err(format!("{action}: {}", answer.reason)) };
        }
        // Nor is a hand-over that could not be announced, or of a server that could not be looked at.
        let may_succeed = ["ec2:DescribeInstances", "events:PutEvents"].contains(&action.as_str());
        // What its document says in full, its answer says in short.
        let named = answer.reason.contains(&action) || answer.reason.contains("Not verified: Public address");
        if answer.success != may_succeed || !named {
            return Err(format!("{action}, {way:?}: success {}, reason: {}", answer.success, answer.reason));
        }
        Ok(())
    });
    let problems: Vec<String> = futures::future::join_all(proofs).await.into_iter().filter_map(Result::err).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
