//! What a domain says to documents and requests, and where that leaves each record.

use emite_connect_tests::engines::{self, Engine};
use emite_connect_tests::failed::Record;
use serde_json::{Value, json};

use super::{AMPLE, Depot, SHORT, Source, on_each_engine};

#[tokio::test]
async fn a_document_that_does_not_fit_goes_into_quarantine_and_the_others_into_the_domain() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({})).await;
        let sources = [
            depot.put("one", &[depot.good("a"), depot.bad("b"), depot.good("c")]).await,
            depot.put("two", &[depot.good("d")]).await,
            depot.put("three", &[depot.bad("e")]).await,
        ];
        let total = depot.redrive(&sources).await;
        assert_eq!((total.records, total.indexed, total.quarantined, total.already_present), (5, 3, 2, 0), "{total:?}");
        assert_eq!(total.errors("400/mapper_parsing_exception"), 2, "{total:?}");
        depot.assert_all_is_done(engine, &sources, &["b", "e"]).await;
        let lines = depot.lines("quarantine").await;
        let line = lines.iter().find(|line| line["esDocumentId"] == "b").expect("a line");
        let offset = depot.good("a").line().len();
        assert_eq!(line["redrive"], json!({ "offset": offset, "kind": "400/mapper_parsing_exception" }));
        let mut original: Value = serde_json::from_str(&depot.bad("b").line()).unwrap();
        original["redrive"] = line["redrive"].clone();
        assert_eq!(*line, original);
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_mended_meanwhile_leaves_the_quarantine() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({})).await;
        let source = depot.put("one", &[depot.bad("a"), depot.good("b"), depot.bad("c")]).await;
        depot.redrive(&[source]).await;
        let [key] = &depot.keys("quarantine").await[..] else { panic!("one object in quarantine") };
        let content = depot.aws.object(&depot.bucket, key).await.unwrap().to_vec();
        // Nothing has changed: it stays as it is.
        let event = json!([key]);
        let answer = depot.apply(&event, AMPLE).await;
        assert_eq!((&answer["quarantined"], &answer["indexed"]), (&json!(2), &json!(0)), "{answer}");
        assert_eq!(depot.aws.object(&depot.bucket, key).await.unwrap().to_vec(), content);
        // An admin makes another index of it, in which one of both fits.
        engine.ask("DELETE", &format!("/{}", depot.monthly()), &Value::Null).await;
        let taken = depot.put("two", &[Record { document: "{}".to_owned(), ..depot.good("c") }]).await;
        depot.redrive(&[taken]).await;
        let answer = depot.apply(&event, AMPLE).await;
        assert_eq!((&answer["indexed"], &answer["alreadyPresent"]), (&json!(1), &json!(1)), "{answer}");
        assert!(depot.quarantined().await.is_empty());
        let kept = key.replacen("quarantine/", "redriven/quarantine/", 1);
        assert_eq!(depot.aws.object(&depot.bucket, &kept).await.unwrap().to_vec(), content);
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_document_with_too_many_fields_goes_into_quarantine() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({ "index.mapping.total_fields.limit": 30 })).await;
        let fields: serde_json::Map<String, Value> =
            (0..40).map(|number| (format!("field-{number}"), json!(number))).collect();
        let wide = Record { document: json!({ "Attributes": fields }).to_string(), ..depot.good("wide") };
        let sources = [depot.put("one", &[depot.good("a"), wide]).await];
        let total = depot.redrive(&sources).await;
        assert_eq!(total.errors("400/illegal_argument_exception"), 1, "{total:?}");
        depot.assert_all_is_done(engine, &sources, &["wide"]).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_document_that_is_there_already_stays_as_it_is_there() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let newer = Record { document: r#"{"ContactId":"a","newer":true}"#.to_owned(), ..depot.good("a") };
        let first = depot.put("newer", std::slice::from_ref(&newer)).await;
        depot.redrive(&[first]).await;
        let source = depot.put("older", &[depot.good("a"), depot.good("b"), depot.good("b")]).await;
        let total = depot.redrive(std::slice::from_ref(&source)).await;
        assert_eq!((total.indexed, total.already_present, total.quarantined), (1, 2, 0), "{total:?}");
        assert_eq!(total.errors("409/version_conflict_engine_exception"), 2, "{total:?}");
        let found = depot.indexed(engine, &[newer]).await;
        assert_eq!((&found["a"]["_source"]["newer"], &found["a"]["_version"]), (&json!(true), &json!(1)));
        depot.assert_put_away(&source).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_index_that_takes_no_writes_stops_the_run_and_moves_nothing() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        for block in ["read_only_allow_delete", "read_only", "write"] {
            let depot = Depot::new(kind).await;
            depot.make_index(engine, &depot.monthly(), &json!({})).await;
            let setting = format!("index.blocks.{block}");
            let target = format!("/{}/_settings", depot.monthly());
            engine.ask("PUT", &target, &json!({ setting.clone(): true })).await;
            let sources = [
                depot.put("one", &[depot.good("a"), depot.bad("b")]).await,
                depot.put("two", &[depot.good("c")]).await,
            ];
            assert_stopped_by(&depot, &sources, "cluster_block_exception").await;
            engine.ask("PUT", &target, &json!({ setting: null })).await;
            let total = depot.redrive(&sources).await;
            assert_eq!((total.indexed, total.quarantined), (2, 1), "{block}: {total:?}");
            depot.assert_all_is_done(engine, &sources, &["b"]).await;
            depot.end().await;
        }
    })
    .await;
}

