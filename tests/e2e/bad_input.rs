//! Owns bad input: whatever the event says, it is answered if it can be, the reason names what is wrong, and nothing is
//! written. Deleting what was refused always succeeds, or a stack with a typing error could never be rolled back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use emite_connect_tests::runtime_api::Ended;
use serde_json::{Value, json};

use crate::matrix::is_read;
use crate::world::{AMPLE, Event, Targets, World};

const STREAMING: &str = "Custom::ConnectDataStreaming";
const ORIGIN: &str = "Custom::ConnectApprovedOrigin";

/// Sends the Create, which must be refused naming the words, and its Delete, which must succeed and may note no more than that it
/// came; says what else is wrong.
async fn refused(world: &World, create: &Event, words: &[&str]) -> Result<(), String> {
    let moment = Instant::now();
    let answer = world.try_send(create, AMPLE).await?;
    if answer.success {
        return Err("SUCCESS".to_owned());
    }
    if let Some(missing) = words.iter().find(|word| !answer.reason.contains(**word)) {
        return Err(format!("the reason does not name {missing}: {}", answer.reason));
    }
    let writes = || world.calls_since(moment).into_iter().map(|call| call.action).filter(|action| !is_read(action));
    let mut wrote: Vec<String> = writes().collect();
    let delete = world.try_send(&create.delete(&answer.physical_id), AMPLE).await?;
    if !delete.success {
        return Err(format!("its Delete FAILED: {}", delete.reason));
    }
    wrote.extend(writes().filter(|action| action != "dynamodb:PutItem"));
    if wrote.is_empty() { Ok(()) } else { Err(format!("wrote by {wrote:?}")) }
}

