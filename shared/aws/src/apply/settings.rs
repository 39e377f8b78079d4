//! Owns applying changes to settings of one value: each is read again right before it is written, and left alone if it
//! has changed since the change was decided.

use emite_core::arn::Arn;

use super::outcome::{Applied, ApplyError};
use crate::clients::Aws;
use crate::error::AwsError;
use crate::{iam, kinesis};

/// Raises the retention to `to` hours, if it still is `from`. AWS rejects a value that is not higher than the current
/// one. In that case an attempt of ours whose answer got lost, or another change, came first.
pub(super) async fn raise_retention(aws: &Aws, stream: &str, from: u32, to: u32) -> Result<Applied, ApplyError> {
    let live = retention_hours(aws, stream).await?;
    if live >= to {
        return Ok(Applied::Unchanged);
    }
    if live != from {
        return Err(ApplyError::ChangedMeanwhile("the retention of the stream of agent events".to_owned()));
    }
    match kinesis::increase_retention(aws.kinesis(), stream, to).await {
        Ok(()) => Ok(Applied::Done),
        Err(error) => match retention_hours(aws, stream).await {
            Ok(live) if live >= to => Ok(Applied::Done),
            _ if error.is_in_use() => Err(ApplyError::InProgress("the stream of agent events")),
            _ => Err(error.into()),
        },
    }
}

async fn retention_hours(aws: &Aws, stream: &str) -> Result<u32, AwsError> {
    let described = kinesis::data_stream(aws.kinesis(), stream).await?;
    let gone = || AwsError::new(kinesis::SUMMARY, "ResourceNotFoundException", format!("there is no stream {stream}"));
    described.map(|stream| stream.retention_hours).ok_or_else(gone)
}

/// Sets the longest session, if it still is `from` seconds.
pub(super) async fn set_session(aws: &Aws, role: &str, from: u32, to: u32) -> Result<Applied, ApplyError> {
    match iam::described(aws.iam(), role).await?.max_session_seconds {
        live if live >= to => Ok(Applied::Unchanged),
        live if live != from => Err(ApplyError::ChangedMeanwhile("the session duration of the role".to_owned())),
        _ => Ok(iam::set_max_session(aws.iam(), role, to).await.map(|()| Applied::Done)?),
    }
}

/// Sets the permissions boundary, if it still is `from`.
pub(super) async fn set_boundary(aws: &Aws, role: &str, from: Option<&str>, to: &Arn) -> Result<Applied, ApplyError> {
    let live = iam::described(aws.iam(), role).await?.boundary;
    if live.as_deref() == Some(to.to_string().as_str()) {
        return Ok(Applied::Unchanged);
    }
    if live.as_deref() != from {
        return Err(ApplyError::ChangedMeanwhile("the permissions boundary of the role".to_owned()));
    }
    Ok(iam::set_boundary(aws.iam(), role, to).await.map(|()| Applied::Done)?)
}
