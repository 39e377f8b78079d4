//! Owns the AWS clients and how they behave: built once per process, with time-outs and retries set in one place.
//!
//! The SDK has no time-out of its own, and a function that waits for ever answers nobody. An attempt gets 5 s and a
//! call with all its retries 25 s. Connect allows two calls a second and bursts of five
//! (<https://docs.aws.amazon.com/connect/latest/adminguide/amazon-connect-service-limits.html>), which the standard
//! retries' growing pauses outlast; the adaptive mode is not used, as one throttled call makes every later one of a warm
//! process wait for seconds.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

/// The clients of the services that more than one function calls.
#[derive(Clone, Debug)]
pub struct Aws {
    /// CloudFormation.
    pub cloudformation: aws_sdk_cloudformation::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// Amazon Connect.
    pub connect: aws_sdk_connect::Client,
    /// DynamoDB, for the ledger.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// What the clients sign with, for requests that no client makes.
    pub credentials: Option<SharedCredentialsProvider>,
    /// EC2, for a server in this account.
    pub ec2: aws_sdk_ec2::Client,
    /// EventBridge.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// Amazon Data Firehose.
    pub firehose: aws_sdk_firehose::Client,
    /// IAM.
    pub iam: aws_sdk_iam::Client,
    /// Kinesis Data Streams.
    pub kinesis: aws_sdk_kinesis::Client,
    /// KMS.
    pub kms: aws_sdk_kms::Client,
    /// Amazon OpenSearch Service.
    pub opensearch: aws_sdk_opensearch::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Systems Manager, for the spec.
    pub ssm: aws_sdk_ssm::Client,
}

/// The credentials, region and endpoints of the environment, with the time-outs and retries of every client.
pub async fn config_from_env() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(5))
                .operation_timeout(Duration::from_secs(25))
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(5))
        .load()
        .await
}

impl Aws {
    /// Clients for the credentials, region and endpoints of the environment.
    pub async fn from_env() -> Self {
        Self::new(&config_from_env().await)
    }

    /// Clients that share `config`.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            cloudformation: aws_sdk_cloudformation::Client::new(config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            connect: aws_sdk_connect::Client::new(config),
            credentials: config.credentials_provider(),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            eventbridge: aws_sdk_eventbridge::Client::new(config),
            firehose: aws_sdk_firehose::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            kinesis: aws_sdk_kinesis::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            opensearch: aws_sdk_opensearch::Client::new(config),
            s3: aws_sdk_s3::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
        }
    }
}
