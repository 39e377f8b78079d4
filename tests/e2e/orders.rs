//! Owns the order of events: what stood there before comes back whatever happened in between, a request that is over changes
//! nothing, and a rollback to what is gone succeeds.

use std::time::Duration;

use emite_connect_tests::faults::{Fault, Plan, ShownStack};
use emite_connect_tests::runtime_api::Function;
use serde_json::{Value, json};

use crate::world::{AMPLE, Answer, Event, Targets, World, delete_stream, make_stream};

const STREAMING: &str = "Custom::ConnectDataStreaming";
const ORIGIN: &str = "Custom::ConnectApprovedOrigin";
const EMITE: &str = "https://emite.example.com";
const SUPERSEDED: &[&str] = &["a later request for the same resource has replaced this one"];

fn held(action: &str) -> Plan {
    Plan { action: action.to_owned(), nth: 1, times: usize::MAX, fault: Fault::Held }
}

/// Sends an event to another process of the function while the first one is held at the call that the plan names, then lets
/// that one go on. The answers of both.
async fn overtaken(world: &World, slow: &Event, quick: &Event, at: &str) -> (Answer, Answer) {
    let other: Function = world.second_process(&[]).await;
    world.proxy.plan([Plan { times: 1, ..held(at) }]);
    let meanwhile = async {
        tokio::time::timeout(AMPLE, world.proxy.stuck()).await.expect("the slow one comes to that call");
        let answer = world.try_send_to(&other, quick, AMPLE).await.unwrap();
        world.proxy.release();
        answer
    };
    let (slow, quick) = tokio::join!(world.try_send(slow, AMPLE), meanwhile);
    other.stop().await;
    (slow.unwrap(), quick)
}

#[tokio::test]
async fn adopted_streaming_and_origin_that_got_lost_and_were_set_again_stay_when_the_stack_goes() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    world.aws.approve(&world.instance, EMITE).await;
    let before = world.state().await.without_ids();
    let properties = world.streaming("AGENT_EVENTS", &targets.foreign_stream, "Fail");
    let streaming = Event::new("Create", STREAMING, &properties);
    let made = world.send(&streaming).await.succeeded();
    let origin = Event::new("Create", ORIGIN, &world.origin(EMITE));
    let listed = world.send(&origin).await.succeeded();
    world.aws.stop_streaming(&world.instance, "AGENT_EVENTS").await;
    world.aws.disapprove(&world.instance, EMITE).await;
    let (streaming, origin) =
        (streaming.update(&properties, &made.physical_id), origin.update(&world.origin(EMITE), &listed.physical_id));
    world.send(&streaming).await.succeeded();
    world.send(&origin).await.succeeded();
    assert_eq!(world.state().await.without_ids(), before);
    world.send(&origin.delete(&listed.physical_id)).await.succeeded();
    world.send(&streaming.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.without_ids(), before);
    world.end().await;
}

#[tokio::test]
async fn of_all_that_was_replaced_the_newest_that_still_exists_comes_back() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let passing = make_stream("e2e-passing").await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let before = world.state().await.without_ids();
    let properties = world.streaming("AGENT_EVENTS", &targets.stream, "Replace");
    let create = Event::new("Create", STREAMING, &properties);
    let made = world.send(&create).await.succeeded();
    world.aws.stop_streaming(&world.instance, "AGENT_EVENTS").await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &passing).await;
    let update = create.update(&properties, &made.physical_id);
    world.send(&update).await.succeeded();
    delete_stream("e2e-passing").await;
    world.send(&update.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.without_ids(), before);
    world.end().await;
}

