use proptest::prelude::*;
use serde_json::json;

use super::*;

fn item(status: u16, error_type: &str) -> WriteResult {
    let error = json!({"type": error_type, "reason": "+61412345678", "caused_by": {"type": "x"}});
    let body =
        json!({"took": 1, "errors": true, "items": [{"create": {"_index": "i", "status": status, "error": error}}]});
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
        "only known names are shown"
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
    assert_eq!(read(413, b"<html>", 5), BulkResponse::WholeRequest(WriteResult::TooLarge(bulk_error(413, "other"))));
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
