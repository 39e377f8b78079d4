//! Owns the check `data-streaming`: Amazon Connect sends agent events and contact records where eMite reads them.
//!
//! What it sends elsewhere is lost to eMite from that moment on, as Connect sends nothing twice.

use super::check::{Check, Explains, Part, Verdict, no_metrics, seen, together};
use super::{agent_event_flow, firehose_delivery};
use crate::arn::Arn;
use crate::change::{Change, Consent};
use crate::command::{Command, connect};
use crate::diff;
use crate::finding::{Finding, Severity, Status, values};
use crate::links::data_streaming::{Association, ResourceType, Source, Target};
use crate::look::Look;
use crate::policy::shown;
use crate::snapshot::{DataStream, DeliveryStream, Snapshot};
use crate::spec::Spec;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "data-streaming",
    resource: |spec| spec.instance_arn.to_string(),
    metrics: no_metrics,
    judge,
    repair,
    parts: &[CONTACT_RECORDS, AGENT_EVENTS],
    unseen: "Amazon Connect cannot be checked",
    explains: &[
        Explains::of(&[AGENT_EVENTS], &[agent_event_flow::CHECK.all()]),
        Explains::of(&[CONTACT_RECORDS], &[firehose_delivery::CHECK.only(&firehose_delivery::INPUT)]),
    ],
};

const AGENT_EVENTS: Part = Part {
    commands: |spec| vec![shows_storage(spec, ResourceType::AgentEvents)],
    ..Part::new(ResourceType::AgentEvents.as_str(), "agent events are not sent to eMite")
};

const CONTACT_RECORDS: Part = Part {
    commands: |spec| vec![shows_storage(spec, ResourceType::ContactTraceRecords)],
    ..Part::new(ResourceType::ContactTraceRecords.as_str(), "contact records are not sent to eMite")
};

fn shows_storage(spec: &Spec, resource_type: ResourceType) -> Command {
    let list = connect(spec, "list-instance-storage-configs");
    Command::shows(list.option("--resource-type", resource_type.as_str()))
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let links = links(spec, snapshot);
    together(&CHECK, spec, links.iter().map(|link| link.judge(spec, snapshot).map(Vec::from_iter)))
}

/// Whatever streams there instead counts as a third party's: who set it is known when it is replaced.
fn repair(spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let links = links(spec, snapshot);
    let link = links.iter().find(|link| link.part.is_of(finding))?;
    if !may_take_records(spec, link.resource_type, snapshot) {
        return None;
    }
    let source = Source { instance: spec.instance.clone(), resource_type: link.resource_type };
    let target = Target::of(link.wanted.clone(), link.resource_type).ok()?;
    let change = diff::streaming(&source, &target, link.seen.as_ref().ok()?.as_ref(), None)?;
    (change.consent() != Consent::Irreversible).then_some(change)
}

/// Whether the stream is there, as far as it was seen: Connect refuses any other.
fn may_take_records(spec: &Spec, resource_type: ResourceType, snapshot: &Snapshot) -> bool {
    let takes = |stream: &Look<Option<DataStream>>| match stream {
        Ok(stream) => stream.as_ref().is_some_and(DataStream::is_usable),
        Err(_) => true,
    };
    match resource_type {
        ResourceType::AgentEvents => takes(&snapshot.agent_event_stream),
        ResourceType::ContactTraceRecords if spec.contact_record_stream.is_some() => {
            takes(&snapshot.contact_record_stream)
        }
        ResourceType::ContactTraceRecords => match &snapshot.delivery_stream {
            Ok(stream) => stream.as_ref().is_some_and(DeliveryStream::is_active),
            Err(_) => true,
        },
    }
}

fn links<'a>(spec: &'a Spec, snapshot: &'a Snapshot) -> [Link<'a>; 2] {
    [
        Link {
            part: AGENT_EVENTS,
            resource_type: ResourceType::AgentEvents,
            records: "agent events",
            wanted: &spec.agent_event_stream,
            seen: &snapshot.agent_event_streaming,
        },
        Link {
            part: CONTACT_RECORDS,
            resource_type: ResourceType::ContactTraceRecords,
            records: "contact records",
            wanted: spec.contact_record_stream.as_ref().unwrap_or(&spec.delivery_stream),
            seen: &snapshot.contact_record_streaming,
        },
    ]
}

/// One resource type, what it should go to, and what was seen of it.
struct Link<'a> {
    part: Part,
    resource_type: ResourceType,
    records: &'static str,
    wanted: &'a Arn,
    seen: &'a Look<Option<Association>>,
}

