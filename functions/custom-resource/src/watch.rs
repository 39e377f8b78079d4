//! Owns `Custom::EmiteWatch`: the deployment counts as a run of the health check.
//!
//! The watchdog alarm takes missing runs for a failure, and a new alarm finds that all of them are missing; so does one
//! whose interval became shorter. So one is written before the alarm is made or changed, and the next real run has as
//! long to come as every later one.

use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, StandardUnit};
use aws_smithy_types::DateTime;
use emite_aws::clock;
use emite_aws::error::AwsError;
use emite_core::watchdog::{COMPLETED, DIMENSION, NAMESPACE, stack_name};
use jiff::Timestamp;

use crate::answer::Data;
use crate::properties::Properties;
use crate::request::Request;
use crate::services::{Failure, Services};

/// How long to wait until CloudWatch shows the datapoint. It usually takes seconds
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/publishingMetrics.html>).
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(2);

/// Create and Update.
pub(crate) async fn put(services: &Services, request: &Request) -> Result<Data, Failure> {
    let mut read = Properties::new(&request.properties);
    // Only there so that CloudFormation asks again when it changes.
    read.required("HealthCheckMinutes");
    read.finish()?;
    let now = clock::now();
    let stack = stack_name(&services.stack_id);
    // Without it the alarm may report missing runs until the first one: no reason to take the deployment back.
    if let Err(error) = count_one(services.aws.cloudwatch(), stack, now).await {
        tracing::warn!(%error, "CloudWatch does not show the first run yet");
    }
    Ok(Data::new())
}

async fn count_one(cloudwatch: &Client, stack: &str, now: Timestamp) -> Result<(), AwsError> {
    write(cloudwatch, stack, now).await?;
    let started = tokio::time::Instant::now();
    loop {
        match is_visible(cloudwatch, stack, now).await {
            Ok(true) => return Ok(()),
            Err(error) if error.is_denied() => return Err(error),
            outcome if started.elapsed() > PATIENCE => {
                let late = || AwsError::unusable("cloudwatch:GetMetricData", "the datapoint is not there".to_owned());
                return Err(outcome.err().unwrap_or_else(late));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn dimension(stack: &str) -> Dimension {
    Dimension::builder().name(DIMENSION).value(stack).build()
}

/// Needs `cloudwatch:PutMetricData`
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>).
async fn write(cloudwatch: &Client, stack: &str, now: Timestamp) -> Result<(), AwsError> {
    let run = MetricDatum::builder()
        .metric_name(COMPLETED)
        .dimensions(dimension(stack))
        .timestamp(DateTime::from_secs(now.as_second()))
        .unit(StandardUnit::Count)
        .value(1.0)
        .build();
    let put = cloudwatch.put_metric_data().namespace(NAMESPACE).metric_data(run);
    put.send().await.map(drop).map_err(AwsError::of("cloudwatch:PutMetricData"))
}

/// Needs `cloudwatch:GetMetricData`
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
async fn is_visible(cloudwatch: &Client, stack: &str, written: Timestamp) -> Result<bool, AwsError> {
    const MINUTE: i64 = 60;
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(COMPLETED).dimensions(dimension(stack)).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let begins = written.as_second().div_euclid(MINUTE) * MINUTE;
    let answer = cloudwatch
        .get_metric_data()
        .metric_data_queries(MetricDataQuery::builder().id("completed").metric_stat(stat).build())
        .start_time(DateTime::from_secs(begins))
        .end_time(DateTime::from_secs(begins + 2 * MINUTE))
        .send()
        .await
        .map_err(AwsError::of("cloudwatch:GetMetricData"))?;
    Ok(answer.metric_data_results.unwrap_or_default().iter().any(|result| !result.values().is_empty()))
}
