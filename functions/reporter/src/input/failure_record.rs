//! Owns Lambda's records of failed asynchronous invocations
//! (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>): the health check crashed, ran
//! out of time, or was never run. Of the payloads in them nothing is shown but that it took too long, and the error's type.

use emite_core::arn::Arn;
use emite_core::spec::Spec;
use jiff::Timestamp;
use serde_json::Value;

use super::context::EventContext;
use super::error_name::is_error_type;
use super::form::{self, Kind, Problems};
use crate::failure::{Failure, FailureKind};

pub(super) fn read(payload: &Value, known: &EventContext<'_>, problems: &mut Problems) -> Option<Failure> {
    let before = problems.count();
    if payload.get("version").and_then(Value::as_str) != Some("1.0") {
        problems.add("version must be 1.0, as in Lambda's records of asynchronous invocations");
    }
    form::check("the record", &[("timestamp", Kind::Time)], payload, problems);
    let context = payload.get("requestContext")?;
    form::check("requestContext", &[("functionArn", Kind::Text), ("condition", Kind::Text)], context, problems);
    let function = context.get("functionArn").and_then(Value::as_str).and_then(|arn| health_check(arn, known.spec));
    if function.is_none() {
        problems.add(&format!(
            "requestContext.functionArn must be that of {}: records of other functions are not handled here",
            known.spec.health_check_function
        ));
    }
    let at = payload.get("timestamp").and_then(Value::as_str).and_then(|text| text.parse().ok());
    if problems.count() > before {
        return None;
    }
    let at: Timestamp = at?;
    // What EventBridge sends has the time at which it was sent.
    let due = payload.get("requestPayload").and_then(|event| event.get("time")?.as_str()?.parse().ok());
    let due = due.filter(|due| *due < at).unwrap_or(at);
    Some(Failure { at, due, function: function?, kind: kind(payload, context) })
}

/// The health check's ARN without version, if `arn` is one of it.
fn health_check(arn: &str, spec: &Spec) -> Option<Arn> {
    let own = spec.home.arn("lambda", format!("function:{}", spec.health_check_function));
    let version = arn.strip_prefix(&own.to_string())?;
    (version.is_empty() || version.starts_with(':')).then_some(own)
}

fn kind(payload: &Value, context: &Value) -> FailureKind {
    if context.get("condition").and_then(Value::as_str) == Some("EventAgeExceeded") {
        return FailureKind::NotRun;
    }
    let answer =
        |name: &str| payload.get("responsePayload").and_then(|answer| answer.get(name)).and_then(Value::as_str);
    if let Some(seconds) = answer("errorMessage").and_then(time_out) {
        return FailureKind::TimedOut(seconds.to_owned());
    }
    FailureKind::Crashed(answer("errorType").filter(|name| is_error_type(name)).map(str::to_owned))
}

/// The seconds in `… Task timed out after 60.06 seconds`.
fn time_out(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Task timed out after ")?;
    let (seconds, _) = rest.split_once(" seconds")?;
    let is_number = seconds.len() <= 10 && seconds.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0);
    (is_number && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')).then_some(seconds)
}
