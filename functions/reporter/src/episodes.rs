//! Owns the episodes: from the first time that something is seen wrong until it is over, and what is told of it.
//!
//! All of it is one ledger entry, which [`step`] takes from one state to the next: no I/O and no clock, so that whatever
//! order, loss or repetition of events can be tried out. What is to be told stands in the entry's [`Outbox`] afterwards.
//! Only root causes that somebody has to act on have an episode; what could not be looked at stands still.

use std::collections::{BTreeMap, BTreeSet};

use emite_core::checks::CHECKS;
use emite_core::finding::{Finding, Severity, Status};
use emite_core::handover::Handover;
use emite_core::report::Report;
use emite_core::spec::Spec;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::input::{Failure, Input};
use crate::message::{self, Closed, Message, News, Open, Story};
use crate::outbox::Outbox;
use crate::text::stored;

/// The check of episodes of the health check itself.
pub(crate) const HEALTH_CHECK: &str = "health-check";
/// The check of who hears of alerts.
const ALERT_PATH: &str = "alert-path";
/// What the keys of episodes begin with that are about not being able to look.
const UNOBSERVABLE: &str = "unobservable:";
/// How long something cannot be looked at before that is told.
const BLIND_FOR: SignedDuration = SignedDuration::from_mins(30);
/// The time from one reminder to the next.
const REMINDER: SignedDuration = SignedDuration::from_hours(24);
/// Episodes that are kept at most.
const MOST_EPISODES: usize = 200;
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
    episodes: BTreeMap<String, Episode>,
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
        let listed = |finding: &Finding| {
            finding.check == ALERT_PATH
                && finding.status == Status::Unobservable
                && finding.resource.ends_with("#sns:ListSubscriptionsByTopic")
        };
        !self.report.checks.iter().any(|outcome| outcome.name == ALERT_PATH) || self.report.findings.iter().any(listed)
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
fn sightings(reading: &Reading<'_>, silences: &BTreeMap<String, Silence>) -> BTreeMap<String, Sighting> {
    let silenced = |check: &str| is_silenced(silences, check, reading.now);
    let explained = |finding: &Finding| {
        let root = finding.caused_by.as_deref().map(parts);
        root.is_some_and(|(root, _)| !silenced(root) || silenced(&finding.check))
    };
    let mut found: Vec<&Finding> = reading.report.findings.iter().collect();
    found.sort_by_key(|finding| (finding.caused_by.is_none(), finding.severity));
    let mut sightings = BTreeMap::new();
    for finding in found {
        let key = key(&finding.check, &finding.resource);
        let blind = finding.status == Status::Unobservable;
        let (key, sighting) = match finding.severity {
            _ if blind && explained(finding) => (format!("{UNOBSERVABLE}{key}"), Sighting::Explained),
            _ if blind => {
                let finding = Finding { severity: Severity::Warning, ..finding.clone() };
                (format!("{UNOBSERVABLE}{key}"), Sighting::Wrong(Box::new(finding), BLIND_FOR))
            }
            Severity::Info => continue,
            _ if explained(finding) => (key, Sighting::Explained),
            Severity::Warning => (key, Sighting::Wrong(Box::new(finding.clone()), reading.gap())),
            Severity::Critical => (key, Sighting::Wrong(Box::new(finding.clone()), SignedDuration::ZERO)),
        };
        sightings.insert(key, sighting);
    }
    sightings
}

/// `check|resource`, bounded.
fn key(check: &str, resource: &str) -> String {
    const MOST: usize = 320;
    let key = format!("{check}|{resource}");
    if key.len() <= MOST && !key.contains(char::is_control) {
        return key;
    }
    format!("{}~{:016x}", stored(&key, MOST - 20), fingerprint(&key))
}

/// The check and the resource that an episode is about.
fn parts(key: &str) -> (&str, &str) {
    key.strip_prefix(UNOBSERVABLE).unwrap_or(key).split_once('|').unwrap_or((key, ""))
}

