//! Owns what the function works with, and why an invocation fails.

use emite_connect::arn::Arn;
use emite_connect::aws::Aws;
use emite_connect::error::AwsError;
use emite_connect::ledger::{Key, Ledger, LedgerError};
use emite_connect::settings::{BadSettings, Settings};
use emite_connect::spec::SpecError;
use lambda_runtime::Diagnostic;

use crate::input::BadInput;

/// What every invocation works with.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) aws: Aws,
    pub(crate) ledger: Ledger,
    pub(crate) spec_parameter: String,
    /// The one stack that this function serves.
    pub(crate) stack_id: Arn,
}

impl Services {
    pub(crate) async fn from_settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let mut settings = Settings::new(lookup);
        let table = settings.required::<String>("LEDGER_TABLE");
        let spec_parameter = settings.required("SPEC_PARAMETER");
        let stack_id = settings.required("STACK_ID");
        settings.finish()?;
        let (Some(table), Some(spec_parameter), Some(stack_id)) = (table, spec_parameter, stack_id) else {
            return Err(BadSettings(Vec::new()));
        };
        let aws = Aws::from_env().await;
        Ok(Self { ledger: Ledger::new(aws.dynamodb.clone(), table), aws, spec_parameter, stack_id })
    }

    /// Where the episodes stand in the ledger.
    pub(crate) fn key(&self) -> Key {
        Key { partition: "alert#episodes".to_owned(), sort: self.stack_id.to_string() }
    }
}

/// Why an event was not handled. Lambda sends it again, and then keeps it in the dead-letter queue.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The function's environment is wrong.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// What the stack set up is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The spec is of another stack.
    #[error("the stack's settings in {parameter} are those of {found}, but this function belongs to {own}")]
    OtherStack {
        /// The SSM parameter.
        parameter: String,
        /// The stack that it names.
        found: Arn,
        /// The stack of this function.
        own: Arn,
    },
    /// The event is none that this function handles.
    #[error(transparent)]
    Input(#[from] BadInput),
    /// The episodes could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// So many messages wait that no other fits.
    #[error("too many messages wait to be published; this event has to come again")]
    Full,
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
            ReportError::Spec(SpecError::Bad(_)) => "BadSpec",
            ReportError::OtherStack { .. } => "OtherStack",
            ReportError::Input(_) => "BadInput",
            ReportError::Spec(SpecError::Aws(_)) | ReportError::Unpublished { .. } => "AwsError",
            ReportError::Ledger(_) => "LedgerError",
            ReportError::Full => "Full",
            ReportError::OutOfTime(_) => "OutOfTime",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
