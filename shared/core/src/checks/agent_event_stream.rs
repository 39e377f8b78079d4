//! Owns the check `agent-event-stream`: the stream that Amazon Connect writes agent events to, as specified or better.

use super::check::{Check, Explains, Part, Verdict, no_metrics, seen, unread_events_lost};
use super::{agent_event_flow, iterator_age, stream_throttling};
use crate::change::Change;
use crate::command::{Command, data_stream};
use crate::diff;
use crate::finding::{Finding, Severity, Status, values};
use crate::look::Look;
use crate::snapshot::{DataStream, Snapshot};
use crate::spec::{Existing, Spec};
use crate::words::bounded;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "agent-event-stream",
    resource: |spec| spec.agent_event_stream.to_string(),
    metrics: no_metrics,
    judge,
    repair,
    parts: &[RETENTION, SHARDS, ENCRYPTION, STREAM],
    unseen: "the agent event stream cannot be checked",
    explains: &[Explains::of(
        &[STREAM, ENCRYPTION],
        &[iterator_age::CHECK.all(), stream_throttling::CHECK.all(), agent_event_flow::CHECK.all()],
    )],
};

const STREAM: Part = part("", "the agent event stream is not usable");
const RETENTION: Part = part("retention", "agent events are kept too short");
const SHARDS: Part = part("shards", "the agent event stream is too small");
const ENCRYPTION: Part = part("encryption", "agent event encryption is not as set up");

const fn part(name: &'static str, title: &'static str) -> Part {
    Part {
        commands: |spec| vec![Command::shows(data_stream(spec, spec.agent_event_stream_name()))],
        loss: unread_events_lost,
        ..Part::new(name, title)
    }
}

/// The AWS managed key, whose policy cannot be changed; Amazon Connect cannot use it.
const MANAGED_KEY: &str = "alias/aws/kinesis";

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(stream) = seen(&snapshot.agent_event_stream)? else {
        return Ok(Some(missing(spec, snapshot)).into());
    };
    if !stream.is_usable() {
        return Ok(Some(not_active(spec, stream, snapshot)).into());
    }
    let findings = [retention(spec, stream), shards(spec, stream), encryption(spec, stream, snapshot)];
    Ok(findings.into_iter().flatten().collect::<Vec<_>>().into())
}

/// Only the retention: what else differs costs money, or needs a key.
fn repair(spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let stream = snapshot.agent_event_stream.as_ref().ok()?.as_ref().filter(|_| RETENTION.is_of(finding))?;
    diff::retention(spec.agent_event_stream_name(), spec.agent_event_retention_hours, stream.retention_hours)
}

fn missing(spec: &Spec, snapshot: &Snapshot) -> Finding {
    Finding {
        summary: "The stream that carries agent events does not exist.".to_owned(),
        expected: format!("Kinesis data stream {}", spec.agent_event_stream_name()),
        observed: "no stream of this name".to_owned(),
        impact: "Every agent event is lost now. Amazon Connect does not send them again.".to_owned(),
        data_loss_at: Some(snapshot.taken_at),
        remedy: format!(
            "Create a Kinesis data stream named {} with {} and {} hours of retention in this region; Amazon Connect then finds it again. \
             Or update the stack with {}, and tell the eMite team the new name.",
            spec.agent_event_stream_name(),
            shards_in_words(spec.agent_event_shards),
            spec.agent_event_retention_hours,
            another(spec)
        ),
        values: values([
            ("streamName", spec.agent_event_stream_name().into()),
            ("expectedOpenShardCount", spec.agent_event_shards.into()),
            ("expectedRetentionHours", spec.agent_event_retention_hours.into()),
        ]),
        ..CHECK.finding(spec, &STREAM, Status::Missing, Severity::Critical)
    }
}

/// What makes another stream.
fn another(spec: &Spec) -> &'static str {
    match spec.found(Existing::AgentEventStream) {
        true => "an empty ExistingAgentEventStreamName",
        false => "another AgentEventStreamName",
    }
}

