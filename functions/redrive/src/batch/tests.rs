use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::naming::Rotation;

fn naming(doc_type: Option<&str>) -> IndexNaming {
    IndexNaming { index: "emite-contacts".into(), rotation: Rotation::Month, doc_type: doc_type.map(str::to_owned) }
}

fn line(id: &str, index: &str, document: &[u8]) -> String {
    json!({
        "attemptsMade": 1, "arrivalTimestamp": 1_763_946_000_000_i64, "errorCode": "429", "errorMessage": "\"x\"",
        "rawData": base64_simd::STANDARD.encode_to_string(document),
        "esDocumentId": id, "esIndexName": index, "esTypeName": "contacts",
    })
    .to_string()
}

/// A batch that was made.
struct Made {
    entries: Vec<BatchLine>,
    body: Vec<u8>,
}

/// What a whole text comes to, when it is read in pieces of `piece` bytes.
fn batches(text: &[u8], piece: usize, naming: &IndexNaming, limit: usize) -> Vec<Made> {
    let mut batch = Batch::from(0);
    let mut all = Vec::new();
    let mut pieces = text.chunks(piece.max(1));
    loop {
        let mut full = batch.fill(naming, limit);
        let mut last = false;
        if !full {
            if let Some(piece) = pieces.next() {
                batch.text.extend_from_slice(piece);
                continue;
            }
            full = !batch.finish(naming, limit);
            last = !full;
        }
        all.push(Made { entries: batch.entries.clone(), body: batch.body.clone() });
        batch.next();
        if last {
            assert_eq!(batch.position(), text.len() as u64);
            return all;
        }
    }
}

#[test]
fn a_record_becomes_an_action_and_its_document() {
    let text = format!("{}\n\n{}", line("1", "emite-contacts", b"{\"a\":\n1}\n"), line("\"2", "other", b"{}"));
    let all = batches(text.as_bytes(), 10, &naming(None), LONGEST_BODY);
    insta::assert_snapshot!(String::from_utf8(all[0].body.clone()).unwrap());
    let typed = batches(text.as_bytes(), 10, &naming(Some("contacts")), LONGEST_BODY);
    insta::assert_snapshot!(String::from_utf8(typed[0].body.clone()).unwrap());
}

#[test]
fn a_bad_line_is_told_and_stops_nothing() {
    let good = line("1", "a", b"{}");
    let bad = good.replace("e30=", "e3*=");
    let empty = line("2", "a", b" \n");
    let text = [&*good, "nonsense", &bad, "{}", &empty, &line("3", "A", b"{}"), &good, "{\"raw"].join("\n");
    let all = batches(text.as_bytes(), 7, &naming(None), LONGEST_BODY);
    let kinds: Vec<_> = all[0].entries.iter().map(|entry| entry.frame.as_ref().err().copied()).collect();
    use Unreadable::*;
    assert_eq!(
        kinds,
        [
            None,
            Some(NotJson),
            Some(BadBase64),
            Some(NotARecord),
            Some(EmptyDocument),
            Some(BadIndex),
            None,
            Some(NotJson)
        ]
    );
    for entry in &all[0].entries {
        assert_eq!(entry.line.start as u64, entry.offset, "one batch from the beginning");
    }
}

#[test]
fn a_document_that_is_longer_than_a_body_goes_alone() {
    let long = line("2", "a", &[b' ', b'1'].repeat(600));
    let text = [line("1", "a", b"{}"), long, line("3", "a", b"{}")].join("\n");
    let numbers: Vec<_> =
        batches(text.as_bytes(), 100, &naming(None), 1000).iter().map(|made| made.entries.len()).collect();
    assert_eq!(numbers, [1, 1, 1]);
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_counted() {
    let naming = naming(None);
    let mut batch = Batch::from(0);
    batch.text = vec![b'x'; LONGEST_LINE + 1];
    assert!(!batch.fill(&naming, LONGEST_BODY));
    batch.next();
    assert!(batch.text.is_empty(), "nothing of it is kept");
    batch.text = format!("yyy\n{}\n", line("1", "a", b"{}")).into_bytes();
    batch.fill(&naming, LONGEST_BODY);
    assert_eq!((batch.overlong, batch.entries.len()), (1, 1));
    assert_eq!(batch.entries[0].offset, LONGEST_LINE as u64 + 5);
}

/// What the same text comes to when it is read as a script would.
fn naive(text: &[u8], naming: &IndexNaming) -> Vec<u8> {
    let mut body = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(record) = serde_json::from_slice::<Value>(line) else { continue };
        let (Some(data), Some(id), Some(index)) =
            (record["rawData"].as_str(), record["esDocumentId"].as_str(), record["esIndexName"].as_str())
        else {
            continue;
        };
        let index = if index == naming.index { "emite-contacts-2025-11" } else { index };
        let document = base64_simd::STANDARD.decode_to_vec(data).unwrap();
        body.extend(format!("{{\"create\":{{\"_index\":{},\"_id\":{}}}}}\n", json!(index), json!(id)).bytes());
        body.extend(document.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        body.push(b'\n');
    }
    body
}

fn any_line() -> impl Strategy<Value = String> {
    let record = ("\\PC{1,20}", "[a-z0-9]{1,20}|emite-contacts", proptest::collection::vec(any::<u8>(), 1..200))
        .prop_filter_map("a document", |(id, index, document)| {
            (!document.trim_ascii_start().is_empty()).then(|| line(&id, &index, &document))
        });
    prop_oneof![5 => record, 1 => Just(String::new()), 1 => "[a-z{}\"]{0,30}"]
}

proptest! {
    #[test]
    fn however_it_is_cut_the_bodies_are_those_of_a_plain_reading(
        lines in proptest::collection::vec(any_line(), 0..20), piece in 1..300_usize, limit in 1..2000_usize, ended: bool,
    ) {
        let text = lines.join("\n") + if ended { "\n" } else { "" };
        let naming = naming(None);
        let all = batches(text.as_bytes(), piece, &naming, limit);
        let bodies: Vec<u8> = all.iter().flat_map(|made| made.body.clone()).collect();
        let plain = naive(text.as_bytes(), &naming);
        prop_assert_eq!(String::from_utf8_lossy(&bodies), String::from_utf8_lossy(&plain));
        for Made { entries, body } in &all {
            let framed = entries.iter().filter(|entry| entry.frame.is_ok()).count();
            prop_assert!(body.len() <= limit || framed == 1);
        }
        let mut starts: Vec<_> = all.iter().flat_map(|made| made.entries.iter().map(|entry| entry.offset)).collect();
        let count = starts.len();
        starts.dedup();
        prop_assert_eq!(count, starts.len());
        prop_assert!(starts.iter().all(|at| *at == 0 || text.as_bytes()[*at as usize - 1] == b'\n'));
    }

    #[test]
    fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..500), piece in 1..50_usize) {
        batches(&text, piece, &naming(Some("contacts")), 100);
    }
}
