//! Owns one episode: since when something is wrong, how bad it is, and what people were notified of. It is part of the
//! ledger entry, so the names of its fields there never change.

use emite_core::finding::{Finding, Severity, Status, Subject};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::key::EpisodeKey;
use crate::message::MessageState;
use crate::text::stored;

/// The time from one reminder to the next.
const REMINDER: SignedDuration = SignedDuration::from_hours(24);
/// The most bytes of a summary and of the name of a part that are kept.
const MOST_SUMMARY: usize = 200;
const MOST_PART: usize = 60;

/// Something that is wrong, from the first report that lists it until it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Episode {
    pub(super) status: Status,
    /// The name of the part of its check; none in episodes that began under a release that did not name parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    pub(super) severity: Severity,
    pub(super) summary: String,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    /// It has lasted for long enough to notify people.
    pub(super) open: bool,
    /// Since when it has been good, if it was not seen wrong again.
    pub(super) good_since: Option<Timestamp>,
    /// The highest severity that people were notified of.
    #[serde(rename = "told")]
    pub(super) notified: Option<Severity>,
    #[serde(rename = "toldAt")]
    notified_at: Option<Timestamp>,
}

impl Episode {
    /// An episode that begins with a finding.
    pub(super) fn begin(finding: &Finding, at: Timestamp) -> Self {
        Self {
            status: finding.status,
            part: None,
            severity: finding.severity,
            summary: String::new(),
            first_seen: at,
            last_seen: at,
            open: false,
            good_since: None,
            notified: None,
            notified_at: None,
        }
    }

    /// Takes in that it is still wrong.
    pub(super) fn observe(&mut self, finding: &Finding, opens_after: SignedDuration, at: Timestamp) {
        self.status = finding.status;
        self.part = finding.part.as_deref().map(|part| stored(part, MOST_PART));
        self.severity = finding.severity;
        self.summary = stored(&finding.summary, MOST_SUMMARY);
        self.last_seen = at;
        self.good_since = None;
        self.open |= at.duration_since(self.first_seen) >= opens_after;
    }

    /// The message that is due about it, if one is: people do not know it yet, or were last notified a day ago.
    pub(super) fn due(&self, severity: Severity, at: Timestamp) -> Option<MessageState> {
        let is_a_day_ago = self.notified_at.is_some_and(|notified_at| at.duration_since(notified_at) >= REMINDER);
        match self.notified {
            _ if !self.open => None,
            None => Some(MessageState::Opened),
            Some(notified) if severity > notified => Some(MessageState::Worsened),
            Some(_) => is_a_day_ago.then_some(MessageState::Reminder),
        }
    }

    /// Takes in that people are notified with a message in this state.
    pub(super) fn notify(&mut self, state: MessageState, severity: Severity, at: Timestamp) {
        // A reminder says how bad it is now, so that it can get worse again from there.
        self.notified = match state {
            MessageState::Reminder => Some(severity),
            _ => self.notified.max(Some(severity)),
        };
        self.notified_at = Some(at);
    }

    /// Takes in that people know nothing of it.
    pub(super) fn forget_notification(&mut self) {
        self.notified = None;
        self.notified_at = None;
    }

    /// Which finding it is about.
    pub(super) fn subject<'a>(&'a self, key: &'a EpisodeKey) -> Subject<'a> {
        Subject { check: &key.check, status: self.status, part: self.part.as_deref(), resource: &key.resource }
    }
}
