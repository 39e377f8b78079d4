//! Owns the calls of CloudFormation: the stack, its resources, and what a change in progress means for checks and repairs.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::Client;
use emite_core::arn::Arn;
use jiff::{SignedDuration, Timestamp};

use crate::convert::timestamp;
use crate::error::AwsError;
use crate::look::log;

/// How long the read may take. The health check runs if the state is not known.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a change keeps the health check silent. A change that takes longer is most likely stuck, and what breaks
/// meanwhile has to be reported.
const LONGEST: SignedDuration = SignedDuration::from_hours(3);

/// Whether a change of the stack is in progress that does not seem to be stuck. Needs `cloudformation:DescribeStacks`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>).
pub async fn is_changing(cloudformation: &Client, stack_id: &Arn, now: Timestamp) -> bool {
    match tokio::time::timeout(PATIENCE, own(cloudformation, stack_id)).await {
        Ok(Ok(stack)) => counts(&stack.status, stack.since, now),
        Ok(Err(error)) => {
            log(&error, "could not see whether the stack is changing");
            false
        }
        Err(_) => {
            tracing::warn!("could not see whether the stack is changing: no answer in time");
            false
        }
    }
}

/// Why nothing of the stack may be repaired now; none if it may. Needs `cloudformation:DescribeStacks`.
///
/// Other than [`is_changing`], this fails if the state is not known: what is set up for a stack in deletion would stay.
pub async fn objection(cloudformation: &Client, stack_id: &Arn) -> Result<Option<&'static str>, AwsError> {
    Ok(objects(&own(cloudformation, stack_id).await?.status))
}

/// A stack, as far as its own functions need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Such as `UPDATE_IN_PROGRESS`.
    pub status: String,
    /// Its parameters: during an update those that it is updated to.
    pub parameters: BTreeMap<String, String>,
    since: Option<Timestamp>,
}

impl Stack {
    /// Whether CloudFormation is changing it.
    pub fn is_in_progress(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Such as `Custom::EmitePreflight`.
    pub resource_type: String,
    /// Such as `CREATE_IN_PROGRESS`.
    pub status: String,
    /// What the resource is called in AWS, once it has a name.
    pub physical_id: Option<String>,
}

/// The stack; none if there is no such stack. Needs `cloudformation:DescribeStacks`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>).
pub async fn stack(cloudformation: &Client, stack_id: &Arn) -> Result<Option<Stack>, AwsError> {
    const ACTION: &str = "cloudformation:DescribeStacks";
    let answer = cloudformation.describe_stacks().stack_name(stack_id.to_string()).send().await;
    let stacks = match answer.map_err(AwsError::of(ACTION)) {
        Err(error) if says_there_is_none(&error) => return Ok(None),
        answer => answer?.stacks.unwrap_or_default(),
    };
    let stack = stacks.into_iter().next();
    let stack = stack.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no stack".to_owned()))?;
    let times = [stack.deletion_time, stack.last_updated_time, stack.creation_time];
    let parameters = stack.parameters.unwrap_or_default();
    Ok(Some(Stack {
        status: stack.stack_status.map_or_else(String::new, |status| status.as_str().to_owned()),
        parameters: parameters.into_iter().filter_map(|given| given.parameter_key.zip(given.parameter_value)).collect(),
        since: times.iter().flatten().filter_map(timestamp).max(),
    }))
}

/// A resource of the stack by its name in the template; none if there is none. Needs
/// `cloudformation:DescribeStackResource`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResource.html>).
pub async fn resource(cloudformation: &Client, stack_id: &Arn, logical_id: &str) -> Result<Option<Resource>, AwsError> {
    const ACTION: &str = "cloudformation:DescribeStackResource";
    let call = cloudformation.describe_stack_resource().stack_name(stack_id.to_string());
    let answer = match call.logical_resource_id(logical_id).send().await.map_err(AwsError::of(ACTION)) {
        Err(error) if says_there_is_none(&error) => return Ok(None),
        answer => answer?,
    };
    let detail = answer.stack_resource_detail;
    let detail = detail.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no resource".to_owned()))?;
    Ok(Some(Resource {
        resource_type: detail.resource_type.unwrap_or_default(),
        status: detail.resource_status.map_or_else(String::new, |status| status.as_str().to_owned()),
        physical_id: detail.physical_resource_id.filter(|id| !id.is_empty()),
    }))
}

/// CloudFormation has no error of its own for a stack or a resource that does not exist.
fn says_there_is_none(error: &AwsError) -> bool {
    error.code == "ValidationError" && error.message.contains("does not exist")
}

fn objects(status: &str) -> Option<&'static str> {
    match status {
        _ if status.starts_with("DELETE_") => {
            Some("the stack is being deleted, or its deletion has failed: delete it again, and look what is left then")
        }
        "REVIEW_IN_PROGRESS" => None,
        _ if status.ends_with("_IN_PROGRESS") => Some("the stack is being changed: run it again when that is done"),
        _ => None,
    }
}

/// The stack that there must be, as it is this function's own.
async fn own(cloudformation: &Client, stack_id: &Arn) -> Result<Stack, AwsError> {
    let stack = stack(cloudformation, stack_id).await?;
    stack.ok_or_else(|| AwsError::unusable("cloudformation:DescribeStacks", format!("there is no stack {stack_id}")))
}

fn counts(status: &str, since: Option<Timestamp>, now: Timestamp) -> bool {
    let going_on = status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS";
    going_on && since.is_none_or(|since| now.duration_since(since) < LONGEST)
}

#[cfg(test)]
mod tests {
    use emite_core::fixtures::noon;

    use super::*;

    #[test]
    fn nothing_is_mended_for_a_stack_that_is_changed_or_goes_or_half_went() {
        for status in
            ["CREATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_FAILED"]
        {
            assert!(objects(status).is_some(), "{status}");
        }
        for status in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_FAILED", "IMPORT_COMPLETE"] {
            assert_eq!(objects(status), None, "{status}");
        }
    }

    #[test]
    fn a_change_counts_until_it_has_taken_too_long() {
        let ago = |hours| Some(noon() - SignedDuration::from_hours(hours));
        assert!(counts("UPDATE_IN_PROGRESS", ago(1), noon()));
        assert!(counts("UPDATE_ROLLBACK_IN_PROGRESS", None, noon()));
        assert!(!counts("UPDATE_IN_PROGRESS", ago(3), noon()));
        for settled in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_FAILED", "REVIEW_IN_PROGRESS", ""] {
            assert!(!counts(settled, ago(1), noon()), "{settled}");
        }
    }
}
