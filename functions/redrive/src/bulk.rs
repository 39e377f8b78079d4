//! Owns reading the engine's answer to a bulk request: what it means for each record. Pure.
//!
//! Nothing of an answer is kept but a status and a type of error that is known: reasons quote the document.

use std::borrow::Cow;
use std::fmt;

use emite_core::failed_object::known_type;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the engine says of something that it did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BulkError {
    /// The HTTP status; none if there was no answer.
    pub(crate) status: Option<u16>,
    /// A known type of error, or `other`.
    pub(crate) error_type: &'static str,
}

impl fmt::Display for BulkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(formatter, "{status}/{}", self.error_type),
            None => write!(formatter, "none/{}", self.error_type),
        }
    }
}

/// What that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteResult {
    /// The document is in the index now.
    Indexed,
    /// It was before.
    AlreadyPresent,
    /// It never will be.
    Rejected(BulkError),
    /// It is too large, or the request was.
    TooLarge(BulkError),
    /// Nothing will be before somebody has done something.
    Fatal(BulkError),
    /// Another try may do.
    Retryable(BulkError),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BulkResponse {
    /// One result for each document of the request.
    PerDocument(Vec<WriteResult>),
    /// The same for all of it.
    WholeRequest(WriteResult),
}

/// An answer that does not come, breaks off or makes no sense. Ids are kept, so sending again is safe.
pub(crate) const NO_RESPONSE: WriteResult =
    WriteResult::Retryable(BulkError { status: None, error_type: "unreachable" });

#[derive(Deserialize)]
struct ResponseBody<'a> {
    #[serde(borrow)]
    items: Vec<ResponseItem<'a>>,
}

/// `{"create":{…}}`
#[derive(Deserialize)]
struct ResponseItem<'a> {
    #[serde(borrow)]
    create: CreateResult<'a>,
}

#[derive(Deserialize)]
struct CreateResult<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: ErrorType<'a>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow, default)]
    error: ErrorType<'a>,
}

/// What the answer with this status and body means for a request of `count` documents.
pub(crate) fn read(status: u16, body: &[u8], count: usize) -> BulkResponse {
    if status != 200 {
        let error = serde_json::from_slice(body).map(|body: ErrorBody<'_>| body.error).unwrap_or_default();
        return BulkResponse::WholeRequest(match result_of(status, &error) {
            // Of one document that could be meant, of a whole request it settles nothing.
            WriteResult::Indexed | WriteResult::AlreadyPresent => {
                WriteResult::Fatal(BulkError { status: Some(status), error_type: "other" })
            }
            result => result,
        });
    }
    match serde_json::from_slice::<ResponseBody<'_>>(body) {
        Ok(ResponseBody { items }) if items.len() == count => BulkResponse::PerDocument(
            items.iter().map(|item| result_of(item.create.status, &item.create.error)).collect(),
        ),
        _ => BulkResponse::WholeRequest(NO_RESPONSE),
    }
}

/// What engines say with the status of a bad document though no document is to blame: the index is closed, or the domain
/// has as many shards as it may and makes no index of a new month.
const INDEX_TO_BLAME: [&str; 2] = ["index_closed_exception", "validation_exception"];

fn result_of(status: u16, error: &ErrorType<'_>) -> WriteResult {
    let blocked = error.0.ends_with("_block_exception") || INDEX_TO_BLAME.contains(&&*error.0);
    let bulk_error = BulkError { status: Some(status), error_type: known_type(&error.0).unwrap_or("other") };
    match status {
        _ if blocked => WriteResult::Fatal(bulk_error),
        200 | 201 => WriteResult::Indexed,
        409 => WriteResult::AlreadyPresent,
        400 => WriteResult::Rejected(bulk_error),
        413 => WriteResult::TooLarge(bulk_error),
        408 | 429 | 500.. => WriteResult::Retryable(bulk_error),
        _ => WriteResult::Fatal(bulk_error),
    }
}

