//! Owns what the custom resources work with (clients, ledger, the stack's own name) and how their work fails.

use std::fmt;
use std::time::Duration;

use emite_aws::apply::ApplyError;
use emite_aws::clients::Aws;
use emite_aws::ledger::{Ledger, LedgerError};
use emite_aws::settings::{BadSettings, Settings};
use emite_aws::wait;
use emite_core::arn::{Arn, Home};

/// What every custom resource works with.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) aws: Aws,
    pub(crate) ledger: Ledger,
    /// The one stack that this function serves.
    pub(crate) stack_id: Arn,
    /// That stack's partition, region and account.
    pub(crate) home: Home,
    /// How long to go on after AccessDenied: the stack may have made or changed the permissions seconds ago.
    pub(crate) permission_grace: Duration,
}

impl Provider {
    pub(crate) fn from_settings(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let mut settings = Settings::new(&lookup);
        let table = settings.required::<String>("LEDGER_TABLE");
        let stack_id = settings.required::<Arn>("STACK_ID");
        let grace = settings.optional::<u64>("PERMISSION_GRACE_SECONDS", 60);
        settings.finish()?;
        let (Some(table), Some(stack_id), Some(grace)) = (table, stack_id, grace) else {
            return Err(BadSettings(Vec::new()));
        };
        let aws = Aws::from_environment(lookup);
        Ok(Self {
            ledger: Ledger::new(aws.dynamodb().clone(), table),
            aws,
            home: Home::of(&stack_id),
            stack_id,
            permission_grace: Duration::from_secs(grace),
        })
    }

    /// Runs `work`, again and again while it is denied and [`Provider::permission_grace`] lasts. What it does must be
    /// harmless to repeat.
    pub(crate) async fn patiently<T>(
        &self,
        work: impl AsyncFn() -> Result<T, RequestFailure>,
    ) -> Result<T, RequestFailure> {
        const PAUSE: Duration = Duration::from_secs(3);
        let patience = |outcome: &Result<T, RequestFailure>| match outcome {
            Err(failure) if failure.is_denied() => {
                tracing::warn!(%failure, "permissions may be seconds old");
                self.permission_grace
            }
            _ => Duration::ZERO,
        };
        wait::patiently(PAUSE, work, patience).await
    }
}

/// Runs `work` again when the world changed under it, a few times.
pub(crate) async fn until_undisturbed<T>(
    work: impl AsyncFn() -> Result<T, RequestFailure>,
) -> Result<T, RequestFailure> {
    let undisturbed =
        |outcome: &Result<T, RequestFailure>| !matches!(outcome, Err(failure) if failure.is_changed_meanwhile());
    wait::until(wait::UNTIL_UNDISTURBED, work, undisturbed).await
}

/// Why a request failed; its text is the reason that an admin reads in CloudFormation.
#[derive(Debug)]
pub(crate) enum RequestFailure {
    /// What was asked for is not done, for a reason that the admin can fix.
    Refused(String),
    /// Permissions are missing for a read that the decision needs.
    Denied(String),
    /// A later request for the same resource has replaced this one, and CloudFormation no longer waits for it.
    Superseded,
    /// AWS or the ledger failed.
    Broken(ApplyError),
}

impl RequestFailure {
    pub(crate) fn is_denied(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Superseded => false,
            Self::Denied(_) => true,
            Self::Broken(ApplyError::Aws(error) | ApplyError::Ledger(LedgerError::Aws(error))) => error.is_denied(),
            Self::Broken(_) => false,
        }
    }

    /// Whether AWS throttled a call, even after the SDK's own retries.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, Self::Broken(ApplyError::Aws(error)) if error.is_throttled())
    }

    /// Whether AWS reports that something does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Broken(ApplyError::Aws(error)) if error.is_not_found())
    }

    /// Whether AWS does not accept what was asked for, now or later.
    pub(crate) fn is_refused_value(&self) -> bool {
        matches!(self, Self::Broken(ApplyError::Aws(error)) if error.is_refused_value())
    }

    pub(crate) fn may_mean_no_ledger(&self) -> bool {
        matches!(self, Self::Broken(ApplyError::Ledger(error)) if error.may_mean_no_table())
    }

    pub(crate) fn is_changed_meanwhile(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_changed_meanwhile())
    }
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::Denied(reason) => f.write_str(reason),
            Self::Superseded => {
                f.write_str("a later request for the same resource has replaced this one, so this one has no effect")
            }
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl<E: Into<ApplyError>> From<E> for RequestFailure {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}
