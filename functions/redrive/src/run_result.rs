//! Owns the result of a run, and adding results up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bulk::{BulkError, remedy};

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Lines that were gone through.
    pub(crate) records: u64,
    pub(crate) indexed: u64,
    pub(crate) already_present: u64,
    pub(crate) quarantined: u64,
    /// By `<status>/<type>`: what the domain said, or in a plan what Firehose noted.
    pub(crate) by_error: BTreeMap<String, u64>,
    /// When the first and the last of them came to Firehose.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
}

impl Counts {
    pub(crate) fn count_error(&mut self, kind: String) {
        *self.by_error.entry(kind).or_default() += 1;
    }

    pub(crate) fn count_arrival(&mut self, arrival: Option<Timestamp>) {
        self.oldest = self.oldest.into_iter().chain(arrival).min();
        self.newest = self.newest.into_iter().chain(arrival).max();
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.indexed += other.indexed;
        self.already_present += other.already_present;
        self.quarantined += other.quarantined;
        for (kind, count) in other.by_error {
            *self.by_error.entry(kind).or_default() += count;
        }
        self.count_arrival(other.oldest);
        self.count_arrival(other.newest);
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunResult {
    /// Objects that were gone through to their end.
    pub(crate) objects: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// What is still to be done, by a run that goes on from there.
    pub(crate) remaining: Vec<RemainingObject>,
    /// What going on would not help.
    #[serde(default)]
    pub(crate) left: Vec<LeftObject>,
    /// Why the run ended early, if the domain is why.
    #[serde(default)]
    pub(crate) stopped: Option<StopReason>,
}

impl RunResult {
    /// The result of this run together with that of the earlier one that it continues.
    pub(crate) fn after(mut self, earlier: Self) -> Self {
        self.objects += earlier.objects;
        self.counts.add(earlier.counts);
        self.left.splice(0..0, earlier.left);
        self
    }
}

/// An object that is not done, and where a run goes on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemainingObject {
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) resume: ResumePoint,
}

/// A place in an object's text, and what of the lines before it the next run has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ResumePoint {
    /// Where a line begins; of what is packed, in the unpacked text.
    pub(crate) offset: u64,
    /// How many of the lines before are in the quarantine object.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) quarantined: u64,
    /// Why the object has to stay, whatever becomes of the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flaw: Option<Flaw>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A record that is neither in the domain nor in quarantine, so that its object has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flaw {
    /// The domain takes its document at no size.
    TooLarge,
    /// Its line is longer than what is read.
    TooLong,
}

/// An object that stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftObject {
    pub(crate) key: String,
    pub(crate) cause: String,
    /// In bytes, as it is stored.
    pub(crate) size: Option<u64>,
}

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopReason {
    /// The HTTP status; none if the domain did not answer.
    pub(crate) status: Option<u16>,
    pub(crate) error_type: String,
    pub(crate) remedy: String,
}

impl From<BulkError> for StopReason {
    fn from(bulk_error: BulkError) -> Self {
        Self {
            status: bulk_error.status,
            error_type: bulk_error.error_type.to_owned(),
            remedy: remedy(bulk_error).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(records: u64, error: &str, at: &str) -> Counts {
        let mut counts = Counts { records, indexed: records - 1, ..Counts::default() };
        counts.count_error(error.to_owned());
        counts.count_arrival(Some(at.parse().unwrap()));
        counts.count_arrival(None);
        counts
    }

    #[test]
    fn a_continued_run_counts_on() {
        let left = |key: &str| vec![LeftObject { key: key.into(), cause: "x".into(), size: Some(1) }];
        let position = |offset| {
            vec![RemainingObject { key: "k".into(), resume: ResumePoint { offset, ..ResumePoint::default() } }]
        };
        let first = RunResult {
            objects: 1,
            counts: counts(5, "400/other", "2026-11-24T02:00:00Z"),
            remaining: position(3),
            left: left("a"),
            stopped: None,
        };
        let second = RunResult {
            objects: 2,
            counts: counts(7, "400/other", "2026-11-24T01:00:00Z"),
            remaining: position(9),
            left: left("b"),
            stopped: Some(BulkError { status: Some(429), error_type: "other" }.into()),
        };
        let both = second.after(first);
        insta::assert_json_snapshot!(both);
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap(), both);
    }
}
