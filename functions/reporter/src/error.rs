//! Owns why an invocation fails.

use emite_aws::error::AwsError;
use emite_aws::ledger::LedgerError;
use emite_aws::services::SpecError;
use emite_aws::settings::BadSettings;
use lambda_runtime::Diagnostic;

use crate::input::BadInput;

/// Why an event was not handled. Lambda sends it again, and then keeps it in the dead-letter queue.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The function's environment is wrong.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// What the stack set up is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The event is none that this function handles.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// The episodes could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// So many messages wait that no other fits.
    #[error("too many messages wait to be published; this event has to come again")]
    OutboxFull,
    /// Messages could not be published; they wait for the next invocation.
    #[error("{waiting} messages wait for the next try: {first}")]
    Unpublished {
        /// How many.
        waiting: usize,
        /// Why the first could not.
        first: AwsError,
    },
    /// There was no time to publish everything.
    #[error("{0} messages wait for the next try: there was no time left to publish them")]
    OutOfTime(usize),
}

impl From<ReportError> for Diagnostic {
    fn from(error: ReportError) -> Self {
        let error_type = match &error {
            ReportError::Settings(_) => "BadSettings",
            ReportError::Spec(error) => error.name(),
            ReportError::Input(_) => "BadInput",
            ReportError::Unpublished { .. } => "AwsError",
            ReportError::Ledger(_) => "LedgerError",
            ReportError::OutboxFull => "Full",
            ReportError::OutOfTime(_) => "OutOfTime",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
