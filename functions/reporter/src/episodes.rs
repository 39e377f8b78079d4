//! Owns the episodes: from the first time that something is seen wrong until it is over, and what is told of it.
//!
//! All of it is one ledger entry, which [`step`] takes from one state to the next: no I/O and no clock, so that whatever
//! order, loss or repetition of events can be tried out. What is to be told stands in the entry's [`Outbox`] afterwards.
//! Only root causes that somebody has to act on have an episode; what could not be looked at stands still.

mod key;

use std::collections::{BTreeMap, BTreeSet};

use emite_core::checks::{CHECKS, alert_path, health_check};
use emite_core::finding::{Finding, Severity, Status, Subject};
use emite_core::handover::Handover;
use emite_core::report::Report;
use emite_core::spec::Spec;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::input::{Failure, Input};
use crate::message::{self, Closed, Message, News, Open, Story};
use crate::outbox::Outbox;
use crate::text::stored;
use key::EpisodeKey;

/// The IAM action with which the health check reads who subscribed to alerts.
const LIST_SUBSCRIPTIONS: &str = "sns:ListSubscriptionsByTopic";
/// How long something cannot be looked at before that is told.
const BLIND_FOR: SignedDuration = SignedDuration::from_mins(30);
/// The time from one reminder to the next.
const REMINDER: SignedDuration = SignedDuration::from_hours(24);
/// Episodes that are kept at most.
const MOST_EPISODES: usize = 200;
/// The most bytes of the name of a part that are kept.
const MOST_PART: usize = 60;
/// Handled events that are remembered.
const REMEMBERED: usize = 50;

/// What stays the same while an event is handled.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The stack.
    pub(crate) spec: Spec,
    /// The name of this function, as people invoke it.
    pub(crate) function: String,
}

/// Everything that is remembered from one event to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    /// The time of the newest report that was taken in.
    checked_at: Option<Timestamp>,
    /// Whether people were told that the integration is deployed.
    deployed: bool,
    /// The last hand-over.
    handover: Option<Box<Handover>>,
    /// Whether the newest report that saw the alert path found that nobody hears.
    unheard: bool,
    /// Events without a time of their own that were handled.
    handled: Vec<String>,
    silences: BTreeMap<String, Silence>,
    episodes: BTreeMap<EpisodeKey, Episode>,
    pub(crate) outbox: Outbox,
}

/// A check of which nothing is told for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Silence {
    pub(crate) until: Timestamp,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Episode {
    status: Status,
    /// The name of the part of its check; none in episodes that began under a release that did not name parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    severity: Severity,
    summary: String,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// Seen for long enough to be told.
    open: bool,
    /// Since when it has been good, if it was not seen wrong again.
    good_since: Option<Timestamp>,
    /// The highest severity that people were told.
    told: Option<Severity>,
    told_at: Option<Timestamp>,
}

/// So many messages wait that no other fits: the event has to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The state after `input`.
pub(crate) fn step(mut state: State, input: &Input, now: Timestamp, scene: &Scene) -> Result<State, Full> {
    state.silences.retain(|_, silence| silence.until > now);
    match input {
        Input::Health(report) => state.take_in(&Reading { scene, report, now, by_repair: false }),
        Input::Repair { after: Some(report) } => state.take_in(&Reading { scene, report, now, by_repair: true }),
        Input::Repair { after: None } => {}
        Input::Redrive { apply: false, .. } => {}
        Input::Redrive { apply: true, id, redrive } => state.once(id, || message::redrive(scene, redrive))?,
        Input::Handover(handover) => state.hand_over(handover, scene)?,
        Input::Failure(failure) => state.failed(failure, now, scene),
        Input::Test { id } => state.once(id, || message::test(scene, now))?,
        Input::Silence { check, silence: Some(silence) } => {
            state.silences.insert(check.clone(), silence.clone());
        }
        Input::Silence { check, silence: None } => {
            state.silences.remove(check);
        }
    }
    Ok(state)
}

/// A report, and how it is read.
#[derive(Clone, Copy, Debug)]
struct Reading<'a> {
    scene: &'a Scene,
    report: &'a Report,
    now: Timestamp,
    /// A repair looked again after it had changed something: one good look is enough.
    by_repair: bool,
}

/// When and where something is told.
#[derive(Clone, Copy, Debug)]
struct Time<'a> {
    scene: &'a Scene,
    now: Timestamp,
    /// When it was seen.
    at: Timestamp,
}

