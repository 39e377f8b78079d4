//! Owns the repair: it checks, plans what would fix what is wrong, applies that if it is asked to, and checks again, so
//! that its report proves what it says.
//!
//! `plan` writes nothing at all. `apply` works under a lock, notes what it is about to do before it does it, and reports
//! the outcome of each change; what was applied stays applied whatever comes after, and running it again is harmless.

mod audit;
mod error;
mod input;
mod lock;
mod outcome;

use std::time::Duration;

use emite_aws::apply::{Applied, settled};
use emite_aws::eventbridge::{Event, publish};
use emite_aws::observe::{Latch, observe};
use emite_aws::services::Services;
use emite_aws::settings::BadSettings;
use emite_aws::{claims, clock, cloudformation, wait};
use emite_core::arn::Arn;
use emite_core::change::{Change, PlannedChange};
use emite_core::judge::{Judgement, judge};
use emite_core::report::{REPAIR_REPORT, Report, VERSION};
use emite_core::spec::Spec;
use emite_core::words::bounded;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

pub use error::RepairError;
pub use input::{BadInput, Mode};
pub use lock::{Holder, NotLocked};
pub use outcome::{ChangeOutcome, ChangeResult};

use audit::Audit;
use input::Input;

/// What a process sets up once.
#[derive(Debug)]
pub struct App(Result<Services, BadSettings>);

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. Bad settings are kept, and each invocation
    /// fails with them.
    pub fn start(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self(Services::from_settings(lookup))
    }
}

/// What a repair returns, and publishes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairReport {
    /// [`VERSION`].
    pub version: u32,
    /// The stack.
    pub stack_id: Arn,
    /// What was asked for.
    pub mode: Mode,
    /// Who says that they asked for it.
    pub requested_by: Option<String>,
    /// What would fix what is wrong.
    pub planned: Vec<PlannedChange>,
    /// What came of each; empty if it was only planned.
    pub outcomes: Vec<ChangeOutcome>,
    /// What was wrong.
    pub before: Report,
    /// What is wrong now; none if nothing was done.
    pub after: Option<Report>,
    /// Why subscribers to alerts are not notified of it, if so: the next health check notifies them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_published: Option<String>,
}

/// Plans a repair, or does it.
///
/// # Errors
/// [`RepairError`], when nothing was begun.
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<RepairReport, RepairError> {
    let LambdaEvent { payload, context } = event;
    let services = app.0.as_ref().map_err(BadSettings::clone)?;
    let deadline = Instant::now() + clock::until_epoch_ms(context.deadline);
    let input = Input::read(&payload)?;
    let spec = services.spec_of(&services.spec_text().await?)?;
    if let Some(objection) = cloudformation::objection(services.aws.cloudformation(), &services.stack_id).await? {
        return Err(RepairError::Stack(objection));
    }
    let repair = Repair { services, spec: &spec, input: &input, request_id: &context.request_id };
    match input.mode {
        Mode::Plan => {
            let (planned, before) = repair.plan().await;
            Ok(repair.answer(planned.into_iter().map(|(planned, _)| planned).collect(), before))
        }
        Mode::Apply => {
            let ledger = services.ledger();
            let lock = lock::take(&ledger, &context.request_id, clock::until_epoch_ms(context.deadline)).await?;
            let answer = Box::pin(repair.apply(deadline)).await;
            lock.release(&ledger).await;
            answer
        }
    }
}

/// What stays the same during one repair.
struct Repair<'a> {
    services: &'a Services,
    spec: &'a Spec,
    input: &'a Input,
    request_id: &'a str,
}

