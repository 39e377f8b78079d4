//! Owns the calls of CloudWatch: all metrics of a run at once, and the count of completed runs.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricDatum, MetricStat, StandardUnit, StatusCode,
};
use aws_smithy_types::DateTime;
use emite_core::look::{Cause, Look, Unseen};
use emite_core::metrics::{MetricQuery, Metrics, PERIOD_SECONDS, Point, Series, WINDOW};
use emite_core::watchdog::{COMPLETED, DIMENSION, NAMESPACE};
use jiff::{SignedDuration, Timestamp};

use crate::convert::timestamp;
use crate::error::AwsError;

pub(crate) const ACTION: &str = "cloudwatch:GetMetricData";

type Answers = BTreeMap<String, Result<Vec<Point>, Cause>>;

/// The datapoints of `queries`
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>). One call takes 500
/// metrics and 100,800 datapoints, far more than a run needs; where the answer comes in pages all are read.
pub(crate) async fn metrics(cloudwatch: &Client, queries: &[MetricQuery], now: Timestamp) -> Result<Answers, AwsError> {
    let (start, end) = window(now);
    let queries = queries.iter().map(api).collect::<Result<Vec<_>, _>>()?;
    let mut pages = cloudwatch
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(DateTime::from_secs(start.as_second()))
        .end_time(DateTime::from_secs(end.as_second()))
        .into_paginator()
        .send();
    let mut answers = Answers::new();
    while let Some(page) = pages.next().await {
        for result in page.map_err(AwsError::of(ACTION))?.metric_data_results.unwrap_or_default() {
            add(&mut answers, result);
        }
    }
    Ok(answers)
}

/// Whole periods, the one that has just begun included.
fn window(now: Timestamp) -> (Timestamp, Timestamp) {
    let period = i64::from(PERIOD_SECONDS);
    let end = SignedDuration::from_secs((now.as_second().div_euclid(period) + 1) * period);
    let end = Timestamp::from_duration(end).unwrap_or(now);
    (end - WINDOW, end)
}

fn api(query: &MetricQuery) -> Result<MetricDataQuery, AwsError> {
    let dimension = |(name, value): &(&str, String)| Dimension::builder().name(*name).value(value).build();
    let metric = Metric::builder()
        .namespace(query.namespace)
        .metric_name(query.name)
        .set_dimensions(Some(query.dimensions.iter().map(dimension).collect()))
        .build();
    let stat =
        MetricStat::builder().metric(metric).period(PERIOD_SECONDS.cast_signed()).stat(query.stat.as_str()).build();
    Ok(MetricDataQuery::builder().id(query.id).metric_stat(stat).return_data(true).build())
}

fn add(answers: &mut Answers, result: MetricDataResult) {
    let Some(id) = result.id else { return };
    let failed = match result.status_code {
        Some(StatusCode::Forbidden) => Some(Cause::Denied),
        Some(StatusCode::InternalError) => Some(Cause::Failed),
        _ => None,
    };
    let times = result.timestamps.unwrap_or_default();
    let points = times.iter().zip(result.values.unwrap_or_default());
    let points = points.filter_map(|(at, value)| timestamp(at).map(|at| (at, value)));
    match (answers.entry(id).or_insert_with(|| Ok(Vec::new())), failed) {
        (answer, Some(cause)) => *answer = Err(cause),
        (Ok(known), None) => known.extend(points),
        (Err(_), None) => {}
    }
}

/// The series of each query. One that the answer does not mention was not answered, which is not absent.
pub(crate) fn by_id(queries: &[MetricQuery], answers: Look<Answers>) -> Metrics {
    let unseen = |cause| Unseen { action: ACTION, cause, request_id: None };
    let series = |id: &str| match &answers {
        Err(whole) => Err(whole.clone()),
        Ok(answers) => match answers.get(id) {
            Some(Ok(points)) => Ok(Series::new(points.clone())),
            Some(Err(cause)) => Err(unseen(*cause)),
            None => Err(unseen(Cause::Failed)),
        },
    };
    Metrics(queries.iter().map(|query| (query.id, series(query.id))).collect())
}

fn of_stack(stack: &str) -> Dimension {
    Dimension::builder().name(DIMENSION).value(stack).build()
}

/// Counts one completed run of the stack. Needs `cloudwatch:PutMetricData`
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>).
pub async fn put_completed_run(cloudwatch: &Client, stack: &str, now: Timestamp) -> Result<(), AwsError> {
    let run = MetricDatum::builder()
        .metric_name(COMPLETED)
        .dimensions(of_stack(stack))
        .timestamp(DateTime::from_secs(now.as_second()))
        .unit(StandardUnit::Count)
        .value(1.0)
        .build();
    let put = cloudwatch.put_metric_data().namespace(NAMESPACE).metric_data(run);
    put.send().await.map(drop).map_err(AwsError::of("cloudwatch:PutMetricData"))
}

/// Whether a run that was counted at `written` shows. Needs `cloudwatch:GetMetricData`
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
pub async fn has_completed_run(cloudwatch: &Client, stack: &str, written: Timestamp) -> Result<bool, AwsError> {
    const MINUTE: i64 = 60;
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(COMPLETED).dimensions(of_stack(stack)).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let begins = written.as_second().div_euclid(MINUTE) * MINUTE;
    let answer = cloudwatch
        .get_metric_data()
        .metric_data_queries(MetricDataQuery::builder().id("completed").metric_stat(stat).build())
        .start_time(DateTime::from_secs(begins))
        .end_time(DateTime::from_secs(begins + 2 * MINUTE))
        .send()
        .await
        .map_err(AwsError::of(ACTION))?;
    Ok(answer.metric_data_results.unwrap_or_default().iter().any(|result| !result.values().is_empty()))
}

#[cfg(test)]
mod tests {
    use emite_core::checks;
    use emite_core::fixtures::{noon, spec};

    use super::*;

    fn result(id: &str, status: StatusCode, minutes: &[i64]) -> MetricDataResult {
        MetricDataResult::builder()
            .id(id)
            .status_code(status)
            .set_timestamps(Some(minutes.iter().map(|minute| DateTime::from_secs(minute * 60)).collect()))
            .set_values(Some(minutes.iter().map(|_| 1.0).collect()))
            .build()
    }

    #[test]
    fn pages_of_one_metric_are_put_together() {
        let mut answers = Answers::new();
        add(&mut answers, result("calls", StatusCode::PartialData, &[10]));
        add(&mut answers, result("calls", StatusCode::Complete, &[5]));
        let metrics = by_id(&checks::metrics(&spec()), Ok(answers));
        assert_eq!(metrics.get("calls").unwrap().points().len(), 2);
    }

    #[test]
    fn a_metric_that_is_refused_or_left_out_is_unseen_and_hides_no_other() {
        let mut answers = Answers::new();
        add(&mut answers, result("calls", StatusCode::Forbidden, &[]));
        add(&mut answers, result("calls", StatusCode::Complete, &[5]));
        add(&mut answers, result("agent_events", StatusCode::Complete, &[]));
        let metrics = by_id(&checks::metrics(&spec()), Ok(answers));
        assert_eq!(metrics.get("calls").unwrap_err().cause, Cause::Denied);
        assert_eq!(metrics.get("agent_events"), Ok(&Series::default()));
        assert_eq!(metrics.get("domain_red").unwrap_err().cause, Cause::Failed);
    }

    #[test]
    fn the_window_is_of_whole_periods() {
        let (start, end) = window(noon() + SignedDuration::from_secs(61));
        assert_eq!(end, noon() + SignedDuration::from_mins(5));
        assert_eq!(end.duration_since(start), WINDOW);
    }
}
