//! Owns the audit: who asked for which repair, and what came of it, kept in the ledger for a year.

use std::time::Duration;

use emite_connect::clock;
use emite_connect::ledger::{Key, Ledger, LedgerError};
use emite_connect::plan::PlannedChange;
use jiff::Timestamp;
use serde::Serialize;

use crate::Outcome;
use crate::input::Input;

const KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

/// One repair.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    at: Timestamp,
    request_id: &'a str,
    /// As they say; nobody verified it.
    requested_by: Option<&'a str>,
    checks: &'a [String],
    replace: bool,
    planned: Vec<&'a str>,
    /// None while it is under way, and for good if it died.
    outcomes: Option<&'a [Outcome]>,
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
    ) -> Result<Self, LedgerError> {
        let mut audit = Self { input, request_id, begun: clock::now(), version: 0 };
        audit.version = ledger.write(&audit.key(), &audit.entry(planned, None), None, audit.expires()).await?;
        Ok(audit)
    }

    /// Notes what came of it.
    pub(crate) async fn end(self, ledger: &Ledger, planned: &[PlannedChange], outcomes: &[Outcome]) {
        let entry = self.entry(planned, Some(outcomes));
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

    fn entry<'e>(&'e self, planned: &'e [PlannedChange], outcomes: Option<&'e [Outcome]>) -> Entry<'e> {
        Entry {
            at: self.begun,
            request_id: self.request_id,
            requested_by: self.input.requested_by.as_deref(),
            checks: &self.input.checks,
            replace: self.input.replace,
            planned: planned.iter().map(|change| change.id.as_str()).collect(),
            outcomes,
        }
    }
}