/// What noting the outcomes, checking again, publishing and releasing the lock may take.
const RESERVE: Duration = Duration::from_secs(100);
/// Of that, what publishing and releasing the lock may take.
const PUBLISHING: Duration = Duration::from_secs(55);
/// What reading everything again may take.
const READING: Duration = Duration::from_secs(20);
/// Between two attempts at a change that AWS does not accept yet.
const PAUSE: Duration = Duration::from_secs(5);
/// How much time there must be for another attempt: one that is cut off says nothing.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Makes `count` attempts in turn, then again those that AWS does not accept yet, while there is time before `until` and it still
/// `may`.
async fn in_turn(
    count: usize,
    until: Instant,
    may: impl AsyncFn() -> bool,
    attempt: impl AsyncFn(usize) -> ChangeOutcome,
) -> Vec<ChangeOutcome> {
    let mut outcomes = Vec::with_capacity(count);
    for index in 0..count {
        outcomes.push(Box::pin(attempt(index)).await);
    }
    let waits = |outcome: &ChangeOutcome| outcome.result == ChangeResult::TryAgainLater;
    while outcomes.iter().any(waits) && Instant::now() + PAUSE + ATTEMPT <= until {
        tokio::time::sleep(PAUSE).await;
        if !may().await {
            break;
        }
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            if waits(outcome) && Instant::now() + ATTEMPT <= until {
                *outcome = Box::pin(attempt(index)).await;
            }
        }
    }
    outcomes
}

