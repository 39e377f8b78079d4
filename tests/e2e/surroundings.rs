//! Owns what surrounds an event rather than being in it: the start without settings, permissions that are seconds old, a
//! deadline that is near, answers that do not get through, stale reads, others who write at the same time, and an account
//! in which the past cannot be put back.

use std::time::Duration;

use emite_connect_tests::cloudformation::PutFault;
use emite_connect_tests::faults::{Call, Fault, Plan};
use emite_connect_tests::http::Request;
use emite_connect_tests::instance::storage_config;
use serde_json::{Value, json};

use crate::world::{AMPLE, Event, RESERVE, Targets, World, make_firehose, make_stream};

const STREAMING: &str = "Custom::ConnectDataStreaming";
const ORIGIN: &str = "Custom::ConnectApprovedOrigin";
const ASSOCIATE: &str = "connect:AssociateInstanceStorageConfig";
const UPDATE: &str = "connect:UpdateInstanceStorageConfig";
const LIST: &str = "connect:ListInstanceStorageConfigs";

fn plan(action: &str, nth: usize, times: usize, fault: Fault) -> Plan {
    Plan { action: action.to_owned(), nth, times, fault }
}

#[tokio::test]
async fn without_its_settings_the_function_answers_every_request_and_names_them_all() {
    let cases = [
        ("LEDGER_TABLE=", "LEDGER_TABLE"),
        ("STACK_ID=", "STACK_ID"),
        ("LEDGER_TABLE= STACK_ID=", "LEDGER_TABLE STACK_ID"),
        ("STACK_ID=no-arn PERMISSION_GRACE_SECONDS=soon", "STACK_ID PERMISSION_GRACE_SECONDS"),
        ("PERMISSION_GRACE_SECONDS=-1", "PERMISSION_GRACE_SECONDS"),
    ];
    for (settings, named) in cases {
        let changes: Vec<(&str, &str)> = settings.split(' ').filter_map(|setting| setting.split_once('=')).collect();
        let named: Vec<&str> = named.split(' ').collect();
        let world = World::with_environment(&changes).await;
        let create = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
        let failed = world.send(&create).await.failed_naming(&named);
        world.send(&create.delete(&failed.physical_id)).await.failed_naming(&named);
        assert!(world.proxy.calls().is_empty());
        world.end().await;
    }
}

#[tokio::test]
async fn permissions_that_are_seconds_old_are_waited_for_and_older_ones_are_not() {
    let world = World::with_environment(&[("PERMISSION_GRACE_SECONDS", "20")]).await;
    let targets = Targets::get().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    world.proxy.plan([
        plan("dynamodb:GetItem", 1, 1, Fault::Denied),
        plan(LIST, 1, 1, Fault::Denied),
        plan(ASSOCIATE, 1, 2, Fault::Denied),
    ]);
    let made = world.send(&create).await.succeeded();
    world.proxy.plan([plan("dynamodb:GetItem", 1, 1, Fault::Denied), plan(UPDATE, 1, 1, Fault::Denied)]);
    let update = create.update(&world.streaming("AGENT_EVENTS", &targets.stream_renamed, "Fail"), &made.physical_id);
    world.send(&update).await.succeeded();
    world.proxy.plan([plan("connect:DisassociateInstanceStorageConfig", 1, usize::MAX, Fault::Denied)]);
    let delete = update.delete(&made.physical_id);
    let denied = world.send(&delete).await.failed_naming(&["connect:DisassociateInstanceStorageConfig"]);
    assert!(denied.took < Duration::from_secs(30), "{:?}", denied.took);
    world.proxy.plan([plan("connect:DisassociateInstanceStorageConfig", 1, 1, Fault::Denied)]);
    world.send(&delete).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS"), None);
    world.end().await;
}