async fn all_refused(world: World, table: Vec<(String, Event, Vec<&str>)>) {
    let before = world.state().await;
    let mut problems = BTreeMap::new();
    for (name, create, words) in &table {
        if let Err(problem) = refused(&world, create, words).await {
            problems.insert(name.clone(), problem);
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(world.state().await, before);
    let claimed = |item: &Value| item["body"]["S"].as_str().is_none_or(|body| !body.contains(r#""life":"released""#));
    assert!(!world.aws.ledger_items(&world.table).await.iter().any(claimed));
    world.end().await;
}

/// Values of any property that no property takes, by name.
fn nonsense() -> Vec<(&'static str, Value)> {
    vec![
        ("empty", json!("")),
        ("null", Value::Null),
        ("a number", json!(5)),
        ("a list", json!(["x"])),
        ("an object", json!({ "Ref": "x" })),
        ("not ASCII", json!("Zürich 日本 \u{1f600} \u{202e}")),
        ("a NUL", json!("a\u{0}b")),
        ("100 KB", json!("x".repeat(100_000))),
        ("100 KB, not ASCII", json!("é\"\\😀".repeat(15_000))),
    ]
}

#[tokio::test]
async fn every_property_of_data_streaming_is_checked_and_named() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let good = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    let mut table = Vec::new();
    for property in ["InstanceArn", "ResourceType", "TargetArn", "OnExisting", "DrainSeconds"] {
        for (name, value) in nonsense() {
            table.push((format!("{property} {name}"), good.clone().property(property, value), vec![property]));
        }
        let mut missing = good.clone();
        missing.0["ResourceProperties"].as_object_mut().unwrap().remove(property);
        table.push((format!("{property} missing"), missing, vec![property]));
    }
    let mut case = |property: &'static str, value: String| {
        table.push((format!("{property} {value}"), good.clone().property(property, value), vec![property]));
    };
    for property in ["InstanceArn", "TargetArn"] {
        let arn = if property == "InstanceArn" { &world.instance.arn } else { &targets.stream };
        case(property, arn.replace(&world.aws.endpoints.region, "eu-central-1"));
        case(property, arn.replace(&world.aws.endpoints.account_id, "999988887777"));
        case(property, arn.replace("arn:aws:", "arn:aws-cn:"));
        case(property, world.aws.arn("lambda", "function:x"));
        case(property, world.stack_id.clone());
        case(property, arn.replace("arn:aws:", "urn:aws:"));
        case(property, format!("{arn}/user/x"));
        case(property, format!("{arn}*"));
        case(property, format!(" {arn}"));
    }
    case("InstanceArn", world.instance.id.clone());
    case("InstanceArn", world.aws.arn("connect", "instance/"));
    case("TargetArn", targets.firehose.clone());
    case("TargetArn", world.aws.arn("kinesis", "stream/"));
    case("ResourceType", "CALL_RECORDINGS".to_owned());
    case("ResourceType", "agent_events".to_owned());
    case("OnExisting", "replace".to_owned());
    case("DrainSeconds", "-1".to_owned());
    case("DrainSeconds", "1.5".to_owned());
    case("DrainSeconds", "100000".to_owned());
    table.push(("unknown property".to_owned(), good.clone().property("Surprise", "x"), vec!["Surprise"]));
    table.push(("unknown property, 100 KB".to_owned(), good.clone().property(&"S".repeat(100_000), "x"), vec!["SSSS"]));
    let several = good.clone().property("TargetArn", "x").property("OnExisting", "y").property("Surprise", "z");
    table.push(("several".to_owned(), several, vec!["TargetArn", "OnExisting", "Surprise"]));
    all_refused(world, table).await;
}

#[tokio::test]
async fn every_property_of_an_approved_origin_is_checked_and_named() {
    let world = World::new().await;
    let good = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    let mut table = Vec::new();
    for property in ["InstanceArn", "Origin"] {
        for (name, value) in nonsense() {
            table.push((format!("{property} {name}"), good.clone().property(property, value), vec![property]));
        }
        let mut missing = good.clone();
        missing.0["ResourceProperties"].as_object_mut().unwrap().remove(property);
        table.push((format!("{property} missing"), missing, vec![property]));
    }
    let origins = [
        "emite.example.com",
        "http://emite.example.com",
        "https://*.example.com",
        "*",
        "https://emite.example.com/path",
        "https://user@emite.example.com",
        "https://emite.example.com?x=1",
        "javascript:alert(1)",
        "https://",
        "https://a b.example",
    ];
    for origin in origins {
        table.push((origin.to_owned(), good.clone().property("Origin", origin), vec!["Origin"]));
    }
    let elsewhere = world.instance.arn.replace(&world.aws.endpoints.account_id, "999988887777");
    table.push(("account".to_owned(), good.clone().property("InstanceArn", elsewhere), vec!["InstanceArn"]));
    table.push(("unknown property".to_owned(), good.clone().property("Surprise", "x"), vec!["Surprise"]));
    all_refused(world, table).await;
}

#[tokio::test]
async fn every_property_of_a_hand_over_is_checked_and_named() {
    let world = World::new().await;
    let good = crate::handover::first(&world).await;
    let mut table = Vec::new();
    for (property, may_be_empty) in crate::handover::PROPERTIES {
        for (name, value) in
            nonsense().into_iter().filter(|(name, _)| !may_be_empty || !["empty", "null"].contains(name))
        {
            table.push((format!("{property} {name}"), good.clone().property(property, value), vec![property]));
        }
        let mut missing = good.clone();
        missing.0["ResourceProperties"].as_object_mut().unwrap().remove(property);
        if !may_be_empty {
            table.push((format!("{property} missing"), missing, vec![property]));
        }
    }
    let text = |property: &str| good.0["ResourceProperties"][property].as_str().unwrap().to_owned();
    for property in ["InstanceArn", "RoleArn", "AgentEventStreamArn", "ContactRecordTargetArn", "DomainArn"] {
        let arn = text(property);
        for other in [
            arn.replace(&world.aws.endpoints.account_id, "999988887777"),
            arn.replace("arn:aws:", "arn:aws-cn:"),
            world.aws.arn("lambda", "function:x"),
            format!("{arn}*{arn}"),
        ] {
            table.push((format!("{property} {other}"), good.clone().property(property, other), vec![property]));
        }
    }
    let server = good.clone().property("ServerAddress", "203.0.113.10");
    table.push(("an address without a server".to_owned(), server, vec!["ServerId"]));
    table.push(("unknown property".to_owned(), good.clone().property("Surprise", "x"), vec!["Surprise"]));
    let several = good.clone().property("TimeZone", "Mars").property("Bucket", "X").property("Surprise", "z");
    table.push(("several".to_owned(), several, vec!["TimeZone", "Bucket", "Surprise"]));
    let before = world.aws.keys(&text("Bucket"), "").await;
    let (aws, bucket) = (world.aws, text("Bucket"));
    all_refused(world, table).await;
    assert_eq!(aws.keys(&bucket, "").await, before);
}

#[tokio::test]
async fn properties_that_are_no_object_are_refused_by_name() {
    let world = World::new().await;
    let good = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    let mut problems = Vec::new();
    for value in [Value::Null, json!([1]), json!("text"), json!(5)] {
        let answer = world.send(&good.clone().with("ResourceProperties", value.clone())).await;
        if answer.success || !answer.reason.contains("InstanceArn") {
            problems.push(format!("{value}: {}", answer.reason));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    world.send(&good.without("ResourceProperties")).await.failed_naming(&["InstanceArn"]);
    world.end().await;
}

#[tokio::test]
async fn an_update_with_a_bad_property_changes_nothing_and_its_rollback_succeeds() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let made = world.send(&create).await.succeeded();
    let state = world.state().await;
    let elsewhere = targets.stream.replace(&world.aws.endpoints.region, "eu-central-1");
    let update = create.update(&world.streaming("AGENT_EVENTS", &elsewhere, "Fail"), &made.physical_id);
    let failed = world.send(&update).await.failed_naming(&["TargetArn"]);
    assert_eq!(failed.physical_id, made.physical_id);
    assert_eq!(world.state().await, state);
    world.send(&update.update(&create.0["ResourceProperties"], &made.physical_id)).await.succeeded();
    assert_eq!(world.state().await, state);
    world.end().await;
}

#[tokio::test]
async fn another_stacks_event_is_refused_and_touches_nothing() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    let made = world.send(&create).await.succeeded();
    let (state, moment) = (world.state().await, Instant::now());
    let other_name = world.aws.arn("cloudformation", "stack/other/00000000-0000-4000-8000-000000000000");
    let same_name_again = format!("{}1", world.stack_id);
    for stack in [other_name, same_name_again, "x".to_owned(), "é".repeat(200)] {
        for event in [create.clone(), create.delete(&made.physical_id)] {
            world.send(&event.with("StackId", stack.clone())).await.failed_naming(&["StackId"]);
        }
    }
    assert_eq!(world.calls_since(moment).len(), 0);
    assert_eq!(world.state().await, state);
    world.end().await;
}

#[tokio::test]
async fn an_unknown_kind_of_request_or_resource_is_refused_by_name() {
    let world = World::new().await;
    let good = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    for value in [json!("Destroy"), json!("create"), json!(""), json!(5), Value::Null] {
        world.send(&good.clone().with("RequestType", value)).await.failed_naming(&["RequestType"]);
    }
    world.send(&good.clone().without("RequestType")).await.failed_naming(&["RequestType"]);
    for value in [json!("Custom::Other"), json!("AWS::S3::Bucket"), json!("x".repeat(100_000)), json!(5), Value::Null] {
        world.send(&good.clone().with("ResourceType", value)).await.failed_naming(&["ResourceType"]);
    }
    world.send(&good.without("ResourceType")).await.failed_naming(&["ResourceType"]);
    assert!(world.proxy.calls().is_empty());
    world.end().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_answered_ends_at_once_and_the_process_goes_on() {
    let world = World::new().await;
    let good = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    let events = [
        ("no object", "[]".to_owned()),
        ("a text", "\"text\"".to_owned()),
        ("null", "null".to_owned()),
        ("ResponseURL null", world.posted(&good.clone().with("ResponseURL", Value::Null))),
        ("ResponseURL a number", world.posted(&good.clone().with("ResponseURL", 5))),
        ("ResponseURL empty", world.posted(&good.clone().with("ResponseURL", ""))),
        ("ResponseURL not a URL", world.posted(&good.clone().with("ResponseURL", "secretpath00 no url"))),
        (
            "http elsewhere",
            world.posted(&good.clone().with("ResponseURL", "http://s3.example.com/secretpath01?X-Amz-Signature=1")),
        ),
        (
            "http, a name that looks local",
            world.posted(&good.clone().with("ResponseURL", "http://127.0.0.1.example.com/x")),
        ),
        ("ftp", world.posted(&good.clone().with("ResponseURL", "ftp://127.0.0.1/x"))),
        ("RequestId missing", world.posted(&good.clone().without("RequestId"))),
        ("LogicalResourceId 100 KB", world.posted(&good.clone().with("LogicalResourceId", "x".repeat(100_000)))),
        ("StackId a list", world.posted(&good.clone().with("StackId", json!(["x"])))),
    ];
    for (name, event) in events {
        let started = Instant::now();
        let ended = world.send_raw(&event, AMPLE).await;
        assert!(matches!(ended, Ended::Response(_) | Ended::Error(_)), "{name}: {ended:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
    assert!(world.cloudformation.puts().is_empty());
    assert!(world.proxy.calls().is_empty());
    assert!(!world.log().contains("secretpath0"), "the log quotes a ResponseURL:\n{}", world.log());
    world.send(&good).await.succeeded();
    world.end().await;
}

#[tokio::test]
async fn the_longest_names_and_the_longest_reason_still_fit_into_an_answer() {
    let world = World::new().await;
    let properties =
        json!({ "InstanceArn": "é".repeat(3000), "Origin": "\"\\\u{1}".repeat(1300), "\u{1f600}".repeat(90): "x" });
    let long = format!("{}é", "L".repeat(254));
    let event =
        Event::new("Create", ORIGIN, &properties).with("LogicalResourceId", long).with("RequestId", "R".repeat(128));
    world.send(&event).await.failed_naming(&["InstanceArn"]);
    world.end().await;
}