impl Reading<'_> {
    fn time(&self) -> Time<'_> {
        Time { scene: self.scene, now: self.now, at: self.report.checked_at }
    }

    /// Two reports count as two only if they are this far apart.
    fn gap(&self) -> SignedDuration {
        SignedDuration::from_secs(self.scene.spec.interval.as_secs() * 4 / 5)
    }

    /// Whether the report says nothing of episodes of `check` that it does not list.
    fn is_blind_on(&self, check: &str) -> bool {
        let is_known = CHECKS.iter().any(|known| known.name == check);
        let is_listed = self.report.checks.iter().any(|outcome| outcome.name == check);
        is_known && !is_listed || self.report.unobservable().contains(check)
    }

    /// Whether the report says nothing of who subscribed.
    fn sees_no_subscriptions(&self) -> bool {
        let name = alert_path::CHECK.name;
        // Releases that did not name the cause are not trusted to have seen them.
        let is_unlisted = |finding: &Finding| {
            finding.check == name
                && finding.status == Status::Unobservable
                && finding.cause.as_ref().is_none_or(|cause| cause.action == LIST_SUBSCRIPTIONS)
        };
        !self.report.checks.iter().any(|outcome| outcome.name == name) || self.report.findings.iter().any(is_unlisted)
    }

    /// The finding that explains another.
    fn root_of(&self, finding: &Finding) -> Option<&Finding> {
        let key = finding.caused_by.as_deref()?;
        self.report.findings.iter().find(|other| other.key() == key)
    }

    fn consequences(&self, finding: &Finding) -> Vec<&str> {
        let key = finding.key();
        let follows = |other: &&Finding| other.caused_by.as_deref() == Some(&key);
        self.report.findings.iter().filter(follows).map(|other| other.summary.as_str()).collect()
    }
}

/// What a finding means for its episode.
#[derive(Clone, Debug)]
enum Sighting {
    /// It is wrong, and opens once it has been seen for so long.
    Wrong(Box<Finding>, SignedDuration),
    /// Something else explains it.
    Explained,
}

/// The sightings of a report by the keys of their episodes, the worst of each. What follows from something that is
/// silenced counts for itself: the silence is about that one check.
fn sightings(reading: &Reading<'_>, silences: &BTreeMap<String, Silence>) -> BTreeMap<EpisodeKey, Sighting> {
    let silenced = |check: &str| is_silenced(silences, check, reading.now);
    let explained = |finding: &Finding| {
        reading.root_of(finding).is_some_and(|root| !silenced(&root.check) || silenced(&finding.check))
    };
    let mut found: Vec<&Finding> = reading.report.findings.iter().collect();
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
            (_, Severity::Warning) => Sighting::Wrong(Box::new(finding.clone()), reading.gap()),
            (_, Severity::Critical) => Sighting::Wrong(Box::new(finding.clone()), SignedDuration::ZERO),
        };
        sightings.insert(EpisodeKey::of(finding), sighting);
    }
    sightings
}

/// Whether a finding or an episode is that no one is subscribed to alerts.
fn is_no_subscriber(subject: Subject<'_>) -> bool {
    let part = alert_path::CHECK.part(subject).map(|part| part.name);
    subject.check == alert_path::CHECK.name && part == Some(alert_path::NO_SUBSCRIBER.name)
}

impl State {
    fn take_in(&mut self, reading: &Reading<'_>) {
        let at = reading.report.checked_at;
        if self.checked_at.is_some_and(|newest| at <= newest) {
            return;
        }
        self.checked_at = Some(at);
        if !self.deployed && !reading.by_repair && self.outbox.has_room() {
            self.deployed = true;
            self.outbox.push(message::deployed(reading.scene, self.handover.as_deref()));
        }
        let heard_again = self.is_heard_again(reading);
        let sightings = sightings(reading, &self.silences);
        for (key, sighting) in worst_first(&sightings) {
            match sighting {
                Sighting::Wrong(finding, opens_after) => self.see(key, finding, *opens_after, at),
                Sighting::Explained => self.episodes.get_mut(key).into_iter().for_each(|one| one.good_since = None),
            }
        }
        if heard_again {
            self.tell_all(&sightings, reading);
        }
        for (key, sighting) in worst_first(&sightings) {
            if let Sighting::Wrong(finding, _) = sighting {
                self.tell(key, finding, &reading.time(), reading.consequences(finding));
            }
        }
        let absent: Vec<EpisodeKey> =
            self.episodes.keys().filter(|key| !sightings.contains_key(*key)).cloned().collect();
        for key in absent {
            self.miss(&key, reading);
        }
    }