/// The engines say 400, as of a bad document.
#[tokio::test]
async fn a_closed_index_stops_the_run_and_refuses_no_document_for_good() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({})).await;
        engine.ask("POST", &format!("/{}/_close", depot.monthly()), &Value::Null).await;
        let sources = [depot.put("one", &[depot.good("a"), depot.good("b")]).await];
        assert_stopped_by(&depot, &sources, "index_closed_exception").await;
        engine.ask("POST", &format!("/{}/_open", depot.monthly()), &Value::Null).await;
        depot.redrive(&sources).await;
        depot.assert_all_is_done(engine, &sources, &[]).await;
        depot.end().await;
    })
    .await;
}

/// As is that no further index can be made; Elasticsearch 6 only warns of that.
#[tokio::test]
async fn a_domain_without_room_for_another_index_stops_the_run_and_refuses_no_document_for_good() {
    if engines::missing().is_some() {
        return;
    }
    let engine = Engine::start(engines::Kind::OpenSearch2, &[]).await;
    let depot = Depot::before(&engine).await;
    let limit = |most: Value| json!({ "persistent": { "cluster.max_shards_per_node": most } });
    engine.ask("PUT", "/_cluster/settings", &limit(json!(1))).await;
    let sources = [depot.put("one", &[depot.good("a"), depot.good("b")]).await];
    assert_stopped_by(&depot, &sources, "validation_exception").await;
    engine.ask("PUT", "/_cluster/settings", &limit(Value::Null)).await;
    depot.redrive(&sources).await;
    depot.assert_all_is_done(&engine, &sources, &[]).await;
    depot.end().await;
}

async fn assert_stopped_by(depot: &Depot, sources: &[Source], error_type: &str) {
    let total = depot.redrive(sources).await;
    let stopped = total.stopped.clone().unwrap_or_else(|| panic!("it went on: {total:?}"));
    assert_eq!(stopped["errorType"], error_type, "{stopped}");
    assert!(stopped["remedy"].as_str().is_some_and(|remedy| remedy.len() > 20), "{stopped}");
    assert_eq!((total.indexed, total.quarantined, total.passes), (0, 0, 1), "{total:?}");
    assert_eq!(total.remaining.len(), sources.len(), "{total:?}");
    for source in sources {
        assert!(depot.stands(source).await, "{}", source.key);
    }
}

/// The engines wait for a minute themselves before they say that a shard is not there.
#[tokio::test]
async fn a_red_index_is_waited_for_until_the_time_is_up_and_moves_nothing() {
    if engines::missing().is_some() {
        return;
    }
    let each = engines::Kind::ALL.map(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let nowhere = json!({ "index.routing.allocation.require.box": "nowhere", "number_of_shards": 1 });
        depot.make_index(engine, &depot.monthly(), &nowhere).await;
        let sources = [depot.put("one", &[depot.good("a"), depot.good("b")]).await];
        let answer = depot.apply(&json!([sources[0].key]), SHORT).await;
        assert_eq!((&answer["quarantined"], &answer["indexed"]), (&json!(0), &json!(0)), "{answer}");
        assert_eq!(answer["remaining"], json!([{ "key": sources[0].key, "offset": 0 }]), "{answer}");
        assert!(!depot.aws.domain_requests(&depot.domain).await.is_empty());
        assert!(depot.stands(&sources[0]).await);
        let target = format!("/{}/_settings", depot.monthly());
        engine.ask("PUT", &target, &json!({ "index.routing.allocation.require.box": null })).await;
        depot.redrive(&sources).await;
        depot.assert_all_is_done(engine, &sources, &[]).await;
        depot.end().await;
    });
    futures::future::join_all(each).await;
}

