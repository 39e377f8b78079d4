//! Owns checking an existing bucket for failed records.

use emite_aws::s3;

use super::problem::Problem;
use super::values::Parameters;
use crate::provider::Provider;

pub(super) async fn check(provider: &Provider, parameters: &Parameters) -> Vec<Problem> {
    let Some(bucket) = parameters.bucket.as_deref() else { return Vec::new() };
    let (location, encryption) = tokio::join!(location(provider, bucket), encryption(provider, parameters, bucket));
    location.into_iter().chain(encryption).collect()
}

/// Whether the bucket is of this account and in this region.
async fn location(provider: &Provider, name: &str) -> Option<Problem> {
    const PARAMETER: &str = "BackupBucketName";
    let here = &provider.home.region;
    let elsewhere = |region: &str| {
        Some(Problem::new(format!(
            "{PARAMETER} '{name}' is in {region}; Firehose needs one in {here}. Name another one, or leave it empty: the stack then makes a bucket."
        )))
    };
    match s3::bucket_location(provider.aws.s3(), name, &provider.home.account).await {
        Ok(location) => match location.as_str() {
            "" if here == "us-east-1" => None,
            "EU" if here == "eu-west-1" => None,
            region if region == here => None,
            "" => elsewhere("us-east-1"),
            region => elsewhere(region),
        },
        Err(error) if error.is_not_found() => Some(Problem::new(format!(
            "{PARAMETER} '{name}' does not exist. Correct it, or leave it empty: the stack then makes a bucket."
        ))),
        Err(error) if error.is_of_another_region() => elsewhere("another region"),
        Err(error) if error.is_denied() => Some(Problem {
            text: format!(
                "{PARAMETER} '{name}' belongs to another account, or refuses this one: {error}. Name a bucket of this account, or leave it empty."
            ),
            denied: true,
        }),
        Err(error) => Some(Problem::unverified(PARAMETER, &error)),
    }
}

/// Whether the key that the bucket encrypts with by default is given: Firehose's role has no right to use a customer's key that is
/// not given, and a delivery stream that cannot write there stops delivering altogether.
async fn encryption(provider: &Provider, parameters: &Parameters, name: &str) -> Option<Problem> {
    const PARAMETER: &str = "BackupBucketKeyArn";
    if parameters.bucket_key.is_some() {
        return None;
    }
    let keys = match s3::bucket_keys(provider.aws.s3(), name, &provider.home.account).await {
        Ok(keys) => keys,
        Err(error) if error.is_not_found() => return None,
        // The check of the location reports where it is.
        Err(error) if error.is_of_another_region() => return None,
        Err(error) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    let key = keys.into_iter().find(|key| !key.ends_with("alias/aws/s3"))?;
    Some(Problem::new(format!(
        "{PARAMETER}: the bucket '{name}' encrypts with the key {key}. Give the ARN of that key, so that Firehose may use it."
    )))
}