    /// Whether somebody hears now, after a time in which nobody did. What stood there about that is over.
    fn is_heard_again(&mut self, reading: &Reading<'_>) -> bool {
        if reading.report.findings.iter().any(|finding| is_no_subscriber(finding.subject())) {
            self.unheard = true;
            return false;
        }
        if !self.unheard || reading.sees_no_subscriptions() || !self.outbox.has_room() {
            return false;
        }
        self.unheard = false;
        self.episodes.retain(|key, episode| !is_no_subscriber(episode.subject(key)));
        self.outbox.push(message::deployed(reading.scene, self.handover.as_deref()));
        true
    }

    /// Tells of everything that is open in one message, as if nothing had ever been told.
    fn tell_all(&mut self, sightings: &BTreeMap<EpisodeKey, Sighting>, reading: &Reading<'_>) {
        let (at, now) = (reading.report.checked_at, reading.now);
        let mut open = Vec::new();
        let has_room = self.outbox.has_room();
        for (key, episode) in self.episodes.iter_mut().filter(|(_, episode)| episode.open) {
            let explained = matches!(sightings.get(key), Some(Sighting::Explained));
            let over = episode.good_since.is_some() || !sightings.contains_key(key) && !reading.is_blind_on(&key.check);
            episode.told = None;
            episode.told_at = None;
            if explained || over || !has_room || is_silenced(&self.silences, &key.check, now) {
                continue;
            }
            episode.told = Some(episode.severity);
            episode.told_at = Some(at);
            open.push(Open { severity: episode.severity, summary: &episode.summary, since: episode.first_seen });
        }
        open.sort_by_key(|one| std::cmp::Reverse(one.severity));
        if !open.is_empty() {
            self.outbox.push(message::open_findings(reading.scene, &open));
        }
    }

    /// Takes in that something is wrong.
    fn see(&mut self, key: &EpisodeKey, finding: &Finding, opens_after: SignedDuration, at: Timestamp) {
        if !self.episodes.contains_key(key) && !self.makes_room(finding.severity) {
            return;
        }
        let episode = self.episodes.entry(key.clone()).or_insert_with(|| Episode::new(finding, at));
        episode.status = finding.status;
        episode.part = finding.part.as_deref().map(|part| stored(part, MOST_PART));
        episode.severity = finding.severity;
        episode.summary = stored(&finding.summary, 200);
        episode.last_seen = at;
        episode.good_since = None;
        episode.open |= at.duration_since(episode.first_seen) >= opens_after;
    }

    /// Tells of an open episode what people do not know yet, or were last told a day ago.
    fn tell(&mut self, key: &EpisodeKey, finding: &Finding, time: &Time<'_>, consequences: Vec<&str>) {
        let Time { scene, now, at } = *time;
        let has_room = self.outbox.has_room();
        let Some(episode) = self.episodes.get_mut(key).filter(|episode| episode.open) else { return };
        if !has_room || is_silenced(&self.silences, &finding.check, now) {
            return;
        }
        let a_day_ago = episode.told_at.is_some_and(|told_at| at.duration_since(told_at) >= REMINDER);
        let news = match episode.told {
            None => News::Opened,
            Some(told) if finding.severity > told => News::Worsened,
            Some(_) if a_day_ago => News::Reminder,
            Some(_) => return,
        };
        // A reminder says how bad it is now, so that it can get worse again from there.
        episode.told = match news {
            News::Reminder => Some(finding.severity),
            _ => episode.told.max(Some(finding.severity)),
        };
        episode.told_at = Some(at);
        let story = Story { since: episode.first_seen, at, consequences };
        self.outbox.push_about(&key.to_string(), message::found(scene, news, finding, &story));
    }

    /// Takes in that a report does not list something.
    fn miss(&mut self, key: &EpisodeKey, reading: &Reading<'_>) {
        let at = reading.report.checked_at;
        let Some(episode) = self.episodes.get_mut(key) else { return };
        let over = if key.check == health_check::CHECK.name {
            if reading.by_repair || at <= episode.last_seen {
                return;
            }
            true
        } else if !key.is_about_observation() && reading.is_blind_on(&key.check) {
            return;
        } else {
            let since = *episode.good_since.get_or_insert(at);
            reading.by_repair
                || at.duration_since(since) >= reading.gap()
                || key.is_about_observation() && !episode.open
        };
        if over {
            self.close(key, reading);
        }
    }

