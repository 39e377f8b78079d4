//! Owns reading redrive reports: which texts of them can be shown, and which prefixes can be put into a command.

use std::collections::BTreeMap;

use emite_core::spec::Spec;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::context::EventContext;
use super::error_name::{error_name, is_error_kind};
use super::mode::Mode;
use super::problems::BadInput;
use super::typed::read_ours;
use crate::redrive::{LeftObject, Redrive};

/// The most objects that are left of which anything is kept.
const MOST_LEFT: usize = 20;
/// The kind of an error of which nothing can be shown.
const OTHER: &str = "other";

/// What is read of a redrive report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedriveReport {
    mode: Mode,
    objects: u64,
    records: u64,
    indexed: u64,
    already_present: u64,
    quarantined: u64,
    remaining_objects: u64,
    left: Vec<LeftObject>,
    stopped: Option<Stopped>,
    /// Whole numbers. Its keys are not ours, so a refusal must not name one of them.
    by_error: BTreeMap<String, Value>,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    // Earlier releases send none of these.
    failed_batches: Option<u64>,
    error: Option<String>,
    prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stopped {
    status: Option<u64>,
    error_type: String,
}

/// Reads whether a redrive sent anything, and what it came to.
pub(super) fn read(detail: Value, context: &EventContext<'_>) -> Result<(Mode, Redrive), BadInput> {
    let report: RedriveReport = read_ours("detail", detail, context.spec)?;
    let redrive = Redrive {
        objects: report.objects,
        records: report.records,
        indexed: report.indexed,
        already_present: report.already_present,
        quarantined: report.quarantined,
        remaining: report.remaining_objects,
        left: report.left.into_iter().take(MOST_LEFT).collect(),
        failed_batches: report.failed_batches.unwrap_or_default(),
        stopped: report.stopped.map(|stopped| stopped.kind()),
        error: report.error.as_deref().map(error_name),
        prefix: report.prefix.filter(|prefix| is_searched(prefix, context.spec)),
        by_error: counts(&report.by_error)?,
        oldest: report.oldest,
        newest: report.newest,
    };
    Ok((report.mode, redrive))
}

impl Stopped {
    fn kind(&self) -> String {
        let status = self.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        shown(&format!("{status}/{}", self.error_type)).to_owned()
    }
}

fn counts(by_error: &BTreeMap<String, Value>) -> Result<BTreeMap<String, u64>, BadInput> {
    let mut counts = BTreeMap::new();
    for (kind, count) in by_error {
        let count = count.as_u64().ok_or_else(|| "detail.byError must be an object of whole numbers".to_owned())?;
        let sum: &mut u64 = counts.entry(shown(kind).to_owned()).or_default();
        *sum = sum.saturating_add(count);
    }
    Ok(counts)
}

/// The kind of an error, as far as it can be shown.
fn shown(kind: &str) -> &str {
    if is_error_kind(kind) { kind } else { OTHER }
}

/// Whether the redrive accepts this prefix, and a command can show it.
fn is_searched(prefix: &str, spec: &Spec) -> bool {
    let is_printable = prefix.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    is_printable && spec.stream_folders().may_be_redriven(prefix)
}
