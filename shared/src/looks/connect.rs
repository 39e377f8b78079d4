//! Owns looking at the Amazon Connect instance.

use aws_sdk_connect::Client;

use crate::arn::InstanceId;
use crate::error::AwsError;
use crate::links::approved_origin;
use crate::links::data_streaming::{self, Association, ResourceType, Source};
use crate::snapshot::Instance;

/// The instance (<https://docs.aws.amazon.com/connect/latest/APIReference/API_DescribeInstance.html>).
pub(super) async fn instance(connect: &Client, instance: &InstanceId) -> Result<Option<Instance>, AwsError> {
    const ACTION: &str = "connect:DescribeInstance";
    let answer = connect.describe_instance().instance_id(instance.as_str()).send().await.map_err(AwsError::of(ACTION));
    let Some(answer) = super::if_there(answer)? else { return Ok(None) };
    let Some(instance) = answer.instance else {
        return Err(AwsError::unusable(ACTION, "the answer has no instance".to_owned()));
    };
    let status = instance.instance_status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned());
    Ok(Some(Instance { status, alias: instance.instance_alias }))
}

/// Where the records of one type go. An instance that is gone streams nothing.
pub(super) async fn streaming(
    connect: &Client,
    instance: &InstanceId,
    resource_type: ResourceType,
) -> Result<Option<Association>, AwsError> {
    let source = Source { instance: instance.clone(), resource_type };
    Ok(super::if_there(data_streaming::observe(connect, &source).await)?.flatten())
}

/// The approved origins. An instance that is gone has none.
pub(super) async fn approved_origins(connect: &Client, instance: &InstanceId) -> Result<Vec<String>, AwsError> {
    Ok(super::if_there(approved_origin::list(connect, instance).await)?.unwrap_or_default())
}
