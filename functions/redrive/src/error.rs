//! Owns why an invocation fails.

use emite_aws::error::AwsError;
use emite_aws::services::SpecError;
use emite_aws::settings::BadSettings;
use lambda_runtime::Diagnostic;

use crate::input::BadInput;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The function's environment is wrong.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// What the stack set up is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// What was asked for cannot be done. Nothing was touched.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// A call failed. What was done until then stands, and doing it again is harmless.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There are no certificate authorities to trust.
    #[error("no TLS connection can be made: {0}")]
    NoTls(String),
    /// The result could not be written as JSON.
    #[error("the answer has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<RedriveError> for Diagnostic {
    fn from(error: RedriveError) -> Self {
        let error_type = match &error {
            RedriveError::Settings(_) => "BadSettings",
            RedriveError::Spec(error) => error.name(),
            RedriveError::Input(_) => "BadInput",
            RedriveError::Aws(_) => "AwsError",
            RedriveError::NoTls(_) => "NoTls",
            RedriveError::Json(_) => "NoJson",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
