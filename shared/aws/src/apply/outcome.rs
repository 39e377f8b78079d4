//! Owns what applying a change can come to.

use crate::error::AwsError;
use crate::ledger::LedgerError;

/// What applying a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is as wanted now.
    Done,
    /// It was as wanted already, so nothing was written.
    Unchanged,
    /// A third party had made the same change before us, so it is not ours to undo.
    AlreadyThere,
    /// What was to be restored does not exist any more; nothing is configured now.
    PreviousIsGone,
}

/// Why a change was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// AWS refused or failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The configuration differs from what the change was decided on: read again and decide anew.
    #[error("{0} changed in between")]
    ChangedMeanwhile(String),
    /// AWS is carrying out another change to it, and accepts no second one until then.
    #[error("another change to {0} is in progress")]
    InProgress(&'static str),
    /// It was done, and undone again, because the stack turned out to be in deletion.
    #[error("this was done and undone again: the stack gave its claim on {0} up meanwhile")]
    Undone(String),
}

impl ApplyError {
    /// Whether another request or person changed something in between.
    pub fn is_changed_meanwhile(&self) -> bool {
        matches!(self, Self::ChangedMeanwhile(_) | Self::Ledger(LedgerError::ChangedMeanwhile(_)))
    }

    /// Whether AWS may accept it a little later.
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::InProgress(_))
    }
}
