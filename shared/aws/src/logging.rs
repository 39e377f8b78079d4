//! Owns the log: one JSON object a line, which AWS Lambda passes on as it is
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>).

use tracing_subscriber::filter::LevelFilter;

/// Starts logging at the level that AWS Lambda's setting names, or at INFO.
pub fn start(lookup: impl Fn(&str) -> Option<String>) {
    let level = lookup("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt().json().with_target(false).without_time().with_max_level(level).init();
}