#[tokio::test]
async fn contact_records_that_leave_our_delivery_stream_are_given_time_to_drain_and_nothing_else_is() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let properties = |resource_type: &str, target: &str| {
        let mut properties = world.streaming(resource_type, target, "Replace");
        properties["DrainSeconds"] = json!("4");
        properties
    };
    let drain = Duration::from_secs(4);
    world.aws.stream_to(&world.instance, "CONTACT_TRACE_RECORDS", &targets.foreign_firehose).await;
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &properties("CONTACT_TRACE_RECORDS", &targets.firehose));
    let made = world.send(&create).await.succeeded();
    assert!(made.took < drain, "nothing of ours to drain: {:?}", made.took);
    let update = create.update(&properties("CONTACT_TRACE_RECORDS", &targets.firehose_renamed), &made.physical_id);
    let moved = world.send(&update).await.succeeded();
    assert!(moved.took >= drain, "{:?}", moved.took);
    let deleted = world.send(&update.delete(&made.physical_id)).await.succeeded();
    assert!(deleted.took >= drain, "{:?}", deleted.took);
    assert_eq!(world.state().await, before);
    let events = Event::new("Create", STREAMING, &properties("AGENT_EVENTS", &targets.stream));
    let made = world.send(&events).await.succeeded();
    let deleted = world.send(&events.delete(&made.physical_id)).await.succeeded();
    assert!(deleted.took < drain, "agent events stay in their stream: {:?}", deleted.took);
    world.end().await;
}

