//! Owns the health report: the outcome of one run, as it is returned and as it is published.
//!
//! Its JSON form is a contract: other programs read these events. [`SOURCE`] and the detail types are how rules find them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::Arn;
use crate::finding::{Finding, Severity, Status as FindingStatus};

/// The `source` of every event that emite-connect publishes.
pub const SOURCE: &str = "emite-connect";
/// The `detail-type` of health reports.
pub const HEALTH_REPORT: &str = "Integration Health Report";
/// The `detail-type` of repair reports.
pub const REPAIR_REPORT: &str = "Integration Repair Report";
/// The `detail-type` of redrive reports.
pub const REDRIVE_REPORT: &str = "Integration Redrive Report";
/// The `detail-type` of hand-overs.
pub const HANDOVER: &str = "Integration Handover";

/// The version of the report's form. A reader refuses any other.
pub const VERSION: u32 = 1;

/// The outcome of one run of all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// What people call the integration.
    pub integration: String,
    /// The stack that is checked.
    pub stack_id: Arn,
    /// The Amazon Connect instance.
    pub instance_arn: Arn,
    /// When the run began.
    pub checked_at: Timestamp,
    /// The state of the whole.
    pub status: Status,
    /// What is wrong, each with its root cause.
    pub findings: Vec<Finding>,
    /// What each check came to.
    pub checks: Vec<CheckOutcome>,
}

/// The state of the whole integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Nothing is wrong that needs action.
    Healthy,
    /// Something is wrong, nothing is being lost.
    Degraded,
    /// Records are being lost, or soon will be.
    Failing,
    /// Nothing is known to be wrong, but not everything could be read.
    Unknown,
}

impl Status {
    /// The state that these findings amount to.
    pub fn of(findings: &[Finding]) -> Self {
        let worst = findings.iter().map(|finding| finding.severity).max();
        match worst {
            Some(Severity::Critical) => Self::Failing,
            Some(Severity::Warning) => Self::Degraded,
            _ if findings.iter().any(|finding| finding.status == FindingStatus::Unobservable) => Self::Unknown,
            _ => Self::Healthy,
        }
    }
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckOutcome {
    /// The check's name.
    pub name: String,
    /// What it came to.
    pub outcome: CheckResult,
    /// How long reading took, in milliseconds. Everything is read at once, so it is the same for all checks.
    pub duration_ms: u64,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckResult {
    /// Nothing is wrong, or nothing beyond Info.
    Passed,
    /// Something is wrong.
    Failed,
    /// Something that it needs could not be read.
    Unobservable,
    /// This stack has nothing for it to check.
    NotApplicable,
}

impl CheckResult {
    /// What these findings of one check amount to. If one part could not be observed and the rest found nothing, the
    /// check is unobservable.
    pub(crate) fn of(findings: &[Finding]) -> Self {
        if findings.iter().any(|finding| finding.severity > Severity::Info) {
            Self::Failed
        } else if findings.iter().any(|finding| finding.status == FindingStatus::Unobservable) {
            Self::Unobservable
        } else {
            Self::Passed
        }
    }
}

impl Report {
    /// How many findings need action or attention, root causes only.
    pub fn open_findings(&self) -> usize {
        let open = |finding: &&Finding| finding.caused_by.is_none() && finding.severity > Severity::Info;
        self.findings.iter().filter(open).count()
    }

    /// The names of the checks that could not read everything that they need. What such a check does not find may be
    /// wrong all the same.
    pub fn unobservable(&self) -> BTreeSet<&str> {
        let blind = self.checks.iter().filter(|check| check.outcome == CheckResult::Unobservable);
        let partly = self.findings.iter().filter(|finding| finding.status == FindingStatus::Unobservable);
        blind.map(|check| check.name.as_str()).chain(partly.map(|finding| finding.check.as_str())).collect()
    }
}
