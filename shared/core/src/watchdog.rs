//! Owns the names of our own metrics, which the watchdog alarm and the dashboard read.

use crate::arn::Arn;

/// The namespace of our metrics.
pub const NAMESPACE: &str = "EmiteConnect";
/// Counts completed runs. Its absence is what the watchdog alarm waits for.
pub const COMPLETED: &str = "Completed";
/// Counts what is wrong and needs action, root causes only.
pub const OPEN_FINDINGS: &str = "OpenFindings";
/// The one dimension of both: the name of the stack.
pub const DIMENSION: &str = "Stack";

/// The name in a stack's ARN, `…:stack/<name>/<id>`.
pub fn stack_name(stack_id: &Arn) -> &str {
    stack_id.resource.split('/').nth(1).unwrap_or_default()
}