fn not_active(spec: &Spec, stream: &DataStream, snapshot: &Snapshot) -> Finding {
    let (what, remedy) = match stream.status.as_str() {
        "CREATING" => {
            let wait = "Wait a few minutes. If it lasts, look at the stream in the Kinesis console.";
            ("is still being created", wait.to_owned())
        }
        "DELETING" => {
            let gone = "Deleting cannot be stopped. Once it is gone, create a stream of the same name, or update the stack with";
            ("is being deleted", format!("{gone} {}.", another(spec)))
        }
        _ => ("is not in service", "Look at the stream in the Kinesis console.".to_owned()),
    };
    Finding {
        summary: format!("The stream that carries agent events {what}."),
        expected: "status ACTIVE".to_owned(),
        observed: bounded(format!("status {}", stream.status)),
        impact: "Amazon Connect cannot write to it: agent events are lost now.".to_owned(),
        data_loss_at: Some(snapshot.taken_at),
        remedy,
        values: values([("streamStatus", stream.status.as_str().into()), ("expectedStreamStatus", "ACTIVE".into())]),
        ..CHECK.finding(spec, &STREAM, Status::Unhealthy, Severity::Critical)
    }
}

fn retention(spec: &Spec, stream: &DataStream) -> Option<Finding> {
    let (wanted, hours) = (spec.agent_event_retention_hours, stream.retention_hours);
    (hours < wanted).then(|| Finding {
        summary: "Agent events are kept for a shorter time than was set up.".to_owned(),
        expected: format!("{wanted} hours or more"),
        observed: format!("{hours} hours"),
        impact: format!("If eMite cannot read for more than {hours} hours, agent events are lost."),
        remedy: format!(
            "Set the data retention period of stream {} back to {wanted} hours.",
            spec.agent_event_stream_name()
        ),
        values: values([("retentionHours", hours.into()), ("expectedRetentionHours", wanted.into())]),
        ..CHECK.finding(spec, &RETENTION, Status::Incorrect, Severity::Warning)
    })
}

fn shards(spec: &Spec, stream: &DataStream) -> Option<Finding> {
    let (wanted, shards) = (spec.agent_event_shards, stream.shards);
    (stream.mode == "PROVISIONED" && shards < wanted).then(|| Finding {
        summary: "The stream of agent events has fewer shards than were set up.".to_owned(),
        expected: format!("{} or more", shards_in_words(wanted)),
        observed: shards_in_words(shards),
        impact: "In busy hours agent events may arrive late or be refused.".to_owned(),
        remedy: format!(
            "Set the provisioned shards of stream {} back to {wanted}, or lower AgentEventShards in the stack if fewer are enough.",
            spec.agent_event_stream_name()
        ),
        values: values([("openShardCount", shards.into()), ("expectedOpenShardCount", wanted.into())]),
        ..CHECK.finding(spec, &SHARDS, Status::Incorrect, Severity::Warning)
    })
}

fn shards_in_words(shards: u32) -> String {
    format!("{shards} shard{}", if shards == 1 { "" } else { "s" })
}

/// What is wrong with the encryption: how urgent, in one sentence, what it costs, and the next step.
type Objection = (Severity, &'static str, &'static str, String);

fn encryption(spec: &Spec, stream: &DataStream, snapshot: &Snapshot) -> Option<Finding> {
    let (severity, summary, impact, remedy) = objection(spec, stream.key.as_deref())?;
    let key = |key: Option<&str>| key.map_or_else(|| "not encrypted".to_owned(), |key| format!("key {key}"));
    let wanted = spec.agent_event_key.as_ref().map(ToString::to_string);
    Some(Finding {
        summary: summary.to_owned(),
        expected: key(wanted.as_deref()),
        observed: bounded(key(stream.key.as_deref())),
        impact: impact.to_owned(),
        data_loss_at: (severity == Severity::Critical).then_some(snapshot.taken_at),
        remedy,
        values: values([("keyId", stream.key.as_deref().into()), ("expectedKeyId", wanted.into())]),
        ..CHECK.finding(spec, &ENCRYPTION, Status::Incorrect, severity)
    })
}

fn objection(spec: &Spec, live: Option<&str>) -> Option<Objection> {
    let name = spec.agent_event_stream_name();
    let wanted = spec.agent_event_key.as_ref().map(ToString::to_string);
    let remedy = match &wanted {
        Some(key) => format!("Set the encryption of stream {name} to the key {key}."),
        None => format!(
            "Turn off the encryption of stream {name}, or name a key of your own that Amazon Connect may use in AgentEventKeyArn."
        ),
    };
    match (live, wanted.as_deref()) {
        (Some(live), _) if live.ends_with(MANAGED_KEY) => Some((
            Severity::Critical,
            "The stream of agent events is encrypted with a key that Amazon Connect cannot use.",
            "Amazon Connect cannot write to it: agent events are lost now.",
            remedy,
        )),
        (Some(live), wanted) if wanted.is_none_or(|wanted| differ(live, wanted)) => Some((
            Severity::Warning,
            "The stream of agent events is encrypted with another key than was set up.",
            "If Amazon Connect or the role of eMite may not use this key, agent events are lost or cannot be read.",
            remedy,
        )),
        (None, Some(_)) => Some((
            Severity::Warning,
            "The stream of agent events is not encrypted, although it was set up to be.",
            "Agent events are kept without the encryption that you chose. None are lost.",
            remedy,
        )),
        _ => None,
    }
}

