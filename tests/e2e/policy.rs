//! Owns the proof of the function's policy: what it calls is allowed (the life cycles show that under IAM enforcement),
//! what is allowed is called or stands in the table below with its source, and a missing right is named by the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use emite_connect_tests::faults::{Fault, Plan};
use serde_json::Value;

use crate::life_cycles::Stack;
use crate::matrix::CELLS;
use crate::preflight::{engine_upgrade, make_key, make_topic, thorough};
use crate::scenario::{Before, Scenario, every_scenario};
use crate::surroundings::delete_after_the_previous_went;
use crate::world::{Event, RESERVE, World};

/// Allowed, and never called by the function itself.
///
/// The first group is what Connect does with the caller's rights: the dependent actions of `AssociateInstanceStorageConfig`,
/// `UpdateInstanceStorageConfig` and `DescribeInstance` in the Service Authorization Reference
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonconnect.html>), without those for S3, to
/// which nothing here streams. The second is what the Lambda service does with the role's rights
/// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>).
const CALLED_BY_AWS: [(&str, &str); 7] = [
    ("ds:DescribeDirectories", "Connect looks up the instance's directory for the caller"),
    ("iam:PutRolePolicy", "Connect lets its own role write to the stream, for the caller"),
    ("iam:AttachRolePolicy", "Connect completes its own role, for the caller"),
    ("iam:CreateServiceLinkedRole", "Connect makes its own role for an instance that has none, for the caller"),
    ("kms:CreateGrant", "Connect grants its own role the key of an encrypted stream, for the caller"),
    ("logs:CreateLogStream", "Lambda writes the function's log"),
    ("logs:PutLogEvents", "Lambda writes the function's log"),
];

/// A way to have the function call something.
#[derive(Clone, Copy, Debug)]
enum Way {
    Link(Scenario),
    Preflight,
    EngineUpgrade,
    /// A Delete, when the stream to go back to is gone.
    NowhereToGoBackTo,
}

impl Way {
    fn all() -> Vec<Self> {
        every_scenario()
            .into_iter()
            .map(Self::Link)
            .chain([Self::Preflight, Self::EngineUpgrade, Self::NowhereToGoBackTo])
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
                    Self::NowhereToGoBackTo => delete_after_the_previous_went(&world, "AGENT_EVENTS").await,
                    _ => thorough(&world).await,
                };
                (world, event)
            }
        }
    }
}

/// Every action that the function calls, with one way to make it.
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

/// The actions that the template allows the function when everything optional is given. The stack lives and goes under IAM
/// enforcement meanwhile.
async fn allowed() -> BTreeSet<String> {
    let mut stack = Stack::new(Before::Nothing).await;
    let bucket = format!("{}-bucket", stack.name);
    stack.aws.make_bucket(&bucket, &stack.aws.place.region).await;
    let topic = make_topic(stack.aws, &stack.name, "cloudwatch.amazonaws.com").await;
    let key = make_key(stack.aws, "SYMMETRIC_DEFAULT").await;
    stack.parameters.extend([("BackupBucketName", bucket), ("AlertTopicArn", topic), ("AgentEventKeyArn", key)]);
    let deployment = stack.created().await;
    let functions = deployment.resources.values().filter(|resource| resource.kind == "AWS::Lambda::Function");
    let functions: Vec<&str> = functions.filter_map(|resource| resource.physical_id.as_deref()).collect();
    let [function] = functions.as_slice() else { panic!("a new function needs a proof of its own: {functions:?}") };
    let statements = stack.aws.statements(function).await;
    stack.deleted().await;
    actions(&statements)
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
async fn the_policy_allows_what_the_function_calls_and_what_aws_asks_behind_it_and_nothing_else() {
    let (called, allowed) = tokio::join!(called(), allowed());
    let called: BTreeSet<String> = called.into_keys().collect();
    assert!(called.len() >= 16, "{called:?}");
    let missing: Vec<&String> = called.difference(&allowed).collect();
    assert!(missing.is_empty(), "called and not allowed: {missing:?}");
    let beyond: BTreeSet<String> = allowed.difference(&called).cloned().collect();
    let justified: BTreeSet<String> = CALLED_BY_AWS.iter().map(|(action, _)| (*action).to_owned()).collect();
    assert_eq!(beyond, justified, "allowed and not called, against the table");
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
        if answer.success || !answer.reason.contains(&action) {
            return Err(format!("{action}, {way:?}: success {}, reason: {}", answer.success, answer.reason));
        }
        Ok(())
    });
    let problems: Vec<String> = futures::future::join_all(proofs).await.into_iter().filter_map(Result::err).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
