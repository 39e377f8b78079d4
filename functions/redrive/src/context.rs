//! Owns what a run works with, and what can become of one object.

use std::time::Duration;

use emite_aws::s3::objects::Bucket;
use tokio::time::Instant;

use crate::bulk::BulkError;
use crate::naming::IndexNaming;
use crate::request::Mode;
use crate::run_result::{Counts, ResumePoint};
use crate::window::Window;

/// The time kept back before the function's deadline: what was begun is finished in it.
pub(crate) const RESERVE: Duration = Duration::from_secs(30);

/// What a run works with; `P` sends a bulk request of so many documents, see [`crate::domain`].
#[derive(Debug)]
pub(crate) struct RunContext<P> {
    pub(crate) mode: Mode,
    pub(crate) window: Window,
    pub(crate) bucket: Bucket,
    pub(crate) naming: IndexNaming,
    pub(crate) post: P,
    /// When nothing new is begun.
    pub(crate) end: Instant,
}

impl<P> RunContext<P> {
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

/// How much of a run's time an object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeBudget {
    /// All of it. What this is not enough for, no other run gets any further with.
    WholeRun,
    /// What the objects before it have left over.
    RestOfRun,
}

/// What became of an object.
#[derive(Debug)]
pub(crate) enum ObjectOutcome {
    /// Another run has moved it, or it was not written in the time that is asked for.
    Skipped,
    /// It was gone through to its end.
    Done(Counts),
    /// It stays where it is, and going on would not help.
    Left { counts: Counts, cause: String, size: u64 },
    /// Nothing was done, as it is not clear whether its records are bad ones or the domain takes no requests.
    Inconclusive,
    /// A later run goes on from here.
    Remaining { counts: Counts, resume: ResumePoint, stopped: Option<BulkError> },
}
