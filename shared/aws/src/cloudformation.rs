//! Owns the calls of CloudFormation: whether the stack is being changed, and what that means for checks and repairs.

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
    match tokio::time::timeout(PATIENCE, state(cloudformation, stack_id)).await {
        Ok(Ok((status, since))) => counts(&status, since, now),
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
    Ok(objects(&state(cloudformation, stack_id).await?.0))
}

/// Whether the stack is on its way to something new, and not back to what it was. Not knowing is no: nothing may be in
/// the way of a rollback. Needs `cloudformation:DescribeStacks`.
pub async fn is_updated_forward(cloudformation: &Client, stack_id: &Arn) -> bool {
    let state = tokio::time::timeout(PATIENCE, state(cloudformation, stack_id)).await;
    matches!(state, Ok(Ok((status, _))) if status == "UPDATE_IN_PROGRESS")
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

/// The status, and when it last began to change.
async fn state(cloudformation: &Client, stack_id: &Arn) -> Result<(String, Option<Timestamp>), AwsError> {
    const ACTION: &str = "cloudformation:DescribeStacks";
    let answer = cloudformation.describe_stacks().stack_name(stack_id.to_string()).send().await;
    let stacks = answer.map_err(AwsError::of(ACTION))?.stacks.unwrap_or_default();
    let stack = stacks.into_iter().next();
    let stack = stack.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no stack".to_owned()))?;
    let status = stack.stack_status.map_or_else(String::new, |status| status.as_str().to_owned());
    let times = [stack.deletion_time, stack.last_updated_time, stack.creation_time];
    Ok((status, times.iter().flatten().filter_map(timestamp).max()))
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