    fn close(&mut self, key: &EpisodeKey, reading: &Reading<'_>) {
        let has_room = self.outbox.has_room();
        let Some(episode) = self.episodes.get(key) else { return };
        if let Some(severity) = episode.told {
            if !has_room {
                return;
            }
            let message = message::resolved(
                reading.scene,
                &Closed {
                    subject: episode.subject(key),
                    severity,
                    summary: &episode.summary,
                    since: episode.first_seen,
                    at: episode.good_since.unwrap_or(reading.report.checked_at),
                    by_repair: reading.by_repair,
                    lesser: reading
                        .report
                        .findings
                        .iter()
                        .any(|finding| finding.severity == Severity::Info && EpisodeKey::of(finding) == *key),
                },
            );
            self.outbox.push_about(&key.to_string(), message);
        }
        self.episodes.remove(key);
    }

    /// Takes in that the health check itself failed.
    fn failed(&mut self, failure: &Failure, now: Timestamp, scene: &Scene) {
        // Another run may have worked while Lambda was still trying this one.
        if self.checked_at.is_some_and(|checked_at| checked_at >= failure.due) {
            return;
        }
        let finding = failure.finding(&scene.spec);
        let key = EpisodeKey::of(&finding);
        self.see(&key, &finding, SignedDuration::ZERO, failure.at);
        self.tell(&key, &finding, &Time { scene, now, at: failure.at }, Vec::new());
    }

    fn hand_over(&mut self, handover: &Handover, scene: &Scene) -> Result<(), Full> {
        if self.handover.as_ref().is_some_and(|last| last.revision >= handover.revision) {
            return Ok(());
        }
        if !self.outbox.has_room() {
            return Err(Full);
        }
        self.handover = Some(Box::new(handover.clone()));
        // Whether anybody hears is known from the first report on, which tells it then.
        if self.checked_at.is_some() {
            self.deployed = true;
            self.outbox.push(message::deployed(scene, Some(handover)));
        }
        Ok(())
    }

    /// Puts a message into the outbox, unless the event `id` was handled before.
    fn once(&mut self, id: &str, message: impl FnOnce() -> Message) -> Result<(), Full> {
        if !self.is_fresh(id) {
            return Ok(());
        }
        if !self.outbox.has_room() {
            return Err(Full);
        }
        self.remember(id);
        self.outbox.push(message());
        Ok(())
    }

    fn is_fresh(&self, id: &str) -> bool {
        !self.handled.iter().any(|handled| handled == id)
    }

    fn remember(&mut self, id: &str) {
        self.handled.push(id.to_owned());
        forget(&mut self.handled);
    }

    /// Whether one more episode may be kept; for a critical one, one that is not open yet is given up.
    fn makes_room(&mut self, severity: Severity) -> bool {
        if self.episodes.len() < MOST_EPISODES {
            return true;
        }
        let unopened = self.episodes.iter().find(|(_, episode)| !episode.open).map(|(key, _)| key.clone());
        match unopened {
            Some(key) if severity == Severity::Critical => self.episodes.remove(&key).is_some(),
            _ => false,
        }
    }
}

impl Episode {
    fn new(finding: &Finding, at: Timestamp) -> Self {
        Self {
            status: finding.status,
            part: None,
            severity: finding.severity,
            summary: String::new(),
            first_seen: at,
            last_seen: at,
            open: false,
            good_since: None,
            told: None,
            told_at: None,
        }
    }

    /// Which finding it is about.
    fn subject<'a>(&'a self, key: &'a EpisodeKey) -> Subject<'a> {
        Subject { check: &key.check, status: self.status, part: self.part.as_deref(), resource: &key.resource }
    }
}

fn is_silenced(silences: &BTreeMap<String, Silence>, check: &str, now: Timestamp) -> bool {
    silences.get(check).is_some_and(|silence| silence.until > now)
}

fn forget(remembered: &mut Vec<String>) {
    let old = remembered.len().saturating_sub(REMEMBERED);
    remembered.drain(..old);
}

/// The sightings in the order in which they are told.
fn worst_first(sightings: &BTreeMap<EpisodeKey, Sighting>) -> Vec<(&EpisodeKey, &Sighting)> {
    let mut order: Vec<_> = sightings.iter().collect();
    order.sort_by_key(|(_, sighting)| match sighting {
        Sighting::Wrong(finding, _) => std::cmp::Reverse(Some(finding.severity)),
        Sighting::Explained => std::cmp::Reverse(None),
    });
    order
}

/// The names that can be silenced.
pub(crate) fn silenceable() -> BTreeSet<&'static str> {
    CHECKS.iter().map(|check| check.name).chain([health_check::CHECK.name]).collect()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
