//! Owns the data stream of agent events as a link: how long it keeps its records.

use aws_sdk_kinesis::Client;

use crate::change::{Applied, ApplyError, Change};
use crate::error::AwsError;

/// What has to change so that the stream keeps its records for `wanted` hours at least. Pure.
pub fn diff(stream: &str, wanted: u32, live: u32) -> Option<Change> {
    (live < wanted).then(|| Change::SetRetention { stream: stream.to_owned(), from: live, to: wanted })
}

/// Raises the retention to `to` hours, if it still is `from`. Needs `kinesis:DescribeStreamSummary` and
/// `kinesis:IncreaseStreamRetentionPeriod`
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html>), which refuses
/// hours that are not more than those that it has: then a lost answer of ours, or somebody else, was there before.
pub(crate) async fn raise_retention(kinesis: &Client, stream: &str, from: u32, to: u32) -> Result<Applied, ApplyError> {
    let live = retention_hours(kinesis, stream).await?;
    if live >= to {
        return Ok(Applied::Unchanged);
    }
    if live != from {
        return Err(ApplyError::ChangedMeanwhile("the retention of the stream of agent events".to_owned()));
    }
    let hours = i32::try_from(to).unwrap_or(i32::MAX);
    let answer =
        kinesis.increase_stream_retention_period().stream_name(stream).retention_period_hours(hours).send().await;
    match answer.map_err(AwsError::of("kinesis:IncreaseStreamRetentionPeriod")) {
        Ok(_) => Ok(Applied::Done),
        Err(error) => match retention_hours(kinesis, stream).await {
            Ok(live) if live >= to => Ok(Applied::Done),
            _ if error.is_in_use() => Err(ApplyError::InProgress("the stream of agent events")),
            _ => Err(error.into()),
        },
    }
}

async fn retention_hours(kinesis: &Client, stream: &str) -> Result<u32, AwsError> {
    const ACTION: &str = "kinesis:DescribeStreamSummary";
    let answer = kinesis.describe_stream_summary().stream_name(stream).send().await.map_err(AwsError::of(ACTION))?;
    let summary = answer.stream_description_summary;
    let hours = summary.and_then(|summary| u32::try_from(summary.retention_period_hours).ok());
    hours.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no retention".to_owned()))
}
