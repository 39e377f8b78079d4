//! Owns reading which objects are to be gone through: by their keys, as a batch of a listing, or as one item of it.

use emite_core::layout::StreamFolders;
use emite_core::problems::Problems;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fields::{SELECTION, mode, only, prefix, window};
use crate::keys::SourceObject;
use crate::request::{RequestedObject, RunRequest};
use crate::run_result::ResumePoint;

/// The listing's fields of an object, with those that may stand beside them.
const ITEM: &[&str] = &[
    "Key",
    "Size",
    "LastModified",
    "Etag",
    "ETag",
    "StorageClass",
    "ChecksumAlgorithm",
    "ChecksumType",
    "Owner",
    "RestoreStatus",
];

/// An event that names objects, in one of its forms.
struct Form<'a> {
    /// The objects; none if they are no list.
    items: Option<Vec<Value>>,
    /// Where the fields of [`SELECTION`] are.
    selection: Option<&'a Map<String, Value>>,
    so_far: Option<&'a Value>,
}

pub(super) fn read(
    fields: &Map<String, Value>,
    folders: &StreamFolders,
    problems: &mut Problems,
) -> Option<RunRequest> {
    let Form { items, selection, so_far } = form(fields, problems)?;
    let Some(items) = items else {
        problems.add("the objects must be a list");
        return None;
    };
    let objects = items.iter().enumerate().filter_map(|(index, item)| object(item, index, folders, problems)).collect();
    let so_far = so_far.filter(|so_far| !so_far.is_null()).and_then(|so_far| {
        let result = serde_json::from_value(so_far.clone());
        result.map_err(|_| problems.add("soFar must be an answer of this function")).ok()
    });
    let nothing = Map::new();
    let selection = selection.unwrap_or(&nothing);
    prefix(selection, folders, problems);
    let mode = mode(selection, problems);
    Some(RunRequest { mode, objects, window: window(selection, problems).window, so_far })
}

fn form<'a>(fields: &'a Map<String, Value>, problems: &mut Problems) -> Option<Form<'a>> {
    if let Some(keys) = fields.get("keys") {
        only(problems, fields, &[SELECTION, &["keys", "soFar"]], "");
        return Some(Form { items: keys.as_array().cloned(), selection: Some(fields), so_far: fields.get("soFar") });
    }
    if let Some(items) = fields.get("Items") {
        only(problems, fields, &[&["Items", "BatchInput"]], "");
        let batch_input = fields.get("BatchInput").filter(|input| !input.is_null());
        let selection = batch_input.and_then(Value::as_object);
        if batch_input.is_some() && selection.is_none() {
            problems.add("BatchInput must be an object");
        }
        if let Some(selection) = selection {
            only(problems, selection, &[SELECTION], "BatchInput.");
        }
        return Some(Form { items: items.as_array().cloned(), selection, so_far: None });
    }
    if fields.contains_key("Key") {
        only(problems, fields, &[ITEM, SELECTION], "");
        let items = Some(vec![Value::Object(fields.clone())]);
        return Some(Form { items, selection: Some(fields), so_far: None });
    }
    problems.add(
        "it must be {\"mode\",\"keys\":[…]}, {\"Items\":[…],\"BatchInput\"}, one item {\"Key\",…}, or have the mode begin or summarise",
    );
    None
}

/// One object: a key, a [`RemainingObject`](crate::run_result::RemainingObject), or an item of a listing. None for an empty
/// one, which stands for a folder, and for one of another delivery stream.
fn object(item: &Value, index: usize, folders: &StreamFolders, problems: &mut Problems) -> Option<RequestedObject> {
    let field = |name: &str| item.get(name).filter(|value| !value.is_null());
    if field("Size").or_else(|| field("size")).and_then(Value::as_u64) == Some(0) {
        return None;
    }
    let Some(key) = item.as_str().or_else(|| field("Key").or_else(|| field("key")).and_then(Value::as_str)) else {
        problems.add(format!("object {index} must have a key"));
        return None;
    };
    if folders.is_of_another_stream(key) {
        return None;
    }
    let resume = if item.is_object() { ResumePoint::deserialize(item).ok() } else { Some(ResumePoint::default()) };
    if resume.is_none() {
        problems.add(format!(
            "the offset of object {index} must be a whole number, and quarantined and flaw as they were answered"
        ));
    }
    let written = field("LastModified");
    let modified = written.and_then(moment);
    if written.is_some() && modified.is_none() {
        problems.add(format!("LastModified of object {index} must be a time"));
    }
    let source = SourceObject::of(key, folders).map_err(|problem| problems.add(problem)).ok()?;
    Some(RequestedObject { source, resume: resume?, modified })
}

/// Seconds since 1970, or a time as RFC 3339 has it.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        #[allow(clippy::cast_possible_truncation, reason = "what does not fit is no time")]
        number => Timestamp::from_millisecond((number.as_f64()? * 1000.0).round() as i64).ok(),
    }
}
