//! Owns the AWS clients and how they behave: each is built when it is first used, and all share time-outs and retries.
//!
//! The SDK has no time-out of its own, and a function that waits for ever never answers. An attempt gets 5 s and a call
//! with all its retries 25 s; only whole objects of S3 get longer ([`Bucket`](crate::s3::objects::Bucket)). Connect
//! allows two calls a second and bursts of five
//! (<https://docs.aws.amazon.com/connect/latest/adminguide/amazon-connect-service-limits.html>), which the standard
//! retries' growing pauses outlast; the adaptive mode is not used, as one throttled call makes every later one of a
//! warm process wait for seconds.
//!
//! AWS Lambda gives a function its region and its credentials in environment variables. No other source is consulted; the
//! crate `aws-config` would also try configuration files, the metadata service and STS.

use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::origin::Origin;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::settings::environment;

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
    /// Clients for the credentials, region and endpoints that `lookup` finds
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>). Endpoints of single services always come
    /// from the process's environment.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let keys = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
        let credentials = keys.map(|(key_id, secret)| {
            let credentials = Credentials::new(key_id, secret, set("AWS_SESSION_TOKEN"), None, "environment");
            SharedCredentialsProvider::new(credentials)
        });
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(set("AWS_REGION").map(Region::new))
            .service_config(EndpointsOfEnvironment)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_attempt_timeout(Duration::from_secs(5))
                    .operation_timeout(Duration::from_secs(25))
                    .build(),
            )
            .retry_config(RetryConfig::standard().with_max_attempts(5));
        config.set_credentials_provider(credentials).set_endpoint_url(set("AWS_ENDPOINT_URL"));
        // Without this, some clients take it for a default that they may replace by their own.
        config.insert_origin("retry_config", Origin::shared_config());
        Self::new(config.build())
    }

    /// The same clients over another HTTP client; for tests.
    #[must_use]
    pub fn with_http_client(&self, client: impl HttpClient + 'static) -> Self {
        Self::new(self.config.to_builder().http_client(client).build())
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

/// Endpoints of single services, as the local AWS sets them: `AWS_ENDPOINT_URL_CONNECT` and the like
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
#[derive(Debug)]
struct EndpointsOfEnvironment;

impl LoadServiceConfig for EndpointsOfEnvironment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().replace(' ', "_").to_uppercase();
        environment(&format!("{}_{service}", key.env())).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::ProvideCredentials;

    use super::*;

    fn aws(variables: &[(&str, &str)]) -> Aws {
        Aws::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[tokio::test]
    async fn clients_work_with_what_aws_lambda_sets() {
        let aws = aws(&[
            ("AWS_REGION", "eu-west-2"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ]);
        let credentials = aws.credentials().unwrap().provide_credentials().await.unwrap();
        let keys = (credentials.access_key_id(), credentials.secret_access_key(), credentials.session_token());
        assert_eq!(keys, ("AKIDEXAMPLE", "secret", Some("token")));
        assert_eq!((aws.region(), aws.config.endpoint_url()), (Some("eu-west-2"), Some("http://127.0.0.1:4566")));
        assert_eq!(aws.dynamodb().config().retry_config().unwrap().max_attempts(), 5);
    }

    #[test]
    fn what_is_empty_or_half_there_is_not_there() {
        let aws = aws(&[("AWS_REGION", ""), ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_ENDPOINT_URL", "")]);
        assert!(aws.credentials().is_none());
        assert_eq!((aws.region(), aws.config.endpoint_url()), (None, None));
    }
}
