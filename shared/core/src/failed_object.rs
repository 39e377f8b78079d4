//! Owns reading why the search domain rejected the records of one object that Firehose stored.
//!
//! Such an object holds whole contact records, and the engine's messages quote them. So nothing of its text leaves this
//! module but the status, an error type of a fixed list, and the path of a field with customers' own names masked.

use serde::Deserialize;
use serde_json::Value;

use crate::snapshot::ErrorKind;

/// What is read at most: the caller asks the bucket for no more.
const MOST: usize = 64 * 1024;

/// The engine's error types that may be shown; any other could contain a customer's text.
const ERROR_TYPES: &[&str] = &[
    "circuit_breaking_exception",
    "cluster_block_exception",
    "document_parsing_exception",
    "es_rejected_execution_exception",
    "illegal_argument_exception",
    "index_closed_exception",
    "index_not_found_exception",
    "invalid_index_name_exception",
    "invalid_type_name_exception",
    "json_parse_exception",
    "mapper_parsing_exception",
    "parse_exception",
    "process_cluster_event_timeout_exception",
    "rejected_execution_exception",
    "security_exception",
    "strict_dynamic_mapping_exception",
    "timeout_exception",
    "unavailable_shards_exception",
    "validation_exception",
    "version_conflict_engine_exception",
];

/// The words after which the engine names the whole path of a field. Where it names the last part of the path alone, as
/// in `dynamic introduction of […]`, that could be a contact attribute's name, which cannot be recognised as one.
const BEFORE_FIELD: &[&str] = &[
    "failed to parse field [",
    "failed to parse [",
    "object mapping for [",
    "object mapping [",
    "Existing mapping for [",
    "mapper [",
];

/// Objects of a contact record whose keys customers choose.
const CUSTOMERS_KEYS: &[&str] = &["attributes", "tags", "references"];

/// What all engines say when an index has too many fields.
const FIELD_LIMIT: &str = "Limit of total fields [";

/// One line of such an object
/// (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>); the record itself is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    error_code: Value,
    #[serde(default)]
    error_message: Value,
}

/// Why the domain rejected the first readable record of an object that begins with `beginning`; none if that is
/// unclear. The last line may be cut off.
pub fn kind_of(beginning: &[u8]) -> Option<ErrorKind> {
    let beginning = beginning.get(..MOST).unwrap_or(beginning);
    beginning.split(|byte| *byte == b'\n').find_map(kind_of_line)
}

/// Why the domain rejected the one record that `line` is; none if that is unclear.
pub fn kind_of_line(line: &[u8]) -> Option<ErrorKind> {
    kind(&serde_json::from_slice(line).ok()?)
}

/// `name` if it is one of the engine's error types that may be shown.
pub fn known_type(name: &str) -> Option<&'static str> {
    ERROR_TYPES.iter().find(|known| **known == name).copied()
}

fn kind(refused: &Refused) -> Option<ErrorKind> {
    let message = match &refused.error_message {
        Value::String(message) => message.clone(),
        message => message.to_string(),
    };
    Some(ErrorKind {
        status: status(&refused.error_code)?,
        error_type: error_type(&message).map(str::to_owned),
        field: field(&message),
        field_limit: message.contains(FIELD_LIMIT),
    })
}

/// An HTTP status, or a short code of Firehose's own, such as `Lambda.FunctionTimedOut`.
fn status(code: &Value) -> Option<String> {
    let code = match code {
        Value::Number(number) => number.to_string(),
        Value::String(code) => code.clone(),
        _ => return None,
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let short = (1..=40).contains(&code.len()) && code.bytes().all(known);
    (short && !has_number(&code)).then_some(code)
}

/// The first of the known error types that the message names.
fn error_type(message: &str) -> Option<&'static str> {
    let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let found = ERROR_TYPES.iter().filter_map(|name| {
        message.match_indices(name).map(|(at, _)| at).find_map(|at| {
            let before = at.checked_sub(1).and_then(|before| message.as_bytes().get(before));
            let whole = !word(before) && !word(message.as_bytes().get(at + name.len()));
            whole.then_some((at, *name))
        })
    });
    found.min().map(|(_, name)| name)
}

/// The path of the field that the message is about. Only the first place counts: what follows may quote the record.
fn field(message: &str) -> Option<String> {
    let places = BEFORE_FIELD.iter().filter_map(|words| message.find(words).map(|at| at + words.len()));
    let path = message.get(places.min()?..)?.split_once(']')?.0;
    let plain = (1..=200).contains(&path.len()) && path.split('.').all(is_name);
    plain.then(|| masked(path)).filter(|path| !has_number(path))
}