impl Link<'_> {
    fn judge(&self, spec: &Spec, snapshot: &Snapshot) -> Look<Option<Finding>> {
        let Self { records, wanted, .. } = self;
        let target = seen(self.seen)?.as_ref().map(|association| &association.target);
        let (status, summary, observed) = match target {
            Some(Target::KinesisStream(arn) | Target::KinesisFirehose(arn)) if arn == *wanted => return Ok(None),
            Some(target) => (
                Status::Incorrect,
                format!("Amazon Connect sends its {records} somewhere else, not to eMite."),
                format!("they go to {}", bounded(target)),
            ),
            None => (
                Status::Missing,
                format!("Amazon Connect does not send its {records} anywhere."),
                format!("no data stream is chosen for {records}"),
            ),
        };
        let first = if status == Status::Incorrect { "Find out who needs them there. Then, in" } else { "In" };
        let name = wanted.name();
        Ok(Some(Finding {
            summary,
            expected: format!("{records} go to {wanted}"),
            observed,
            impact: format!(
                "All {records} from now on are missing in eMite for good: Amazon Connect does not send them again later."
            ),
            data_loss_at: Some(snapshot.taken_at),
            remedy: format!(
                "{first} the Amazon Connect console, open the instance, then Data streaming, and choose {name} for {records}."
            ),
            values: values([
                ("resourceType", self.resource_type.as_str().into()),
                ("expectedTarget", wanted.to_string().into()),
                ("target", target.map(Target::to_string).into()),
            ]),
            ..CHECK.finding(spec, &self.part, status, Severity::Critical)
        }))
    }
}

/// The target in words, short enough for any ARN.
fn bounded(target: &Target) -> String {
    const LONGEST: usize = 300;
    match target {
        Target::KinesisStream(arn) | Target::KinesisFirehose(arn) => arn.to_string().chars().take(LONGEST).collect(),
        Target::Other(kind) => format!("storage of type {}", shown([kind.as_str()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, noon, only, spec, unseen};
    use crate::look::Cause;

    fn going_to(target: Target) -> Look<Option<Association>> {
        Ok(Some(Association { id: "x1".into(), target }))
    }

    #[test]
    fn agent_events_that_go_nowhere_are_being_lost() {
        let mut snapshot = healthy();
        snapshot.agent_event_streaming = Ok(None);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn contact_records_that_go_elsewhere_are_being_lost_and_it_says_where_they_go() {
        let mut snapshot = healthy();
        let other = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/data-lake".parse().unwrap();
        snapshot.contact_record_streaming = going_to(Target::KinesisStream(other));
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn both_can_be_broken_and_each_is_told() {
        let mut snapshot = healthy();
        snapshot.agent_event_streaming = going_to(Target::Other("S3".into()));
        snapshot.contact_record_streaming = Ok(None);
        let found = findings(&CHECK, &spec(), &snapshot);
        let told: Vec<_> = found.iter().map(|one| (one.status, one.data_loss_at, one.observed.as_str())).collect();
        assert_eq!(
            told,
            [
                (Status::Incorrect, Some(noon()), "they go to storage of type S3"),
                (Status::Missing, Some(noon()), "no data stream is chosen for contact records"),
            ]
        );
    }

    #[test]
    fn one_that_cannot_be_seen_does_not_hide_the_other_that_is_broken() {
        let mut snapshot = healthy();
        snapshot.agent_event_streaming = Err(unseen(Cause::Denied));
        snapshot.contact_record_streaming = Ok(None);
        let told: Vec<_> = findings(&CHECK, &spec(), &snapshot).into_iter().map(|one| one.status).collect();
        assert_eq!(told, [Status::Missing, Status::Unobservable]);
    }

    #[test]
    fn streaming_that_cannot_be_seen_is_neither() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.agent_event_streaming = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.contact_record_streaming = Err(unseen));
        is_unobservable_without(&CHECK, |snapshot, unseen| {
            snapshot.agent_event_streaming = Err(unseen.clone());
            snapshot.contact_record_streaming = Err(unseen);
        });
    }

    #[test]
    fn what_is_told_stays_short_whatever_the_target() {
        let mut snapshot = healthy();
        let long = format!("arn:aws:kinesis:x:111122223333:stream/{}", "a".repeat(1900)).parse().unwrap();
        snapshot.agent_event_streaming = going_to(Target::KinesisStream(long));
        assert!(only(&CHECK, &spec(), &snapshot).observed.len() <= 600);
    }
}
