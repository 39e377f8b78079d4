//! Owns reading repair reports: of them, only what a repair found after it had changed something counts.

use emite_core::report::Report;
use serde::Deserialize;
use serde_json::Value;

use super::context::EventContext;
use super::mode::Mode;
use super::problems::BadInput;
use super::report;
use super::typed::read_ours;

/// What is read of a repair report.
#[derive(Debug, Deserialize)]
struct RepairReport {
    mode: Mode,
    /// A health report, with a version of its own.
    after: Option<Value>,
}

/// Reads what a repair found afterwards; none if it changed nothing.
pub(super) fn read(detail: Value, context: &EventContext<'_>) -> Result<Option<Report>, BadInput> {
    let RepairReport { mode, after } = read_ours("detail", detail, context.spec)?;
    match (mode, after) {
        (Mode::Apply, Some(after)) => report::read("detail.after", after, context).map(Some),
        // A plan has changed nothing: what it found resolves nothing.
        (Mode::Plan, _) | (_, None) => Ok(None),
    }
}
