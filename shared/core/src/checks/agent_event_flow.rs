//! Owns the check `agent-event-flow`: agent events arrive while agents work.
//!
//! Amazon Connect does not measure what it failed to deliver, so this is concluded from silence. Each agent who is
//! logged in causes an event every two minutes. Silence proves something only while agents work, or while calls are
//! handled.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, Part, Verdict, no_repair, seen};
use super::queries::{agent_events, calls, contact_records};
use crate::command::{Command, statistics};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::look::Look;
use crate::metrics::{PERIOD_SECONDS, Series, WINDOW};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::in_words;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "agent-event-flow",
    resource: |spec| spec.agent_event_stream.to_string(),
    metrics: |spec| vec![agent_events(spec), calls(spec), contact_records(spec)],
    judge,
    repair: no_repair,
    parts: &[FLOW],
    unseen: "the agent event stream cannot be checked",
    explains: &[],
};

const FLOW: Part = Part {
    commands: |spec| vec![Command::shows(statistics(spec, &agent_events(spec)))],
    ..Part::new("", "agent events are not arriving")
};

/// How late a metric may come.
const LATE: SignedDuration = SignedDuration::from_mins(10);
/// In how many periods there must be calls to bear witness: a single caller may have hung up before an agent answered.
const WITNESSES: usize = 2;

/// In how many periods of a day, where opening hours are not known.
const WITNESSES_OF_A_DAY: usize = 12;

/// A silence that is long enough to mean something.
struct SilentPeriod {
    /// When it began, or as far back as is known.
    since: Timestamp,
    /// When the last event before it came, if one was seen.
    last_event: Option<Timestamp>,
    /// In how many periods of it there were calls or contact records.
    witnesses: usize,
    /// The stack is watched for less than a day, and no event was ever seen.
    is_start: bool,
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let events = snapshot.metrics.get("agent_events")?;
    let calls = snapshot.metrics.get("calls")?;
    let records = snapshot.metrics.get("contact_records")?;
    let watched_since = *seen(&snapshot.watched_since)?;
    let last_event = ended(events);
    let since = last_event.unwrap_or(snapshot.taken_at - WINDOW).max(watched_since);
    let enough = SignedDuration::from_mins(spec.thresholds.agent_silence_minutes.into()) + LATE;
    let is_start = last_event.is_none() && snapshot.since(watched_since) < WINDOW;
    // A closed contact centre still gets calls, which no agent takes: only what happens in opening hours counts.
    let open_for = spec.business_hours.as_ref().map(|hours| hours.open_for(&spec.time_zone, snapshot.taken_at));
    let since = match open_for {
        Some(open_for) => since.max(snapshot.taken_at - open_for.unwrap_or_default()),
        None => since,
    };
    let witnesses = busy(calls, since, snapshot).max(busy(records, since, snapshot));
    let silent = match open_for {
        Some(_) => snapshot.since(since) >= enough,
        // Opening hours are not known. A day with an hour of calls and without any event is not a day off.
        None => last_event.is_none() && !is_start && witnesses >= WITNESSES_OF_A_DAY,
    };
    let silence = SilentPeriod { since, last_event, witnesses, is_start };
    Ok(silent.then(|| finding(spec, snapshot, &silence)).into())
}

/// The end of the newest period with events.
fn ended(events: &Series) -> Option<Timestamp> {
    let (at, _) = events.points().iter().rev().find(|(_, count)| *count > 0.0)?;
    Some(*at + SignedDuration::from_secs(PERIOD_SECONDS.into()))
}

/// In how many periods of the silence something happened, without those whose events may be yet to come.
fn busy(series: &Series, since: Timestamp, snapshot: &Snapshot) -> usize {
    series.since(since).iter().filter(|(at, count)| *count > 0.0 && *at < snapshot.taken_at - LATE).count()
}