#[tokio::test]
async fn a_deadline_in_the_middle_of_a_drain_is_answered_in_time_and_a_rerun_converges() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let mut properties = world.streaming("CONTACT_TRACE_RECORDS", &targets.firehose, "Fail");
    properties["DrainSeconds"] = json!("6");
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &properties);
    let made = world.send(&create).await.succeeded();
    let mut moved = properties.clone();
    moved["TargetArn"] = json!(targets.firehose_renamed);
    for event in [create.update(&moved, &made.physical_id), create.delete(&made.physical_id)] {
        let near = RESERVE + Duration::from_secs(3);
        let failed = world.try_send(&event, near).await.unwrap().failed_naming(&["time"]);
        assert_eq!(failed.physical_id, made.physical_id);
        let again = world.send(&event).await.succeeded();
        assert!(again.took >= Duration::from_secs(6), "the drain begins anew: {:?}", again.took);
    }
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn with_less_time_than_the_reserve_the_function_still_answers() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let answer = world.try_send(&create, Duration::from_secs(5)).await.unwrap().failed_naming(&["time"]);
    world.send(&create.delete(&answer.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn an_answer_is_delivered_again_until_it_is_taken_and_only_then() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    world.cloudformation.fail_next(&[PutFault::Unavailable, PutFault::Reset, PutFault::Unavailable]);
    let made = world.send(&create).await.succeeded();
    let puts = world.cloudformation.puts();
    assert_eq!((puts.len(), puts.iter().filter(|put| put.accepted).count()), (4, 1));
    assert!(
        puts.iter().all(|put| put.request.body == puts[0].request.body && put.request.target == puts[0].request.target)
    );
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_is_never_taken_is_given_up_and_the_next_delivery_of_the_event_succeeds() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    world.cloudformation.fail_next(&[PutFault::Reset; 20]);
    let ended = world.send_raw(&world.posted(&create), AMPLE).await;
    assert!(
        matches!(ended, emite_connect_tests::runtime_api::Ended::Error(_)),
        "Lambda has to hear of it, to try again: {ended:?}"
    );
    let tried = world.cloudformation.puts().len();
    assert!((2..20).contains(&tried), "{tried}");
    world.cloudformation.fail_next(&[]);
    let rest = 20 - tried;
    for _ in 0..rest.div_ceil(tried) {
        world.send_raw(&world.posted(&create), AMPLE).await;
    }
    let made = world.send(&create).await.succeeded();
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn first_create_lists_storage_configs_once_before_and_once_after() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let made = world.send(&create).await.succeeded();
    let calls = world.proxy.calls().into_iter().map(|call| call.action);
    let connect: Vec<String> = calls.filter(|action| action.starts_with("connect:")).collect();
    assert_eq!(connect, [LIST, "connect:AssociateInstanceStorageConfig", LIST]);
    let shown = world.aws.storage_configs(&world.instance, "AGENT_EVENTS").await;
    assert_eq!(made.data["AssociationId"], shown[0]["AssociationId"]);
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn reads_that_are_stale_after_a_write_mislead_nobody() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    // Which read is the first after the write, a clean run shows.
    let made = world.send(&create).await.succeeded();
    let before_the_write = |call: &&Call| call.line.starts_with("GET ") || !call.action.starts_with("connect:");
    let reads_before_the_write =
        world.proxy.calls().iter().take_while(before_the_write).filter(|call| call.action == LIST).count();
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    let create = Event::new("Create", STREAMING, &create.0["ResourceProperties"]);
    world.proxy.plan([plan(LIST, reads_before_the_write + 1, 2, Fault::Stale)]);
    let made = world.send(&create).await.succeeded();
    assert!(world.proxy.calls().iter().any(|call| call.fault == Some(Fault::Stale)));
    assert_eq!(made.data["PreviousTargetArn"], targets.foreign_stream);
    // The next request, too, may still see what was there before our write.
    let update = create.update(&world.streaming("AGENT_EVENTS", &targets.stream_renamed, "Fail"), &made.physical_id);
    world.proxy.plan([plan(LIST, 1, 2, Fault::Stale)]);
    world.send(&update).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS").as_deref(), Some(targets.stream_renamed.as_str()));
    world.proxy.plan([plan(LIST, 1, 2, Fault::Stale)]);
    world.send(&update.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn stale_reads_of_origins_mislead_nobody() {
    const ORIGINS: &str = "connect:ListApprovedOrigins";
    let world = World::new().await;
    let before = world.state().await;
    let create = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    world.proxy.plan([plan(ORIGINS, 2, 2, Fault::Stale)]);
    let made = world.send(&create).await.succeeded();
    assert!(world.proxy.calls().iter().any(|call| call.fault == Some(Fault::Stale)));
    assert_eq!(made.data["Added"], "true");
    world.proxy.plan([plan(ORIGINS, 1, 2, Fault::Stale)]);
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

const ALREADY_THERE: [&str; 3] = ["ResourceConflictException", "InvalidRequestException", "DuplicateResourceException"];

#[tokio::test]
async fn a_lost_answer_is_recognised_whatever_code_says_already_there() {
    for code in ALREADY_THERE {
        let (world, targets) = (World::new().await, Targets::get().await);
        let before = world.state().await;
        let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
        world.proxy.plan([plan(ASSOCIATE, 1, 1, Fault::Lost), plan(ASSOCIATE, 2, 9, Fault::Renamed(code))]);
        let made = world.send(&create).await.succeeded();
        let origin = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
        let action = "connect:AssociateApprovedOrigin";
        world.proxy.plan([plan(action, 1, 1, Fault::Lost), plan(action, 2, 9, Fault::Renamed(code))]);
        let added = world.send(&origin).await.succeeded();
        assert_eq!(added.data["Added"], "true", "{code}: it was we who added it");
        world.proxy.heal();
        world.send(&create.delete(&made.physical_id)).await.succeeded();
        world.send(&origin.delete(&added.physical_id)).await.succeeded();
        assert_eq!(world.state().await, before, "{code}");
        world.end().await;
    }
}

fn rival_streams_to(world: &World, target: &str) -> Request {
    let input = json!({ "ResourceType": "AGENT_EVENTS", "StorageConfig": storage_config(target) });
    world.aws.connect_request("PUT", &format!("/instance/{}/storage-config", world.instance.id), &input)
}

#[tokio::test]
async fn somebody_who_gets_in_first_with_another_target_is_not_overwritten_without_consent() {
    for code in ALREADY_THERE {
        let (world, targets) = (World::new().await, Targets::get().await);
        let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
        world.proxy.race(rival_streams_to(&world, &targets.foreign_stream));
        world.proxy.plan([plan(ASSOCIATE, 1, 1, Fault::Raced), plan(ASSOCIATE, 2, 9, Fault::Renamed(code))]);
        let failed =
            world.send(&create).await.failed_naming(&[&targets.foreign_stream, "OnExistingStreaming", "Replace"]);
        world.proxy.heal();
        world.send(&create.delete(&failed.physical_id)).await.succeeded();
        assert_eq!(
            world.state().await.target("AGENT_EVENTS").as_deref(),
            Some(targets.foreign_stream.as_str()),
            "{code}"
        );
        world.end().await;
    }
}

#[tokio::test]
async fn somebody_who_gets_in_first_with_the_same_target_or_origin_keeps_it_after_our_delete() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    world.proxy.race(rival_streams_to(&world, &targets.stream));
    world.proxy.plan([plan(ASSOCIATE, 1, 1, Fault::Raced)]);
    let made = world.send(&create).await.succeeded();
    let origin = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    let path = format!("/instance/{}/approved-origin", world.instance.id);
    world.proxy.race(world.aws.connect_request("PUT", &path, &json!({ "Origin": "https://emite.example.com" })));
    world.proxy.plan([plan("connect:AssociateApprovedOrigin", 1, 1, Fault::Raced)]);
    let added = world.send(&origin).await.succeeded();
    assert_eq!(added.data["Added"], "false");
    world.proxy.heal();
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    world.send(&origin.delete(&added.physical_id)).await.succeeded();
    let state = world.state().await;
    assert_eq!(state.target("AGENT_EVENTS").as_deref(), Some(targets.stream.as_str()));
    assert_eq!(state.origins, ["https://emite.example.com"]);
    world.end().await;
}

/// Somebody else points the association of agent events at a stream of their own; its ARN.
async fn somebody_else_chooses(world: &World) -> String {
    let chosen = make_stream(&format!("e2e-chosen-{}", &world.instance.id[..8])).await;
    let state = world.state().await;
    let id = state.streaming["AGENT_EVENTS"][0]["AssociationId"].as_str().unwrap().to_owned();
    let path = format!("/instance/{}/storage-config/{id}?resourceType=AGENT_EVENTS", world.instance.id);
    world.aws.connect_call("POST", &path, &json!({ "StorageConfig": storage_config(&chosen) })).await;
    chosen
}

#[tokio::test]
async fn a_target_that_somebody_else_chose_after_us_stays_when_the_stack_goes() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    let made = world.send(&create).await.succeeded();
    let chosen = somebody_else_chooses(&world).await;
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS"), Some(chosen));
    world.end().await;
}

#[tokio::test]
async fn a_rollback_succeeds_over_what_somebody_else_chose_meanwhile_and_leaves_that() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let first = world.streaming("AGENT_EVENTS", &targets.stream, "Fail");
    let create = Event::new("Create", STREAMING, &first);
    let made = world.send(&create).await.succeeded();
    let update = create.update(&world.streaming("AGENT_EVENTS", &targets.stream_renamed, "Fail"), &made.physical_id);
    world.send(&update).await.succeeded();
    let chosen = somebody_else_chooses(&world).await;
    world.stack_is("UPDATE_ROLLBACK_IN_PROGRESS");
    world.send(&update.update(&first, &made.physical_id)).await.succeeded();
    world.stack_is("UPDATE_IN_PROGRESS");
    assert_eq!(world.state().await.target("AGENT_EVENTS"), Some(chosen.clone()));
    // An update that is no rollback is refused.
    let other = world.streaming("AGENT_EVENTS", &targets.foreign_stream, "Fail");
    world.send(&create.update(&other, &made.physical_id)).await.failed_naming(&[&chosen, "OnExistingStreaming"]);
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS"), Some(chosen));
    world.end().await;
}

#[tokio::test]
async fn fail_names_the_existing_target_and_how_to_choose_and_writes_nothing_to_connect() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let failed = world.send(&create).await.failed_naming(&[&targets.foreign_stream, "OnExistingStreaming", "Replace"]);
    world.send(&create.delete(&failed.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    let writes = world
        .proxy
        .calls()
        .into_iter()
        .filter(|call| call.action.starts_with("connect:") && !call.line.starts_with("GET "))
        .count();
    assert_eq!(writes, 0);
    world.end().await;
}

#[tokio::test]
async fn a_foreign_target_of_another_storage_type_is_replaced_and_put_back() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "CONTACT_TRACE_RECORDS", &targets.foreign_stream).await;
    let before = world.state().await;
    let create =
        Event::new("Create", STREAMING, &world.streaming("CONTACT_TRACE_RECORDS", &targets.firehose, "Replace"));
    let made = world.send(&create).await.succeeded();
    assert_eq!(made.data["PreviousTargetArn"], targets.foreign_stream);
    assert_eq!(world.state().await.target("CONTACT_TRACE_RECORDS").as_deref(), Some(targets.firehose.as_str()));
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.without_ids(), before.without_ids());
    world.end().await;
}

