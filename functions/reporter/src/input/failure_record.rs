//! Owns reading Lambda's records of failed asynchronous invocations
//! (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>): the health check crashed, ran
//! out of time, or was never run. Of the payloads in them nothing is shown but that it took too long, and the error's type.

use emite_core::arn::Arn;
use emite_core::problems::Problems;
use emite_core::spec::Spec;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::context::EventContext;
use super::error_name::is_error_type;
use super::problems::{BadInput, unless_any};
use super::typed;
use crate::failure::{Failure, FailureKind};

/// The version of Lambda's records.
const VERSION: &str = "1.0";

/// What is read of a record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailureRecord {
    version: String,
    timestamp: Timestamp,
    request_context: RequestContext,
    /// What the function was invoked with.
    #[serde(default)]
    request_payload: Value,
    /// What it returned.
    #[serde(default)]
    response_payload: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    function_arn: String,
    condition: String,
}

/// Reads that the health check failed.
pub(super) fn read(payload: Value, context: &EventContext<'_>) -> Result<Failure, BadInput> {
    let record: FailureRecord = typed::read("", payload)?;
    let mut problems = Problems::default();
    if record.version != VERSION {
        problems.add(format!("version must be {VERSION}, as in Lambda's records of asynchronous invocations"));
    }
    let function = health_check(context.spec);
    if !is_of(&record.request_context.function_arn, &function) {
        problems.add(format!(
            "requestContext.functionArn must be that of {}: records of other functions are not handled here",
            context.spec.health_check_function
        ));
    }
    let (at, kind) = (record.timestamp, record.kind());
    // What EventBridge sends has the time at which it was sent.
    let due = record.request_payload.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok());
    let due = due.filter(|due| *due < at).unwrap_or(at);
    unless_any(problems, Failure { at, due, function, kind })
}

/// The health check's ARN, without version.
fn health_check(spec: &Spec) -> Arn {
    spec.home.arn("lambda", format!("function:{}", spec.health_check_function))
}

/// Whether `arn` is that of `function`, with or without a version.
fn is_of(arn: &str, function: &Arn) -> bool {
    let version = arn.strip_prefix(&function.to_string());
    version.is_some_and(|version| version.is_empty() || version.starts_with(':'))
}

impl FailureRecord {
    fn kind(&self) -> FailureKind {
        if self.request_context.condition == "EventAgeExceeded" {
            return FailureKind::NotRun;
        }
        let text = |name: &str| self.response_payload.get(name).and_then(Value::as_str);
        if let Some(seconds) = text("errorMessage").and_then(time_out) {
            return FailureKind::TimedOut(seconds.to_owned());
        }
        FailureKind::Crashed(text("errorType").filter(|name| is_error_type(name)).map(str::to_owned))
    }
}

/// The seconds in `… Task timed out after 60.06 seconds`. Lambda says it nowhere else.
fn time_out(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Task timed out after ")?;
    let (seconds, _) = rest.split_once(" seconds")?;
    let is_number = seconds.len() <= 10 && seconds.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0);
    (is_number && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')).then_some(seconds)
}