fn finding(spec: &Spec, snapshot: &Snapshot, silence: &SilentPeriod) -> Finding {
    let witnessed = silence.witnesses >= WITNESSES;
    let certain = witnessed && !silence.is_start && spec.business_hours.is_some();
    let severity = if certain { Severity::Critical } else { Severity::Warning };
    let seen_silence = silence.last_event.is_some_and(|last| last == silence.since);
    let lasts = format!("{}{}", if seen_silence { "" } else { "at least " }, in_words(snapshot.since(silence.since)));
    let meanwhile = if witnessed { "although there were calls" } else { "although agents should be working" };
    Finding {
        summary: if silence.is_start {
            format!("No agent event has arrived yet, {meanwhile}.")
        } else {
            format!("No agent event has arrived for {lasts}, {meanwhile}.")
        },
        expected: "an event every two minutes from each agent who is logged in".to_owned(),
        observed: observed(silence, &lasts),
        impact: if severity == Severity::Critical {
            "eMite shows no agents. Amazon Connect does not send again what it could not deliver: agent events are being lost."
        } else {
            "If agents are logged in, eMite does not show them, and their events are lost."
        }
        .to_owned(),
        data_loss_at: (severity == Severity::Critical)
            .then_some(if seen_silence { silence.since } else { snapshot.taken_at }),
        remedy: remedy(spec),
        values: values([
            ("silentSince", moment(Some(silence.since))),
            ("lastEventBefore", moment(silence.last_event)),
            ("periodsWithCalls", silence.witnesses.into()),
            ("periodSeconds", PERIOD_SECONDS.into()),
        ]),
        ..CHECK.finding(spec, &FLOW, Status::Unhealthy, severity)
    }
}

fn observed(silence: &SilentPeriod, lasts: &str) -> String {
    let calls = match silence.witnesses {
        0 => "no calls".to_owned(),
        1 => "calls or contact records in one period of 5 minutes".to_owned(),
        periods => format!("calls or contact records in {periods} periods of 5 minutes"),
    };
    format!("no agent event for {lasts}; meanwhile {calls}")
}

