//! Owns the check `iterator-age`: eMite reads the agent events, and in time.
//!
//! AWS measures a reader's delay only while there is a reader. No measurement while records wait means that there is
//! none.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, Part, Verdict, no_repair, seen, unread_events_lost};
use super::queries::{agent_event_stream, agent_events};
use crate::command::{Command, statistics};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::look::Look;
use crate::metrics::{MetricQuery, Point, Stat};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::in_words;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "iterator-age",
    resource: |spec| spec.agent_event_stream.to_string(),
    metrics: |spec| vec![iterator_age(spec), agent_events(spec)],
    judge,
    repair: no_repair,
    parts: &[NOT_READ, LATE],
    unseen: "the agent event stream cannot be checked",
    explains: &[],
};

/// eMite does not read at all.
const NOT_READ: Part =
    Part { suffix: "", status: Some(Status::Missing), ..part("not-read", "eMite does not read agent events") };
/// eMite reads, and falls behind.
const LATE: Part = part("", "eMite is late reading agent events");

const fn part(name: &'static str, title: &'static str) -> Part {
    Part {
        commands: |spec| vec![Command::shows(statistics(spec, &iterator_age(spec)))],
        loss: unread_events_lost,
        ..Part::new(name, title)
    }
}

/// How old the two newest measurements may be.
const RECENT: SignedDuration = SignedDuration::from_mins(30);
/// How long eMite may take to connect after the hand-over.
const PATIENCE: SignedDuration = SignedDuration::from_hours(72);

fn iterator_age(spec: &Spec) -> MetricQuery {
    agent_event_stream(spec, "iterator_age", "GetRecords.IteratorAgeMilliseconds", Stat::Maximum)
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    if let Ok(None) = snapshot.agent_event_stream {
        return Ok(Vec::new().into());
    }
    let ages = snapshot.metrics.get("iterator_age")?;
    snapshot.metrics.get("agent_events")?;
    let recent = ages.since(snapshot.taken_at - RECENT);
    if !recent.is_empty() {
        return Ok(behind(spec, snapshot, recent).into());
    }
    let watched = snapshot.since(*seen(&snapshot.watched_since)?);
    let Some(waiting_since) = *seen(&snapshot.unread_since)? else { return Ok(Vec::new().into()) };
    let finding = match (seen(&snapshot.first_read)?, seen(&snapshot.last_read)?) {
        (None, _) => never_read(spec, snapshot, watched, waiting_since),
        (Some(_), last_read) => no_longer_read(spec, snapshot, waiting_since, *last_read),
    };
    Ok(Some(finding).into())
}

/// How long records are kept: what was seen, or what was specified if it could not be seen.
fn retention(spec: &Spec, snapshot: &Snapshot) -> SignedDuration {
    let hours = match &snapshot.agent_event_stream {
        Ok(Some(stream)) => stream.retention_hours,
        _ => spec.agent_event_retention_hours,
    };
    SignedDuration::from_hours(hours.into())
}

/// The delay from which it is critical, where records are kept for `kept`.
fn critical(spec: &Spec, kept: SignedDuration) -> SignedDuration {
    let percent = i64::from(spec.thresholds.iterator_age_critical_percent);
    SignedDuration::from_secs(kept.as_secs() / 100 * percent)
}

/// The reader's delay. One high measurement is a blip, such as a reader that starts again from an older record.
fn behind(spec: &Spec, snapshot: &Snapshot, recent: &[Point]) -> Option<Finding> {
    let [.., (_, before), (_, newest)] = recent else { return None };
    let age = |milliseconds: f64| SignedDuration::from_secs((milliseconds / 1000.0) as i64);
    let (held, worst) = (age(before.min(*newest)), age(before.max(*newest)));
    let kept = retention(spec, snapshot);
    let warning = SignedDuration::from_secs(spec.thresholds.iterator_age_warning_seconds.into());
    let severity = match held {
        held if held >= critical(spec, kept) => Severity::Critical,
        held if held > warning => Severity::Warning,
        _ => return None,
    };
    Some(Finding {
        summary: format!("eMite reads agent events {} late.", in_words(worst)),
        expected: format!("at most {} late", in_words(warning)),
        observed: format!("{} late; events are kept for {}", in_words(worst), in_words(kept)),
        impact: format!(
            "What eMite shows of agents is late. Events that wait for {} are lost to eMite.",
            in_words(kept)
        ),
        data_loss_at: Some(snapshot.taken_at + kept.saturating_sub(worst).max(SignedDuration::ZERO)),
        remedy: "Ask the eMite team whether the eMite server is overloaded. If stream-throttling is reported too, mend that first."
            .to_owned(),
        values: values([
            ("iteratorAgeSeconds", worst.as_secs().into()),
            ("warningSeconds", warning.as_secs().into()),
            ("retentionHours", kept.as_hours().into()),
        ]),
        ..CHECK.finding(spec, &LATE, Status::Unhealthy, severity)
    })
}

