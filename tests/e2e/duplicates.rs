//! Owns events that come twice, at once, too late, or about something that was never heard of: Lambda delivers at least
//! once, and CloudFormation invents a physical id for a Create that never answered.

use std::time::Instant;

use emite_connect_tests::faults::{Fault, Plan};

use crate::matrix::CELLS;
use crate::scenario::{Before, Scenario, Stage, Step, every_scenario};
use crate::world::{AMPLE, Answer, Event, Targets, World};

const STREAMING: &str = "Custom::ConnectDataStreaming";

async fn every_scenario_passes(check: impl AsyncFn(Stage, Scenario) -> Result<(), String>) {
    let checks = every_scenario().into_iter().map(|scenario| {
        let check = &check;
        async move {
            let _turn = CELLS.acquire().await.unwrap();
            let stage = scenario.stage().await?;
            check(stage, scenario).await.map_err(|problem| format!("{scenario:?}: {problem}"))
        }
    });
    let problems: Vec<String> = futures::future::join_all(checks).await.into_iter().filter_map(Result::err).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn same(first: &Answer, second: &Answer) -> Result<(), String> {
    let essence =
        |answer: &Answer| (answer.success, answer.physical_id.clone(), answer.data.clone(), answer.reason.clone());
    if essence(first) == essence(second) && first.success {
        Ok(())
    } else {
        Err(format!("{:?} and then {:?}", essence(first), essence(second)))
    }
}

#[tokio::test]
async fn an_event_that_comes_twice_in_a_row_is_answered_alike_and_changes_nothing_more() {
    every_scenario_passes(async |stage, scenario| {
        let first = stage.world.try_send(&stage.event, AMPLE).await?;
        let state = stage.world.state().await;
        let second = stage.world.try_send(&stage.event, AMPLE).await?;
        same(&first, &second)?;
        if stage.world.state().await != state {
            return Err("the second changed something".to_owned());
        }
        stage.take_away(scenario, &second.physical_id).await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn an_event_that_comes_twice_at_once_is_answered_alike_and_done_once() {
    every_scenario_passes(async |stage, scenario| {
        let other = stage.world.second_process(&[]).await;
        let (first, second) = tokio::join!(
            stage.world.try_send(&stage.event, AMPLE),
            stage.world.try_send_to(&other, &stage.event, AMPLE)
        );
        let (first, second) = (first?, second?);
        same(&first, &second)?;
        other.stop().await;
        let again = stage.world.try_send(&stage.event, AMPLE).await?;
        same(&first, &again)?;
        stage.take_away(scenario, &again.physical_id).await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn a_create_that_comes_again_after_its_delete_leaves_nothing_behind() {
    every_scenario_passes(async |stage, scenario| {
        if scenario.step != Step::Delete {
            return stage.world.try_end().await;
        }
        let deleted = stage.world.try_send(&stage.event, AMPLE).await?;
        let late = stage.world.try_send(&stage.create, AMPLE).await?;
        if !deleted.success || late.success {
            return Err(format!("Delete {}, late Create {}", deleted.success, late.success));
        }
        stage.compare_with_before().await?;
        let fresh = Event::new(
            "Create",
            stage.create.0["ResourceType"].as_str().unwrap(),
            &stage.create.0["ResourceProperties"],
        );
        let fresh = stage.world.try_send(&fresh, AMPLE).await?;
        if !fresh.success {
            return Err(format!("a new Create afterwards FAILED: {}", fresh.reason));
        }
        let last = stage.world.try_send(&stage.create.delete(&fresh.physical_id), AMPLE).await?;
        if !last.success {
            return Err(format!("its Delete FAILED: {}", last.reason));
        }
        stage.compare_with_before().await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn a_create_and_its_delete_at_once_leave_nothing_behind_once_the_delete_is_repeated() {
    every_scenario_passes(async |stage, scenario| {
        if scenario.step != Step::Create {
            return stage.world.try_end().await;
        }
        let other = stage.world.second_process(&[]).await;
        let delete = stage.create.delete("invented-by-cloudformation-1A2B3C");
        let (created, deleted) =
            tokio::join!(stage.world.try_send(&stage.create, AMPLE), stage.world.try_send_to(&other, &delete, AMPLE));
        created?;
        deleted?;
        other.stop().await;
        let again = stage.world.try_send(&delete, AMPLE).await?;
        if !again.success {
            return Err(format!("the Delete FAILED: {}", again.reason));
        }
        stage.compare_with_before().await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn a_create_that_stalls_before_its_write_until_its_delete_is_through_undoes_what_it_does_then() {
    every_scenario_passes(async |stage, scenario| {
        // Equal before, a Create writes nothing to Connect that could come too late.
        if scenario.step != Step::Create || scenario.before == Before::Equal {
            return stage.world.try_end().await;
        }
        let writes = ["AssociateInstanceStorageConfig", "UpdateInstanceStorageConfig", "AssociateApprovedOrigin"];
        stage.world.proxy.plan(writes.map(|write| Plan {
            action: format!("connect:{write}"),
            nth: 1,
            times: usize::MAX,
            fault: Fault::Held,
        }));
        let other = stage.world.second_process(&[]).await;
        let delete = stage.create.delete("e2e-TheThing-1A2B3C4D5E6F");
        let delete_meanwhile = async {
            let stalled = tokio::time::timeout(AMPLE, stage.world.proxy.stuck()).await;
            stalled.map_err(|_| "the Create never came to its write".to_owned())?;
            let deleted = stage.world.try_send_to(&other, &delete, AMPLE).await;
            stage.world.proxy.release();
            deleted
        };
        let (created, deleted) = tokio::join!(stage.world.try_send(&stage.create, AMPLE), delete_meanwhile);
        let (created, deleted) = (created?, deleted?);
        other.stop().await;
        if created.success || !deleted.success {
            return Err(format!("Create {}, Delete {} {}", created.success, deleted.success, deleted.reason));
        }
        stage.compare_with_before().await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn a_delete_with_an_invented_physical_id_undoes_what_a_create_did_without_being_heard() {
    every_scenario_passes(async |stage, scenario| {
        if scenario.step != Step::Delete {
            return stage.world.try_end().await;
        }
        let invented = "e2e-TheThing-1A2B3C4D5E6F";
        let deleted = stage.world.try_send(&stage.create.delete(invented), AMPLE).await?;
        if !deleted.success || deleted.physical_id != invented {
            return Err(format!("{} {} {}", deleted.success, deleted.physical_id, deleted.reason));
        }
        stage.compare_with_before().await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn a_delete_of_what_was_never_created_succeeds_and_writes_nothing_to_connect() {
    every_scenario_passes(async |stage, scenario| {
        if scenario.step != Step::Create {
            return stage.world.try_end().await;
        }
        let moment = Instant::now();
        let deleted = stage.world.try_send(&stage.create.delete("e2e-TheThing-1A2B3C4D5E6F"), AMPLE).await?;
        if !deleted.success {
            return Err(deleted.reason);
        }
        let calls = stage.world.calls_since(moment);
        if let Some(write) =
            calls.iter().find(|call| call.action.starts_with("connect:") && !call.line.starts_with("GET "))
        {
            return Err(format!("{write:?}"));
        }
        stage.compare_with_before().await?;
        stage.world.try_end().await
    })
    .await;
}

#[tokio::test]
async fn an_update_to_another_instance_that_nobody_heard_of_is_undone_by_its_rollback() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let other = world.aws.new_instance().await;
    world.aws.stream_to(&other, "AGENT_EVENTS", &targets.foreign_stream).await;
    let before = (world.state().await, world.aws.instance_state(&other).await);
    let origin = "https://emite.example.com";
    let resources = [
        (STREAMING, world.streaming("AGENT_EVENTS", &targets.stream, "Replace")),
        ("Custom::ConnectApprovedOrigin", world.origin(origin)),
    ];
    for (kind, properties) in resources {
        let create = Event::new("Create", kind, &properties);
        let made = world.send(&create).await.succeeded();
        let created = world.state().await;
        let mut elsewhere = properties.clone();
        elsewhere["InstanceArn"] = other.arn.clone().into();
        let update = create.update(&elsewhere, &made.physical_id);
        let moved = world.send(&update).await.succeeded();
        assert_ne!(moved.physical_id, made.physical_id);
        assert_ne!(world.aws.instance_state(&other).await, before.1);
        // CloudFormation goes back with the id that it knows.
        let back = world.send(&update.update(&properties, &made.physical_id)).await.succeeded();
        assert_eq!(back.physical_id, made.physical_id);
        assert_eq!(world.aws.instance_state(&other).await, before.1);
        assert_eq!(world.state().await, created);
        world.send(&create.delete(&made.physical_id)).await.succeeded();
    }
    assert_eq!((world.state().await, world.aws.instance_state(&other).await), before);
    world.end().await;
}

#[tokio::test]
async fn one_process_serves_different_resources_one_after_another() {
    let (world, targets) = (World::new().await, Targets::get().await);
    let before = world.state().await;
    let events = [
        Event::new("Create", STREAMING, &world.streaming("AGENT_EVENTS", &targets.stream, "Fail")),
        Event::new("Create", STREAMING, &world.streaming("CONTACT_TRACE_RECORDS", &targets.firehose, "Fail")),
        Event::new("Create", "Custom::ConnectApprovedOrigin", &world.origin("https://emite.example.com")),
    ];
    let mut made = Vec::new();
    for event in &events {
        made.push(world.send(event).await.succeeded());
    }
    let state = world.state().await;
    assert_eq!(state.target("AGENT_EVENTS").as_deref(), Some(targets.stream.as_str()));
    assert_eq!(state.target("CONTACT_TRACE_RECORDS").as_deref(), Some(targets.firehose.as_str()));
    assert_eq!(state.origins, ["https://emite.example.com"]);
    for (event, made) in events.iter().zip(&made) {
        let deleted = world.send(&event.delete(&made.physical_id)).await.succeeded();
        assert_eq!(deleted.physical_id, made.physical_id);
    }
    assert_eq!(world.state().await, before);
    world.end().await;
}
