//! Owns the check `stream-throttling`: the stream of agent events is wide enough for who writes and who reads.

use jiff::SignedDuration;

use super::agent_event_flow;
use super::check::{Check, Explains, Part, Verdict, no_repair};
use super::queries::agent_event_stream;
use crate::command::{Command, statistics};
use crate::finding::{Finding, Severity, Status, values};
use crate::look::Look;
use crate::metrics::{MetricQuery, PERIOD_SECONDS, Stat};
use crate::snapshot::{DataStream, Snapshot};
use crate::spec::Spec;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "stream-throttling",
    resource: |spec| spec.agent_event_stream.to_string(),
    metrics: |spec| vec![write_throttled(spec), read_throttled(spec)],
    judge,
    repair: no_repair,
    parts: &[READ, WRITE],
    unseen: "the agent event stream cannot be checked",
    explains: &[Explains::of(&[WRITE], &[agent_event_flow::CHECK.all()])],
};

const READ: Part = Part {
    commands: |spec| vec![Command::shows(statistics(spec, &read_throttled(spec)))],
    ..Part::new("read", "agent events are read too often")
};
const WRITE: Part = Part {
    commands: |spec| vec![Command::shows(statistics(spec, &write_throttled(spec)))],
    ..Part::new("write", "the agent event stream is overloaded")
};

/// The time that is judged.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(1);
/// In periods.
const PERIODS: u32 = 12;
/// In how many of them writing must be throttled for a warning.
const WRITES_WARNING: usize = 2;
/// In how many of them, that Connect cannot make up for it.
const WRITES_CRITICAL: usize = 6;
/// In how many of them reading must be throttled.
const READS_WARNING: usize = 3;

fn write_throttled(spec: &Spec) -> MetricQuery {
    agent_event_stream(spec, "write_throttled", "WriteProvisionedThroughputExceeded", Stat::Sum)
}

fn read_throttled(spec: &Spec) -> MetricQuery {
    agent_event_stream(spec, "read_throttled", "ReadProvisionedThroughputExceeded", Stat::Sum)
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let writes = periods(snapshot, "write_throttled")?;
    let reads = periods(snapshot, "read_throttled")?;
    if let Ok(None) = snapshot.agent_event_stream {
        return Ok(Vec::new().into());
    }
    let reads = if reads >= READS_WARNING { reads } else { 0 };
    Ok(match (writes, reads) {
        (WRITES_WARNING.., _) => Some(write_finding(spec, snapshot, writes, reads)),
        (_, 1..) => Some(read_finding(spec, snapshot, reads)),
        _ => None,
    }
    .into())
}

/// In how many of the last twelve periods it happened.
fn periods(snapshot: &Snapshot, id: &str) -> Look<usize> {
    let recent = snapshot.metrics.get(id)?.since(snapshot.taken_at - LOOK_BACK);
    Ok(recent.iter().filter(|(_, count)| *count > 0.0).count())
}

fn write_finding(spec: &Spec, snapshot: &Snapshot, writes: usize, reads: usize) -> Finding {
    let lasting = writes >= WRITES_CRITICAL;
    let severity = if lasting { Severity::Critical } else { Severity::Warning };
    let also = if reads > 0 { format!("; reading in {reads} of 12") } else { String::new() };
    Finding {
        summary: "Amazon Connect writes more agent events than the stream can take.".to_owned(),
        expected: "no write is refused".to_owned(),
        observed: format!("writes were refused in {writes} of the last 12 periods of 5 minutes{also}"),
        impact: if lasting {
            "This has lasted too long for Amazon Connect to make up for: agent events are probably being lost now."
        } else {
            "Amazon Connect tries again: agent events come late, and some may be lost."
        }
        .to_owned(),
        data_loss_at: lasting.then_some(snapshot.taken_at),
        remedy: more_shards(spec, snapshot),
        values: values([
            ("writeThrottledPeriods", writes.into()),
            ("readThrottledPeriods", reads.into()),
            ("periods", PERIODS.into()),
            ("periodSeconds", PERIOD_SECONDS.into()),
            ("openShardCount", shards(spec, snapshot).into()),
        ]),
        ..CHECK.finding(spec, &WRITE, Status::Unhealthy, severity)
    }
}