/// A field's name. An `@` begins one, such as `@timestamp`; further on it would make an address.
fn is_name(part: &str) -> bool {
    let part = part.strip_prefix('@').unwrap_or(part);
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The path without the names that customers choose.
fn masked(path: &str) -> String {
    let mut told: Vec<&str> = Vec::new();
    for part in path.split('.') {
        if told.last().is_some_and(|parent| has_customers_keys(parent)) {
            told.push("*");
            break;
        }
        told.push(part);
    }
    told.join(".")
}

fn has_customers_keys(part: &str) -> bool {
    let part = part.to_ascii_lowercase();
    CUSTOMERS_KEYS.iter().any(|keys| part.ends_with(keys))
}

/// Whether there are digits enough for a part of a telephone number.
fn has_number(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_digit()).any(|digits| digits.len() > 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use serde_json::json;

    fn told(code: Value, message: &str) -> Option<ErrorKind> {
        let line = json!({
            "attemptsMade": 1, "arrivalTimestamp": 1_700_000_000_000_u64, "errorCode": code, "errorMessage": message,
            "attemptEndingTimestamp": 1_700_000_000_500_u64, "rawData": "eyJDb250YWN0SWQiOiJjMCJ9",
            "esDocumentId": "496.0", "esIndexName": "emite-contacts-2026-11", "esTypeName": "contacts",
        });
        kind_of(format!("{line}\n").as_bytes())
    }

    fn said(message: &str) -> String {
        let ErrorKind { status, error_type, field, field_limit } = told(json!("400"), message).unwrap();
        format!("{status} {error_type:?} {field:?} {field_limit}")
    }

    #[test]
    fn what_the_engines_say_is_told_by_type_and_field_only() {
        insta::assert_snapshot!([
            r#"{"type":"mapper_parsing_exception","reason":"failed to parse field [Queue.Duration] of type [long] in document with id '1'. Preview of field's value: '+61412345678'","caused_by":{"type":"illegal_argument_exception","reason":"For input string: \"+61412345678\""}}"#,
            r#"{"type":"mapper_parsing_exception","reason":"failed to parse [Attributes.JaneCitizen]","caused_by":{"type":"number_format_exception"}}"#,
            r#"{"type":"mapper_parsing_exception","reason":"object mapping for [Attributes.Caller.Name] tried to parse field [Name] as object, but found a concrete value"}"#,
            r#"{"type":"illegal_argument_exception","reason":"mapper [SegmentAttributes.x] of different type, current_type [text], merged_type [long]"}"#,
            r#"{"type":"illegal_argument_exception","reason":"Limit of total fields [1000] in index [emite-contacts-2026-11] has been exceeded"}"#,
            r#"{"type":"strict_dynamic_mapping_exception","reason":"mapping set to strict, dynamic introduction of [JaneCitizen] within [Attributes] is not allowed"}"#,
            r#"{"type":"cluster_block_exception","reason":"blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"}"#,
            r#"{"type":"jane_citizen_exception","reason":"failed to parse field [Jane Citizen]"}"#,
            "failed to parse field [@timestamp]: document_parsing_exception",
            "failed to parse field [jane@example.com]",
            "failed to parse field [contact_0412345678]",
            "failed to parse field [Agent",
            "Connection timed out",
            "",
        ]
        .map(|message| format!("{} <- {message:.60}", said(message)))
        .join("\n"));
    }

    #[test]
    fn a_status_is_a_number_or_a_short_code() {
        let status = |code| told(code, "").map(|kind| kind.status);
        assert_eq!(status(json!("400")), Some("400".into()));
        assert_eq!(status(json!(429)), Some("429".into()));
        assert_eq!(status(json!("Lambda.FunctionTimedOut")), Some("Lambda.FunctionTimedOut".into()));
        for code in
            [json!(""), json!("Jane Citizen"), json!("0412345678"), json!(null), json!({}), json!("x".repeat(41))]
        {
            assert_eq!(status(code.clone()), None, "{code}");
        }
    }

    #[test]
    fn the_first_readable_record_counts() {
        let lines = "not json\n{\"rawData\":\"x\"}\n{\"errorCode\":\"403\"}\n{\"errorCode\":\"400\"}\n";
        assert_eq!(kind_of(lines.as_bytes()).unwrap().status, "403");
    }

    #[test]
    fn what_is_cut_off_packed_or_empty_tells_nothing() {
        for beginning in
            [&b""[..], b"\n\n", b"{\"errorCode\":\"400\",\"rawData\":\"eyJ", b"\x1f\x8b\x08\0\xff\n\xfe", b"[]", b"400"]
        {
            assert_eq!(kind_of(beginning), None, "{beginning:?}");
        }
        let long = format!("{{\"rawData\":\"{}\",\"errorCode\":\"400\"}}\n", "x".repeat(MOST));
        assert_eq!(kind_of(long.as_bytes()), None);
    }

    /// What must never be told: a caller's number and name.
    const MARKERS: [&str; 3] = ["+61412345678", "0412345678", "Jane Marker"];

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            kind_of(&bytes);
        }

        #[test]
        fn a_callers_number_or_name_is_never_told(
            which in 0..MARKERS.len(), before in ".{0,40}", after in ".{0,40}", place in 0..5,
            words in proptest::sample::select(BEFORE_FIELD),
            path in proptest::sample::select(vec!["", "Agent.", "Attributes.", "Attributes.Caller.", "Tags."]),
            cut in 0..2000_usize,
        ) {
            let marker = MARKERS[which];
            let message = format!("{before}mapper_parsing_exception {words}{path}{marker}] {marker}{after}");
            let mut line = json!({"errorCode": "400", "errorMessage": message, "rawData": marker});
            match place {
                0 => line["errorCode"] = marker.into(),
                1 => line["errorMessage"] = json!({"type": marker, "reason": message}),
                2 => line[marker] = marker.into(),
                3 => line["errorMessage"] = format!("{words}Attributes.JaneMarker]").into(),
                _ => {}
            }
            let line = line.to_string();
            let text = format!("{marker}\n{line}\n{line}");
            for beginning in [text.as_bytes(), text.as_bytes().get(..cut).unwrap_or(text.as_bytes())] {
                let told = format!("{:?}", kind_of(beginning));
                prop_assert!(!told.contains("412345678") && !told.contains("Marker"), "{}", told);
            }
        }
    }
}
