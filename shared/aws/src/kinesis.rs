//! Owns the calls of Kinesis Data Streams.

use aws_sdk_kinesis::Client;
use emite_core::snapshot::DataStream;

use crate::convert::count;
use crate::error::{AwsError, if_there};

/// The IAM action of [`data_stream`].
pub const SUMMARY: &str = "kinesis:DescribeStreamSummary";

/// A data stream (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html>); `None`
/// if it does not exist. Needs `kinesis:DescribeStreamSummary`.
pub async fn data_stream(kinesis: &Client, name: &str) -> Result<Option<DataStream>, AwsError> {
    let answer = kinesis.describe_stream_summary().stream_name(name).send().await.map_err(AwsError::of(SUMMARY));
    let Some(answer) = if_there(answer)? else { return Ok(None) };
    let Some(stream) = answer.stream_description_summary else {
        return Err(AwsError::unusable(SUMMARY, "the answer has no stream".to_owned()));
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

/// Whether a data stream exists. Needs `kinesis:DescribeStream`, which Connect asks of its caller too.
pub async fn exists(kinesis: &Client, name: &str) -> Result<bool, AwsError> {
    let described = kinesis.describe_stream().stream_name(name).send().await;
    Ok(if_there(described.map_err(AwsError::of("kinesis:DescribeStream")))?.is_some())
}

/// Raises the retention of a data stream to `hours`
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html>). Needs
/// `kinesis:IncreaseStreamRetentionPeriod`.
pub(crate) async fn increase_retention(kinesis: &Client, name: &str, hours: u32) -> Result<(), AwsError> {
    let hours = i32::try_from(hours).unwrap_or(i32::MAX);
    let call = kinesis.increase_stream_retention_period().stream_name(name).retention_period_hours(hours);
    call.send().await.map(drop).map_err(AwsError::of("kinesis:IncreaseStreamRetentionPeriod"))
}
