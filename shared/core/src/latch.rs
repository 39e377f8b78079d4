//! Owns the latch: since when these streams have been watched, and whether agent events are read. Metrics cover only
//! one day, so without the latch a consumer that has stopped looks like one that has not begun.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::metrics::{Metrics, Series};

/// What is remembered about one stack and its streams. It changes when reading begins or ends, not with every run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// When they were first checked.
    pub watched_since: Timestamp,
    /// When agent events were first read for longer than a short test; none if they never were.
    #[serde(default)]
    pub first_read: Option<Timestamp>,
    /// When they were last read; none while they are, or if they never were.
    #[serde(default)]
    pub last_read: Option<Timestamp>,
    /// Since when there are unread ones; none while they are read.
    #[serde(default)]
    pub unread_since: Option<Timestamp>,
}

/// In how many periods of five minutes a reader must be seen in one day to count as a consumer.
const CONSUMER: usize = 6;

/// How old the newest measurement may be while there is a reader.
const RECENT: SignedDuration = SignedDuration::from_mins(30);

/// How late a metric may come.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// What is known with these metrics. If one of them could not be read, everything stays as it was. Pure.
pub fn after(remembered: Option<&Watch>, metrics: &Metrics, now: Timestamp) -> Watch {
    let fresh = Watch { watched_since: now, first_read: None, last_read: None, unread_since: None };
    let known = remembered.cloned().unwrap_or(fresh);
    let (Ok(ages), Ok(events)) = (metrics.get("iterator_age"), metrics.get("agent_events")) else { return known };
    let first_read = ages.points().first().filter(|_| ages.points().len() >= CONSUMER).map(|(at, _)| *at);
    let first_read = known.first_read.or(first_read);
    if !ages.since(now - RECENT).is_empty() {
        return Watch { first_read, last_read: None, unread_since: None, ..known };
    }
    let last_read = ages.last().map(|(at, _)| at).or(known.last_read);
    let still_unread = known.unread_since.filter(|unread| last_read.is_none_or(|read| *unread > read));
    let unread_since = still_unread.or_else(|| oldest_unread(events, last_read, now));
    Watch { first_read, last_read, unread_since, ..known }
}

/// When the oldest unread record arrived.
fn oldest_unread(events: &Series, last_read: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let mut unread = events
        .points()
        .iter()
        .filter(|(at, count)| *count > 0.0 && *at < now - LATE && last_read.is_none_or(|read| *at > read));
    unread.next().map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{healthy, noon, put, series};
    use crate::snapshot::Snapshot;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn seen(ages: &[f64], events: &[f64]) -> Snapshot {
        let mut snapshot = healthy();
        put(&mut snapshot, "iterator_age", series(ages));
        put(&mut snapshot, "agent_events", series(events));
        snapshot
    }

    #[test]
    fn a_stack_that_nobody_has_read_is_watched_all_the_same() {
        let first = after(None, &seen(&[], &[]).metrics, noon());
        assert_eq!((first.watched_since, first.first_read, first.unread_since), (noon(), None, None));
        let later = after(Some(&first), &seen(&[], &[3.0; 12]).metrics, noon());
        assert_eq!(later.unread_since, Some(noon() - SignedDuration::from_mins(60)));
    }

    #[test]
    fn somebody_who_tries_it_out_is_no_consumer() {
        assert_eq!(after(None, &seen(&[1.0; 5], &[3.0; 288]).metrics, noon()).first_read, None);
        assert!(after(None, &seen(&[1.0; 6], &[3.0; 288]).metrics, noon()).first_read.is_some());
    }

    #[test]
    fn while_somebody_reads_nothing_changes_from_run_to_run() {
        let first = after(None, &healthy().metrics, noon());
        let next = after(Some(&first), &seen(&[1.0; 200], &[5.0; 288]).metrics, noon());
        assert_eq!((next.last_read, next.unread_since, &next), (None, None, &first));
    }

    #[test]
    fn a_reader_that_stopped_is_remembered_for_longer_than_its_metric() {
        let reading = after(None, &healthy().metrics, noon());
        let stopped = noon() + SignedDuration::from_hours(2);
        let quiet = after(Some(&reading), &healthy().metrics, stopped);
        let last = noon() - SignedDuration::from_mins(5);
        assert_eq!((quiet.last_read, quiet.unread_since), (Some(last), None));
        let mut snapshot = seen(&[1.0; 100], &[]);
        let event = stopped - SignedDuration::from_mins(20);
        put(&mut snapshot, "agent_events", Series::new(vec![(event, 2.0)]));
        let unread = after(Some(&quiet), &snapshot.metrics, stopped);
        assert_eq!((unread.last_read, unread.unread_since), (Some(last), Some(event)));
        let next_week = after(Some(&unread), &seen(&[], &[]).metrics, stopped + DAY * 7);
        assert_eq!(next_week, unread);
        let read_again = after(Some(&unread), &healthy().metrics, noon());
        assert_eq!((read_again.last_read, read_again.unread_since), (None, None));
    }

    #[test]
    fn metrics_that_cannot_be_seen_change_nothing() {
        let known = after(None, &seen(&[], &[3.0; 12]).metrics, noon());
        assert_eq!(after(Some(&known), &Metrics::default(), noon() + DAY), known);
    }
}
