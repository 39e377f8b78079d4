//! Owns a ledger table that someone deleted by hand: nothing can be restored any more, and the stack can still be deleted.

use emite_connect_tests::faults::{Fault, Plan};
use serde_json::{Value, json};

use crate::world::{Event, Targets, World};

const STREAMING: &str = "Custom::ConnectDataStreaming";
const ORIGIN: &str = "Custom::ConnectApprovedOrigin";

async fn delete_table(world: &World) {
    world.aws.json_call("dynamodb", "DynamoDB_20120810.DeleteTable", &json!({ "TableName": world.table })).await;
}

/// A Delete of what was set up, when the table is gone.
pub(crate) async fn delete(world: &World) -> Event {
    let create = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    let made = world.send(&create).await.succeeded();
    delete_table(world).await;
    create.delete(&made.physical_id)
}

/// Sets the resource up, deletes the table, and deletes the resource, twice.
async fn outlive(resource_type: &str, properties: impl AsyncFn(&World) -> Value) {
    let world = World::new().await;
    let create = Event::new("Create", resource_type, &properties(&world).await);
    let made = world.send(&create).await.succeeded();
    let before = world.state().await;
    delete_table(&world).await;
    for _ in 0..2 {
        let gone = world.send(&create.delete(&made.physical_id)).await.succeeded();
        for word in
            [world.table.as_str(), "no longer exists", "cannot be restored", "left as it is", "Amazon Connect console"]
        {
            assert!(gone.reason.contains(word), "{word}: {}", gone.reason);
        }
    }
    assert_eq!(world.state().await, before, "what nobody remembers is left alone");
    // Nothing is set up without a memory of what was there.
    world.send(&create).await.failed_naming(&["dynamodb:GetItem", "ResourceNotFoundException"]);
    world.end().await;
}

#[tokio::test]
async fn streaming_without_its_ledger_is_left_alone_and_its_resource_deleted_with_a_note() {
    outlive(STREAMING, async |world| {
        let targets = Targets::get().await;
        world.streaming("AGENT_EVENTS", &targets.stream, "Fail")
    })
    .await;
}

#[tokio::test]
async fn an_approved_origin_without_its_ledger_is_left_alone_and_its_resource_deleted_with_a_note() {
    outlive(ORIGIN, async |world| world.origin("https://emite.example.com")).await;
}

/// A stack that could never be set up is not kept from being deleted either.
#[tokio::test]
async fn create_without_a_ledger_fails_by_name_and_its_rollback_succeeds() {
    let world = World::with_environment(&[("LEDGER_TABLE", "e2e-no-such-table")]).await;
    let targets = Targets::get().await;
    let before = world.state().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let failed = world.send(&create).await.failed_naming(&["dynamodb:GetItem"]);
    world.send(&create.delete(&failed.physical_id)).await.succeeded();
    assert_eq!(world.state().await, before);
    world.end().await;
}

#[tokio::test]
async fn a_table_that_cannot_be_reached_is_not_taken_for_one_that_is_gone() {
    let world = World::with_environment(&[("PERMISSION_GRACE_SECONDS", "0")]).await;
    let targets = Targets::get().await;
    let create = Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail"));
    let made = world.send(&create).await.succeeded();
    world.proxy.plan([Plan { action: "dynamodb:GetItem".into(), nth: 1, times: usize::MAX, fault: Fault::Denied }]);
    world.send(&create.delete(&made.physical_id)).await.failed_naming(&["dynamodb:GetItem"]);
    world.proxy.heal();
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert_eq!(world.state().await.target("AGENT_EVENTS"), None);
    world.end().await;
}

/// DynamoDB answers the same for a table that is being restored, which remembers everything once it is there.
#[tokio::test]
async fn table_that_is_being_restored_is_waited_for() {
    let world = World::with_environment(&[("PERMISSION_GRACE_SECONDS", "0")]).await;
    let create = Event::new("Create", ORIGIN, &world.origin("https://emite.example.com"));
    let made = world.send(&create).await.succeeded();
    let fault = Fault::Refused("ResourceNotFoundException");
    world.proxy.plan([Plan { action: "dynamodb:GetItem".into(), nth: 1, times: usize::MAX, fault }]);
    world
        .send(&create.delete(&made.physical_id))
        .await
        .failed_naming(&["dynamodb:GetItem", "ResourceNotFoundException"]);
    world.proxy.heal();
    world.send(&create.delete(&made.physical_id)).await.succeeded();
    assert!(world.state().await.origins.is_empty());
    world.end().await;
}