fn never_read(spec: &Spec, snapshot: &Snapshot, watched: SignedDuration, waiting_since: Timestamp) -> Finding {
    let kept = retention(spec, snapshot);
    let overdue = watched >= PATIENCE;
    let severity = if overdue { Severity::Warning } else { Severity::Info };
    let lost = format!("Agent events older than {} are lost to eMite until then.", in_words(kept));
    Finding {
        summary: if overdue {
            format!("eMite has not connected yet: nobody has read agent events in {}.", in_words(watched))
        } else {
            "Waiting for eMite to connect: nobody has read agent events yet.".to_owned()
        },
        expected: "eMite reads the stream of agent events".to_owned(),
        observed: format!("agent events arrive, no reader seen in the {} of watching", in_words(watched)),
        impact: if overdue { lost } else { "None, if eMite is still being set up.".to_owned() },
        data_loss_at: overdue.then(|| (waiting_since + kept).max(snapshot.taken_at)),
        remedy: "Send the hand-over list (the stack's outputs) to the eMite team if they do not have it yet, and ask when eMite will connect."
            .to_owned(),
        values: values([
            ("watchedSeconds", watched.as_secs().into()),
            ("unreadSince", moment(Some(waiting_since))),
            ("retentionHours", kept.as_hours().into()),
        ]),
        ..CHECK.finding(spec, &NOT_READ, Status::Missing, severity)
    }
}