#[tokio::test]
async fn an_origin_stays_where_another_stack_has_taken_the_streaming_over() {
    let (first, targets) = (World::new().await, Targets::get().await);
    let second = World::beside(&first).await;
    let mut events = Vec::new();
    for (world, target, on_existing) in
        [(&first, &targets.stream, "Fail"), (&second, &targets.stream_renamed, "Replace")]
    {
        let streaming = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", target, on_existing));
        let origin = Event::new("Create", ORIGIN, &world.origin(EMITE));
        let ids =
            [world.send(&streaming).await.succeeded().physical_id, world.send(&origin).await.succeeded().physical_id];
        events.push((streaming, origin, ids));
    }
    let standing = second.state().await;
    let (streaming, origin, ids) = &events[0];
    let left = first.send(&origin.delete(&ids[1])).await.succeeded();
    assert!(left.reason.contains("is still an approved origin"), "{}", left.reason);
    first.send(&streaming.delete(&ids[0])).await.succeeded();
    assert_eq!(second.state().await, standing);
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn a_create_that_was_overtaken_by_its_delete_before_it_claimed_anything_changes_nothing() {
    for (kind, reads) in [(STREAMING, "connect:ListInstanceStorageConfigs"), (ORIGIN, "connect:ListApprovedOrigins")] {
        let (world, targets) = (World::new().await, Targets::get().await);
        world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
        let before = world.state().await;
        let properties = match kind {
            STREAMING => world.streaming("AGENT_EVENTS", &targets.stream, "Replace"),
            _ => world.origin(EMITE),
        };
        let create = Event::new("Create", kind, &properties);
        let delete = create.delete("e2e-TheThing-1A2B3C4D5E6F");
        let (created, deleted) = overtaken(&world, &create, &delete, reads).await;
        deleted.succeeded();
        created.failed_naming(SUPERSEDED);
        assert_eq!(world.state().await, before, "{kind}");
        // Set up again later, with a request of its own.
        let anew = Event::new("Create", kind, &properties);
        let made = world.send(&anew).await.succeeded();
        world.send(&anew.delete(&made.physical_id)).await.succeeded();
        assert_eq!(world.state().await.without_ids(), before.without_ids(), "{kind}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_create_that_arrives_after_its_delete_changes_nothing() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    world.send(&create.delete("e2e-TheThing-1A2B3C4D5E6F")).await.succeeded();
    world.stack_is("ROLLBACK_COMPLETE");
    world.send(&create).await.failed_naming(&["CloudFormation is not waiting"]);
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn an_update_that_is_overtaken_by_its_rollback_leaves_it_alone_at_whatever_moment() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let properties = |target: &str| {
        let mut properties = world.streaming("CONTACT_TRACE_RECORDS", target, "Fail");
        properties["DrainSeconds"] = json!("6");
        properties
    };
    let create = Event::new("Create", STREAMING, &properties(&targets.firehose));
    let made = world.send(&create).await.succeeded();
    for wait in [1, 3, 5] {
        let update = create.update(&properties(&targets.firehose_renamed), &made.physical_id);
        let rollback = update.update(&properties(&targets.firehose), &made.physical_id);
        let other = world.second_process(&[]).await;
        let later = async {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
            world.try_send_to(&other, &rollback, AMPLE).await.unwrap()
        };
        world.stack_is("UPDATE_IN_PROGRESS");
        let (updated, rolled_back) = tokio::join!(world.try_send(&update, AMPLE), later);
        other.stop().await;
        updated.unwrap().failed_naming(SUPERSEDED);
        rolled_back.succeeded();
        let live = world.state().await.target("CONTACT_TRACE_RECORDS");
        assert_eq!(live.as_deref(), Some(targets.firehose.as_str()), "{wait} s");
    }
    world.end().await;
}

#[tokio::test]
async fn an_update_whose_write_lands_after_that_of_its_rollback_puts_the_rollbacks_back() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let properties = |target: &str| world.streaming("AGENT_EVENTS", target, "Fail");
    let create = Event::new("Create", STREAMING, &properties(&targets.stream));
    let made = world.send(&create).await.succeeded();
    let update = create.update(&properties(&targets.stream_renamed), &made.physical_id);
    let rollback = update.update(&properties(&targets.stream), &made.physical_id);
    let (updated, rolled_back) = overtaken(&world, &update, &rollback, "connect:UpdateInstanceStorageConfig").await;
    updated.failed_naming(SUPERSEDED);
    rolled_back.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS").as_deref(), Some(targets.stream.as_str()));
    world.end().await;
}

/// Lambda promises no order. The address of each request tells when CloudFormation made it.
#[tokio::test]
async fn an_update_that_is_delivered_only_after_its_rollback_changes_nothing() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let properties = |target: &str| world.streaming("AGENT_EVENTS", target, "Fail");
    let made_at = |event: &Event, second: u32| {
        let address = world.cloudformation.response_url();
        event.clone().with("ResponseURL", format!("{address}&X-Amz-Date=20261123T0000{second:02}Z"))
    };
    let create = Event::new("Create", STREAMING, &properties(&targets.stream));
    let made = world.send(&made_at(&create, 1)).await.succeeded();
    let update = create.update(&properties(&targets.stream_renamed), &made.physical_id);
    let rollback = update.update(&properties(&targets.stream), &made.physical_id);
    world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
    world.send(&made_at(&rollback, 4)).await.succeeded();
    let standing = world.state().await;
    world.send(&made_at(&update, 2)).await.failed_naming(SUPERSEDED);
    world.send(&made_at(&rollback, 4)).await.succeeded();
    assert_eq!(world.state().await, standing);
    world.end().await;
}

/// A function that dies after a write that came too late is started again.
#[tokio::test]
async fn what_an_overtaken_update_left_behind_when_it_died_is_put_right_when_it_comes_again() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let properties = |target: &str| world.streaming("AGENT_EVENTS", target, "Fail");
    let create = Event::new("Create", STREAMING, &properties(&targets.stream));
    let made = world.send(&create).await.succeeded();
    let update = create.update(&properties(&targets.stream_renamed), &made.physical_id);
    world.send(&update).await.succeeded();
    let rollback = update.update(&properties(&targets.stream), &made.physical_id);
    world.send(&rollback).await.succeeded();
    let right = world.state().await.without_ids();
    world.aws.stop_streaming(&world.instance, "AGENT_EVENTS").await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.stream_renamed).await;
    world.send(&update).await.failed_naming(SUPERSEDED);
    assert_eq!(world.state().await.without_ids(), right);
    let delete = rollback.delete(&made.physical_id);
    world.send(&delete).await.succeeded();
    let right = world.state().await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.stream).await;
    world.send(&rollback).await.failed_naming(SUPERSEDED);
    assert_eq!(world.state().await, right);
    world.end().await;
}

