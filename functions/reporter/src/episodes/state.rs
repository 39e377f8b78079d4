//! Owns what is remembered from one event to the next, and how each kind of event changes it. It is stored as one ledger
//! entry, so the names of its fields there never change.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use emite_core::checks::health_check;
use emite_core::finding::{Finding, Severity, Status};
use emite_core::handover::Handover;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::episode::Episode;
use super::key::EpisodeKey;
use super::reading::{Reading, ReportSource, Sighting, is_no_subscriber, worst_first};
use crate::failure::Failure;
use crate::message::{self, Message, MessageState, OpenEpisode, OpenFinding, Resolution, ResolvedEpisode};
use crate::outbox::Outbox;
use crate::scene::Scene;
use crate::silence::Silences;

/// The most episodes that are kept.
pub(super) const MOST_EPISODES: usize = 200;
/// The most handled events that are remembered.
const MOST_HANDLED: usize = 50;

/// Everything that is remembered from one event to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    /// The time of the newest report that was taken in.
    pub(super) checked_at: Option<Timestamp>,
    /// Whether people were notified that the integration is deployed.
    pub(super) deployed: bool,
    /// The last handover.
    pub(super) handover: Option<Box<Handover>>,
    /// Whether the newest report that saw the subscriptions found that no one is subscribed.
    #[serde(rename = "unheard")]
    pub(super) has_no_subscriber: bool,
    /// Events without a time of their own that were handled.
    pub(super) handled: Vec<String>,
    pub(super) silences: Silences,
    pub(super) episodes: BTreeMap<EpisodeKey, Episode>,
    pub(crate) outbox: Outbox,
}

/// So many messages wait that no other fits: the event has to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutboxFull;

/// What a message about an episode depends on apart from it.
#[derive(Clone, Debug)]
struct Occasion<'a> {
    scene: &'a Scene,
    now: Timestamp,
    observed_at: Timestamp,
    /// The summaries of what follows from the finding.
    consequences: Vec<&'a str>,
}

impl State {
    /// Takes in a report, unless a newer one was.
    pub(super) fn take_in(&mut self, reading: &Reading<'_>) {
        let at = reading.at();
        if self.checked_at.is_some_and(|newest| at <= newest) {
            return;
        }
        self.checked_at = Some(at);
        if !self.deployed && reading.source == ReportSource::HealthCheck && self.outbox.has_room() {
            self.deployed = true;
            self.outbox.push(message::deployed(reading.scene, self.handover.as_deref()));
        }
        let has_subscriber_again = self.has_subscriber_again(reading);
        let sightings = reading.sightings(&self.silences);
        for (key, sighting) in worst_first(&sightings) {
            match sighting {
                Sighting::Wrong(finding, opens_after) => self.observe(key, finding, *opens_after, at),
                Sighting::Explained => self.episodes.get_mut(key).into_iter().for_each(|one| one.good_since = None),
            }
        }
        if has_subscriber_again {
            self.notify_of_all(&sightings, reading);
        }
        for (key, sighting) in worst_first(&sightings) {
            if let Sighting::Wrong(finding, _) = sighting {
                let consequences = reading.consequences(finding);
                let (scene, now) = (reading.scene, reading.now);
                self.notify(key, finding, Occasion { scene, now, observed_at: at, consequences });
            }
        }
        let is_absent = |key: &&EpisodeKey| !sightings.contains_key(*key);
        let absent: Vec<EpisodeKey> = self.episodes.keys().filter(is_absent).cloned().collect();
        for key in absent {
            self.take_in_absence(&key, reading);
        }
    }

    /// Whether someone is subscribed now, after a time in which no one was. Episodes about that are over.
    fn has_subscriber_again(&mut self, reading: &Reading<'_>) -> bool {
        if reading.finds_no_subscriber() {
            self.has_no_subscriber = true;
            return false;
        }
        if !self.has_no_subscriber || reading.sees_no_subscriptions() || !self.outbox.has_room() {
            return false;
        }
        self.has_no_subscriber = false;
        self.episodes.retain(|key, episode| !is_no_subscriber(episode.subject(key)));
        self.outbox.push(message::deployed(reading.scene, self.handover.as_deref()));
        true
    }

    /// Notifies people of everything that is open in one message, as if none had ever been sent.
    fn notify_of_all(&mut self, sightings: &BTreeMap<EpisodeKey, Sighting>, reading: &Reading<'_>) {
        let mut open = Vec::new();
        let has_room = self.outbox.has_room();
        for (key, episode) in self.episodes.iter_mut().filter(|(_, episode)| episode.open) {
            let explained = matches!(sightings.get(key), Some(Sighting::Explained));
            let over = episode.good_since.is_some() || !sightings.contains_key(key) && !reading.is_blind_on(&key.check);
            episode.forget_notification();
            if explained || over || !has_room || self.silences.cover(&key.check, reading.now) {
                continue;
            }
            episode.notify(MessageState::OpenFindings, episode.severity, reading.at());
            open.push(OpenFinding { severity: episode.severity, summary: &episode.summary, since: episode.first_seen });
        }
        open.sort_by_key(|one| Reverse(one.severity));
        if !open.is_empty() {
            self.outbox.push(message::open_findings(reading.scene, &open));
        }
    }