/// The Delete of a resource that took over from a stream that somebody has deleted since.
pub(crate) async fn delete_after_the_previous_went(world: &World, resource_type: &str) -> Event {
    let targets = Targets::get().await;
    let doomed = format!("e2e-doomed-{}", &world.instance.id[..8]);
    let (previous, target) = match resource_type {
        "AGENT_EVENTS" => (make_stream(&doomed).await, &targets.stream),
        _ => (make_firehose(&doomed).await, &targets.firehose),
    };
    world.aws.stream_to(&world.instance, resource_type, &previous).await;
    let create = Event::new("Create", STREAMING, &world.streaming(resource_type, target, "Replace"));
    let made = world.send(&create).await.succeeded();
    let (service, call, name) = match resource_type {
        "AGENT_EVENTS" => ("kinesis", "Kinesis_20131202.DeleteStream", "StreamName"),
        _ => ("firehose", "Firehose_20150804.DeleteDeliveryStream", "DeliveryStreamName"),
    };
    world.aws.json_call(service, call, &json!({ name: doomed })).await;
    create.delete(&made.physical_id)
}

#[tokio::test]
async fn a_previous_target_that_is_gone_leaves_nothing_streaming_and_the_delete_succeeds_and_says_so() {
    for resource_type in ["AGENT_EVENTS", "CONTACT_TRACE_RECORDS"] {
        let world = World::new().await;
        let delete = delete_after_the_previous_went(&world, resource_type).await;
        let deleted = world.send(&delete).await.succeeded();
        assert!(deleted.reason.contains("no longer exists"), "{}", deleted.reason);
        assert_eq!(world.state().await.target(resource_type), None);
        world.end().await;
    }
}