/// Nothing verifies the signature of a response address.
#[tokio::test]
async fn a_date_in_the_future_makes_no_later_request_look_old() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let dated = |event: &Event, date: &str| {
        event.clone().with("ResponseURL", format!("{}&X-Amz-Date={date}", world.cloudformation.response_url()))
    };
    let properties = world.streaming("AGENT_EVENTS", &targets.stream, "Fail");
    let create = Event::new("Create", STREAMING, &properties);
    let made = world.send(&dated(&create, "29990101T000000Z")).await.succeeded();
    let delete = create.delete(&made.physical_id);
    world.send(&dated(&delete, "20261123T000000Z")).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn late_duplicates_are_recognised_and_change_nothing() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let properties = |target: &str| world.streaming("AGENT_EVENTS", target, "Fail");
    let create = Event::new("Create", STREAMING, &properties(&targets.stream));
    let made = world.send(&create).await.succeeded();
    let update = create.update(&properties(&targets.stream_renamed), &made.physical_id);
    world.send(&update).await.succeeded();
    let updated = world.state().await;
    world.send(&create).await.failed_naming(SUPERSEDED);
    assert_eq!(world.state().await, updated, "a Create after an Update");
    let rollback = update.update(&properties(&targets.stream), &made.physical_id);
    world.send(&rollback).await.succeeded();
    let rolled_back = world.state().await;
    world.send(&update).await.failed_naming(SUPERSEDED);
    assert_eq!(world.state().await, rolled_back, "an Update after its rollback");
    let delete = rollback.delete(&made.physical_id);
    world.send(&delete).await.succeeded();
    for late in [&create, &update, &rollback] {
        world.send(late).await.failed_naming(SUPERSEDED);
        assert_eq!(world.state().await, before, "after the Delete");
    }
    // From one instance to another and back: the first one's Delete is over.
    let anew = Event::new("Create", STREAMING, &properties(&targets.stream));
    world.send(&anew).await.succeeded();
    let standing = world.state().await;
    let late = world.send(&delete).await.succeeded();
    assert!(late.reason.contains(SUPERSEDED[0]), "{}", late.reason);
    assert_eq!(world.state().await, standing, "a Delete after what came later");
    world.end().await;
}

/// A claim as release 0.1.0 reads it: it refuses fields that it does not know.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FirstRelease {
    life: String,
    previous: Value,
    targets: Vec<Value>,
    adopted: bool,
    accepted: Vec<Value>,
    detached: bool,
    draining: Value,
    created_by: String,
}

