//! Owns the metrics that a run leaves behind: who watches the watcher looks for them.

use crate::arn::Arn;

/// The namespace of our metrics.
pub const NAMESPACE: &str = "EmiteConnect";
/// Counts completed runs. Its absence is what the watchdog alarm waits for.
pub const COMPLETED: &str = "Completed";
/// Counts what is wrong and somebody has to act on, root causes only.
pub const OPEN_FINDINGS: &str = "OpenFindings";
/// The one dimension of both: the name of the stack.
pub const DIMENSION: &str = "Stack";

/// The name in a stack's ARN, `…:stack/<name>/<id>`.
pub fn stack_name(stack_id: &Arn) -> &str {
    stack_id.resource.split('/').nth(1).unwrap_or_default()
}
