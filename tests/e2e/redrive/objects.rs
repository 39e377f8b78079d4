//! What is in objects: indices with and without a month, halves of lines and of archives, much of everything.

use std::time::Instant;

use emite_connect_tests::engines;
use emite_connect_tests::failed::{self, Record, base64, gzip};
use serde_json::{Value, json};

use super::{Depot, Source, on_each_engine};

#[tokio::test]
async fn a_record_goes_into_the_index_of_the_month_that_it_arrived_in_and_one_that_names_a_month_into_that() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        // The last second of October and the first of November, UTC.
        let october = Record { index: depot.index.clone(), arrival_ms: 1_793_491_199_000, ..depot.good("october") };
        let november = Record { index: depot.index.clone(), arrival_ms: 1_793_491_200_000, ..depot.good("november") };
        let earlier = Record { index: format!("{}-2025-01", depot.index), ..depot.good("earlier") };
        let source = depot.put("one", &[october.clone(), november.clone(), earlier.clone()]).await;
        let total = depot.redrive(std::slice::from_ref(&source)).await;
        assert_eq!(total.indexed, 3, "{total:?}");
        let expected = [
            Record { index: format!("{}-2026-10", depot.index), ..october },
            Record { index: format!("{}-2026-11", depot.index), ..november },
            earlier,
        ];
        let placed = Source { records: expected.to_vec(), ..source };
        depot.assert_all_is_done(engine, &[placed], &[]).await;
        let (_, listed) =
            engine.call("GET", &format!("/_cat/indices/{}*?format=json", depot.index), &Value::Null).await;
        assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_document_of_several_lines_and_of_odd_characters_arrives_as_it_was() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let documents = [
            "{\n  \"ContactId\": \"a\",\r\n  \"text\": \"line\\nbreak\"\n}",
            r#"{"ContactId":"\u0000 \ud83d\ude00 \/ \" 😀","deep":{"er":[1,2,null,[]],"x":[{}]},"big":12345678901234567}"#,
            "\u{feff}{\"ContactId\":\"marked\"}",
        ];
        let mut records: Vec<Record> = documents[..2]
            .iter()
            .enumerate()
            .map(|(number, text)| Record { document: (*text).to_owned(), ..depot.good(&format!("odd {number}/\"ü")) })
            .collect();
        records.push(depot.good("plain"));
        let sources = [depot.put("one", &records).await];
        let total = depot.redrive(&sources).await;
        assert_eq!((total.indexed, total.quarantined), (3, 0), "{total:?}");
        depot.assert_all_is_done(engine, &sources, &[]).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_object_that_ends_in_the_middle_of_a_line_loses_nothing() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let (records, half) = ([depot.good("a"), depot.good("b")], depot.good("c").line());
        let half = &half.as_bytes()[..half.len() / 2];
        let content = [failed::object(&records), half.to_vec()].concat();
        let sources = [depot.put_content("one", content, &records).await];
        let total = depot.redrive(&sources).await;
        assert_eq!((total.indexed, total.quarantined), (2, 1), "{total:?}");
        assert_eq!(total.errors("unreadable/not_json"), 1, "{total:?}");
        depot.assert_all_is_done(engine, &sources, &[]).await;
        let offset = failed::object(&records).len();
        let line = json!({ "redrive": { "offset": offset, "kind": "unreadable/not_json" }, "line": base64(half) });
        assert_eq!(depot.lines("quarantine").await, [line]);
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn lines_that_are_no_records_are_kept_and_an_object_of_nothing_else_is_left() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let good = depot.good("a");
        let mut no_document: Value = serde_json::from_str(&depot.good("b").line()).unwrap();
        no_document.as_object_mut().unwrap().remove("rawData");
        let mut no_base64: Value = serde_json::from_str(&depot.good("c").line()).unwrap();
        no_base64["rawData"] = json!("%%%");
        let content = format!("{}\n{no_document}\r\n{no_base64}\n[1]\n\n", good.line().trim_end()).into_bytes();
        let source = depot.put_content("mixed", content, std::slice::from_ref(&good)).await;
        let foreign = depot.put_content("foreign", b"a picture,\nfor example\n".to_vec(), &[]).await;
        let total = depot.redrive(&[source.clone(), foreign.clone()]).await;
        assert_eq!((total.indexed, total.quarantined), (1, 3), "{total:?}");
        assert_eq!(depot.lines("quarantine").await.len(), 3);
        depot.assert_put_away(&source).await;
        assert_eq!(depot.indexed(engine, &[good]).await.len(), 1);
        assert!(depot.stands(&foreign).await);
        assert_eq!(total.left.iter().map(|left| &left["key"]).collect::<Vec<_>>(), [&json!(foreign.key)], "{total:?}");
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_packed_object_is_unpacked_and_half_of_one_loses_nothing() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({})).await;
        let records = [depot.good("a"), depot.bad("b"), depot.good("c")];
        let two = [gzip(&failed::object(&records[..1])), gzip(&failed::object(&records[1..]))].concat();
        let sources = [depot.put_content("whole.gz", two, &records).await];
        let total = depot.redrive(&sources).await;
        assert_eq!((total.indexed, total.quarantined), (2, 1), "{total:?}");
        depot.assert_all_is_done(engine, &sources, &["b"]).await;

        let many: Vec<Record> = (0..500).map(|number| depot.good(&format!("half-{number}"))).collect();
        let whole = gzip(&failed::object(&many));
        let half = depot.put_content("half.gz", whole[..whole.len() / 2].to_vec(), &[]).await;
        let total = depot.redrive(std::slice::from_ref(&half)).await;
        assert!(total.stopped.is_none(), "{total:?}");
        // What can be read of it may be in the domain; what cannot is still there, in the object as it was.
        let there = depot.stands(&half).await || {
            depot.assert_put_away(&half).await;
            true
        };
        assert!(there);
        depot.end().await;
    })
    .await;
}

