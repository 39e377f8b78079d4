//! Owns reading health reports.

use emite_core::checks::CHECKS;
use emite_core::problems::Problems;
use emite_core::report::Report;
use jiff::SignedDuration;
use serde_json::Value;

use super::context::EventContext;
use super::problems::{BadInput, unless_any};
use super::typed::read_ours;

/// How much the clock of the function that wrote a report may differ from this one's.
const CLOCKS_DIFFER_BY: SignedDuration = SignedDuration::from_mins(5);

/// Reads the health report that is at `at` in the event.
pub(super) fn read(at: &str, detail: Value, context: &EventContext<'_>) -> Result<Report, BadInput> {
    let report: Report = read_ours(at, detail, context.spec)?;
    let mut problems = Problems::default();
    // It would shut out all reports until then.
    if report.checked_at > context.now + CLOCKS_DIFFER_BY {
        problems.add(format!("{at}.checkedAt must not lie in the future"));
    }
    for (index, finding) in report.findings.iter().enumerate() {
        if !CHECKS.iter().any(|check| check.name == finding.check) {
            problems.add(format!("{at}.findings[{index}].check must be the name of a check of this release"));
        }
    }
    unless_any(problems, report)
}
