//! Owns `Custom::EmiteWatch`: the deployment counts as a run of the health check.
//!
//! The watchdog alarm takes missing runs for a failure, and a new alarm finds that all of them are missing; so does one
//! whose interval became shorter. So one is written before the alarm is made or changed, and the next real run has as
//! long to come as every later one.

use std::time::Duration;

use emite_aws::clients::Aws;
use emite_aws::error::AwsError;
use emite_aws::{clock, cloudwatch, wait};
use emite_core::watchdog::stack_name;
use jiff::Timestamp;

use crate::properties::Properties;
use crate::provider::{Provider, RequestFailure};
use crate::request::Request;
use crate::response::Data;

/// How long to wait until CloudWatch shows the datapoint. It usually takes seconds
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/publishingMetrics.html>).
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(2);

/// Create and Update.
pub(crate) async fn put(provider: &Provider, request: &Request) -> Result<Data, RequestFailure> {
    let mut read = Properties::new(&request.properties);
    // Only there so that CloudFormation asks again when it changes.
    read.required("HealthCheckMinutes");
    read.finish()?;
    let now = clock::now();
    let stack = stack_name(&provider.stack_id);
    // Without it the alarm may report missing runs until the first one: no reason to take the deployment back.
    if let Err(error) = count_one(&provider.aws, stack, now).await {
        tracing::warn!(%error, "CloudWatch does not show the first run yet");
    }
    Ok(Data::new())
}

async fn count_one(aws: &Aws, stack: &str, now: Timestamp) -> Result<(), AwsError> {
    cloudwatch::put_completed_run(aws.cloudwatch(), stack, now).await?;
    let read = async || cloudwatch::has_completed_run(aws.cloudwatch(), stack, now).await;
    let patience = |visible: &Result<bool, AwsError>| match visible {
        Ok(true) => Duration::ZERO,
        Err(error) if error.is_denied() => Duration::ZERO,
        _ => PATIENCE,
    };
    match wait::patiently(PAUSE, read, patience).await? {
        true => Ok(()),
        false => Err(AwsError::unusable("cloudwatch:GetMetricData", "the datapoint is not there".to_owned())),
    }
}