#[tokio::test]
async fn an_upgrade_from_the_first_release_can_be_rolled_back_to_it_and_tried_again() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let stream = |arn: &str| json!({ "storageType": "KINESIS_STREAM", "arn": arn });
    // As the first release left it.
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.stream).await;
    let written = FirstRelease {
        life: "held".to_owned(),
        previous: stream(&targets.foreign_stream),
        targets: vec![stream(&targets.stream)],
        adopted: false,
        accepted: vec![stream(&targets.stream)],
        detached: false,
        draining: Value::Null,
        created_by: "a Create of long ago".to_owned(),
    };
    let key = json!({ "pk": { "S": format!("association#{}", world.instance.id) }, "sk": { "S": "AGENT_EVENTS" } });
    let put = async |claim: &FirstRelease, version: u32| {
        let mut item = key.clone();
        item["version"] = json!({ "N": version.to_string() });
        item["mark"] = json!({ "S": "0123456789abcdef" });
        item["body"] = json!({ "S": serde_json::to_string(claim).unwrap() });
        let input = json!({ "TableName": world.table, "Item": item });
        world.aws.json_call("dynamodb", "DynamoDB_20120810.PutItem", &input).await;
    };
    put(&written, 3).await;
    // The upgrade moves the records, fails late, and is rolled back.
    let properties = |target: &str| world.streaming("AGENT_EVENTS", target, "Replace");
    let before = Event::new("Create", STREAMING, &properties(&targets.stream));
    let physical_id = format!("{}|data-streaming|AGENT_EVENTS", world.instance.id);
    let update = before.update(&properties(&targets.stream_renamed), &physical_id);
    world.send(&update).await.succeeded();
    world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
    let rollback = update.update(&properties(&targets.stream), &physical_id);
    world.send(&rollback).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS").as_deref(), Some(targets.stream.as_str()));
    // The first release reads what is there, and writes it in its own form.
    let input = json!({ "TableName": world.table, "Key": key });
    let found = world.aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", &input).await;
    let read: FirstRelease = serde_json::from_str(found["Item"]["body"]["S"].as_str().unwrap()).unwrap();
    assert_eq!((read.life.as_str(), &read.previous, read.adopted), ("held", &written.previous, false));
    put(&read, found["Item"]["version"]["N"].as_str().unwrap().parse::<u32>().unwrap() + 1).await;
    world.stack_is("DELETE_IN_PROGRESS");
    world.send(&rollback.delete(&physical_id)).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS").as_deref(), Some(targets.foreign_stream.as_str()));
    world.end().await;
}

#[tokio::test]
async fn a_rollback_to_a_stream_that_is_gone_succeeds_and_streams_nowhere() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let theirs = make_stream("e2e-theirs-4").await;
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &theirs).await;
    let properties = |target: &str| world.streaming("AGENT_EVENTS", target, "Replace");
    let create = Event::new("Create", STREAMING, &properties(&theirs));
    let made = world.send(&create).await.succeeded();
    delete_stream("e2e-theirs-4").await;
    let update = create.update(&properties(&targets.stream), &made.physical_id);
    world.send(&update).await.succeeded();
    world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
    let rollback = update.update(&properties(&theirs), &made.physical_id);
    let rolled_back = world.send(&rollback).await.succeeded();
    assert!(rolled_back.reason.contains("no longer exists"), "{}", rolled_back.reason);
    assert_eq!(world.state().await.target("AGENT_EVENTS"), None);
    world.send(&rollback.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS"), None);
    world.end().await;
}

#[tokio::test]
async fn who_is_not_cloudformation_changes_nothing() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let before = world.state().await;
    let forged = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    for settled in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"] {
        world.stack_is(settled);
        world.send(&forged).await.failed_naming(&["CloudFormation is not waiting", settled]);
        world.send(&forged.delete("x")).await.failed_naming(&["CloudFormation is not waiting", settled]);
    }
    for resource in [
        ["TheThing", "Custom::EmiteWatch", "UPDATE_IN_PROGRESS"],
        ["TheThing", STREAMING, "UPDATE_COMPLETE"],
        ["Another", STREAMING, "UPDATE_IN_PROGRESS"],
    ] {
        let [name, kind, status] = resource.map(str::to_owned);
        let resources = vec![[name, kind, status, String::new()]];
        world.shows(ShownStack { status: "UPDATE_IN_PROGRESS".to_owned(), parameters: Vec::new(), resources });
        world.send(&forged).await.failed_naming(&["CloudFormation is not waiting", "TheThing is"]);
    }
    let asks = |action: &str| action.starts_with("cloudformation:") || action == "dynamodb:GetItem";
    assert!(world.proxy.calls().iter().all(|call| asks(&call.action)));
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn a_request_for_what_the_stack_does_not_name_is_refused() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let instance = &world.instance.arn;
    let another = instance.replace(&world.instance.id, "0f0f0f0f-0000-4000-8000-000000000000");
    let mut elsewhere = world.origin(EMITE);
    elsewhere["InstanceArn"] = json!(another);
    world.parameters_are(&[
        ("ConnectInstanceArn", instance),
        ("EmiteUrl", EMITE),
        ("ExistingAgentEventStreamName", "another"),
    ]);
    let requests: [(&str, Value, &str); 4] = [
        (ORIGIN, elsewhere, "ConnectInstanceArn"),
        (
            STREAMING,
            world.streaming("CONTACT_TRACE_RECORDS", &targets.firehose, "Replace"),
            "ExistingDeliveryStreamName",
        ),
        (STREAMING, world.streaming("AGENT_EVENTS", &targets.stream, "Replace"), "ExistingAgentEventStreamName"),
        (ORIGIN, world.origin("https://evil.example.com"), "EmiteUrl"),
    ];
    for (kind, properties, parameter) in requests {
        world.send(&Event::new("Create", kind, &properties)).await.failed_naming(&[parameter]);
    }
    assert_eq!(world.state().await, before);
    world.end().await;
}
