//! Owns reading which objects are to be gone through: by their keys, as a batch of a listing, or as one item of it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{BESIDE, Order, Problems, Wanted, mode, prefix, window};
use crate::answer::Place;
use crate::keys::Places;

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
pub(super) fn read(fields: &Map<String, Value>, places: &Places, problems: &mut Problems) -> Option<Order> {
    let nothing = Map::new();
    let (items, beside, so_far) = if let Some(keys) = fields.get("keys") {
        problems.only(fields, &[BESIDE, &["keys", "soFar"]], "");
        (keys.as_array().cloned(), fields, fields.get("soFar"))
    } else if let Some(items) = fields.get("Items") {
        problems.only(fields, &[&["Items", "BatchInput"]], "");
        let beside = fields.get("BatchInput").filter(|beside| !beside.is_null());
        let beside = beside.map_or(Some(&nothing), Value::as_object);
        if beside.is_none() {
            problems.add("BatchInput must be an object");
        }
        let beside = beside.unwrap_or(&nothing);
        problems.only(beside, &[BESIDE], "BatchInput.");
        (items.as_array().cloned(), beside, None)
    } else if fields.contains_key("Key") {
        problems.only(fields, &[ITEM, BESIDE], "");
        (Some(vec![Value::Object(fields.clone())]), fields, None)
    } else {
        problems.add(
            "it must be {\"mode\",\"keys\":[…]}, {\"Items\":[…],\"BatchInput\"}, one item {\"Key\",…}, or have the mode begin or summarise",
        );
        return None;
    };
    let Some(items) = items else {
        problems.add("the objects must be a list");
        return None;
    };
    let wanted = items.iter().enumerate().filter_map(|(index, item)| wanted(item, index, places, problems)).collect();
    let so_far = so_far.filter(|so_far| !so_far.is_null()).and_then(|so_far| {
        let answer = serde_json::from_value(so_far.clone());
        answer.map_err(|_| problems.add("soFar must be an answer of this function")).ok()
    });
    prefix(beside, places, problems);
    Some(Order { mode: mode(beside, problems), wanted, window: window(beside, problems).0, so_far })
}

/// One object: a key, a [`Position`](crate::answer::Position), or an item of a listing. None for an empty one, which stands for a
/// folder, and for one of another delivery stream.
fn wanted(item: &Value, index: usize, places: &Places, problems: &mut Problems) -> Option<Wanted> {
    let field = |name: &str| item.get(name).filter(|value| !value.is_null());
    if field("Size").or_else(|| field("size")).and_then(Value::as_u64) == Some(0) {
        return None;
    }
    let Some(key) = item.as_str().or_else(|| field("Key").or_else(|| field("key")).and_then(Value::as_str)) else {
        problems.add(format!("object {index} must have a key"));
        return None;
    };
    if places.is_anothers(key) {
        return None;
    }
    let place = if item.is_object() { Place::deserialize(item).ok() } else { Some(Place::default()) };
    if place.is_none() {
        problems.add(format!(
            "the offset of object {index} must be a whole number, and quarantined and flaw as they were answered"
        ));
    }
    let written = field("LastModified");
    let modified = written.and_then(moment);
    if written.is_some() && modified.is_none() {
        problems.add(format!("LastModified of object {index} must be a time"));
    }
    let source = places.source(key).map_err(|problem| problems.add(problem)).ok()?;
    Some(Wanted { source, place: place?, modified })
}

/// Seconds since 1970, or a time as RFC 3339 has it.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        #[allow(clippy::cast_possible_truncation, reason = "what does not fit is no time")]
        number => Timestamp::from_millisecond((number.as_f64()? * 1000.0).round() as i64).ok(),
    }
}
