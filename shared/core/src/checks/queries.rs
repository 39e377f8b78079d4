//! Owns the metrics that several checks ask for.

use crate::metrics::{MetricQuery, Stat};
use crate::spec::Spec;

/// How many agent events arrived.
pub(super) fn agent_events(spec: &Spec) -> MetricQuery {
    agent_event_stream(spec, "agent_events", "IncomingRecords", Stat::Sum)
}

/// How many calls there were.
pub(super) fn calls(spec: &Spec) -> MetricQuery {
    MetricQuery {
        id: "calls",
        namespace: "AWS/Connect",
        name: "CallsPerInterval",
        dimensions: vec![("InstanceId", spec.instance.to_string()), ("MetricGroup", "VoiceCalls".to_owned())],
        stat: Stat::Sum,
    }
}

/// A metric of the agent event stream.
pub(super) fn agent_event_stream(spec: &Spec, id: &'static str, name: &'static str, stat: Stat) -> MetricQuery {
    let dimensions = vec![("StreamName", spec.agent_event_stream_name().to_owned())];
    MetricQuery { id, namespace: "AWS/Kinesis", name, dimensions, stat }
}

/// A metric of the delivery stream.
pub(super) fn firehose(spec: &Spec, id: &'static str, name: &'static str, stat: Stat) -> MetricQuery {
    let dimensions = vec![("DeliveryStreamName", spec.delivery_stream_name().to_owned())];
    MetricQuery { id, namespace: "AWS/Firehose", name, dimensions, stat }
}

/// How many contact records arrived: put into the delivery stream, or read by it from a data stream.
pub(super) fn contact_records(spec: &Spec) -> MetricQuery {
    let name = match spec.contact_record_stream {
        None => "IncomingRecords",
        Some(_) => "DataReadFromKinesisStream.Records",
    };
    firehose(spec, "contact_records", name, Stat::Sum)
}
