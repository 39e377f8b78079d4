//! Owns the form of a problem: what Preflight refuses a deployment for.

use emite_aws::error::AwsError;

/// Something that has to be fixed before a deployment can work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The parameter, what is wrong with it, and what to do.
    pub(super) text: String,
    /// A read was denied, and nothing else is known to be wrong: permissions that are seconds old explain that.
    pub(super) denied: bool,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), denied: false }
    }

    /// A read failed: unknown is not good.
    pub(super) fn unverified(parameter: &str, error: &AwsError) -> Self {
        Self { text: format!("{parameter} could not be checked: {error}."), denied: error.is_denied() }
    }
}
