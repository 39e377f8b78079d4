//! Owns how a failed AWS call is told.
//!
//! One type for every service, so that a message always names the IAM action and the request id: a denied call
//! names its own fix. Decisions are made by the predicates on codes, never on message texts.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// A failed AWS call, after the SDK's own retries.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct AwsError {
    /// The IAM action that the call needs, such as `connect:AssociateInstanceStorageConfig`.
    pub operation: &'static str,
    /// The service's error code; [`AwsError::TIMED_OUT`] or [`AwsError::UNREACHABLE`] if it never answered.
    pub code: String,
    /// The service's message, or what went wrong on the way to it.
    pub message: String,
    /// AWS's id of the request, for a support case.
    pub request_id: Option<String>,
}

impl AwsError {
    /// The code of a call that got no answer in time.
    pub const TIMED_OUT: &str = "TimedOut";
    /// The code of a call that could not be sent, or whose answer broke off.
    pub const UNREACHABLE: &str = "Unreachable";

    /// Turns an SDK error of the call behind `operation` into ours; for `map_err(AwsError::of("…"))`.
    pub fn of<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        move |error| {
            let plain =
                |code: &str, message: String| Self { operation, code: code.to_owned(), message, request_id: None };
            match &error {
                SdkError::ServiceError(answer) => {
                    let meta = answer.err().meta();
                    Self {
                        operation,
                        code: meta
                            .code()
                            .map_or_else(|| format!("HTTP {}", answer.raw().status().as_u16()), str::to_owned),
                        message: meta.message().unwrap_or("no message").to_owned(),
                        request_id: meta.extra("aws_request_id").map(str::to_owned),
                    }
                }
                SdkError::TimeoutError(_) => plain(Self::TIMED_OUT, "no answer in time".to_owned()),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                    plain(Self::TIMED_OUT, "no answer in time".to_owned())
                }
                other => plain(Self::UNREACHABLE, DisplayErrorContext(other).to_string()),
            }
        }
    }

    /// An answer, or a value to be sent, that makes no sense although nothing failed.
    pub fn unusable(operation: &'static str, message: String) -> Self {
        Self { operation, code: "UnusableAnswer".to_owned(), message, request_id: None }
    }

    /// The thing that the call was about does not exist. EC2 has a code for each kind of thing, such as
    /// `InvalidInstanceID.NotFound`, and another one for an id that none of the kind can have
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
    pub fn is_not_found(&self) -> bool {
        let code = self.code.as_str();
        let ec2 = |kind: &str| kind.ends_with(".NotFound") || kind.ends_with(".Malformed");
        code.strip_prefix("Invalid").is_some_and(ec2)
            || matches!(
                code,
                "ResourceNotFoundException"
                    | "NotFoundException"
                    | "NoSuchEntity"
                    | "NoSuchBucket"
                    | "NoSuchKey"
                    | "NotFound"
                    | "HTTP 404"
            )
    }

    /// IAM, a key policy or a resource policy refused the caller.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AccessDenied"
                | "AccessDeniedException"
                | "AuthorizationError"
                | "AuthorizationErrorException"
                | "UnauthorizedOperation"
                | "HTTP 403"
        )
    }

    /// AWS asked to come back later, and still did after the SDK's own retries.
    pub fn is_throttled(&self) -> bool {
        matches!(
            self.code.as_str(),
            "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "TooManyRequestsException"
                | "RequestThrottled"
                | "RequestLimitExceeded"
                | "LimitExceededException"
                | "ProvisionedThroughputExceededException"
                | "SlowDown"
                | "HTTP 429"
        )
    }

    /// S3 has the bucket in another region than the one that was asked, and says so in one of these ways.
    pub fn is_of_another_region(&self) -> bool {
        matches!(
            self.code.as_str(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "HTTP 301"
        )
    }

    /// The call found something there already. Connect's model names the first; the others are answers that callers
    /// have met for the same thing, so each is followed by another look rather than believed.
    pub fn may_mean_already_there(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ResourceConflictException"
                | "DuplicateResourceException"
                | "InvalidRequestException"
                | "InvalidParameterException"
        )
    }

    /// The service does not accept the value, now or later.
    pub fn is_refused_value(&self) -> bool {
        self.is_not_found() || self.may_mean_already_there()
    }

    fn sentence(&self) -> String {
        let id = self.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
        let Self { operation, code, message, .. } = self;
        if self.is_denied() {
            return format!(
                "{operation} was denied: {code}: {message}{id}. Allow {operation} for this function's role"
            );
        }
        format!("{operation} failed: {code}: {message}{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: &str) -> AwsError {
        AwsError { operation: "x:Y", code: code.to_owned(), message: String::new(), request_id: None }
    }

    #[test]
    fn what_ec2_does_not_know_is_not_there_and_nothing_else_is() {
        for gone in [
            "InvalidInstanceID.NotFound",
            "InvalidInstanceID.Malformed",
            "InvalidAllocationID.NotFound",
            "InvalidGroup.NotFound",
            "InvalidGroupId.Malformed",
            "InvalidAssociationID.NotFound",
        ] {
            assert!(code(gone).is_not_found(), "{gone}");
        }
        for other in ["InvalidParameterValue", "InvalidInstanceID.NotLinkable", "Resource.AlreadyAssociated", "Invalid"]
        {
            assert!(!code(other).is_not_found(), "{other}");
        }
    }

    #[test]
    fn what_ec2_refuses_is_denied_and_what_it_holds_back_is_throttled() {
        assert!(code("UnauthorizedOperation").is_denied() && !code("UnauthorizedOperation").is_throttled());
        assert!(code("RequestLimitExceeded").is_throttled() && !code("RequestLimitExceeded").is_denied());
    }
}
