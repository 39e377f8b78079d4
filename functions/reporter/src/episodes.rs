//! Owns the episodes: from the first report that lists something wrong until it is over, and which messages people get
//! about it.
//!
//! All of it is one ledger entry, which [`step`] takes from one state to the next: no I/O and no clock, so that whatever
//! order, loss or repetition of events can be tried out. The messages that are due are in the entry's outbox afterwards.
//! Only root causes that need action have an episode; what cannot be observed stands still.

mod episode;
mod key;
mod reading;
mod state;

use jiff::Timestamp;

use crate::input::{Input, Mode};
use crate::message;
use crate::outbox::Waiting;
use crate::scene::Scene;
use reading::{Reading, ReportSource};
pub(crate) use state::{OutboxFull, State};

/// What one invocation does to the ledger entry.
#[derive(Clone, Debug)]
pub(crate) struct EpisodeDecision {
    /// What the entry is from now on.
    pub(crate) state: State,
    /// What this invocation has to publish.
    pub(crate) claimed: Vec<Waiting>,
    /// Set if the event has to come again.
    pub(crate) refused: Option<OutboxFull>,
}

/// Decides what `input` does to the entry, and claims what is to be published for `by`. Pure, so that any interleaving can
/// be tried out.
pub(crate) fn decide(state: State, input: &Input, now: Timestamp, by: &str, scene: &Scene) -> EpisodeDecision {
    let (mut state, refused) = match step(state.clone(), input, now, scene) {
        Ok(state) => (state, None),
        Err(full) => (state, Some(full)),
    };
    let claimed = state.outbox.claim(by, now);
    EpisodeDecision { state, claimed, refused }
}

/// The state after `input`.
fn step(mut state: State, input: &Input, now: Timestamp, scene: &Scene) -> Result<State, OutboxFull> {
    state.silences.forget_ended(now);
    let reading = |report, source| Reading { scene, report, source, now };
    match input {
        Input::Health(report) => state.take_in(&reading(report, ReportSource::HealthCheck)),
        Input::Repair { after: Some(report) } => state.take_in(&reading(report, ReportSource::Repair)),
        Input::Repair { after: None } => {}
        Input::Redrive { mode: Mode::Plan, .. } => {}
        Input::Redrive { mode: Mode::Apply, id, redrive } => state.once(id, || message::redrive(scene, redrive))?,
        Input::Handover(handover) => state.hand_over(handover, scene)?,
        Input::Failure(failure) => state.take_in_failure(failure, now, scene),
        Input::Test { id } => state.once(id, || message::test(scene, now))?,
        Input::Silence { check, silence } => state.silences.set(check, silence.as_ref()),
    }
    Ok(state)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
