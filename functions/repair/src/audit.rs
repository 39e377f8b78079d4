//! Owns the audit: who asked for which repair, and what came of it, kept in the ledger for a year.

use std::time::Duration;

use emite_aws::clock;
use emite_aws::ledger::{Key, Ledger, LedgerError};
use emite_core::change::{Change, PlannedChange};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::input::Input;
use crate::outcome::ChangeOutcome;

const KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

/// One repair.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEntry<'a> {
    at: Timestamp,
    request_id: &'a str,
    /// As they say; it is not verified.
    requested_by: Option<&'a str>,
    checks: &'a [String],
    replace: bool,
    planned: Vec<Noted<'a>>,
    /// None while it is under way, and permanently if it died.
    outcomes: Option<&'a [ChangeOutcome]>,
}

/// A change, with what stands in AWS no more once it is applied.
#[derive(Clone, Debug, Serialize)]
struct Noted<'a> {
    change: &'a str,
    replaced: Option<Value>,
}

/// The audit of one repair.
#[derive(Debug)]
pub(crate) struct Audit<'a> {
    input: &'a Input,
    request_id: &'a str,
    begun: Timestamp,
    version: u64,
}

impl<'a> Audit<'a> {
    /// Notes what is about to be done. What cannot be noted is not done.
    pub(crate) async fn begin(
        ledger: &Ledger,
        input: &'a Input,
        request_id: &'a str,
        planned: &[PlannedChange],
        changes: &[Change],
    ) -> Result<Self, LedgerError> {
        let mut audit = Self { input, request_id, begun: clock::now(), version: 0 };
        audit.version = ledger.write(&audit.key(), &audit.entry(planned, changes, None), None, audit.expires()).await?;
        Ok(audit)
    }

    /// Notes what came of it.
    pub(crate) async fn end(
        self,
        ledger: &Ledger,
        planned: &[PlannedChange],
        changes: &[Change],
        outcomes: &[ChangeOutcome],
    ) {
        let entry = self.entry(planned, changes, Some(outcomes));
        if let Err(error) = ledger.write(&self.key(), &entry, Some(self.version), self.expires()).await {
            tracing::warn!(%error, "what came of the repair was not noted in the ledger");
        }
    }

    fn key(&self) -> Key {
        Key { partition: "audit#repair".to_owned(), sort: format!("{}|{}", self.begun, self.request_id) }
    }

    fn expires(&self) -> Option<Timestamp> {
        Some(self.begun + KEPT)
    }

    fn entry<'e>(
        &'e self,
        planned: &'e [PlannedChange],
        changes: &[Change],
        outcomes: Option<&'e [ChangeOutcome]>,
    ) -> AuditEntry<'e> {
        AuditEntry {
            at: self.begun,
            request_id: self.request_id,
            requested_by: self.input.requested_by.as_deref(),
            checks: &self.input.checks,
            replace: self.input.replace,
            planned: planned
                .iter()
                .zip(changes)
                .map(|(planned, change)| Noted { change: &planned.id, replaced: change.replaced() })
                .collect(),
            outcomes,
        }
    }
}
