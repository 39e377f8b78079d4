//! Owns the health check's own failure. No report can list it, as there is none: Lambda's record of the failed run shows it.

use super::check::{Check, Part, Verdict, no_metrics, no_repair};
use crate::command::health_check_log;

/// The health check as a check of itself. It is not one of [`CHECKS`](super::CHECKS).
pub const CHECK: Check = Check {
    name: "health-check",
    resource: |spec| spec.home.arn("lambda", format!("function:{}", spec.health_check_function)).to_string(),
    metrics: no_metrics,
    judge: |_, _| Ok(Verdict::NotApplicable),
    repair: no_repair,
    parts: &[FAILED],
    unseen: "something cannot be checked",
    explains: &[],
};

/// A run did not end with a report.
pub const FAILED: Part =
    Part { commands: |spec| vec![health_check_log(spec)], ..Part::new("", "the health check itself failed") };
