//! Owns one run: goes through its objects one after another, as long as there is time and the domain takes records.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use emite_aws::error::AwsError;
use tokio::time::Instant;

use crate::answer::{Answer, Counts, Left, Place, Position, Stopped};
use crate::bucket::Bucket;
use crate::bulk::{self, Refusal};
use crate::deliver::Manners;
use crate::input::{Mode, Order, Wanted};
use crate::naming::Naming;
use crate::object::{Object, Opened};
use crate::pass::Pass;
use crate::window::Window;

/// The time kept back before the function's deadline: what was begun is finished in it.
pub(crate) const RESERVE: Duration = Duration::from_secs(30);

/// What a run works with; `P` sends a bulk request of so many documents, see [`crate::domain`].
#[derive(Debug)]
pub(crate) struct Run<P> {
    pub(crate) mode: Mode,
    pub(crate) window: Window,
    pub(crate) bucket: Bucket,
    pub(crate) naming: Naming,
    pub(crate) post: P,
    /// When nothing new is begun.
    pub(crate) end: Instant,
}

/// How far a run is.
#[derive(Debug, Default)]
struct Progress {
    answer: Answer,
    manners: Manners,
    first_error: Option<AwsError>,
}

/// What became of an object.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Somebody else has it, or it was not written in the time that is asked for.
    NotOurs,
    /// It was gone through to its end.
    Done(Counts),
    /// It stays where it is, and going on would not help.
    Left { counts: Counts, cause: String, size: u64 },
    /// Nothing was done, as it is not clear whether its records are bad ones or the domain takes no requests.
    Unsure,
    /// A later run goes on from here.
    Remaining { counts: Counts, place: Place, stopped: Option<Refusal> },
}

impl<P: AsyncFn(Bytes, usize) -> Result<bulk::Answer, AwsError>> Run<P> {
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Goes through what is ordered. An object that cannot be read or moved does not hold up the others, but fails the run
    /// in the end.
    pub(crate) async fn carry_out(&self, order: Order) -> Result<Answer, AwsError> {
        let (mut progress, mut unsure) = (Progress::default(), Vec::new());
        let is_in_window = |wanted: &&Wanted| wanted.modified.is_none_or(|at| self.window.has(at));
        for (index, wanted) in order.wanted.iter().filter(is_in_window).enumerate() {
            if self.advance(&mut progress, wanted, index == 0).await.is_break() {
                unsure.push(wanted);
            }
        }
        // By now the others have shown how the domain is, or there are too few to tell.
        progress.manners.trust();
        for wanted in unsure {
            let _ = self.advance(&mut progress, wanted, false).await;
        }
        let Progress { answer, first_error, .. } = progress;
        match (first_error, order.so_far) {
            (Some(error), _) => Err(error),
            (None, Some(so_far)) => Ok(answer.after(so_far)),
            (None, None) => Ok(answer),
        }
    }

    /// Goes through one object if there is time and use, and notes what becomes of it. Breaks off if that is not clear yet.
    async fn advance(&self, progress: &mut Progress, wanted: &Wanted, first: bool) -> ControlFlow<()> {
        let Progress { answer, manners, first_error } = progress;
        let key = wanted.source.key.clone();
        if answer.stopped.is_some() || self.is_over() {
            answer.remaining.push(Position { key, place: wanted.place.clone() });
            return ControlFlow::Continue(());
        }
        match self.object(wanted, manners, first).await {
            Ok(Outcome::Unsure) => return ControlFlow::Break(()),
            Ok(outcome) => note(answer, key, outcome),
            Err(error) => {
                tracing::error!(key, %error, "an object could not be gone through");
                first_error.get_or_insert(error);
            }
        }
        ControlFlow::Continue(())
    }

    /// Goes through one object. `first` is whether all the run's time was there for it.
    async fn object(&self, wanted: &Wanted, manners: &mut Manners, first: bool) -> Result<Outcome, AwsError> {
        let source = &wanted.source;
        // What is in quarantine is replaced as a whole, so it is gone through as a whole.
        let whole = source.is_quarantine() && self.mode == Mode::Apply;
        let place = if whole { Place::default() } else { wanted.place.clone() };
        let object = match Object::open(&self.bucket, &source.key, place.offset).await? {
            Opened::Open(object) => object,
            Opened::Gone => return Ok(Outcome::NotOurs),
            Opened::Unfit(cause) => {
                return Ok(Outcome::Left { counts: Counts::default(), cause: cause.to_owned(), size: 0 });
            }
        };
        if object.modified.is_some_and(|at| !self.window.has(at)) {
            return Ok(Outcome::NotOurs);
        }
        Pass::new(self, source, object, place).go_through(manners, first).await
    }
}

fn note(answer: &mut Answer, key: String, outcome: Outcome) {
    match outcome {
        Outcome::NotOurs | Outcome::Unsure => {}
        Outcome::Done(counts) => {
            tracing::info!(key, records = counts.records, quarantined = counts.quarantined, "done");
            answer.objects += 1;
            answer.counts.add(counts);
        }
        Outcome::Left { counts, cause, size } => {
            tracing::warn!(key, cause, size, "left where it is");
            answer.counts.add(counts);
            answer.left.push(Left { key, cause, size: Some(size).filter(|size| *size > 0) });
        }
        Outcome::Remaining { counts, place, stopped } => {
            tracing::info!(key, offset = place.offset, records = counts.records, "to be continued");
            answer.counts.add(counts);
            answer.stopped = stopped.map(Stopped::from);
            answer.remaining.push(Position { key, place });
        }
    }
}

#[cfg(test)]
mod tests;