/// A hundred megabytes go through without being held: the process needs hardly more than for a tenth of it.
#[tokio::test]
async fn memory_does_not_grow_with_the_object() {
    const FLAT_KIB: u64 = 24 * 1024;
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let settings = json!({ "number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1", "index.translog.durability": "async" });
        depot.make_index(engine, &depot.monthly(), &settings).await;
        let (mut peaks, mut all) = (Vec::new(), 0);
        for (name, megabytes) in [("small", 10), ("large", 100)] {
            let (content, records) = bulky(&depot, name, megabytes * 1_000_000);
            let source = depot.put_content(name, content, &records).await;
            let begun = Instant::now();
            let total = depot.redrive(std::slice::from_ref(&source)).await;
            println!("{name}: {} records in {:?}, {} passes", total.records, begun.elapsed(), total.passes);
            assert_eq!(total.indexed + total.already_present, records.len() as u64, "{total:?}");
            depot.assert_put_away(&source).await;
            assert_eq!(depot.indexed(engine, &records[records.len() - 5..]).await.len(), 5);
            all += records.len() as u64;
            peaks.push(depot.peak_memory_kib().await);
        }
        println!("peaks in KiB: {peaks:?}");
        if let [Some(small), Some(large)] = peaks[..] {
            assert!(large < small + FLAT_KIB && large < 256 * 1024, "{peaks:?}");
        }
        engine.ask("POST", &format!("/{}/_refresh", depot.monthly()), &Value::Null).await;
        let counted = engine.ask("GET", &format!("/{}/_count", depot.monthly()), &Value::Null).await;
        assert_eq!(counted["count"].as_u64(), Some(all), "{counted}");
        engine.ask("DELETE", &format!("/{}", depot.monthly()), &Value::Null).await;
        depot.end().await;
    })
    .await;
}

/// An object of that size. Its engine's words are short, as most of it is to be documents.
fn bulky(depot: &Depot, name: &str, bytes: usize) -> (Vec<u8>, Vec<Record>) {
    let filling = "x".repeat(2000);
    let (mut content, mut records) = (Vec::with_capacity(bytes + 10_000), Vec::new());
    while content.len() < bytes {
        let id = format!("{name}-{}", records.len());
        let document = format!(r#"{{"ContactId":"{id}","CustomerEndpoint":"{}","text":"{filling}"}}"#, super::NUMBER);
        let record = Record { document, ..depot.good(&id) };
        let line = json!({
            "attemptsMade": 8, "arrivalTimestamp": record.arrival_ms, "errorCode": "429", "errorMessage": "{}",
            "attemptEndingTimestamp": record.arrival_ms, "rawData": base64(record.document.as_bytes()),
            "esDocumentId": record.id, "esIndexName": record.index, "esTypeName": record.doc_type.as_deref().unwrap_or_default(),
        });
        content.extend_from_slice(line.to_string().as_bytes());
        content.push(b'\n');
        records.push(record);
    }
    (content, records)
}
