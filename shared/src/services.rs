//! Owns what the functions that work by the spec have in common: clients, ledger, and the spec of the one stack that they
//! serve.

use crate::arn::Arn;
use crate::aws::Aws;
use crate::ledger::Ledger;
use crate::settings::{BadSettings, Settings};
use crate::spec::{self, Spec, SpecError};

/// What every invocation works with.
#[derive(Debug)]
pub struct Services {
    /// The clients.
    pub aws: Aws,
    /// The stack's memory.
    pub ledger: Ledger,
    /// The one stack that the function serves.
    pub stack_id: Arn,
    spec_parameter: String,
}

impl Services {
    /// Sets up what a function needs, with its settings from `lookup`.
    pub async fn from_settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let mut settings = Settings::new(lookup);
        let table = settings.required::<String>("LEDGER_TABLE");
        let spec_parameter = settings.required("SPEC_PARAMETER");
        let stack_id = settings.required("STACK_ID");
        settings.finish()?;
        let (Some(table), Some(spec_parameter), Some(stack_id)) = (table, spec_parameter, stack_id) else {
            return Err(BadSettings(Vec::new()));
        };
        let aws = Aws::from_env().await;
        Ok(Self { ledger: Ledger::new(aws.dynamodb.clone(), table), aws, stack_id, spec_parameter })
    }

    /// The text of the spec as it stands now. Needs `ssm:GetParameter`.
    pub async fn spec_text(&self) -> Result<String, SpecError> {
        Ok(spec::text(&self.aws.ssm, &self.spec_parameter).await?)
    }

    /// The spec that `text` is, if it is that of this stack.
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
