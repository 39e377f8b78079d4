//! Owns the log line of a run, from which CloudWatch takes two metrics.
//!
//! The Embedded Metric Format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>)
//! costs no call. Each metric costs money, so there are two; the state of each check is a plain field of the same line.

use std::io::Write;

use emite_core::arn::Arn;
use emite_core::finding::Finding;
use emite_core::report::Report;
use emite_core::watchdog::{COMPLETED, DIMENSION, NAMESPACE, OPEN_FINDINGS, stack_name};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Writes the line of a completed run.
pub(crate) fn log(stack_id: &Arn, report: &Report) {
    write(&line(stack_id, report));
}

/// Writes the line of a run that judged nothing. It counts as completed: the watcher runs.
pub(crate) fn log_skipped(stack_id: &Arn, now: Timestamp) {
    write(&embedded(stack_id, now, &[(COMPLETED, 1)], json!({"status": "Skipped"})));
}

fn write(line: &Value) {
    // A log that takes no line must not fail a run; the alarm on missing runs reports that.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn line(stack_id: &Arn, report: &Report) -> Value {
    let outcomes: Map<String, Value> =
        report.checks.iter().map(|check| (check.name.clone(), json!(check.outcome))).collect();
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let Finding { status, severity, caused_by, .. } = finding;
            json!({"key": finding.key(), "status": status, "severity": severity, "causedBy": caused_by})
        })
        .collect();
    let metrics = [(COMPLETED, 1), (OPEN_FINDINGS, report.open_findings())];
    let fields = json!({"status": report.status, "checks": outcomes, "findings": findings});
    embedded(stack_id, report.checked_at, &metrics, fields)
}

/// A log line with `metrics` for CloudWatch and `fields` for people.
fn embedded(stack_id: &Arn, at: Timestamp, metrics: &[(&str, usize)], fields: Value) -> Value {
    let names: Vec<Value> = metrics.iter().map(|(name, _)| json!({"Name": name, "Unit": "Count"})).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": names}],
        },
        (DIMENSION): stack_name(stack_id),
    });
    for (name, value) in metrics {
        line[*name] = json!(value);
    }
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"version":1,"integration":"example","stackId":"arn:aws:cloudformation:eu-west-2:111122223333:stack/one/2",
        "instanceArn":"arn:aws:connect:eu-west-2:111122223333:instance/3","checkedAt":"2026-11-24T01:00:00Z","status":"Degraded",
        "findings":[{"check":"a","status":"Unhealthy","severity":"Warning","resource":"arn:r","summary":"s","expected":"e",
        "observed":"o","impact":"i","dataLossAt":null,"causedBy":null,"remedy":"r","repair":null}],
        "checks":[{"name":"a","outcome":"Failed","durationMs":1},{"name":"b","outcome":"Passed","durationMs":1}]}"#;

    #[test]
    fn the_line_has_two_metrics_and_the_state_of_each_check() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        insta::assert_json_snapshot!(line(&report.stack_id, &report));
    }
}
