//! Owns the requests of the function, once they have been read. Pure.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::keys::SourceObject;
use crate::run_result::{ResumePoint, RunResult};
use crate::window::Window;

/// Whether anything is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Plan,
    Apply,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
        })
    }
}

/// A request to go through objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRequest {
    pub(crate) mode: Mode,
    pub(crate) objects: Vec<RequestedObject>,
    pub(crate) window: Window,
    /// The result of the earlier runs that this one continues.
    pub(crate) so_far: Option<RunResult>,
}

/// An object to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestedObject {
    pub(crate) source: SourceObject,
    /// Where to begin.
    pub(crate) resume: ResumePoint,
    /// When it was written, if the listing says so.
    pub(crate) modified: Option<Timestamp>,
}

/// The input that an execution of the state machine is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecutionInput {
    pub(crate) mode: Mode,
    /// As they were given.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Below which the objects are; none: wherever failed records are.
    pub(crate) prefix: Option<String>,
}

/// An execution that has ended. Whatever of it is missing, the rest is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedExecution {
    pub(crate) mode: Mode,
    /// Below which the objects are.
    pub(crate) prefix: Option<String>,
    pub(crate) results: ResultLocation,
    /// The name of the error that ended it early.
    pub(crate) error: Option<String>,
    pub(crate) arn: Option<String>,
}

/// Where the results of the children are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResultLocation {
    Inline(Vec<Value>),
    /// In files that the object with this key lists.
    Manifest {
        key: String,
    },
    Missing,
}
