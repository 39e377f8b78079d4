//! Owns what is known apart from an event while it is read.

use emite_core::spec::Spec;
use jiff::Timestamp;

/// What is known apart from the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventContext<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) now: Timestamp,
    /// Lambda's id of the invocation, the same when it tries again.
    pub(crate) request_id: &'a str,
}