#[tokio::test]
async fn a_previous_target_that_is_refused_though_it_is_there_is_not_given_up() {
    let (world, targets) = (World::new().await, Targets::get().await);
    world.aws.stream_to(&world.instance, "AGENT_EVENTS", &targets.foreign_stream).await;
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Replace"));
    let made = world.send(&create).await.succeeded();
    let refused = Fault::Refused("InvalidRequestException");
    world.proxy.plan([plan(UPDATE, 1, usize::MAX, refused), plan(ASSOCIATE, 1, usize::MAX, refused)]);
    let delete = create.delete(&made.physical_id);
    world.send(&delete).await.failed_naming(&["InvalidRequestException"]);
    world.proxy.heal();
    world.send(&delete).await.succeeded();
    assert_eq!(world.state().await.without_ids(), before.without_ids());
    world.end().await;
}

#[tokio::test]
async fn an_instance_that_does_not_exist_fails_a_create_and_not_a_delete() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let nowhere = world.aws.arn("connect", "instance/00000000-0000-4000-8000-00000000dead");
    for (kind, properties) in [
        (STREAMING, world.streaming("AGENT_EVENTS", &targets.stream, "Fail")),
        (ORIGIN, world.origin("https://emite.example.com")),
    ] {
        let create = Event::new("Create", kind, &properties).property("InstanceArn", nowhere.clone());
        let failed = world.send(&create).await.failed_naming(&["ResourceNotFoundException"]);
        world.send(&create.delete(&failed.physical_id)).await.succeeded();
    }
    world.end().await;
}

#[tokio::test]
async fn a_target_that_does_not_exist_fails_a_create_and_leaves_nothing() {
    let world = World::new().await;
    let before = world.state().await;
    let nowhere = world.aws.arn("kinesis", "stream/e2e-nowhere");
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &nowhere, "Fail"));
    let failed = world.send(&create).await.failed_naming(&[ASSOCIATE]);
    world.send(&create.delete(&failed.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn a_ledger_entry_that_cannot_be_read_is_left_as_it_is_and_nothing_is_guessed() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let made = world.send(&create).await.succeeded();
    let state = world.state().await;
    let mut items = world.aws.ledger_items(&world.table).await;
    let mut item = items.remove(0);
    item["body"] = json!({ "S": "{\"life\":\"held\",\"fromTheFuture\":true}" });
    world
        .aws
        .json_call("dynamodb", "DynamoDB_20120810.PutItem", &json!({ "TableName": world.table, "Item": item }))
        .await;
    let written: Vec<Value> = world.aws.ledger_items(&world.table).await;
    world.send(&create.delete(&made.physical_id)).await.failed_naming(&["association#"]);
    world.send(&create).await.failed_naming(&["association#"]);
    assert_eq!(world.aws.ledger_items(&world.table).await, written);
    assert_eq!(world.state().await, state);
    world.end().await;
}
