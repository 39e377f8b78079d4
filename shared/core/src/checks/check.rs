//! Owns what a health check is: its name, its parts with their titles and commands, the metrics that it needs, and a pure
//! judge.
//!
//! A judge reads the [`Spec`] and the [`Snapshot`] and nothing else. Where it needs an observation that failed, `?` makes
//! the check unobservable: unknown is not healthy, and it is not broken.

use crate::change::Change;
use crate::command::Command;
use crate::finding::{self, Finding, Severity, Status, Subject};
use crate::look::Look;
use crate::metrics::MetricQuery;
use crate::snapshot::Snapshot;
use crate::spec::Spec;

/// What a judge says of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This stack has nothing for the check to judge.
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
    /// The resource that its findings are about.
    pub resource: fn(&Spec) -> String,
    /// The metrics that it needs.
    pub metrics: fn(&Spec) -> Vec<MetricQuery>,
    /// Pure: no I/O, no clock.
    pub judge: fn(&Spec, &Snapshot) -> Look<Verdict>,
    /// The change that would repair one of its findings, if one would. Pure.
    pub repair: fn(&Spec, &Snapshot, &Finding) -> Option<Change>,
    /// Everything that its findings can be about. The last part stands in for one that this version does not know.
    pub parts: &'static [Part],
    /// The title of a message that the check cannot observe something.
    pub unseen: &'static str,
    /// Which findings of other checks follow from its own.
    pub explains: &'static [Explains],
}

/// One thing that a check can find wrong.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name in reports, unique within its check; empty for the resource as a whole.
    pub name: &'static str,
    /// What follows the `#` in the resource of its findings; empty if there is no `#`.
    pub suffix: &'static str,
    /// The status that distinguishes it from another part of the same resource. Only reports that do not name the part
    /// are read by it.
    pub status: Option<Status>,
    /// The title of a message about it, in a few words.
    pub title: &'static str,
    /// The commands that such a message offers, in the order in which to run them, if no repair fixes it.
    pub commands: fn(&Spec) -> Vec<Command>,
    /// What it means that records are lost from a moment on: a sentence with that moment, already in words, that also
    /// depends on whether it has come.
    pub loss: fn(moment: &str, has_come: bool) -> String,
}

/// One way in which findings of a check explain findings of others.
#[derive(Clone, Copy, Debug)]
pub struct Explains {
    /// The parts of the check whose findings are the cause; empty: any.
    pub parts: &'static [Part],
    /// The least severity at which they explain anything.
    pub from: Severity,
    /// What follows from them.
    pub consequences: &'static [Consequence],
}

/// Findings that another one explains.
#[derive(Clone, Copy, Debug)]
pub struct Consequence {
    /// The name of their check.
    pub check: &'static str,
    /// The name of their part; none: any.
    pub part: Option<&'static str>,
}

impl Part {
    /// A part without commands, about which findings say `resource#name`.
    pub(super) const fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, suffix: name, status: None, title, commands: |_| Vec::new(), loss: records_lost }
    }

    /// Whether the finding is about this part.
    pub fn is_of(&self, finding: &Finding) -> bool {
        finding.part() == self.name
    }

    /// A finding of `check` about this part of `resource`, with its texts yet to be filled in.
    pub fn finding(&self, check: &str, resource: String, status: Status, severity: Severity) -> Finding {
        let hash = if self.suffix.is_empty() { "" } else { "#" };
        Finding::about(check, self.name, status, severity, format!("{resource}{hash}{}", self.suffix))
    }
}

impl Explains {
    /// What follows from any finding of the check that is worth acting on.
    pub(super) const fn any(consequences: &'static [Consequence]) -> Self {
        Self::of(&[], consequences)
    }

    /// What follows from these parts.
    pub(super) const fn of(parts: &'static [Part], consequences: &'static [Consequence]) -> Self {
        Self { parts, from: Severity::Warning, consequences }
    }
}

impl Check {
    /// A finding about one of its parts, with its texts yet to be filled in.
    pub fn finding(&self, spec: &Spec, part: &Part, status: Status, severity: Severity) -> Finding {
        part.finding(self.name, (self.resource)(spec), status, severity)
    }

    /// All its findings, as a consequence of others.
    pub(super) const fn all(&self) -> Consequence {
        Consequence { check: self.name, part: None }
    }

    /// Those of one part, as a consequence of others.
    pub(super) const fn only(&self, part: &Part) -> Consequence {
        Consequence { check: self.name, part: Some(part.name) }
    }

    /// The part that a finding is about: the one that it names or, in a report of a version that named none, the one
    /// that its resource and its status say. Of a part that is not known, the last one.
    pub fn part(&self, subject: Subject<'_>) -> Option<&'static Part> {
        let suffix = finding::part_of(subject.resource);
        let is_named = |part: &&Part| subject.part.is_some_and(|name| part.name == name);
        let fits = |part: &&Part| {
            let has_status = part.status.is_none_or(|status| status == subject.status);
            subject.part.is_none() && part.suffix == suffix && has_status
        };
        self.parts.iter().find(is_named).or_else(|| self.parts.iter().find(fits)).or(self.parts.last())
    }

    /// The title of a message about a finding.
    pub fn title(&self, subject: Subject<'_>) -> &'static str {
        match self.part(subject) {
            Some(part) if subject.status != Status::Unobservable => part.title,
            _ => self.unseen,
        }
    }
}

/// What an observation showed, borrowed; for `seen(&snapshot.domain)?`.
pub(super) fn seen<T>(look: &Look<T>) -> Look<&T> {
    look.as_ref().map_err(Clone::clone)
}

/// The verdict of a check that has several parts. What one part finds is reported even if another could not be observed;
/// if nothing is found, that something could not be observed is what counts.
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

/// For checks whose findings no repair fixes.
pub(super) fn no_repair(_: &Spec, _: &Snapshot, _: &Finding) -> Option<Change> {
    None
}

/// For checks that need no metric.
pub(super) fn no_metrics(_: &Spec) -> Vec<MetricQuery> {
    Vec::new()
}

/// Records are lost from then on.
pub(super) fn records_lost(moment: &str, has_come: bool) -> String {
    match has_come {
        true => "Records are being lost now.".to_owned(),
        false => format!("Records are lost from {moment} on."),
    }
}

/// The stream drops agent events from then on, unless eMite reads them first.
pub(super) fn unread_events_lost(moment: &str, has_come: bool) -> String {
    match has_come {
        true => records_lost(moment, has_come),
        false => format!(
            "Agent events older than the stream keeps them are lost from {moment} on, unless eMite reads them before."
        ),
    }
}
