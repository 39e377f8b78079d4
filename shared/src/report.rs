//! Owns the health report: the outcome of one run, as it is returned and as it is published.
//!
//! Its JSON form is a contract: other programs read these events. [`SOURCE`] and the detail types are how rules find them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::Arn;
use crate::attribution::attribute;
use crate::checks::{CHECKS, Verdict};
use crate::finding::{Finding, Severity, Status as FindingStatus};
use crate::plan;
use crate::snapshot::Snapshot;
use crate::spec::Spec;

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
    /// Nothing is wrong that anybody has to act on.
    Healthy,
    /// Something is wrong, nothing is being lost.
    Degraded,
    /// Records are being lost, or soon will be.
    Failing,
    /// Nothing is known to be wrong, but not everything could be looked at.
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
    pub outcome: Outcome,
    /// How long looking took, in milliseconds; all checks look at once.
    pub duration_ms: u64,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing is wrong, or nothing beyond Info.
    Passed,
    /// Something is wrong.
    Failed,
    /// Something that it needs could not be looked at.
    Unobservable,
    /// This stack has nothing for it to look at.
    NotApplicable,
}

impl Outcome {
    /// What these findings of one check amount to. Part of a check that could not look, while the rest found nothing,
    /// makes it unobservable.
    fn of(findings: &[Finding]) -> Self {
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
    /// Judges what a run saw. Pure: repair judges in the same way what it found and what it left.
    pub fn judge(spec: &Spec, snapshot: &Snapshot) -> Self {
        let mut findings = Vec::new();
        let mut checks = Vec::new();
        for check in CHECKS {
            let (outcome, found) = match (check.judge)(spec, snapshot) {
                Ok(Verdict::NotApplicable) => (Outcome::NotApplicable, Vec::new()),
                Ok(Verdict::Judged(found)) => {
                    let repair = |found| Finding { repair: plan::planned(check, spec, snapshot, &found), ..found };
                    (Outcome::of(&found), found.into_iter().map(repair).collect())
                }
                Err(unseen) => {
                    let resource = (check.resource)(spec);
                    (Outcome::Unobservable, vec![Finding::unobservable(check.name, &resource, &unseen)])
                }
            };
            let duration_ms = u64::try_from(snapshot.took.as_millis()).unwrap_or(u64::MAX);
            checks.push(CheckOutcome { name: check.name.to_owned(), outcome, duration_ms });
            findings.extend(found);
        }
        let findings = attribute(findings);
        Self {
            version: VERSION,
            integration: spec.integration.clone(),
            stack_id: spec.stack_id.clone(),
            instance_arn: spec.instance_arn.clone(),
            checked_at: snapshot.taken_at,
            status: Status::of(&findings),
            findings,
            checks,
        }
    }

    /// How many findings somebody has to act on or know of, root causes only.
    pub fn open_findings(&self) -> usize {
        let open = |finding: &&Finding| finding.caused_by.is_none() && finding.severity > Severity::Info;
        self.findings.iter().filter(open).count()
    }

    /// The names of the checks that could not look at everything that they need. What such a check does not find may be
    /// there all the same.
    pub fn unobservable(&self) -> BTreeSet<&str> {
        let blind = self.checks.iter().filter(|check| check.outcome == Outcome::Unobservable);
        let partly = self.findings.iter().filter(|finding| finding.status == FindingStatus::Unobservable);
        blind.map(|check| check.name.as_str()).chain(partly.map(|finding| finding.check.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{healthy, healthy_of, spec, unseen, whole};
    use crate::snapshot::Cause;

    #[test]
    fn a_healthy_stack_is_healthy_and_every_check_is_listed() {
        let report = Report::judge(&spec(), &healthy());
        assert_eq!((report.status, report.findings.len(), report.open_findings()), (Status::Healthy, 0, 0));
        let names: Vec<_> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, CHECKS.iter().map(|check| check.name).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_seen_is_unknown_and_hides_nothing() {
        let mut snapshot = healthy();
        snapshot.emite_role = Err(unseen(Cause::Denied));
        let blind = Report::judge(&spec(), &snapshot);
        assert_eq!((blind.status, blind.unobservable()), (Status::Unknown, BTreeSet::from(["emite-role"])));
        snapshot.agent_event_streaming = Ok(None);
        let broken = Report::judge(&spec(), &snapshot);
        assert_eq!(broken.status, Status::Failing);
        assert!(broken.findings.iter().any(|finding| finding.check == "data-streaming"));
    }

    #[test]
    fn a_run_that_sees_nothing_at_all_is_unknown_not_healthy() {
        let blind = || unseen(Cause::TimedOut);
        let mut snapshot = healthy_of(&whole());
        snapshot.instance = Err(blind());
        snapshot.agent_event_streaming = Err(blind());
        snapshot.contact_record_streaming = Err(blind());
        snapshot.approved_origins = Err(blind());
        snapshot.agent_event_stream = Err(blind());
        snapshot.contact_record_stream = Err(blind());
        snapshot.delivery_stream = Err(blind());
        snapshot.failed_records = Err(blind());
        snapshot.domain = Err(blind());
        snapshot.emite_role = Err(blind());
        snapshot.server = Err(blind());
        snapshot.subscriptions = Err(blind());
        snapshot.dead_letters = Err(blind());
        snapshot.first_read = Err(blind());
        snapshot.watched_since = Err(blind());
        snapshot.metrics.0.values_mut().for_each(|look| *look = Err(blind()));
        let report = Report::judge(&whole(), &snapshot);
        assert_eq!(report.status, Status::Unknown);
        let seen: Vec<_> = report.checks.iter().filter(|check| check.outcome != Outcome::Unobservable).collect();
        assert!(seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn the_json_form_comes_back_as_it_was() {
        let mut snapshot = healthy();
        snapshot.contact_record_streaming = Ok(None);
        let report = Report::judge(&spec(), &snapshot);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert!(text.starts_with(r#"{"version":1,"integration":"example-contact-centre","stackId":"arn:"#), "{text}");
    }
}
