//! Owns what a report says of each episode: pure, and without what is remembered but the silences.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use emite_core::checks::{CHECKS, alert_path};
use emite_core::finding::{Finding, Severity, Status, Subject};
use emite_core::report::Report;
use jiff::{SignedDuration, Timestamp};

use super::key::EpisodeKey;
use crate::scene::Scene;
use crate::silence::Silences;

/// How long something cannot be observed before people are notified.
const BLIND_FOR: SignedDuration = SignedDuration::from_mins(30);
/// The IAM action with which the health check reads who subscribed to alerts.
const LIST_SUBSCRIPTIONS: &str = "sns:ListSubscriptionsByTopic";

/// Who wrote a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportSource {
    /// The health check.
    HealthCheck,
    /// A repair, after it had changed something: one good report is enough.
    Repair,
}

/// A report, and how it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) scene: &'a Scene,
    pub(super) report: &'a Report,
    pub(super) source: ReportSource,
    pub(super) now: Timestamp,
}

/// What a finding means for its episode.
#[derive(Clone, Debug)]
pub(super) enum Sighting {
    /// It is wrong, and opens once it has lasted for so long.
    Wrong(Box<Finding>, SignedDuration),
    /// Another finding explains it.
    Explained,
}

impl Reading<'_> {
    /// When the report was begun.
    pub(super) fn at(&self) -> Timestamp {
        self.report.checked_at
    }

    /// Two reports count as two only if they are this far apart.
    pub(super) fn gap(&self) -> SignedDuration {
        SignedDuration::from_secs(self.scene.spec.interval.as_secs() * 4 / 5)
    }

    /// Whether the report says nothing of episodes of `check` that it does not list.
    pub(super) fn is_blind_on(&self, check: &str) -> bool {
        let is_known = CHECKS.iter().any(|known| known.name == check);
        let is_listed = self.report.checks.iter().any(|outcome| outcome.name == check);
        is_known && !is_listed || self.report.unobservable().contains(check)
    }

    /// Whether the report finds that no one is subscribed to alerts.
    pub(super) fn finds_no_subscriber(&self) -> bool {
        self.report.findings.iter().any(|finding| is_no_subscriber(finding.subject()))
    }

    /// Whether the report says nothing of who is subscribed to alerts.
    pub(super) fn sees_no_subscriptions(&self) -> bool {
        let name = alert_path::CHECK.name;
        // A report of a release that did not name causes is not trusted to have seen them.
        let is_unlisted = |finding: &Finding| {
            finding.check == name
                && finding.status == Status::Unobservable
                && finding.cause.as_ref().is_none_or(|cause| cause.action == LIST_SUBSCRIPTIONS)
        };
        !self.report.checks.iter().any(|outcome| outcome.name == name) || self.report.findings.iter().any(is_unlisted)
    }

    /// Whether the report lists an episode as something on which no one has to act.
    pub(super) fn lists_as_info(&self, key: &EpisodeKey) -> bool {
        let is_it = |finding: &Finding| finding.severity == Severity::Info && EpisodeKey::of(finding) == *key;
        self.report.findings.iter().any(is_it)
    }

    /// The summaries of what follows from a finding.
    pub(super) fn consequences(&self, finding: &Finding) -> Vec<&str> {
        let key = finding.key();
        let follows = |other: &&Finding| other.caused_by.as_deref() == Some(&key);
        self.report.findings.iter().filter(follows).map(|other| other.summary.as_str()).collect()
    }

    /// The finding that explains another.
    fn root_of(&self, finding: &Finding) -> Option<&Finding> {
        let key = finding.caused_by.as_deref()?;
        self.report.findings.iter().find(|other| other.key() == key)
    }

    /// The sightings of the report, the worst of each episode. What follows from something that is silenced counts for
    /// itself: the silence is about that one check.
    pub(super) fn sightings(&self, silences: &Silences) -> BTreeMap<EpisodeKey, Sighting> {
        let silenced = |check: &str| silences.cover(check, self.now);
        let explained = |finding: &Finding| {
            self.root_of(finding).is_some_and(|root| !silenced(&root.check) || silenced(&finding.check))
        };
        let mut found: Vec<&Finding> = self.report.findings.iter().collect();
        found.sort_by_key(|finding| (finding.caused_by.is_none(), finding.severity));
        let mut sightings = BTreeMap::new();
        for finding in found {
            let sighting = match (finding.status, finding.severity) {
                (Status::Unobservable, _) | (_, Severity::Warning | Severity::Critical) if explained(finding) => {
                    Sighting::Explained
                }
                (Status::Unobservable, _) => {
                    let finding = Finding { severity: Severity::Warning, ..finding.clone() };
                    Sighting::Wrong(Box::new(finding), BLIND_FOR)
                }
                (_, Severity::Info) => continue,
                (_, Severity::Warning) => Sighting::Wrong(Box::new(finding.clone()), self.gap()),
                (_, Severity::Critical) => Sighting::Wrong(Box::new(finding.clone()), SignedDuration::ZERO),
            };
            sightings.insert(EpisodeKey::of(finding), sighting);
        }
        sightings
    }
}

/// The sightings in the order in which people are notified of them.
pub(super) fn worst_first(sightings: &BTreeMap<EpisodeKey, Sighting>) -> Vec<(&EpisodeKey, &Sighting)> {
    let mut order: Vec<_> = sightings.iter().collect();
    order.sort_by_key(|(_, sighting)| match sighting {
        Sighting::Wrong(finding, _) => Reverse(Some(finding.severity)),
        Sighting::Explained => Reverse(None),
    });
    order
}

/// Whether a finding or an episode is that no one is subscribed to alerts.
pub(super) fn is_no_subscriber(subject: Subject<'_>) -> bool {
    let part = alert_path::CHECK.part(subject).map(|part| part.name);
    subject.check == alert_path::CHECK.name && part == Some(alert_path::NO_SUBSCRIBER.name)
}
