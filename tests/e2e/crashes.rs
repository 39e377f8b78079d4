//! Owns sudden death: the process is killed right after a write took effect, before it can note so. Nobody is answered, so
//! CloudFormation or Lambda comes again, to another process.

use emite_connect_tests::faults::Plan;

use crate::matrix::{CELLS, stuck_writes};
use crate::scenario::{Clean, Scenario, Step, every_scenario, expect_success};
use crate::world::AMPLE;

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The same event.
    Again,
    /// What CloudFormation does when it has waited long enough.
    RollBack,
}

async fn crash(scenario: Scenario, clean: &Clean, plan: Plan, next: Next) -> Result<(), String> {
    let _turn = CELLS.acquire().await.unwrap();
    let mut stage = scenario.stage().await?;
    stage.world.proxy.plan([plan]);
    let event = stage.event.clone();
    stage.world.kill_within(&event).await?;
    match next {
        Next::RollBack if scenario.step != Step::Delete => {
            // Nobody ever heard of a physical id, so one is invented; an update keeps the one that it had.
            let known = if scenario.step == Step::Create { "e2e-TheThing-1A2B3C4D5E6F" } else { &stage.physical_id };
            stage.roll_back(scenario, known).await?;
        }
        _ => {
            let again = expect_success("the second delivery", stage.world.try_send(&stage.event, AMPLE).await)?;
            stage.compare_with_clean(clean, &again, "after the second delivery").await?;
            stage.take_away(scenario, &again.physical_id).await?;
        }
    }
    stage.world.try_end().await
}

async fn crashes(scenario: Scenario) -> Vec<String> {
    let clean = match scenario.clean_run().await {
        Ok(clean) => clean,
        Err(problem) => return vec![format!("{scenario:?}: {problem}")],
    };
    let mut cells = Vec::new();
    for plan in stuck_writes(&clean.calls) {
        for next in [Next::Again, Next::RollBack] {
            let name = format!("{scenario:?}, {} call {}, {next:?}", plan.action, plan.nth);
            let cell = crash(scenario, &clean, plan.clone(), next);
            cells.push(async move { cell.await.err().map(|problem| format!("{name}: {problem}")) });
        }
    }
    futures::future::join_all(cells).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_process_that_dies_right_after_a_write_leaves_nothing_that_the_next_one_cannot_finish_or_undo() {
    let all = futures::future::join_all(every_scenario().into_iter().map(crashes)).await;
    let problems: Vec<String> = all.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