/// What an admin does about a run that stopped.
pub(crate) fn remedy(bulk_error: BulkError) -> &'static str {
    match (bulk_error.status, bulk_error.error_type) {
        (_, block) if block.ends_with("_block_exception") => {
            "The domain takes no writes, mostly because its storage is full: give it more storage or delete old indices, lift \
             the block if it stays, then run the redrive again."
        }
        (_, "index_closed_exception") => {
            "The index that the records name is closed: open it, or move the objects away, then run the redrive again."
        }
        (_, "validation_exception") => {
            "The domain makes no further index, mostly because it has as many shards as it may: delete old indices, or raise \
             cluster.max_shards_per_node, then run the redrive again."
        }
        (Some(401 | 403), _) => {
            "The domain does not let this function write: see that its access policy admits this account and that the \
             function's role allows es:ESHttpPost on the domain's /_bulk, then run the redrive again."
        }
        (Some(404), _) => {
            "The domain does not make the index that the records name, or its address is of something else: make the index or \
             mend the address, then run the redrive again."
        }
        (None, _) => {
            "The domain does not answer: see in the OpenSearch console that it is active and can be reached, then run the \
             redrive again."
        }
        (Some(408 | 429 | 500..), _) => {
            "The domain is busy or unwell: wait until it is healthy, give it larger or more nodes if that happens again, then run \
             the redrive again."
        }
        _ => {
            "The domain answered what this release does not know: look at it in the OpenSearch console, then run the redrive again."
        }
    }
}

