//! Owns the mocked EC2 client of tests.

use aws_credential_types::Credentials;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{BehaviorVersion, Region};
use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client};
use aws_smithy_types::error::ErrorMetadata;

/// A client that answers the calls in this order, and fails any other call. Put together by hand, as the SDK's own
/// defaults for tests would have this largest of its crates built once more.
pub(crate) fn client(rules: &[&Rule]) -> Client {
    let answers = MockResponseInterceptor::new().rule_mode(RuleMode::Sequential);
    let answers = rules.iter().fold(answers, |answers, rule| answers.with_rule(rule));
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("ap-southeast-2"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .http_client(create_mock_http_client())
        .interceptor(answers);
    Client::from_conf(config.build())
}

pub(crate) fn code(code: &str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("no").build()
}
