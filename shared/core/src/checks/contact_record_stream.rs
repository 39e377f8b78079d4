//! Owns the check `contact-record-stream`: the data stream that contact records go through on their way to Firehose,
//! and that other applications read as well.

use super::check::{Check, Explains, Part, Verdict, no_metrics, no_repair, seen};
use super::{delivery_stream, firehose_delivery};
use crate::command::{Command, data_stream};
use crate::finding::{Finding, Severity, Status, values};
use crate::look::Look;
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::bounded;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "contact-record-stream",
    resource: |spec| spec.contact_record_stream.as_ref().unwrap_or(&spec.delivery_stream).to_string(),
    metrics: no_metrics,
    judge,
    repair: no_repair,
    parts: &[STREAM],
    unseen: "the contact record stream cannot be checked",
    explains: &[Explains::any(&[firehose_delivery::CHECK.all(), delivery_stream::CHECK.all()])],
};

const STREAM: Part = Part {
    commands: |spec| {
        let name = spec.contact_record_stream_name().unwrap_or(spec.agent_event_stream_name());
        vec![Command::shows(data_stream(spec, name))]
    },
    ..Part::new("", "the contact record stream is not usable")
};

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(name) = spec.contact_record_stream_name() else { return Ok(Verdict::NotApplicable) };
    let stream = seen(&snapshot.contact_record_stream)?;
    let (status, observed, remedy) = match stream {
        Some(stream) if stream.is_usable() => return Ok(Vec::new().into()),
        Some(stream) => (
            Status::Unhealthy,
            bounded(format!("status {}", stream.status)),
            "Look at the stream in the Kinesis console, and ask whoever else reads from it.",
        ),
        None => (
            Status::Missing,
            "no stream of this name".to_owned(),
            "Create it again under the same name: Amazon Connect and Firehose find it again. Or update the stack with an empty \
             ExistingContactRecordStreamName, another DeliveryStreamName and OnExistingStreaming Replace: Amazon Connect then \
             sends contact records to Firehose directly.",
        ),
    };
    Ok(Some(Finding {
        summary: "The stream that contact records go through does not take any.".to_owned(),
        expected: format!("Kinesis data stream {name} with status ACTIVE"),
        observed,
        impact: "Every contact record is lost now. Amazon Connect does not send them again.".to_owned(),
        data_loss_at: Some(snapshot.taken_at),
        remedy: remedy.to_owned(),
        values: values([
            ("streamName", name.into()),
            ("streamStatus", stream.as_ref().map(|stream| stream.status.as_str()).into()),
            ("expectedStreamStatus", "ACTIVE".into()),
        ]),
        ..CHECK.finding(spec, &STREAM, status, Severity::Critical)
    })
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, only, spec, unseen};
    use crate::look::Cause;
    use crate::snapshot::DataStream;

    fn through() -> Spec {
        let records = "arn:aws:kinesis:ap-southeast-2:111122223333:stream/ctr".parse().unwrap();
        Spec { contact_record_stream: Some(records), ..spec() }
    }

    fn with(status: &str) -> Snapshot {
        let stream =
            DataStream { status: status.into(), retention_hours: 24, shards: 1, mode: "PROVISIONED".into(), key: None };
        Snapshot { contact_record_stream: Ok(Some(stream)), ..healthy() }
    }

    #[test]
    fn a_stream_that_takes_records_is_healthy_and_one_that_does_not_loses_them_now() {
        assert_eq!(findings(&CHECK, &through(), &with("ACTIVE")), []);
        assert_eq!(findings(&CHECK, &through(), &with("UPDATING")), []);
        insta::assert_json_snapshot!([
            only(&CHECK, &through(), &healthy()),
            only(&CHECK, &through(), &with("DELETING"))
        ]);
    }

    #[test]
    fn records_that_go_through_no_stream_are_none_of_its_business() {
        assert_eq!((CHECK.judge)(&spec(), &healthy()), Ok(Verdict::NotApplicable));
    }

    #[test]
    fn it_says_so_when_it_cannot_look() {
        let blind = Snapshot { contact_record_stream: Err(unseen(Cause::Denied)), ..healthy() };
        assert_eq!((CHECK.judge)(&through(), &blind), Err(unseen(Cause::Denied)));
    }
}
