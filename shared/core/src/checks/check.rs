//! Owns what a health check is: a name, the metrics that it needs, and a pure judge.
//!
//! A judge reads the [`Spec`] and the [`Snapshot`] and nothing else. Where it needs a look that failed, `?` makes the check
//! unobservable: unknown is not healthy, and it is not broken.

use crate::change::Change;
use crate::finding::Finding;
use crate::look::Look;
use crate::metrics::MetricQuery;
use crate::snapshot::Snapshot;
use crate::spec::Spec;

/// What a judge says of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This stack has nothing for the check to look at.
    NotApplicable,
    /// What is wrong; nothing, if the link is healthy.
    Judged(Vec<Finding>),
}

impl From<Vec<Finding>> for Verdict {
    fn from(findings: Vec<Finding>) -> Self {
        Self::Judged(findings)
    }
}

impl From<Option<Finding>> for Verdict {
    fn from(finding: Option<Finding>) -> Self {
        Self::Judged(finding.into_iter().collect())
    }
}

/// A health check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name in reports, alerts and documents.
    pub name: &'static str,
    /// The resource that an unobservable check is about.
    pub resource: fn(&Spec) -> String,
    /// The metrics that it needs.
    pub metrics: fn(&Spec) -> Vec<MetricQuery>,
    /// Pure: no I/O, no clock.
    pub judge: fn(&Spec, &Snapshot) -> Look<Verdict>,
    /// The change that would mend one of its findings, if one would. Pure.
    pub mend: fn(&Spec, &Snapshot, &Finding) -> Option<Change>,
}

/// What a look showed, borrowed; for `seen(&snapshot.domain)?`.
pub(super) fn seen<T>(look: &Look<T>) -> Look<&T> {
    look.as_ref().map_err(Clone::clone)
}

/// The verdict of a check that has several parts. What one part finds is told even if another could not look; if nothing
/// is found, not having looked is what counts.
pub(super) fn together(
    check: &Check,
    spec: &Spec,
    parts: impl IntoIterator<Item = Look<Vec<Finding>>>,
) -> Look<Verdict> {
    let (mut found, mut blind) = (Vec::new(), None);
    for part in parts {
        match part {
            Ok(findings) => found.extend(findings),
            Err(unseen) => blind = blind.or(Some(unseen)),
        }
    }
    match blind {
        Some(unseen) if found.is_empty() => Err(unseen),
        Some(unseen) => {
            found.push(Finding::unobservable(check.name, &(check.resource)(spec), &unseen));
            Ok(found.into())
        }
        None => Ok(found.into()),
    }
}

/// For checks whose findings only a person can mend.
pub(super) fn by_hand(_: &Spec, _: &Snapshot, _: &Finding) -> Option<Change> {
    None
}

/// For checks that need no metric.
pub(super) fn no_metrics(_: &Spec) -> Vec<MetricQuery> {
    Vec::new()
}