fn read_finding(spec: &Spec, snapshot: &Snapshot, reads: usize) -> Finding {
    Finding {
        summary: "Agent events are read more often than the stream allows.".to_owned(),
        expected: "no read is refused".to_owned(),
        observed: format!("reads were refused in {reads} of the last 12 periods of 5 minutes"),
        impact: "eMite gets agent events late.".to_owned(),
        remedy: format!(
            "Find out who reads the stream besides eMite (all readers together may read each shard 5 times a second), or ask the eMite team to read less often. \
             If all of them are needed: {}",
            more_shards(spec, snapshot)
        ),
        values: values([
            ("readThrottledPeriods", reads.into()),
            ("periods", PERIODS.into()),
            ("periodSeconds", PERIOD_SECONDS.into()),
            ("openShardCount", shards(spec, snapshot).into()),
        ]),
        ..CHECK.finding(spec, &READ, Status::Unhealthy, Severity::Warning)
    }
}

fn more_shards(spec: &Spec, snapshot: &Snapshot) -> String {
    let stream = snapshot.agent_event_stream.as_ref().ok().and_then(Option::as_ref);
    if stream.is_some_and(|stream| stream.mode == "ON_DEMAND") {
        return "Wait: this stream is on-demand and widens by itself, to twice its highest load. If it lasts, ask AWS Support."
            .to_owned();
    }
    let shards = shards(spec, snapshot);
    format!(
        "Update the stack with AgentEventShards = {} (now {shards}). Nothing is interrupted.",
        shards.saturating_mul(2)
    )
}

/// How many shards the stream has: as observed, or as specified if it could not be observed.
fn shards(spec: &Spec, snapshot: &Snapshot) -> u32 {
    let stream = snapshot.agent_event_stream.as_ref().ok().and_then(Option::as_ref);
    stream.map_or(spec.agent_event_shards, |DataStream { shards, .. }| *shards).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, is_unobservable_without, noon, only, put, series, spec, unseen, with};
    use crate::look::Cause;
    use crate::metrics::Series;

    #[test]
    fn refused_writes_are_worth_a_warning() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with("write_throttled", series(&[3.0, 0.0, 5.0]))));
    }

    #[test]
    fn writes_that_are_refused_for_long_are_lost() {
        let mut snapshot = with("write_throttled", series(&[4.0; 6]));
        put(&mut snapshot, "read_throttled", series(&[1.0; 4]));
        snapshot.agent_event_stream = Err(unseen(Cause::Denied));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn refused_reads_ask_who_else_reads() {
        let mut snapshot = with("read_throttled", series(&[9.0, 9.0, 9.0]));
        snapshot.agent_event_stream.as_mut().unwrap().as_mut().unwrap().shards = 3;
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn a_stream_that_sizes_itself_is_left_alone() {
        let mut snapshot = with("write_throttled", series(&[3.0, 3.0]));
        snapshot.agent_event_stream.as_mut().unwrap().as_mut().unwrap().mode = "ON_DEMAND".into();
        assert!(!only(&CHECK, &spec(), &snapshot).remedy.contains("AgentEventShards"));
    }

    #[test]
    fn a_short_peak_an_old_one_and_none_are_fine() {
        assert_eq!(findings(&CHECK, &spec(), &with("write_throttled", series(&[100.0]))), []);
        assert_eq!(findings(&CHECK, &spec(), &with("read_throttled", series(&[100.0, 100.0]))), []);
        assert_eq!(findings(&CHECK, &spec(), &with("write_throttled", series(&[]))), []);
        let mut snapshot = with("read_throttled", series(&[]));
        let old = (13..30).map(|steps| (noon() - SignedDuration::from_mins(5 * steps), 7.0)).collect();
        put(&mut snapshot, "write_throttled", Series::new(old));
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        for id in ["write_throttled", "read_throttled"] {
            is_unobservable_without(&CHECK, |snapshot, unseen| {
                snapshot.metrics.0.insert(id, Err(unseen));
            });
        }
    }
}