impl Repair<'_> {
    async fn judge(&self) -> Judgement {
        let (aws, ledger) = (&self.services.aws, &self.services.ledger());
        judge(self.spec, &Box::pin(observe(aws, ledger, self.spec, Latch::Stays, clock::now())).await)
    }

    async fn plan(&self) -> (Vec<(PlannedChange, Change)>, Report) {
        let before = self.judge().await;
        (before.plan(&self.input.checks), before.report)
    }

    fn answer(&self, planned: Vec<PlannedChange>, before: Report) -> RepairReport {
        RepairReport {
            version: VERSION,
            stack_id: self.spec.stack_id.clone(),
            mode: self.input.mode,
            requested_by: self.input.requested_by.clone(),
            planned,
            outcomes: Vec::new(),
            before,
            after: None,
            not_published: None,
        }
    }

    async fn apply(&self, deadline: Instant) -> Result<RepairReport, RepairError> {
        let (aws, ledger) = (&self.services.aws, &self.services.ledger());
        let (planned, before) = self.plan().await;
        let (planned, changes): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
        let audit = Audit::begin(ledger, self.input, self.request_id, &planned, &changes).await?;
        let attempt = async |index: usize| self.carry_out(&planned[index], &changes[index], deadline - RESERVE).await;
        // What is in progress may be an update of the stack, to other settings than those of this plan.
        let may = async || {
            let objection = cloudformation::objection(aws.cloudformation(), &self.services.stack_id).await;
            matches!(objection, Ok(None))
        };
        let outcomes = in_turn(planned.len(), deadline - RESERVE, may, attempt).await;
        audit.end(ledger, &planned, &changes, &outcomes).await;
        self.settle(&changes, &outcomes, deadline - PUBLISHING - READING).await;
        let after = self.check_again(&planned, &outcomes, deadline - PUBLISHING).await;
        let mut answer = RepairReport { outcomes, after: Some(after), ..self.answer(planned, before) };
        let event = Event {
            detail_type: REPAIR_REPORT,
            resource: self.spec.instance_arn.to_string(),
            detail: serde_json::to_string(&answer)?,
        };
        if let Err(error) = publish(aws.eventbridge(), event).await {
            tracing::warn!(%error, "the repair was not published");
            answer.not_published = Some(error.to_string());
        }
        Ok(answer)
    }

    async fn carry_out(&self, planned: &PlannedChange, change: &Change, until: Instant) -> ChangeOutcome {
        let outcome = self.attempt(planned, change, until).await;
        tracing::info!(change = outcome.change, result = ?outcome.result, error = outcome.error, "repair");
        outcome
    }

    async fn attempt(&self, planned: &PlannedChange, change: &Change, until: Instant) -> ChangeOutcome {
        let outcome = |result, error: Option<String>| ChangeOutcome {
            change: planned.id.clone(),
            result,
            error: error.map(bounded),
        };
        let refused = |reason: &str| outcome(ChangeResult::Failed, Some(reason.to_owned()));
        if planned.replaces_foreign && !self.input.replace {
            return refused(
                "this would replace what somebody else set up: if nobody needs that any more, run it again with \"replace\":true",
            );
        }
        if Instant::now() >= until {
            return refused("there was no time left to begin it: run the repair again");
        }
        let (aws, ledger) = (&self.services.aws, &self.services.ledger());
        let request_id = format!("repair:{}", self.request_id);
        match tokio::time::timeout_at(until, claims::repair(aws, ledger, change, &request_id)).await {
            Ok(Ok(Applied::Done)) => outcome(ChangeResult::Applied, None),
            Ok(Ok(_)) => outcome(ChangeResult::Unchanged, None),
            Ok(Err(error)) if error.is_changed_meanwhile() => {
                let advice = format!("{error}, and was left alone: look at it, then run the repair again");
                outcome(ChangeResult::ChangedMeanwhile, Some(advice))
            }
            Ok(Err(error)) if error.is_in_progress() => {
                let advice = format!("{error}: run the repair again when it finishes");
                outcome(ChangeResult::TryAgainLater, Some(advice))
            }
            Ok(Err(error)) => outcome(ChangeResult::Failed, Some(error.to_string())),
            Err(_) => refused("it did not end in time, and may or may not have been done: run the repair again"),
        }
    }

    /// Waits until what was applied is in force. It is applied in any case, so not seeing that by `until` is no error.
    async fn settle(&self, changes: &[Change], outcomes: &[ChangeOutcome], until: Instant) {
        let applied = changes.iter().zip(outcomes).filter(|(_, outcome)| outcome.result == ChangeResult::Applied);
        let all = async {
            for (change, _) in applied {
                settled(&self.services.aws, change).await;
            }
        };
        if tokio::time::timeout_at(until, all).await.is_err() {
            tracing::warn!("not everything that was applied is in force yet");
        }
    }

    /// Checks again, a few times while what was applied does not show yet.
    async fn check_again(&self, planned: &[PlannedChange], outcomes: &[ChangeOutcome], until: Instant) -> Report {
        let applied: Vec<&PlannedChange> = planned
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| outcome.result == ChangeResult::Applied)
            .map(|(planned, _)| planned)
            .collect();
        let left = |report: &Report| {
            let planned_again = report.findings.iter().filter_map(|finding| finding.repair.as_ref());
            planned_again.into_iter().any(|again| applied.iter().any(|planned| planned.id == again.id))
        };
        let read = async || self.judge().await.report;
        wait::until_or_late(wait::FOR_A_REPAIR, until - READING, read, |report| !left(report)).await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const UNTIL: Duration = Duration::from_secs(60);
    const NEVER: Duration = Duration::MAX;

    /// The results, and how often each of two changes was attempted: the first is accepted `busy` after the start.
    /// From `changes_from` on the stack is being changed.
    async fn attempted(busy: Duration, changes_from: Duration) -> (Vec<ChangeResult>, [u32; 2]) {
        let (started, attempts) = (Instant::now(), RefCell::new([0; 2]));
        let attempt = async |index: usize| {
            attempts.borrow_mut()[index] += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let accepted = index == 1 || started.elapsed() >= busy;
            let result = if accepted { ChangeResult::Applied } else { ChangeResult::TryAgainLater };
            ChangeOutcome { change: index.to_string(), result, error: None }
        };
        let outcomes = in_turn(2, started + UNTIL, async || started.elapsed() < changes_from, attempt).await;
        assert!(started.elapsed() <= UNTIL);
        (outcomes.iter().map(|outcome| outcome.result).collect(), attempts.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn busy_change_is_retried_after_the_others_until_it_is_accepted() {
        use ChangeResult::Applied;
        assert_eq!(attempted(Duration::ZERO, NEVER).await, (vec![Applied, Applied], [1, 1]));
        assert_eq!(attempted(Duration::from_secs(20), NEVER).await, (vec![Applied, Applied], [4, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_stays_busy_is_left_for_later_while_there_is_time_for_a_whole_attempt() {
        use ChangeResult::{Applied, TryAgainLater};
        let (results, [attempts, _]) = attempted(NEVER, NEVER).await;
        assert_eq!(results, [TryAgainLater, Applied]);
        // The last attempt begins 15 s before the end at the latest.
        assert_eq!(attempts, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_retried_once_the_stack_is_being_changed() {
        use ChangeResult::{Applied, TryAgainLater};
        let tried = attempted(Duration::from_secs(30), Duration::from_secs(10)).await;
        assert_eq!(tried, (vec![TryAgainLater, Applied], [2, 1]));
    }
}
