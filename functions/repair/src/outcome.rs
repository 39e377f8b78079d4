//! Owns what came of the changes of a repair. Its JSON form is a contract.

use serde::Serialize;

/// What came of one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeOutcome {
    /// [`PlannedChange::id`](emite_core::change::PlannedChange::id).
    pub change: String,
    /// What came of it.
    pub result: ChangeResult,
    /// Why it was not applied.
    pub error: Option<String>,
}

/// What can come of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ChangeResult {
    /// It is as planned now.
    Applied,
    /// It was so already; nothing was written.
    Unchanged,
    /// It was not applied.
    Failed,
    /// It was changed by others since it was read; it was left alone.
    ChangedMeanwhile,
    /// AWS was still carrying out another change to it when the repair's time was up.
    TryAgainLater,
}
