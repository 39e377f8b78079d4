//! Owns the messages that wait to be published.
//!
//! A message is stored in the write that decides on it, and taken out after it was published. In between an invocation
//! holds a lease on it. If that one dies, the lease runs out and the next one publishes the message. So no message is lost,
//! and one is sent twice only if an invocation dies between publishing it and taking it out.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::message::Message;

/// How long a lease holds without being renewed: longer than the function's time-out of 40 s, and shorter than the 60 s
/// after which Lambda tries a failed invocation again
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>), which then finds that it ran out.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(50);
/// Bytes of messages that may wait: with the episodes they must fit into one DynamoDB item.
const MOST_BYTES: usize = 110_000;
/// Bytes that a message takes at most.
pub(crate) const LARGEST: usize = 20_000;

/// The messages that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Outbox {
    /// The number of the newest message. None is given twice.
    last: u64,
    waiting: Vec<Waiting>,
}

/// One message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// What distinguishes it from every other message, forever.
    pub(crate) id: u64,
    /// The episode that it is about; empty if it is about none. Messages about one are sent in their order.
    #[serde(default)]
    pub(crate) episode: String,
    pub(crate) message: Message,
    #[serde(rename = "claim")]
    lease: Option<Lease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    by: String,
    until: Timestamp,
}

impl Outbox {
    /// Whether another message fits.
    pub(crate) fn has_room(&self) -> bool {
        let waiting: usize = self.waiting.iter().map(|waiting| waiting.message.size()).sum();
        waiting + LARGEST <= MOST_BYTES
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.push_about("", message);
    }

    pub(crate) fn push_about(&mut self, episode: &str, message: Message) {
        self.last += 1;
        self.waiting.push(Waiting { id: self.last, episode: episode.to_owned(), message, lease: None });
    }

    /// Claims for `by` what no other invocation holds, and returns it in its order. What comes after a message about the
    /// same episode that another one holds has to wait for it.
    pub(crate) fn claim(&mut self, by: &str, now: Timestamp) -> Vec<Waiting> {
        let mut held: Vec<String> = Vec::new();
        let free = |waiting: &&mut Waiting| {
            let own = waiting.lease.as_ref().is_none_or(|lease| lease.until <= now || lease.by == by);
            let free = own && (waiting.episode.is_empty() || !held.contains(&waiting.episode));
            if !free {
                held.push(waiting.episode.clone());
            }
            free
        };
        self.waiting
            .iter_mut()
            .filter(free)
            .map(|waiting| {
                waiting.lease = Some(Lease { by: by.to_owned(), until: now + LEASE });
                waiting.clone()
            })
            .collect()
    }

    /// Takes out the message `id`, which was published, and renews the other leases of `by`.
    pub(crate) fn mark(&mut self, id: u64, by: &str, now: Timestamp) {
        self.waiting.retain(|waiting| waiting.id != id);
        for lease in self.waiting.iter_mut().filter_map(|waiting| waiting.lease.as_mut()) {
            if lease.by == by {
                lease.until = now + LEASE;
            }
        }
    }

    /// Gives up what `by` holds.
    pub(crate) fn release(&mut self, by: &str) {
        for waiting in &mut self.waiting {
            if waiting.lease.as_ref().is_some_and(|lease| lease.by == by) {
                waiting.lease = None;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }
}
