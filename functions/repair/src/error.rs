//! Owns why a repair was not begun, or has no answer.

use emite_aws::error::AwsError;
use emite_aws::ledger::LedgerError;
use emite_aws::services::SpecError;
use emite_aws::settings::BadSettings;
use lambda_runtime::Diagnostic;

use crate::input::BadInput;
use crate::lock::NotLocked;

/// Why there is no answer. Nothing was changed, except with [`RepairError::Json`].
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The function's environment is wrong.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// What the stack set up is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// What was asked for cannot be done.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// CloudFormation is at work on the same things, or has half taken them away.
    #[error("this repair was not begun: {0}")]
    Stack(&'static str),
    /// Whether CloudFormation is could not be seen.
    #[error("this repair was not begun: {0}")]
    Aws(#[from] AwsError),
    /// Another repair is at work, or the ledger cannot tell.
    #[error(transparent)]
    Lock(#[from] NotLocked),
    /// What was about to be done could not be noted.
    #[error("this repair was not begun, as it could not be noted: {0}")]
    Audit(#[from] LedgerError),
    /// The answer could not be written down.
    #[error("the repair was done, but its report has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<RepairError> for Diagnostic {
    fn from(error: RepairError) -> Self {
        let error_type = match &error {
            RepairError::Settings(_) => "BadSettings",
            RepairError::Spec(error) => error.name(),
            RepairError::Input(_) => "BadInput",
            RepairError::Stack(_) => "StackIsChanging",
            RepairError::Aws(_) => "AwsError",
            RepairError::Lock(NotLocked::Held(_)) => "Locked",
            RepairError::Lock(NotLocked::Ledger(_)) | RepairError::Audit(_) => "LedgerError",
            RepairError::Json(_) => "NoJson",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
