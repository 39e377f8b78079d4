//! Owns failed records as Firehose puts them into the bucket: one JSON object a line, with the document in base64
//! (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>).

use std::io::Write;

use base64_simd::STANDARD;
use serde_json::{Value, json};

/// When contact records of the tests come, as milliseconds since 1970: 2026-11-24 01:02:31 UTC.
pub const ARRIVAL_MS: i64 = 1_795_482_151_000;

/// A record that a domain refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The id that Firehose gave the document.
    pub id: String,
    /// The index that it was for.
    pub index: String,
    /// The document's type, where the engine has types.
    pub doc_type: Option<String>,
    /// When it arrived, in milliseconds since 1970.
    pub arrival_ms: i64,
    /// The document as Firehose got it.
    pub document: String,
}

impl Record {
    /// Its line, with the end of the line. The engine's words quote the document, as they do on AWS.
    #[must_use]
    pub fn line(&self) -> String {
        let reason = json!({ "type": "mapper_parsing_exception", "reason": format!(
            "failed to parse field [Attributes.amount] of type [long] in document with id '{}'. Preview of field's value: '{}'",
            self.id, self.document) });
        let line = json!({
            "attemptsMade": 8, "arrivalTimestamp": self.arrival_ms, "errorCode": "400", "errorMessage": reason.to_string(),
            "attemptEndingTimestamp": self.arrival_ms + 310_000, "rawData": base64(self.document.as_bytes()),
            "esDocumentId": self.id, "esIndexName": self.index, "esTypeName": self.doc_type.as_deref().unwrap_or_default(),
        });
        format!("{line}\n")
    }

    /// The record that a line is; none if it is no record.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let line: Value = serde_json::from_slice(line).ok()?;
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let document = STANDARD.decode_to_vec(line["rawData"].as_str()?).ok()?;
        Some(Self {
            id: text("esDocumentId")?,
            index: text("esIndexName")?,
            doc_type: text("esTypeName").filter(|name| !name.is_empty()),
            arrival_ms: line["arrivalTimestamp"].as_i64()?,
            document: String::from_utf8(document).ok()?,
        })
    }
}

/// An object of these records.
#[must_use]
pub fn object(records: &[Record]) -> Vec<u8> {
    records.iter().map(Record::line).collect::<String>().into_bytes()
}

/// Base64 with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// Packed as Firehose packs with GZIP.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packing.write_all(bytes).expect("into memory");
    packing.finish().expect("into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_from_its_line() {
        let record = Record {
            id: "49601.0".to_owned(),
            index: "emite-contacts-2026-11".to_owned(),
            doc_type: Some("contacts".to_owned()),
            arrival_ms: ARRIVAL_MS,
            document: r#"{"ContactId":"ü"}"#.to_owned(),
        };
        assert_eq!(Record::of_line(record.line().trim_end().as_bytes()).as_ref(), Some(&record));
        assert_eq!(object(&[record.clone(), record.clone()]), record.line().repeat(2).into_bytes());
        assert_eq!(Record::of_line(b"{}"), None);
    }
}
