//! Owns what a redrive came to, as far as a message shows it: numbers, times and names of errors; of free text only which
//! objects are left and why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// What a redrive came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) objects: u64,
    pub(crate) records: u64,
    pub(crate) indexed: u64,
    pub(crate) already_present: u64,
    pub(crate) quarantined: u64,
    /// Number of objects that are known to be left; the list of them is cut where it gets long.
    pub(crate) remaining: u64,
    /// The first of those that stay where they are until a person does something about them.
    pub(crate) left: Vec<LeftObject>,
    /// Number of batches of objects of which nothing is known, as their runs failed.
    pub(crate) failed_batches: u64,
    /// What the domain answered that made it stop, as `<status>/<type>`.
    pub(crate) stopped: Option<String>,
    /// The name of the error that ended the execution early.
    pub(crate) error: Option<String>,
    /// The prefix whose objects it read.
    pub(crate) prefix: Option<String>,
    pub(crate) by_error: BTreeMap<String, u64>,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
}

/// An object that stays where it is. Its texts are free: a message bounds them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct LeftObject {
    pub(crate) key: String,
    pub(crate) cause: String,
    /// In bytes.
    pub(crate) size: Option<u64>,
}

impl Redrive {
    /// Whether failed records are left that it should have sent, or may be.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.remaining > 0
            || !self.left.is_empty()
            || self.failed_batches > 0
            || self.stopped.is_some()
            || self.error.is_some()
    }
}