/// With one writer and one place in its queue, a request for many shards is refused in part, every time.
#[tokio::test]
async fn a_full_write_queue_only_takes_longer() {
    on_each_engine(|kind| async move {
        let settings = [(kind.processors(), "1"), ("thread_pool.write.queue_size", "1")];
        let engine = Engine::start(kind, &settings).await;
        let depot = Depot::before(&engine).await;
        depot.make_index(&engine, &depot.monthly(), &json!({ "number_of_shards": 12, "number_of_replicas": 0 })).await;
        let records: Vec<Record> = (0..200).map(|number| depot.good(&format!("r{number}"))).collect();
        let sources = [depot.put("one", &records).await];
        let total = depot.redrive(&sources).await;
        let stats = engine.ask("GET", "/_nodes/stats/thread_pool", &Value::Null).await;
        let node = stats["nodes"].as_object().and_then(|nodes| nodes.values().next()).expect("the node");
        assert!(
            node["thread_pool"]["write"]["rejected"].as_u64() > Some(0),
            "the queue was never full: {}",
            node["thread_pool"]["write"]
        );
        assert_eq!(
            (total.records, total.indexed + total.already_present, total.quarantined),
            (200, 200, 0),
            "{total:?}"
        );
        assert!(depot.aws.domain_requests(&depot.domain).await.len() > 1);
        depot.assert_all_is_done(&engine, &sources, &[]).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_domain_that_is_busy_or_away_for_a_while_only_takes_longer() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        for (round, fault) in
            ["throttle", "unavailable", "internal", "timeout", "reset", "lost", "busy"].into_iter().enumerate()
        {
            let records: Vec<Record> = (0..6).map(|number| depot.good(&format!("{fault}-{number}"))).collect();
            let sources = [depot.put(&format!("object-{round}"), &records).await];
            depot.aws.break_domain(&depot.domain, fault, 0, 2).await;
            let total = depot.redrive(&sources).await;
            assert_eq!(
                (total.records, total.indexed + total.already_present, total.quarantined),
                (6, 6, 0),
                "{fault}: {total:?}"
            );
            depot.assert_all_is_done(engine, &sources, &[]).await;
        }
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_domain_that_refuses_the_caller_stops_the_run_and_moves_nothing() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let sources = [depot.put("one", &[depot.good("a")]).await, depot.put("two", &[depot.good("b")]).await];
        depot.aws.break_domain(&depot.domain, "denied", 0, 0).await;
        let total = depot.redrive(&sources).await;
        assert_eq!(total.stopped.as_ref().map(|stopped| &stopped["status"]), Some(&json!(403)), "{total:?}");
        assert_eq!((total.remaining.len(), total.passes), (2, 1), "{total:?}");
        assert_eq!(depot.aws.domain_requests(&depot.domain).await.len(), 1, "one refusal is enough");
        for source in &sources {
            assert!(depot.stands(source).await, "{}", source.key);
        }
        depot.aws.heal_domain(&depot.domain).await;
        depot.redrive(&sources).await;
        depot.assert_all_is_done(engine, &sources, &[]).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_until_it_fits_and_one_document_that_never_fits_is_left() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let large = |id: &str, bytes: usize| {
            let document = json!({ "ContactId": id, "text": "x".repeat(bytes) }).to_string();
            Record { document, ..depot.good(id) }
        };
        let records: Vec<Record> = (0..20).map(|number| large(&format!("r{number}"), 3000)).collect();
        let fits = depot.put("fits", &records).await;
        let never = depot.put("never", &[depot.good("a"), large("huge", 20_000), depot.good("b")]).await;
        depot.aws.limit_bodies(&depot.domain, 10_000).await;
        let total = depot.redrive(&[fits.clone(), never.clone()]).await;
        assert_eq!((total.indexed + total.already_present, total.quarantined), (22, 0), "{total:?}");
        assert!(total.stopped.is_none(), "{total:?}");
        assert_eq!(total.left.len(), 1, "{total:?}");
        assert_eq!(total.left[0]["key"], json!(never.key), "{total:?}");
        depot.assert_all_is_done(engine, std::slice::from_ref(&fits), &[]).await;
        assert!(depot.stands(&never).await);
        depot.aws.limit_bodies(&depot.domain, 10_000_000).await;
        depot.redrive(std::slice::from_ref(&never)).await;
        depot.assert_all_is_done(engine, &[never], &[]).await;
        depot.end().await;
    })
    .await;
}
