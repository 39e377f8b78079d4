//! Owns looking at the streams.

use aws_sdk_firehose::types::{AmazonopensearchserviceDestinationDescription, DestinationDescription};

use super::{count, if_there};
use crate::error::AwsError;
use crate::snapshot::{DataStream, DeliveryStream, Destination};
use crate::spec::Spec;

/// The stream that contact records go through, if they do.
pub(super) async fn contact_record_stream(
    kinesis: &aws_sdk_kinesis::Client,
    spec: &Spec,
) -> Result<Option<DataStream>, AwsError> {
    match spec.contact_record_stream_name() {
        Some(name) => data_stream(kinesis, name).await,
        None => Ok(None),
    }
}

/// A data stream (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html>).
pub(super) async fn data_stream(kinesis: &aws_sdk_kinesis::Client, name: &str) -> Result<Option<DataStream>, AwsError> {
    const ACTION: &str = "kinesis:DescribeStreamSummary";
    let answer = kinesis.describe_stream_summary().stream_name(name).send().await.map_err(AwsError::of(ACTION));
    let Some(answer) = if_there(answer)? else { return Ok(None) };
    let Some(stream) = answer.stream_description_summary else {
        return Err(AwsError::unusable(ACTION, "the answer has no stream".to_owned()));
    };
    let mode = stream.stream_mode_details.map(|details| details.stream_mode.as_str().to_owned());
    let encrypted = stream.encryption_type.is_some_and(|encryption| encryption.as_str() != "NONE");
    Ok(Some(DataStream {
        status: stream.stream_status.as_str().to_owned(),
        retention_hours: count(stream.retention_period_hours),
        shards: count(stream.open_shard_count),
        mode: mode.unwrap_or_else(|| "PROVISIONED".to_owned()),
        key: encrypted.then(|| stream.key_id.unwrap_or_else(|| "unknown key".to_owned())),
    }))
}

/// The delivery stream of contact records
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_DescribeDeliveryStream.html>).
pub(super) async fn delivery_stream(
    firehose: &aws_sdk_firehose::Client,
    spec: &Spec,
) -> Result<Option<DeliveryStream>, AwsError> {
    const ACTION: &str = "firehose:DescribeDeliveryStream";
    let name = spec.delivery_stream_name();
    let answer = firehose.describe_delivery_stream().delivery_stream_name(name).send().await;
    let Some(answer) = if_there(answer.map_err(AwsError::of(ACTION)))? else { return Ok(None) };
    let Some(stream) = answer.delivery_stream_description else {
        return Err(AwsError::unusable(ACTION, "the answer has no delivery stream".to_owned()));
    };
    Ok(Some(DeliveryStream {
        status: stream.delivery_stream_status.as_str().to_owned(),
        failure: stream.failure_description.map(|failure| failure.r#type.as_str().to_owned()),
        source: stream
            .source
            .and_then(|source| source.kinesis_stream_source_description)
            .and_then(|source| source.kinesis_stream_arn),
        destination: stream.destinations.into_iter().next().and_then(destination_of),
    }))
}

/// The destination as either of the two kinds that deliver to a search domain; none if it is of another kind.
pub fn destination_of(described: DestinationDescription) -> Option<Destination> {
    if let Some(search) = described.amazonopensearchservice_destination_description {
        return Some(of_opensearch(search));
    }
    let search = described.elasticsearch_destination_description?;
    let bucket = search.s3_destination_description;
    Some(Destination {
        domain_arn: search.domain_arn,
        index: search.index_name,
        rotation: search.index_rotation_period.map(|rotation| rotation.as_str().to_owned()),
        document_type: search.type_name,
        role_arn: search.role_arn,
        prefix: bucket.as_ref().and_then(|bucket| bucket.prefix.clone()),
        error_prefix: bucket.as_ref().and_then(|bucket| bucket.error_output_prefix.clone()),
        bucket_arn: bucket.map(|bucket| bucket.bucket_arn),
        buffer_seconds: search.buffering_hints.and_then(|hints| hints.interval_in_seconds).map(count),
    })
}

fn of_opensearch(search: AmazonopensearchserviceDestinationDescription) -> Destination {
    let bucket = search.s3_destination_description;
    Destination {
        domain_arn: search.domain_arn,
        index: search.index_name,
        rotation: search.index_rotation_period.map(|rotation| rotation.as_str().to_owned()),
        document_type: search.type_name,
        role_arn: search.role_arn,
        prefix: bucket.as_ref().and_then(|bucket| bucket.prefix.clone()),
        error_prefix: bucket.as_ref().and_then(|bucket| bucket.error_output_prefix.clone()),
        bucket_arn: bucket.map(|bucket| bucket.bucket_arn),
        buffer_seconds: search.buffering_hints.and_then(|hints| hints.interval_in_seconds).map(count),
    }
}