fn no_longer_read(spec: &Spec, snapshot: &Snapshot, waiting_since: Timestamp, last_read: Option<Timestamp>) -> Finding {
    let kept = retention(spec, snapshot);
    let waiting = snapshot.since(waiting_since);
    let severity = if waiting >= critical(spec, kept) { Severity::Critical } else { Severity::Warning };
    let last =
        last_read.map_or_else(String::new, |last| format!("last read about {} ago; ", in_words(snapshot.since(last))));
    Finding {
        summary: "eMite has stopped reading agent events.".to_owned(),
        expected: "eMite reads all the time".to_owned(),
        observed: format!("{last}the oldest unread event waits for {}", in_words(waiting)),
        impact: format!(
            "What eMite shows of agents stands still. Events that wait for {} are lost to eMite.",
            in_words(kept)
        ),
        data_loss_at: Some((waiting_since + kept).max(snapshot.taken_at)),
        remedy: "Ask the eMite team whether the eMite server runs and can still assume its role. If emite-role is reported too, mend that first."
            .to_owned(),
        values: values([
            ("lastReadAt", moment(last_read)),
            ("unreadSince", moment(Some(waiting_since))),
            ("retentionHours", kept.as_hours().into()),
        ]),
        ..CHECK.finding(spec, &NOT_READ, Status::Missing, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, flat, healthy, is_unobservable_without, noon, only, put, series, spec, unseen};
    use crate::latch::{Watch, after};
    use crate::look::{Cause, Unseen};
    use crate::metrics::Series;

    const HOUR: f64 = 3_600_000.0;

    /// With what a run remembers that has seen these metrics, and nothing before.
    fn latched(mut snapshot: Snapshot) -> Snapshot {
        let known = Watch { watched_since: noon(), first_read: None, last_read: None, unread_since: None };
        let watch = after(Some(&known), &snapshot.metrics, noon());
        snapshot.last_read = Ok(watch.last_read);
        snapshot.unread_since = Ok(watch.unread_since);
        snapshot
    }

    fn ages(values: &[f64]) -> Snapshot {
        let mut snapshot = healthy();
        put(&mut snapshot, "iterator_age", series(values));
        latched(snapshot)
    }

    /// Read until so many hours ago, while events kept coming.
    fn read_until(hours: i64) -> Snapshot {
        let mut snapshot = healthy();
        let newest = noon() - SignedDuration::from_hours(hours);
        put(&mut snapshot, "iterator_age", Series::new(vec![(newest, 500.0)]));
        latched(snapshot)
    }

    fn never_read_for(hours: i64) -> Snapshot {
        let mut snapshot = ages(&[]);
        snapshot.first_read = Ok(None);
        snapshot.watched_since = Ok(noon() - SignedDuration::from_hours(hours));
        snapshot
    }

    #[test]
    fn a_reader_that_falls_behind_is_told_with_when_events_run_out() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &ages(&[500.0, 20.0 * 60_000.0, 25.0 * 60_000.0])));
    }

    #[test]
    fn half_of_the_retention_is_critical() {
        let late = only(&CHECK, &spec(), &ages(&[12.5 * HOUR, 13.0 * HOUR]));
        assert_eq!(late.severity, Severity::Critical);
        assert_eq!(late.data_loss_at, Some(noon() + SignedDuration::from_hours(11)));
        let mut kept_longer = ages(&[12.5 * HOUR, 13.0 * HOUR]);
        kept_longer.agent_event_stream.as_mut().unwrap().as_mut().unwrap().retention_hours = 168;
        assert_eq!(only(&CHECK, &spec(), &kept_longer).severity, Severity::Warning);
        assert_eq!(only(&CHECK, &spec(), &ages(&[f64::NAN, 1e300])).data_loss_at, Some(noon()));
        kept_longer.agent_event_stream = Err(unseen(Cause::Denied));
        assert_eq!(only(&CHECK, &spec(), &kept_longer).severity, Severity::Critical);
    }

    #[test]
    fn a_blip_is_no_trouble() {
        for values in [&[500.0, 90_000.0][..], &[90_000.0, 500.0], &[20.0 * HOUR], &[59_000.0, 60_000.0]] {
            assert_eq!(findings(&CHECK, &spec(), &ages(values)), [], "{values:?}");
        }
    }

    #[test]
    fn emite_that_has_not_connected_yet_is_no_emergency() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &never_read_for(26)));
        assert_eq!(only(&CHECK, &spec(), &never_read_for(71)).severity, Severity::Info);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &never_read_for(73)));
    }

    #[test]
    fn emite_that_stopped_reading_is_told() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &read_until(2)));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &read_until(13)));
    }

    #[test]
    fn where_events_are_kept_for_long_half_of_that_is_critical() {
        let mut snapshot = ages(&[]);
        snapshot.agent_event_stream.as_mut().unwrap().as_mut().unwrap().retention_hours = 168;
        for (hours, severity) in [(30, Severity::Warning), (90, Severity::Critical)] {
            let unread = noon() - SignedDuration::from_hours(hours);
            snapshot.unread_since = Ok(Some(unread));
            snapshot.last_read = Ok(Some(unread - SignedDuration::from_hours(1)));
            let stopped = only(&CHECK, &spec(), &snapshot);
            assert_eq!(
                (stopped.severity, stopped.data_loss_at),
                (severity, Some(unread + SignedDuration::from_hours(168)))
            );
        }
    }

    #[test]
    fn over_a_weekend_without_events_it_stays_told() {
        let mut snapshot = ages(&[]);
        put(&mut snapshot, "agent_events", Series::default());
        snapshot.unread_since = Ok(Some(noon() - SignedDuration::from_hours(60)));
        let stopped = only(&CHECK, &spec(), &snapshot);
        assert_eq!((stopped.severity, stopped.data_loss_at), (Severity::Critical, Some(noon())));
    }

    #[test]
    fn a_break_within_the_lateness_of_metrics_is_not_believed() {
        let mut snapshot = ages(&[]);
        let newest = noon() - SignedDuration::from_mins(25);
        put(&mut snapshot, "iterator_age", Series::new(vec![(newest, 500.0)]));
        let snapshot = latched(snapshot);
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn nobody_reads_and_nothing_is_to_be_read_is_idle() {
        for events in [Series::default(), flat(0.0), series(&[5.0]), series(&[5.0, 5.0])] {
            let mut snapshot = never_read_for(100);
            put(&mut snapshot, "agent_events", events);
            assert_eq!(findings(&CHECK, &spec(), &latched(snapshot)), []);
        }
    }

    #[test]
    fn events_that_wait_overnight_are_not_forgotten() {
        let mut snapshot = read_until(13);
        let evening = noon() - SignedDuration::from_hours(12);
        put(&mut snapshot, "agent_events", Series::new(vec![(evening, 20.0)]));
        let waiting = only(&CHECK, &spec(), &latched(snapshot));
        assert_eq!(waiting.data_loss_at, Some(evening + SignedDuration::from_hours(24)));
        assert_eq!(waiting.severity, Severity::Critical);
    }

    #[test]
    fn a_stream_that_is_gone_is_not_told_twice() {
        let snapshot = Snapshot { agent_event_stream: Ok(None), ..ages(&[]) };
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        let blind: [fn(&mut Snapshot, Unseen); 4] = [
            |snapshot, unseen| snapshot.watched_since = Err(unseen),
            |snapshot, unseen| snapshot.first_read = Err(unseen),
            |snapshot, unseen| snapshot.last_read = Err(unseen),
            |snapshot, unseen| snapshot.unread_since = Err(unseen),
        ];
        for blind in blind {
            let mut snapshot = ages(&[]);
            blind(&mut snapshot, unseen(Cause::Denied));
            assert_eq!((CHECK.judge)(&spec(), &snapshot), Err(unseen(Cause::Denied)));
        }
        for id in ["iterator_age", "agent_events"] {
            is_unobservable_without(&CHECK, |snapshot, unseen| {
                snapshot.metrics.0.insert(id, Err(unseen));
            });
        }
    }
}
