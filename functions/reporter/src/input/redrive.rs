//! Owns what is taken from a report of the redrive: numbers, times and names of errors; of free text only which objects
//! are left and why, and of places only those that the redrive itself looks in.

use std::collections::BTreeMap;

use emite_core::failed_object::FIREHOSE_FOLDERS;
use emite_core::spec::Spec;
use jiff::Timestamp;
use serde_json::Value;

use super::is_error_type;

/// What a redrive came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) objects: u64,
    pub(crate) records: u64,
    pub(crate) indexed: u64,
    pub(crate) already_present: u64,
    pub(crate) quarantined: u64,
    /// Number of objects that are known to be left; the list of them is cut where it gets long.
    pub(crate) remaining: u64,
    /// The first of those that stay where they are until a person does something about them.
    pub(crate) left: Vec<Left>,
    /// Number of batches of objects of which nothing is known, as their runs failed.
    pub(crate) failed_batches: u64,
    /// What the domain answered that made it stop, as `<status>/<type>`.
    pub(crate) stopped: Option<String>,
    /// The name of the error that ended the execution early.
    pub(crate) error: Option<String>,
    /// Where it looked.
    pub(crate) prefix: Option<String>,
    pub(crate) by_error: BTreeMap<String, u64>,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
}

/// An object that stays where it is. Its texts are free: a mail bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) key: String,
    pub(crate) cause: String,
    /// In bytes.
    pub(crate) size: Option<u64>,
}

impl Redrive {
    /// Whether failed records are left that it should have seen to, or may be.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.remaining > 0
            || !self.left.is_empty()
            || self.failed_batches > 0
            || self.stopped.is_some()
            || self.error.is_some()
    }
}

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

fn left(detail: &Value) -> Vec<Left> {
    const MOST: usize = 20;
    let one = |entry: &Value| {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Left { key: text("key")?, cause: text("cause")?, size: entry.get("size").and_then(Value::as_u64) })
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

/// The name of an error of Step Functions, such as `States.Timeout`. One of which nothing can be shown is still one.
fn error_name(error: &str) -> String {
    let name: String =
        error.chars().filter(|char| char.is_ascii_alphanumeric() || "._-".contains(*char)).take(80).collect();
    if name.is_empty() { "other".to_owned() } else { name }
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

/// `<status>/<type>`, such as `400/mapper_parsing_exception`; `none/<type>` where nothing answered, and `unreadable/<kind>` for
/// what is no record.
fn is_error_kind(kind: &str) -> bool {
    kind.split_once('/').is_some_and(|(status, name)| {
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        (is_status || ["none", "unreadable"].contains(&status)) && is_error_type(name)
    })
}
