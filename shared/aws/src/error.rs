//! Owns how a failed AWS call is reported.
//!
//! One type for every service, so that a message always names the IAM action and the request id: a denied call
//! names its own fix. Decisions are made by the predicates on codes, never on message texts.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// A failed AWS call, after the SDK's own retries.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct AwsError {
    /// The IAM action that the call needs, such as `connect:AssociateInstanceStorageConfig`.
    pub operation: &'static str,
    /// The service's error code; [`AwsError::TIMED_OUT`] or [`AwsError::UNREACHABLE`] if it never answered, and
    /// [`AwsError::UNPARSABLE`] if its answer is not of the service's protocol.
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
    /// The code of a call that succeeded with an answer which the SDK cannot parse.
    pub const UNPARSABLE: &str = "UnparsableAnswer";

    /// Turns an SDK error of the call behind `operation` into ours; for `map_err(AwsError::of("…"))`.
    pub fn of<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        move |error| {
            let plain = |code: &str, message: String| Self::new(operation, code, message);
            match &error {
                SdkError::ServiceError(answer) => {
                    let (meta, status) = (answer.err().meta(), answer.raw().status());
                    let code = match meta.code() {
                        Some(code) => code.to_owned(),
                        None if status.is_success() => Self::UNPARSABLE.to_owned(),
                        None => format!("HTTP {}", status.as_u16()),
                    };
                    Self {
                        operation,
                        code,
                        message: match (meta.message(), answer.err().source()) {
                            (Some(message), _) => message.to_owned(),
                            (None, Some(cause)) => causes(cause),
                            (None, None) => "no message".to_owned(),
                        },
                        request_id: meta
                            .extra("aws_request_id")
                            .map(str::to_owned)
                            .or_else(|| request_id(answer.raw())),
                    }
                }
                // Its body is there if it arrived whole.
                SdkError::ResponseError(answer) if answer.raw().body().bytes().is_some() => {
                    Self { request_id: request_id(answer.raw()), ..plain(Self::UNPARSABLE, causes(&error)) }
                }
                SdkError::TimeoutError(_) => plain(Self::TIMED_OUT, "no answer in time".to_owned()),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                    plain(Self::TIMED_OUT, "no answer in time".to_owned())
                }
                other => plain(Self::UNREACHABLE, causes(other)),
            }
        }
    }

    /// A failure that no service reported.
    pub fn new(operation: &'static str, code: &str, message: String) -> Self {
        Self { operation, code: code.to_owned(), message, request_id: None }
    }

    /// An answer, or a value to be sent, that makes no sense although nothing failed.
    pub fn unusable(operation: &'static str, message: String) -> Self {
        Self::new(operation, "UnusableAnswer", message)
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
                    | "ParameterNotFound"
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

    /// AWS throttled the call, even after the SDK's own retries.
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

    /// The request as it is cannot be carried out. Some services also say so while they carry out another one.
    pub fn is_invalid_request(&self) -> bool {
        self.code == "ValidationException"
    }

    /// Something else is being done to the resource, such as a Kinesis stream that is not `ACTIVE`.
    pub fn is_in_use(&self) -> bool {
        self.code == "ResourceInUseException"
    }

    /// S3 has the bucket in another region than the one that was asked, and says so in one of these ways.
    pub fn is_of_another_region(&self) -> bool {
        matches!(
            self.code.as_str(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "HTTP 301"
        )
    }

    /// The object of S3 is not the version any more that was asked for, or is just being changed.
    pub fn is_of_another_version(&self) -> bool {
        matches!(self.code.as_str(), "PreconditionFailed" | "HTTP 412" | "ConditionalRequestConflict" | "HTTP 409")
    }

    /// The object of S3 is in an archive and has to be restored before it can be read
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html>).
    pub fn is_archived(&self) -> bool {
        self.code == "InvalidObjectState"
    }

    /// The object of S3 does not reach as far as the bytes that were asked for.
    pub fn is_past_the_end(&self) -> bool {
        matches!(self.code.as_str(), "InvalidRange" | "HTTP 416")
    }

    /// The call may have found something there already. Connect's model names only the first code; callers have seen
    /// the others for the same thing. So check after each of them.
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

/// `None`, if the thing that the call was about does not exist.
pub fn if_there<T>(answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match answer {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// AWS's id of the request, from the headers of its answer.
fn request_id(answer: &HttpResponse) -> Option<String> {
    let header = |name| answer.headers().get(name).map(str::to_owned);
    header("x-amzn-requestid").or_else(|| header("x-amz-request-id"))
}

/// An error and its causes, each as it describes itself. Never in debug form: that of the SDK's errors holds the whole
/// answer, which may hold what no log should.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let described = cause.to_string();
        if !text.ends_with(&described) {
            text = format!("{text}: {described}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_sdk_connect::Client;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_types::body::SdkBody;
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};

    use super::*;

    fn code(code: &str) -> AwsError {
        AwsError { operation: "x:Y", code: code.to_owned(), message: String::new(), request_id: None }
    }

    /// What comes of an answer with this status and body.
    async fn answered(status: u16, body: &'static str) -> AwsError {
        let rule =
            mock!(Client::describe_instance).sequence().http_status(status, Some(body.to_owned())).times(9).build();
        let client = mock_client!(aws_sdk_connect, RuleMode::MatchAny, [&rule]);
        let answer = client.describe_instance().instance_id("x").send().await;
        answer.map_err(AwsError::of("connect:DescribeInstance")).unwrap_err()
    }

    #[tokio::test]
    async fn unparsable_answer_has_its_own_code_and_names_its_causes() {
        let error = answered(200, r#"{"Instance": 5}"#).await;
        assert_eq!(error.code, AwsError::UNPARSABLE);
        insta::assert_snapshot!(error, @"connect:DescribeInstance failed: UnparsableAnswer: failed to parse JSON: expected start object or null");
        let error = answered(503, "<html>").await;
        let text = error.to_string();
        assert!(
            text.starts_with("connect:DescribeInstance failed: HTTP 503: Error at offset 0: unexpected token"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn error_never_contains_the_response_body() {
        for (status, body) in [
            (200, r#"{"Instance": "+61412345678""#),
            (200, "+61412345678"),
            (400, "+61412345678"),
            (500, "+61412345678"),
        ] {
            let error = answered(status, body).await;
            assert!(!format!("{error} {error:?}").contains("614"), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_breaks_off_is_unreachable_and_not_unparsable() {
        let cut = mock!(Client::describe_instance).then_http_response(|| {
            let parts = [Ok(Frame::data(Bytes::from_static(b"{"))), Err(std::io::Error::other("the wire was cut"))];
            let body = SdkBody::from_body_1_x(StreamBody::new(futures_util::stream::iter(parts)));
            HttpResponse::new(200.try_into().unwrap(), body)
        });
        let client = mock_client!(aws_sdk_connect, RuleMode::MatchAny, [&cut]);
        let answer = client.describe_instance().instance_id("x").send().await;
        let error = answer.map_err(AwsError::of("connect:DescribeInstance")).unwrap_err();
        assert_eq!(error.code, AwsError::UNREACHABLE, "{error}");
        assert!(error.message.ends_with("the wire was cut"), "{error}");
    }

    #[test]
    fn each_cause_is_named_once() {
        let inner = std::io::Error::other("the wire was cut");
        let outer = Outer { text: "no answer: the wire was cut", source: inner };
        assert_eq!(causes(&outer), "no answer: the wire was cut");
        let outer = Outer { text: "no answer", ..outer };
        assert_eq!(causes(&outer), "no answer: the wire was cut");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Outer {
        text: &'static str,
        source: std::io::Error,
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
            "InvalidKeyPair.NotFound",
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
