//! Owns what health check, repair, reporter and redrive have in common: the clients, the ledger, and the spec of the
//! one stack that they serve.

use emite_core::arn::Arn;
use emite_core::spec::{BadSpec, Spec};

use crate::clients::Aws;
use crate::error::AwsError;
use crate::ledger::Ledger;
use crate::settings::{BadSettings, Settings};
use crate::ssm;

/// Why the spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The parameter could not be read.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Its text is not a valid spec.
    #[error(transparent)]
    Bad(#[from] BadSpec),
    /// It belongs to another stack.
    #[error("the stack's settings in {parameter} are those of {found}, but this function belongs to {own}")]
    OtherStack {
        /// The SSM parameter.
        parameter: String,
        /// The stack that it names.
        found: String,
        /// The stack of this function.
        own: String,
    },
}

impl SpecError {
    /// The type of error that Lambda shows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aws(_) => "AwsError",
            Self::Bad(_) => "BadSpec",
            Self::OtherStack { .. } => "OtherStack",
        }
    }
}

/// What every invocation of a function works with.
#[derive(Debug)]
pub struct Services {
    /// The clients.
    pub aws: Aws,
    /// The one stack that the function serves.
    pub stack_id: Arn,
    ledger_table: String,
    spec_parameter: String,
}

impl Services {
    /// Sets up what a function needs, with its settings from `lookup`.
    ///
    /// # Errors
    /// [`BadSettings`] with every setting that is missing or invalid.
    pub fn from_settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let mut settings = Settings::new(&lookup);
        let ledger_table = settings.required("LEDGER_TABLE");
        let spec_parameter = settings.required("SPEC_PARAMETER");
        let stack_id = settings.required("STACK_ID");
        settings.finish()?;
        let (Some(ledger_table), Some(spec_parameter), Some(stack_id)) = (ledger_table, spec_parameter, stack_id)
        else {
            return Err(BadSettings(Vec::new()));
        };
        Ok(Self { aws: Aws::from_environment(lookup), stack_id, ledger_table, spec_parameter })
    }

    /// The ledger of the stack. Only a function that asks for it builds the client.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.aws.dynamodb().clone(), self.ledger_table.clone())
    }

    /// The text of the spec, read from SSM. Needs `ssm:GetParameter`.
    pub async fn spec_text(&self) -> Result<String, SpecError> {
        Ok(ssm::parameter(self.aws.ssm(), &self.spec_parameter).await?)
    }

    /// Parses the text of the spec, which must be that of this stack.
    ///
    /// # Errors
    /// [`SpecError::Bad`] or [`SpecError::OtherStack`].
    pub fn spec_of(&self, text: &str) -> Result<Spec, SpecError> {
        let spec = Spec::parse(text)?;
        if spec.stack_id == self.stack_id {
            return Ok(spec);
        }
        Err(SpecError::OtherStack {
            parameter: self.spec_parameter.clone(),
            found: spec.stack_id.to_string(),
            own: self.stack_id.to_string(),
        })
    }
}
