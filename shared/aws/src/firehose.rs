//! Owns the calls of Amazon Data Firehose.

use aws_sdk_firehose::Client;
use aws_sdk_firehose::types::{
    AmazonopensearchserviceDestinationDescription, DestinationDescription, S3DestinationDescription,
};
use emite_core::snapshot::{DeliveryStream, Destination};

use crate::convert::count;
use crate::error::{AwsError, if_there};

/// A delivery stream
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_DescribeDeliveryStream.html>); `None` if it does not
/// exist. Needs `firehose:DescribeDeliveryStream`.
pub async fn delivery_stream(firehose: &Client, name: &str) -> Result<Option<DeliveryStream>, AwsError> {
    const ACTION: &str = "firehose:DescribeDeliveryStream";
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
fn destination_of(described: DestinationDescription) -> Option<Destination> {
    if let Some(search) = described.amazonopensearchservice_destination_description {
        return Some(of_opensearch(search));
    }
    let search = described.elasticsearch_destination_description?;
    Some(Destination {
        domain_arn: search.domain_arn,
        index: search.index_name,
        rotation: search.index_rotation_period.map(|rotation| rotation.as_str().to_owned()),
        document_type: search.type_name,
        role_arn: search.role_arn,
        buffer_seconds: search.buffering_hints.and_then(|hints| hints.interval_in_seconds).map(count),
        ..in_bucket(search.s3_destination_description)
    })
}

fn of_opensearch(search: AmazonopensearchserviceDestinationDescription) -> Destination {
    Destination {
        domain_arn: search.domain_arn,
        index: search.index_name,
        rotation: search.index_rotation_period.map(|rotation| rotation.as_str().to_owned()),
        document_type: search.type_name,
        role_arn: search.role_arn,
        buffer_seconds: search.buffering_hints.and_then(|hints| hints.interval_in_seconds).map(count),
        ..in_bucket(search.s3_destination_description)
    }
}

/// What a destination says of its bucket for failed records.
fn in_bucket(bucket: Option<S3DestinationDescription>) -> Destination {
    let Some(bucket) = bucket else { return Destination::default() };
    Destination {
        bucket_arn: Some(bucket.bucket_arn),
        prefix: bucket.prefix,
        error_prefix: bucket.error_output_prefix,
        ..Destination::default()
    }
}