fn remedy(spec: &Spec) -> String {
    let hours = if spec.business_hours.is_none() {
        "If nobody works at this time, set BusinessHours in the stack."
    } else {
        "If nobody works today, nothing is wrong; if the hours have changed, set BusinessHours in the stack."
    };
    format!(
        "If agents are logged in to Amazon Connect, open the instance in the Amazon Connect console, choose Data streaming, and check that agent events go to the stream {}. {hours}",
        spec.agent_event_stream_name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, noon, only, put, series, spec};

    /// Silent for so many minutes, without any call.
    fn silent_for(minutes: i64) -> Snapshot {
        let mut snapshot = healthy();
        let from = noon() - SignedDuration::from_mins(minutes + 5);
        put(&mut snapshot, "agent_events", Series::new(vec![(from, 20.0)]));
        put(&mut snapshot, "calls", Series::default());
        put(&mut snapshot, "contact_records", Series::default());
        snapshot
    }

    fn with_calls(mut snapshot: Snapshot) -> Snapshot {
        put(&mut snapshot, "calls", series(&[1.0, 2.0, 1.0, 0.0, 0.0]));
        snapshot
    }

    fn at(mut snapshot: Snapshot, hours_later: i64) -> Snapshot {
        let later = SignedDuration::from_hours(hours_later);
        snapshot.taken_at += later;
        for series in snapshot.metrics.0.values_mut() {
            let moved = series.as_ref().unwrap().points().iter().map(|(at, value)| (*at + later, *value)).collect();
            *series = Ok(Series::new(moved));
        }
        snapshot
    }

    fn without_hours() -> Spec {
        Spec { business_hours: None, ..spec() }
    }

    #[test]
    fn silence_while_agents_should_work_is_worth_a_warning() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &silent_for(50)));
        assert_eq!(findings(&CHECK, &spec(), &silent_for(35)), []);
    }

    #[test]
    fn silence_while_there_are_calls_is_critical_and_lasts_since_the_last_event() {
        let found = only(&CHECK, &spec(), &with_calls(silent_for(50)));
        assert_eq!(found.data_loss_at, Some(noon() - SignedDuration::from_mins(50)));
        insta::assert_json_snapshot!(found);
    }

    #[test]
    fn zero_events_are_as_silent_as_no_measurement() {
        let mut snapshot = silent_for(50);
        put(&mut snapshot, "agent_events", series(&[20.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(only(&CHECK, &spec(), &snapshot).severity, Severity::Warning);
    }

    #[test]
    fn a_silence_that_began_before_opening_is_told_from_there_on() {
        let mut snapshot = with_calls(silent_for(50));
        put(&mut snapshot, "agent_events", Series::default());
        let found = only(&CHECK, &spec(), &snapshot);
        assert_eq!(found.data_loss_at, Some(noon()));
        assert!(found.summary.contains("at least 4 h"), "open since 08:00: {}", found.summary);
    }

    #[test]
    fn a_closed_contact_centre_is_no_outage_even_if_people_call() {
        for hours_later in [7, 12, 24 * 5] {
            assert_eq!(findings(&CHECK, &spec(), &at(silent_for(50), hours_later)), []);
            assert_eq!(findings(&CHECK, &spec(), &at(with_calls(silent_for(50)), hours_later)), []);
        }
    }

    #[test]
    fn agents_get_time_to_log_in_after_opening() {
        let silent_night = |minutes: i64| {
            let mut snapshot = at(silent_for(600), 20);
            snapshot.taken_at += SignedDuration::from_mins(minutes);
            snapshot
        };
        assert_eq!(findings(&CHECK, &spec(), &silent_night(39)), []);
        assert_eq!(findings(&CHECK, &spec(), &silent_night(40)).len(), 1);
    }

    #[test]
    fn calls_before_opening_are_no_witnesses() {
        let mut snapshot = silent_for(600);
        let night = noon() - SignedDuration::from_hours(6);
        put(
            &mut snapshot,
            "calls",
            Series::new((0..12).map(|step| (night + SignedDuration::from_mins(5 * step), 1.0)).collect()),
        );
        let found = only(&CHECK, &spec(), &snapshot);
        assert_eq!((found.severity, found.data_loss_at), (Severity::Warning, None));
        assert!(found.summary.contains("at least 4 h"), "{}", found.summary);
    }

    #[test]
    fn without_business_hours_a_day_with_many_calls_and_no_agent_is_told() {
        for evening in [silent_for(300), with_calls(silent_for(50))] {
            assert_eq!(findings(&CHECK, &without_hours(), &evening), []);
        }
        for witness in ["calls", "contact_records"] {
            let mut snapshot = silent_for(50);
            put(&mut snapshot, "agent_events", Series::default());
            put(&mut snapshot, witness, series(&[1.0; 14]));
            assert_eq!(only(&CHECK, &without_hours(), &snapshot).severity, Severity::Warning);
            insta::assert_json_snapshot!(only(&CHECK, &without_hours(), &snapshot));
            snapshot.watched_since = Ok(noon() - SignedDuration::from_hours(23));
            assert_eq!(findings(&CHECK, &without_hours(), &snapshot), []);
        }
    }

    #[test]
    fn one_call_may_have_been_abandoned_and_the_newest_may_be_too_new() {
        for calls in [&[1.0, 0.0, 0.0, 0.0][..], &[1.0, 0.0, 9.0, 9.0]] {
            let mut snapshot = silent_for(50);
            put(&mut snapshot, "calls", series(calls));
            assert_eq!(findings(&CHECK, &without_hours(), &snapshot), [], "{calls:?}");
            assert_eq!(only(&CHECK, &spec(), &snapshot).severity, Severity::Warning);
        }
    }

    #[test]
    fn agents_that_have_not_started_yet_are_at_most_a_warning() {
        let mut snapshot = with_calls(silent_for(50));
        put(&mut snapshot, "agent_events", Series::default());
        snapshot.watched_since = Ok(noon() - SignedDuration::from_hours(2));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
        snapshot.watched_since = Ok(noon() - SignedDuration::from_mins(39));
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.watched_since = Err(unseen));
        for id in ["agent_events", "calls", "contact_records"] {
            is_unobservable_without(&CHECK, |snapshot, unseen| {
                snapshot.metrics.0.insert(id, Err(unseen));
            });
        }
    }
}
