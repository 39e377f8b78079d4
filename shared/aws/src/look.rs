//! Owns the time limit of a read, and turning a failed call into [`Unseen`], which is neither healthy nor broken.

use std::time::Duration;

use emite_core::look::{Cause, Look, Unseen};

use crate::error::AwsError;

/// How long a read may take, with all its calls.
const LIMIT: Duration = Duration::from_secs(15);

impl From<AwsError> for Unseen {
    fn from(error: AwsError) -> Self {
        let cause = if error.is_denied() {
            Cause::Denied
        } else if error.is_throttled() {
            Cause::Throttled
        } else if error.code == AwsError::TIMED_OUT {
            Cause::TimedOut
        } else {
            Cause::Failed
        };
        Self { action: error.operation, cause, request_id: error.request_id }
    }
}

/// What `work` reads within [`LIMIT`]. `action` is the IAM action of its first call, to be named if none answers in
/// time.
pub async fn look<T>(action: &'static str, work: impl Future<Output = Result<T, AwsError>>) -> Look<T> {
    match tokio::time::timeout(LIMIT, Box::pin(work)).await {
        Ok(seen) => seen.map_err(unseen),
        Err(_) => {
            tracing::warn!(action, "could not look: no answer in time");
            Err(Unseen { action, cause: Cause::TimedOut, request_id: None })
        }
    }
}

/// A failed call as an observation. Logs why it failed.
pub(crate) fn unseen(error: AwsError) -> Unseen {
    log(&error, "could not look");
    Unseen::from(error)
}

/// Logs why a read failed, and what that leaves open. A finding names only the action and the kind of the cause.
pub(crate) fn log(error: &AwsError, open: &'static str) {
    let AwsError { operation, code, message, request_id } = error;
    tracing::warn!(action = operation, code, reason = message, request_id, "{open}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_given_up_and_named() {
        let seen = look::<()>("iam:GetRole", std::future::pending()).await;
        assert_eq!(seen, Err(Unseen { action: "iam:GetRole", cause: Cause::TimedOut, request_id: None }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_call_that_failed_is_named_not_the_first_one() {
        let denied = AwsError {
            operation: "iam:GetRolePolicy",
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
            request_id: Some("r1".to_owned()),
        };
        let seen = look::<()>("iam:GetRole", async { Err(denied) }).await.unwrap_err();
        assert_eq!(
            (seen.action, seen.cause, seen.request_id.as_deref()),
            ("iam:GetRolePolicy", Cause::Denied, Some("r1"))
        );
    }
}