/// The `type` of an error, which is an object; older engines give a text.
#[derive(Default)]
struct ErrorType<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for ErrorType<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ErrorTypeVisitor;
        impl<'de> Visitor<'de> for ErrorTypeVisitor {
            type Value = ErrorType<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an error")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = ErrorType::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "type" {
                        found = ErrorType(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(found)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ErrorType::default())
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(ErrorType::default())
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(ErrorType::default())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(ErrorType::default())
            }
        }
        deserializer.deserialize_any(ErrorTypeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn item(status: u16, error_type: &str) -> WriteResult {
        let error = json!({"type": error_type, "reason": "+61412345678", "caused_by": {"type": "x"}});
        let body = json!({"took": 1, "errors": true, "items": [{"create": {"_index": "i", "status": status, "error": error}}]});
        match read(200, body.to_string().as_bytes(), 1) {
            BulkResponse::PerDocument(results) => results[0],
            BulkResponse::WholeRequest(result) => panic!("{result:?}"),
        }
    }

    fn bulk_error(status: u16, error_type: &'static str) -> BulkError {
        BulkError { status: Some(status), error_type }
    }

    #[test]
    fn each_status_has_its_meaning() {
        assert_eq!(item(409, "version_conflict_engine_exception"), WriteResult::AlreadyPresent);
        let refused = bulk_error(400, "mapper_parsing_exception");
        assert_eq!(item(400, "mapper_parsing_exception"), WriteResult::Rejected(refused));
        assert_eq!(
            item(400, "jane_marker_exception"),
            WriteResult::Rejected(bulk_error(400, "other")),
            "only known names are told"
        );
        assert_eq!(item(413, ""), WriteResult::TooLarge(bulk_error(413, "other")));
        for status in [401, 403, 404, 405, 410, 302, 422] {
            assert_eq!(item(status, "x"), WriteResult::Fatal(bulk_error(status, "other")), "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(item(status, "x"), WriteResult::Retryable(bulk_error(status, "other")), "{status}");
        }
        for status in [200, 400, 403, 429, 503] {
            assert_eq!(
                item(status, "cluster_block_exception"),
                WriteResult::Fatal(bulk_error(status, "cluster_block_exception"))
            );
            assert_eq!(
                item(status, "index_create_block_exception"),
                WriteResult::Fatal(bulk_error(status, "other")),
                "a new block"
            );
        }
        for error_type in INDEX_TO_BLAME {
            assert_eq!(item(400, error_type), WriteResult::Fatal(bulk_error(400, error_type)));
        }
        let taken = br#"{"took":1,"errors":false,"items":[{"create":{"status":201,"result":"created"}},{"create":{"status":200}}]}"#;
        assert_eq!(read(200, taken, 2), BulkResponse::PerDocument(vec![WriteResult::Indexed, WriteResult::Indexed]));
    }

    #[test]
    fn an_answer_for_the_whole_request_has_the_same_meanings() {
        let error = br#"{"error":{"root_cause":[{"type":"cluster_block_exception","reason":"x"}],"type":"cluster_block_exception"},"status":403}"#;
        assert_eq!(
            read(403, error, 5),
            BulkResponse::WholeRequest(WriteResult::Fatal(bulk_error(403, "cluster_block_exception")))
        );
        assert_eq!(
            read(403, br#"{"Message":"no"}"#, 5),
            BulkResponse::WholeRequest(WriteResult::Fatal(bulk_error(403, "other")))
        );
        assert_eq!(
            read(413, b"<html>", 5),
            BulkResponse::WholeRequest(WriteResult::TooLarge(bulk_error(413, "other")))
        );
        assert_eq!(
            read(429, br#"{"error":"429 Too Many Requests"}"#, 5),
            BulkResponse::WholeRequest(WriteResult::Retryable(bulk_error(429, "other")))
        );
        assert_eq!(read(503, b"", 5), BulkResponse::WholeRequest(WriteResult::Retryable(bulk_error(503, "other"))));
        assert_eq!(read(400, b"", 5), BulkResponse::WholeRequest(WriteResult::Rejected(bulk_error(400, "other"))));
        for status in [201, 204, 302, 409] {
            assert_eq!(
                read(status, b"", 5),
                BulkResponse::WholeRequest(WriteResult::Fatal(bulk_error(status, "other"))),
                "nothing is settled"
            );
        }
    }

    #[test]
    fn an_answer_that_makes_no_sense_counts_as_lost() {
        for body in [&b""[..], b"{", b"{}", b"<html>", br#"{"items":[]}"#, br#"{"items":[{"index":{"status":201}}]}"#] {
            assert_eq!(read(200, body, 1), BulkResponse::WholeRequest(NO_RESPONSE), "{body:?}");
        }
    }

    #[test]
    fn each_reason_to_stop_has_a_remedy() {
        let remedies: Vec<String> = [
            (Some(403), "cluster_block_exception"),
            (Some(400), "index_closed_exception"),
            (Some(400), "validation_exception"),
            (Some(403), "security_exception"),
            (Some(404), "other"),
            (None, "unreachable"),
            (Some(429), "other"),
            (Some(405), "other"),
        ]
        .map(|(status, error_type)| BulkError { status, error_type })
        .map(|bulk_error| format!("{bulk_error}: {}", remedy(bulk_error)))
        .to_vec();
        insta::assert_snapshot!(remedies.join("\n"));
    }

    proptest! {
        #[test]
        fn nothing_of_a_reason_is_told(status in 200..600_u16, marker in "[A-Za-z_]{1,30}Marker", place in 0..4) {
            let mut error = json!({"type": "mapper_parsing_exception", "reason": marker});
            match place {
                0 => error["type"] = marker.clone().into(),
                1 => error["caused_by"] = json!({"type": marker}),
                2 => error = marker.clone().into(),
                _ => error = json!([marker]),
            }
            for body in [json!({"items": [{"create": {"status": status, "error": error}}]}), json!({"error": error})] {
                let told = format!("{:?}", read(status, body.to_string().as_bytes(), 1));
                prop_assert!(!told.contains("Marker"), "{}", told);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(status in 0..700_u16, body in proptest::collection::vec(any::<u8>(), 0..100)) {
            read(status, &body, 1);
        }
    }
}
