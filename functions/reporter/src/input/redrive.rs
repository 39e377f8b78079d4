//! Owns what is taken from a report of the redrive: numbers, times and names of errors; of free text only which objects
//! are left and why, and of places only those that the redrive itself looks in.

use std::collections::BTreeMap;

use emite_core::failed_object::FIREHOSE_FOLDERS;
use emite_core::spec::Spec;
use serde_json::Value;

use super::error_name::{error_name, is_error_kind};
use crate::redrive::{LeftObject, Redrive};

/// Reads what [`super::form::REDRIVE`] has accepted.
pub(super) fn read(detail: &Value, spec: &Spec) -> Redrive {
    let number = |name: &str| detail.get(name).and_then(Value::as_u64).unwrap_or_default();
    let text = |name: &str| detail.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).and_then(|text| text.parse().ok());
    let mut by_error: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, count) in detail.get("byError").and_then(Value::as_object).into_iter().flatten() {
        let kind = if is_error_kind(kind) { kind } else { "other" };
        *by_error.entry(kind.to_owned()).or_default() += count.as_u64().unwrap_or_default();
    }
    Redrive {
        objects: number("objects"),
        records: number("records"),
        indexed: number("indexed"),
        already_present: number("alreadyPresent"),
        quarantined: number("quarantined"),
        remaining: number("remainingObjects"),
        left: left(detail),
        failed_batches: number("failedBatches"),
        stopped: detail.get("stopped").filter(|stopped| stopped.is_object()).map(stop),
        error: text("error").map(error_name),
        prefix: text("prefix").filter(|prefix| is_looked_in(prefix, spec)).map(str::to_owned),
        by_error,
        oldest: time("oldest"),
        newest: time("newest"),
    }
}

fn left(detail: &Value) -> Vec<LeftObject> {
    const MOST: usize = 20;
    let one = |entry: &Value| {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(LeftObject { key: text("key")?, cause: text("cause")?, size: entry.get("size").and_then(Value::as_u64) })
    };
    detail.get("left").and_then(Value::as_array).into_iter().flatten().filter_map(one).take(MOST).collect()
}

fn stop(stopped: &Value) -> String {
    let status =
        stopped.get("status").and_then(Value::as_u64).map_or_else(|| "none".to_owned(), |status| status.to_string());
    let name = stopped.get("errorType").and_then(Value::as_str).unwrap_or_default();
    let kind = format!("{status}/{name}");
    if is_error_kind(&kind) { kind } else { "other".to_owned() }
}

/// Whether the redrive would take this prefix: it is in a folder of the stack, or in one of those that Firehose names itself
/// in a stream that was made by hand.
fn is_looked_in(prefix: &str, spec: &Spec) -> bool {
    let folders = spec.failed_folders();
    let own = prefix.starts_with(&spec.quarantine_prefix()) || folders.iter().any(|folder| prefix.starts_with(folder));
    let firehoses = FIREHOSE_FOLDERS.iter().any(|folder| prefix.starts_with(folder));
    let is_printable = prefix.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let is_plain = prefix.split('/').all(|part| part != "." && part != "..");
    (own || firehoses) && is_printable && is_plain && prefix.len() <= 1024
}