    /// Takes in that something is wrong.
    fn observe(&mut self, key: &EpisodeKey, finding: &Finding, opens_after: SignedDuration, at: Timestamp) {
        if !self.episodes.contains_key(key) && !self.makes_room(finding.severity) {
            return;
        }
        let episode = self.episodes.entry(key.clone()).or_insert_with(|| Episode::begin(finding, at));
        episode.observe(finding, opens_after, at);
    }

    /// Sends the message about an episode that is due, if one is.
    fn notify(&mut self, key: &EpisodeKey, finding: &Finding, occasion: Occasion<'_>) {
        let Occasion { scene, now, observed_at, consequences } = occasion;
        if !self.outbox.has_room() || self.silences.cover(&finding.check, now) {
            return;
        }
        let Some(episode) = self.episodes.get_mut(key) else { return };
        let Some(state) = episode.due(finding.severity, observed_at) else { return };
        episode.notify(state, finding.severity, observed_at);
        let open = OpenEpisode { since: episode.first_seen, observed_at, consequences };
        self.outbox.push_about(&key.to_string(), message::found(scene, state, finding, &open));
    }

    /// Takes in that a report does not list an episode.
    fn take_in_absence(&mut self, key: &EpisodeKey, reading: &Reading<'_>) {
        let at = reading.at();
        let Some(episode) = self.episodes.get_mut(key) else { return };
        let by_repair = reading.source == ReportSource::Repair;
        let is_over = if key.check == health_check::CHECK.name {
            !by_repair && at > episode.last_seen
        } else if !key.is_about_observation() && reading.is_blind_on(&key.check) {
            false
        } else {
            let since = *episode.good_since.get_or_insert(at);
            let is_good_twice = at.duration_since(since) >= reading.gap();
            by_repair || is_good_twice || key.is_about_observation() && !episode.open
        };
        if is_over {
            self.close(key, reading);
        }
    }

    fn close(&mut self, key: &EpisodeKey, reading: &Reading<'_>) {
        let Some(episode) = self.episodes.get(key) else { return };
        if let Some(severity) = episode.notified {
            if !self.outbox.has_room() {
                return;
            }
            let resolved = ResolvedEpisode {
                subject: episode.subject(key),
                severity,
                summary: &episode.summary,
                since: episode.first_seen,
                until: episode.good_since.unwrap_or(reading.at()),
                resolution: resolution(key, episode, reading),
            };
            self.outbox.push_about(&key.to_string(), message::resolved(reading.scene, &resolved));
        }
        self.episodes.remove(key);
    }

    /// Takes in that the health check itself failed.
    pub(super) fn take_in_failure(&mut self, failure: &Failure, now: Timestamp, scene: &Scene) {
        // Another run may have worked while Lambda was still trying this one.
        if self.checked_at.is_some_and(|checked_at| checked_at >= failure.due) {
            return;
        }
        let finding = failure.finding(&scene.spec);
        let key = EpisodeKey::of(&finding);
        self.observe(&key, &finding, SignedDuration::ZERO, failure.at);
        self.notify(&key, &finding, Occasion { scene, now, observed_at: failure.at, consequences: Vec::new() });
    }

    /// Takes in a handover, unless a later one was.
    pub(super) fn hand_over(&mut self, handover: &Handover, scene: &Scene) -> Result<(), OutboxFull> {
        if self.handover.as_ref().is_some_and(|last| last.revision >= handover.revision) {
            return Ok(());
        }
        if !self.outbox.has_room() {
            return Err(OutboxFull);
        }
        self.handover = Some(Box::new(handover.clone()));
        // Whether anyone is subscribed is known from the first report on, with which the message is sent then.
        if self.checked_at.is_some() {
            self.deployed = true;
            self.outbox.push(message::deployed(scene, Some(handover)));
        }
        Ok(())
    }

    /// Puts a message into the outbox, unless the event `id` was handled before.
    pub(super) fn once(&mut self, id: &str, message: impl FnOnce() -> Message) -> Result<(), OutboxFull> {
        if self.handled.iter().any(|handled| handled == id) {
            return Ok(());
        }
        if !self.outbox.has_room() {
            return Err(OutboxFull);
        }
        self.handled.push(id.to_owned());
        self.handled.drain(..self.handled.len().saturating_sub(MOST_HANDLED));
        self.outbox.push(message());
        Ok(())
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

/// What shows that an episode is over.
fn resolution(key: &EpisodeKey, episode: &Episode, reading: &Reading<'_>) -> Resolution {
    if reading.source == ReportSource::Repair {
        Resolution::Repaired
    } else if episode.status == Status::Unobservable {
        Resolution::Observed
    } else if reading.lists_as_info(key) {
        Resolution::Lesser
    } else if key.check == health_check::CHECK.name {
        Resolution::Reported
    } else {
        Resolution::Healthy
    }
}