/// FNV-1a: the same in every build, unlike the standard library's.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
        let absent: Vec<String> = self.episodes.keys().filter(|key| !sightings.contains_key(*key)).cloned().collect();
        for key in absent {
            self.miss(&key, reading);
        }
    }

    /// Whether somebody hears now, after a time in which nobody did. What stood there about that is over.
    fn is_heard_again(&mut self, reading: &Reading<'_>) -> bool {
        let nobody = |finding: &Finding| finding.check == ALERT_PATH && finding.status == Status::Missing;
        if reading.report.findings.iter().any(nobody) {
            self.unheard = true;
            return false;
        }
        if !self.unheard || reading.sees_no_subscriptions() || !self.outbox.has_room() {
            return false;
        }
        self.unheard = false;
        self.episodes.retain(|key, episode| parts(key).0 != ALERT_PATH || episode.status != Status::Missing);
        self.outbox.push(message::deployed(reading.scene, self.handover.as_deref()));
        true
    }

    /// Tells of everything that is open in one message, as if nothing had ever been told.
    fn tell_all(&mut self, sightings: &BTreeMap<String, Sighting>, reading: &Reading<'_>) {
        let (at, now) = (reading.report.checked_at, reading.now);
        let mut open = Vec::new();
        let has_room = self.outbox.has_room();
        for (key, episode) in self.episodes.iter_mut().filter(|(_, episode)| episode.open) {
            let (check, _) = parts(key);
            let explained = matches!(sightings.get(key), Some(Sighting::Explained));
            let over = episode.good_since.is_some() || !sightings.contains_key(key) && !reading.is_blind_on(check);
            episode.told = None;
            episode.told_at = None;
            if explained || over || !has_room || is_silenced(&self.silences, check, now) {
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
    fn see(&mut self, key: &str, finding: &Finding, opens_after: SignedDuration, at: Timestamp) {
        if !self.episodes.contains_key(key) && !self.makes_room(finding.severity) {
            return;
        }
        let episode = self.episodes.entry(key.to_owned()).or_insert_with(|| Episode::new(finding, at));
        episode.status = finding.status;
        episode.severity = finding.severity;
        episode.summary = stored(&finding.summary, 200);
        episode.last_seen = at;
        episode.good_since = None;
        episode.open |= at.duration_since(episode.first_seen) >= opens_after;
    }

    /// Tells of an open episode what people do not know yet, or were last told a day ago.
    fn tell(&mut self, key: &str, finding: &Finding, time: &Time<'_>, consequences: Vec<&str>) {
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
        self.outbox.push_about(key, message::found(scene, news, finding, &story));
    }

    /// Takes in that a report does not list something.
    fn miss(&mut self, key: &str, reading: &Reading<'_>) {
        let at = reading.report.checked_at;
        let Some(episode) = self.episodes.get_mut(key) else { return };
        let (check, _) = parts(key);
        let about_looking = key.starts_with(UNOBSERVABLE);
        let over = if check == HEALTH_CHECK {
            if reading.by_repair || at <= episode.last_seen {
                return;
            }
            true
        } else if !about_looking && reading.is_blind_on(check) {
            return;
        } else {
            let since = *episode.good_since.get_or_insert(at);
            reading.by_repair || at.duration_since(since) >= reading.gap() || about_looking && !episode.open
        };
        if over {
            self.close(key, reading);
        }
    }

    fn close(&mut self, key: &str, reading: &Reading<'_>) {
        let has_room = self.outbox.has_room();
        let (check, resource) = parts(key);
        let Some(episode) = self.episodes.get(key) else { return };
        if let Some(severity) = episode.told {
            if !has_room {
                return;
            }
            let message = message::resolved(
                reading.scene,
                &Closed {
                    check,
                    resource,
                    status: episode.status,
                    severity,
                    summary: &episode.summary,
                    since: episode.first_seen,
                    at: episode.good_since.unwrap_or(reading.report.checked_at),
                    by_repair: reading.by_repair,
                    lesser: reading.report.findings.iter().any(|finding| {
                        finding.severity == Severity::Info && self::key(&finding.check, &finding.resource) == key
                    }),
                },
            );
            self.outbox.push_about(key, message);
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
        let key = key(HEALTH_CHECK, &finding.resource);
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
}

fn is_silenced(silences: &BTreeMap<String, Silence>, check: &str, now: Timestamp) -> bool {
    silences.get(check).is_some_and(|silence| silence.until > now)
}

fn forget(remembered: &mut Vec<String>) {
    let old = remembered.len().saturating_sub(REMEMBERED);
    remembered.drain(..old);
}

/// The sightings in the order in which they are told.
fn worst_first(sightings: &BTreeMap<String, Sighting>) -> Vec<(&String, &Sighting)> {
    let mut order: Vec<_> = sightings.iter().collect();
    order.sort_by_key(|(_, sighting)| match sighting {
        Sighting::Wrong(finding, _) => std::cmp::Reverse(Some(finding.severity)),
        Sighting::Explained => std::cmp::Reverse(None),
    });
    order
}

/// The names that can be silenced.
pub(crate) fn silenceable() -> BTreeSet<&'static str> {
    CHECKS.iter().map(|check| check.name).chain([HEALTH_CHECK]).collect()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
