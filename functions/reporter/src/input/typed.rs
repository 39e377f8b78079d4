//! Owns reading JSON into types. A refusal names the place of the first thing that cannot be read, such as
//! `detail.findings[3].severity`, and shows no value: serde's own words would.

use emite_core::report::VERSION;
use emite_core::spec::Spec;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::problems::BadInput;

/// Reads `value`, which is at `at` in the event; empty: the event itself.
pub(super) fn read<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, BadInput> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| format!("{} is incomplete or invalid", place(at, error.path())).into())
}

/// Reads what a function of this stack has published in this version.
pub(super) fn read_ours<T: DeserializeOwned>(at: &str, value: Value, spec: &Spec) -> Result<T, BadInput> {
    if !value.is_object() {
        return Err(format!("{at} must be an object").into());
    }
    if value.get("version").and_then(Value::as_u64) != Some(u64::from(VERSION)) {
        return Err(
            format!("{at}.version must be {VERSION}: bring all functions of the stack to the same release").into()
        );
    }
    if value.get("stackId").and_then(Value::as_str) != Some(spec.stack_id.to_string().as_str()) {
        return Err(format!("{at}.stackId must be {}, the one stack that this function serves", spec.stack_id).into());
    }
    read(at, value)
}

/// The path behind `at`, as far as it consists of indexes and of what can only be names of fields.
fn place(at: &str, path: &Path) -> String {
    let mut place = at.to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => place.push_str(&format!("[{index}]")),
            Segment::Map { key } if is_field_name(key) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(key);
            }
            _ => break,
        }
    }
    if place.is_empty() { "the event".to_owned() } else { place }
}

fn is_field_name(key: &str) -> bool {
    (1..=40).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    type Lists = BTreeMap<String, Vec<BTreeMap<String, u64>>>;

    fn problem(value: Value) -> String {
        read::<Lists>("detail", value).unwrap_err().0.remove(0)
    }

    #[test]
    fn refusal_names_the_place_and_shows_no_value() {
        assert_eq!(problem(json!({"a": [{}, {"b": "marker"}]})), "detail.a[1].b is incomplete or invalid");
        assert_eq!(problem(json!("marker")), "detail is incomplete or invalid");
        assert_eq!(read::<Lists>("", json!("marker")).unwrap_err().0, ["the event is incomplete or invalid"]);
    }

    #[test]
    fn key_that_is_no_name_of_a_field_ends_the_place() {
        assert_eq!(problem(json!({"a": [{"Jane Marker": "x"}]})), "detail.a[0] is incomplete or invalid");
    }
}
