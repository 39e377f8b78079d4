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
    /// Somebody else had made it so before us: it is not ours to undo.
    AlreadyThere,
    /// What was to be put back does not exist any more; nothing stands there now.
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
    /// Something else is there than when the change was decided: look again and decide anew.
    #[error("{0} changed in between")]
    ChangedMeanwhile(String),
    /// AWS is carrying out another change to it, and accepts no second one until then.
    #[error("another change to {0} is in progress")]
    InProgress(&'static str),
    /// It was done, and undone again, as the stack turned out to be going.
    #[error("this was done and undone again: the stack gave its claim on {0} up meanwhile")]
    Undone(String),
}

impl ApplyError {
    /// Whether somebody else was there in between.
    pub fn is_changed_meanwhile(&self) -> bool {
        matches!(self, Self::ChangedMeanwhile(_) | Self::Ledger(LedgerError::ChangedMeanwhile(_)))
    }

    /// Whether AWS may accept it a little later.
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::InProgress(_))
    }
}
