//! Owns the AWS clients and how they behave: each is built when it is first used, and all share time-outs and retries.
//!
//! The SDK has no time-out of its own, and a function that waits for ever never answers. An attempt gets 5 s and a call
//! with all its retries 25 s; only whole objects of S3 get longer ([`Bucket`](crate::s3::objects::Bucket)). Connect
//! allows two calls a second and bursts of five
//! (<https://docs.aws.amazon.com/connect/latest/adminguide/amazon-connect-service-limits.html>), which the standard
//! retries' growing pauses outlast; the adaptive mode is not used, as one throttled call makes every later one of a
//! warm process wait for seconds.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

/// Declares the clients: for each a field, and a method that builds it when it is first called. The client of a service
/// that a function never calls is not even linked into it.
macro_rules! clients {
    ($($(#[$doc:meta])+ $name:ident: $sdk:ident;)+) => {
        /// The clients, which share one configuration.
        #[derive(Clone, Debug)]
        pub struct Aws {
            pub(crate) config: SdkConfig,
            $(pub(crate) $name: OnceLock<$sdk::Client>,)+
        }

        impl Aws {
            /// Clients that share `config`.
            pub fn new(config: SdkConfig) -> Self {
                Self { config, $($name: OnceLock::new(),)+ }
            }

            $(
                $(#[$doc])+
                pub fn $name(&self) -> &$sdk::Client {
                    self.$name.get_or_init(|| $sdk::Client::new(&self.config))
                }
            )+
        }
    };
}

clients! {
    /// CloudFormation.
    cloudformation: aws_sdk_cloudformation;
    /// CloudWatch.
    cloudwatch: aws_sdk_cloudwatch;
    /// Amazon Connect.
    connect: aws_sdk_connect;
    /// DynamoDB, for the ledger.
    dynamodb: aws_sdk_dynamodb;
    /// EC2, for a server in this account.
    ec2: aws_sdk_ec2;
    /// EventBridge.
    eventbridge: aws_sdk_eventbridge;
    /// Amazon Data Firehose.
    firehose: aws_sdk_firehose;
    /// IAM.
    iam: aws_sdk_iam;
    /// Kinesis Data Streams.
    kinesis: aws_sdk_kinesis;
    /// KMS.
    kms: aws_sdk_kms;
    /// CloudWatch Logs.
    logs: aws_sdk_cloudwatchlogs;
    /// Amazon OpenSearch Service.
    opensearch: aws_sdk_opensearch;
    /// S3.
    s3: aws_sdk_s3;
    /// SNS.
    sns: aws_sdk_sns;
    /// SQS.
    sqs: aws_sdk_sqs;
    /// Systems Manager, for the spec.
    ssm: aws_sdk_ssm;
}

impl Aws {
    /// Clients for the credentials, region and endpoints of the environment.
    pub async fn from_env() -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_attempt_timeout(Duration::from_secs(5))
                    .operation_timeout(Duration::from_secs(25))
                    .build(),
            )
            .retry_config(RetryConfig::standard().with_max_attempts(5))
            .load()
            .await;
        Self::new(config)
    }

    /// What the clients sign with, for requests that no client makes.
    pub fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.config.credentials_provider()
    }

    /// The region that the clients call.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }
}
