//! Owns that the health check itself failed, and the finding that stands for it: no report can list it.

use emite_core::arn::Arn;
use emite_core::checks::health_check::{CHECK, FAILED};
use emite_core::finding::{Finding, Severity, Status};
use emite_core::spec::Spec;
use jiff::Timestamp;

/// That the health check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// When Lambda gave up.
    pub(crate) at: Timestamp,
    /// When the run was due, if the event that asked for it says so; otherwise when Lambda gave up.
    pub(crate) due: Timestamp,
    /// The ARN of the function, without version.
    pub(crate) function: Arn,
    /// How it failed.
    pub(crate) kind: FailureKind,
}

/// How an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Lambda had no room for it until it was too old.
    NotRun,
    /// It took longer than so many seconds.
    TimedOut(String),
    /// It stopped with an error, of this type if that is known.
    Crashed(Option<String>),
}

impl Failure {
    /// The same as a finding, which nothing else can report.
    pub(crate) fn finding(&self, spec: &Spec) -> Finding {
        let observed = match &self.kind {
            FailureKind::NotRun => "Lambda could not start it in time".to_owned(),
            FailureKind::TimedOut(seconds) => format!("it was stopped after {seconds} seconds, as it had not finished"),
            FailureKind::Crashed(Some(error_type)) => format!("it stopped with an error of the type {error_type}"),
            FailureKind::Crashed(None) => "it stopped with an error".to_owned(),
        };
        let remedy = match &self.kind {
            FailureKind::NotRun => "Look whether the account's limit of concurrent Lambda executions is used up.",
            FailureKind::TimedOut(_) => {
                "Look at its log. If this goes on, AWS may have a disturbance: see the AWS Health Dashboard."
            }
            FailureKind::Crashed(_) => "Look at its log, which names the cause.",
        };
        Finding {
            resource: self.function.to_string(),
            summary: "The health check itself failed, so nobody looked at the integration.".to_owned(),
            expected: format!("a health report every {} minutes", spec.interval.as_mins()),
            observed,
            impact: "While this lasts, a break of the integration goes unnoticed.".to_owned(),
            remedy: remedy.to_owned(),
            ..CHECK.finding(spec, &FAILED, Status::Unhealthy, Severity::Warning)
        }
    }
}
