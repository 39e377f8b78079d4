//! Owns reading one line of an object of failed records
//! (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>).
//!
//! Everything is borrowed from the line wherever JSON allows it, so that reading a record allocates nothing. A field of
//! an unexpected type counts as missing: one odd line must not stop the rest.

mod envelope;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::IgnoredAny;

use envelope::Envelope;

/// A failed record, as far as it is needed to send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord<'a> {
    /// The id that Firehose gave the document.
    pub id: Cow<'a, str>,
    /// The index that it was for.
    pub index: Cow<'a, str>,
    /// Its type, empty where the engine has none.
    pub doc_type: Cow<'a, str>,
    /// The document in base64.
    pub data: Cow<'a, [u8]>,
    /// When it came to Firehose.
    pub arrival: Option<Timestamp>,
}

/// Why a line, or the document in it, cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no JSON object.
    NotJson,
    /// It lacks the document, its id or its index.
    NotARecord,
    /// The name of the index is none that an engine allows.
    BadIndex,
    /// Its index is named by the time of arrival, and that is missing.
    NoArrival,
    /// The document is not in base64.
    BadBase64,
    /// There is nothing in the document.
    EmptyDocument,
}

impl Unreadable {
    /// The name that counts and the quarantine use.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotARecord => "not_a_record",
            Self::BadIndex => "bad_index",
            Self::NoArrival => "no_arrival",
            Self::BadBase64 => "bad_base64",
            Self::EmptyDocument => "empty_document",
        }
    }

    /// Whether the line is a failed record, if one that cannot be sent.
    pub fn is_record(self) -> bool {
        !matches!(self, Self::NotJson | Self::NotARecord)
    }
}

/// Reads a line.
pub fn read(line: &[u8]) -> Result<FailedRecord<'_>, Unreadable> {
    let Envelope { raw_data, es_document_id, es_index_name, es_type_name, arrival_timestamp } =
        serde_json::from_slice(line).map_err(|_| why_not(line))?;
    let Some(data) = raw_data.0.filter(|_| !es_document_id.0.is_empty() && !es_index_name.0.is_empty()) else {
        return Err(why_not(line));
    };
    Ok(FailedRecord {
        id: es_document_id.0,
        index: es_index_name.0,
        doc_type: es_type_name.0,
        data,
        arrival: arrival_timestamp.0,
    })
}

fn why_not(line: &[u8]) -> Unreadable {
    if is_object(line) { Unreadable::NotARecord } else { Unreadable::NotJson }
}

/// Whether a line is a JSON object of whatever fields.
pub(crate) fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_is_read_with_numbers_or_texts() {
        for arrival in [
            json!(1_763_946_000_000_i64),
            json!("1763946000000"),
            json!(1_763_946_000_000.0),
            json!("2025-11-24T01:00:00Z"),
        ] {
            let line = json!({
                "attemptsMade": "3", "arrivalTimestamp": arrival, "errorCode": 400, "errorMessage": "x",
                "attemptEndingTimestamp": 1, "rawData": "e30=", "esDocumentId": "496.0", "esIndexName": "i", "esTypeName": null,
            })
            .to_string();
            let record = read(line.as_bytes()).unwrap();
            assert_eq!(record.arrival, Some("2025-11-24T01:00:00Z".parse().unwrap()), "{line}");
            assert_eq!(
                (&*record.id, &*record.index, &*record.doc_type, &*record.data),
                ("496.0", "i", "", &b"e30="[..])
            );
            assert!(matches!((record.id, record.data), (Cow::Borrowed(_), Cow::Borrowed(_))), "nothing is copied");
        }
    }

    #[test]
    fn escapes_are_legal_everywhere() {
        let record = read(br#"{"rawData":"ab\/c","esDocumentId":"\u0041\"","esIndexName":"i"}"#).unwrap();
        assert_eq!((&*record.data, &*record.id), (&b"ab/c"[..], "A\""));
    }

    #[test]
    fn what_is_no_record_is_told_by_kind() {
        for (line, kind) in [
            ("", Unreadable::NotJson),
            ("{", Unreadable::NotJson),
            ("[]", Unreadable::NotJson),
            ("400", Unreadable::NotJson),
            ("{} {}", Unreadable::NotJson),
            ("\u{1f}\u{8b}", Unreadable::NotJson),
            (r#"{"rawData":"e30=","esDocumentId":"1","#, Unreadable::NotJson),
            ("{}", Unreadable::NotARecord),
            (r#"{"rawData":"e30=","errorCode":"Lambda.X","lambdaArn":"arn"}"#, Unreadable::NotARecord),
            (r#"{"rawData":"e30=","esDocumentId":"","esIndexName":"i"}"#, Unreadable::NotARecord),
            (r#"{"rawData":"e30=","esDocumentId":"1"}"#, Unreadable::NotARecord),
            (r#"{"rawData":7,"esDocumentId":"1","esIndexName":"i"}"#, Unreadable::NotARecord),
            (r#"{"rawData":"","rawData":"","esDocumentId":"1","esIndexName":"i"}"#, Unreadable::NotARecord),
            (r#"{"rawData":"","esDocumentId":{"a":[1]},"esIndexName":["i"]}"#, Unreadable::NotARecord),
        ] {
            assert_eq!(read(line.as_bytes()), Err(kind), "{line}");
        }
    }
}
