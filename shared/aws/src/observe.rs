//! Owns observing: the one place where a run reads AWS, everything at once.
//!
//! Each read is independent and has its own time limit. One that fails, is denied or gets no answer hides no other, and
//! a run takes as long as its slowest read.

use emite_core::arn::InstanceId;
use emite_core::checks;
use emite_core::latch::after;
use emite_core::links::data_streaming::{Association, ResourceType, Source};
use emite_core::look::Look;
use emite_core::snapshot::{DataStream, Server, Snapshot};
use emite_core::spec::Spec;
use jiff::Timestamp;

use crate::clients::Aws;
use crate::error::{AwsError, if_there};
use crate::ledger::Ledger;
use crate::look::look;
use crate::{cloudwatch, connect, ec2, firehose, iam, kinesis, latch, opensearch, s3, sns, sqs};

/// What a run does with the latch in the ledger, which remembers since when a stack has been watched and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// The run writes what is new. Only the health check does.
    Moves,
    /// The run only reads it.
    Stays,
}

/// Reads everything that the checks judge. Cannot fail: each read that did is an `Unseen` in the snapshot.
///
/// Writes nothing but the latch, and only with [`Latch::Moves`].
pub async fn observe(aws: &Aws, ledger: &Ledger, spec: &Spec, latch: Latch, now: Timestamp) -> Snapshot {
    let started = tokio::time::Instant::now();
    let queries = checks::metrics(spec);
    let (
        instance,
        agent_event_streaming,
        contact_record_streaming,
        approved_origins,
        agent_event_stream,
        contact_record_stream,
        delivery_stream,
        failed_records,
        domain,
        emite_role,
        server,
        subscriptions,
        dead_letters,
        watch,
        metrics,
    ) = tokio::join!(
        look("connect:DescribeInstance", connect::instance(aws.connect(), &spec.instance)),
        streaming(aws, &spec.instance, ResourceType::AgentEvents),
        streaming(aws, &spec.instance, ResourceType::ContactTraceRecords),
        look("connect:ListApprovedOrigins", approved_origins(aws, spec)),
        look(kinesis::SUMMARY, kinesis::data_stream(aws.kinesis(), spec.agent_event_stream_name())),
        look(kinesis::SUMMARY, contact_record_stream(aws, spec)),
        look("firehose:DescribeDeliveryStream", firehose::delivery_stream(aws.firehose(), spec.delivery_stream_name())),
        look("s3:ListBucket", s3::failed_records(aws.s3(), spec)),
        look("es:DescribeDomain", opensearch::domain(aws.opensearch(), spec.domain_name())),
        look("iam:GetRole", iam::role(aws.iam(), spec.emite_role_name())),
        look("ec2:DescribeInstances", server(aws, spec)),
        look("sns:ListSubscriptionsByTopic", sns::subscriptions(aws.sns(), &spec.alert_topic)),
        look("sqs:GetQueueAttributes", sqs::dead_letters(aws.sqs(), &spec.dead_letter_queue)),
        look("dynamodb:GetItem", latch::read(ledger, spec)),
        look(cloudwatch::ACTION, cloudwatch::metrics(aws.cloudwatch(), &queries, now)),
    );
    let metrics = cloudwatch::by_id(&queries, metrics);
    let watch = match latch {
        Latch::Moves => latch::go_on(ledger, spec, watch, &metrics, now).await,
        Latch::Stays => watch.map(|seen| after(seen.as_ref().map(|entry| &entry.value), &metrics, now)),
    };
    Snapshot {
        taken_at: now,
        took: started.elapsed(),
        instance,
        agent_event_streaming,
        contact_record_streaming,
        approved_origins,
        agent_event_stream,
        contact_record_stream,
        delivery_stream,
        failed_records,
        domain,
        emite_role,
        server,
        subscriptions,
        dead_letters,
        first_read: watch.clone().map(|watch| watch.first_read),
        last_read: watch.clone().map(|watch| watch.last_read),
        unread_since: watch.clone().map(|watch| watch.unread_since),
        watched_since: watch.map(|watch| watch.watched_since),
        metrics,
    }
}

/// Where the records of one type go. An instance that is gone streams nothing.
pub async fn streaming(aws: &Aws, instance: &InstanceId, resource_type: ResourceType) -> Look<Option<Association>> {
    let source = Source { instance: instance.clone(), resource_type };
    let read = async { Ok(if_there(connect::association(aws.connect(), &source).await)?.flatten()) };
    look("connect:ListInstanceStorageConfigs", read).await
}

/// The approved origins. An instance that is gone has none.
async fn approved_origins(aws: &Aws, spec: &Spec) -> Result<Vec<String>, AwsError> {
    Ok(if_there(connect::origins(aws.connect(), &spec.instance).await)?.unwrap_or_default())
}

/// The stream that contact records go through, if they do.
async fn contact_record_stream(aws: &Aws, spec: &Spec) -> Result<Option<DataStream>, AwsError> {
    match spec.contact_record_stream_name() {
        Some(name) => kinesis::data_stream(aws.kinesis(), name).await,
        None => Ok(None),
    }
}

/// The eMite server, if this stack has one.
async fn server(aws: &Aws, spec: &Spec) -> Result<Option<Server>, AwsError> {
    match &spec.server {
        Some(server) => ec2::server(aws.ec2(), server).await,
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
    use aws_types::SdkConfig;
    use emite_core::fixtures::spec;

    use super::*;
    use crate::mocks::client;

    #[tokio::test]
    async fn ec2_is_not_called_where_emite_hosts_the_server() {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let aws = Aws { ec2: client(&[]).into(), ..Aws::new(config) };
        assert_eq!(server(&aws, &spec()).await.unwrap(), None);
    }
}