/// Whether the two names belong to two keys. A key's id says nothing about its alias, so an id and an alias count as
/// the same.
fn differ(live: &str, wanted: &str) -> bool {
    fn name(key: &str) -> &str {
        let name = if key.starts_with("arn:") { key.rsplit(':').next().unwrap_or(key) } else { key };
        name.strip_prefix("key/").unwrap_or(name)
    }
    let is_alias = |name: &str| name.starts_with("alias/");
    let (live, wanted) = (name(live), name(wanted));
    is_alias(live) == is_alias(wanted) && live != wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, only, spec};

    const KEY: &str = "arn:aws:kms:ap-southeast-2:111122223333:key/0a1b2c3d-0000-4000-8000-000000000009";

    fn with(change: impl FnOnce(&mut DataStream)) -> Snapshot {
        let mut snapshot = healthy();
        change(snapshot.agent_event_stream.as_mut().unwrap().as_mut().unwrap());
        snapshot
    }

    #[test]
    fn a_stream_that_is_gone_loses_events_now() {
        let snapshot = Snapshot { agent_event_stream: Ok(None), ..healthy() };
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn a_stream_that_is_being_deleted_or_created_takes_nothing() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(|stream| stream.status = "DELETING".into())));
        let creating = only(&CHECK, &spec(), &with(|stream| stream.status = "CREATING".into()));
        assert_eq!((creating.status, creating.severity), (Status::Unhealthy, Severity::Critical));
        assert_eq!(findings(&CHECK, &spec(), &with(|stream| stream.status = "UPDATING".into())), []);
    }

    #[test]
    fn a_shorter_retention_is_told_and_a_longer_one_is_fine() {
        let spec = Spec { agent_event_retention_hours: 48, ..spec() };
        insta::assert_json_snapshot!(only(&CHECK, &spec, &healthy()));
        assert_eq!(findings(&CHECK, &spec, &with(|stream| stream.retention_hours = 168)), []);
    }

    #[test]
    fn fewer_shards_are_told_unless_the_stream_sizes_itself() {
        let spec = Spec { agent_event_shards: 4, ..spec() };
        insta::assert_json_snapshot!(only(&CHECK, &spec, &healthy()));
        assert_eq!(findings(&CHECK, &spec, &with(|stream| stream.mode = "ON_DEMAND".into())), []);
        assert_eq!(findings(&CHECK, &spec, &with(|stream| stream.shards = 5)), []);
    }

    #[test]
    fn a_key_that_connect_cannot_use_loses_events_now() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(|stream| stream.key = Some(MANAGED_KEY.into()))));
        let arn = format!("arn:aws:kms:ap-southeast-2:111122223333:{MANAGED_KEY}");
        let spec = Spec { agent_event_key: Some(KEY.parse().unwrap()), ..spec() };
        assert_eq!(only(&CHECK, &spec, &with(|stream| stream.key = Some(arn))).severity, Severity::Critical);
    }

    #[test]
    fn another_key_or_none_is_worth_a_warning() {
        let spec_with_key = Spec { agent_event_key: Some(KEY.parse().unwrap()), ..spec() };
        insta::assert_json_snapshot!(only(&CHECK, &spec_with_key, &healthy()));
        let other = with(|stream| stream.key = Some(KEY.replace("09", "08")));
        insta::assert_json_snapshot!(only(&CHECK, &spec_with_key, &other));
        assert_eq!(only(&CHECK, &spec(), &other).severity, Severity::Warning);
    }

    #[test]
    fn the_same_key_is_known_by_its_id_and_an_alias_is_not_guessed_at() {
        let spec = Spec { agent_event_key: Some(KEY.parse().unwrap()), ..spec() };
        for key in [KEY, "0a1b2c3d-0000-4000-8000-000000000009", "alias/events"] {
            assert_eq!(findings(&CHECK, &spec, &with(|stream| stream.key = Some(key.into()))), [], "{key}");
        }
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.agent_event_stream = Err(unseen));
    }
}
