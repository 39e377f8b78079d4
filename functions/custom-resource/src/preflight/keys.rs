//! Owns checking the KMS keys that are given.

use emite_aws::kms;
use emite_core::arn::Arn;

use super::problem::Problem;
use super::values::Parameters;
use crate::provider::Provider;

/// The service that encrypts with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyUser {
    /// Any key that the account has will do.
    Firehose,
    /// It cannot use a key that AWS manages.
    AmazonConnect,
}

pub(super) async fn check(provider: &Provider, parameters: &Parameters) -> Vec<Problem> {
    let (bucket, agent_events) = tokio::join!(
        key(provider, "BackupBucketKeyArn", parameters.bucket_key.as_ref(), KeyUser::Firehose),
        key(provider, "AgentEventKeyArn", parameters.agent_event_key.as_ref(), KeyUser::AmazonConnect)
    );
    bucket.into_iter().chain(agent_events).collect()
}

/// Whether `user` can encrypt with a key.
async fn key(provider: &Provider, parameter: &str, arn: Option<&Arn>, user: KeyUser) -> Option<Problem> {
    let arn = arn?;
    let key = match kms::key(provider.aws.kms(), arn).await {
        Ok(Some(key)) => key,
        Ok(None) => {
            return Some(Problem::new(format!(
                "{parameter}: the key {arn} does not exist. Correct it, or leave it empty."
            )));
        }
        Err(error) => return Some(Problem::unverified(parameter, &error)),
    };
    if key.state != "Enabled" {
        let state = key.state;
        return Some(Problem::new(format!("{parameter}: the key {arn} is {state}. Enable it, or name another one.")));
    }
    if !key.is_symmetric {
        return Some(Problem::new(format!(
            "{parameter}: the key {arn} is not a symmetric encryption key. Name one that is."
        )));
    }
    (user == KeyUser::AmazonConnect && key.is_managed_by_aws).then(|| {
        Problem::new(format!("{parameter}: the key {arn} is managed by AWS, and Amazon Connect cannot write with it. Name the customer managed key that the instance uses, or leave it empty."))
    })
}
