//! What the function is asked, and refuses to be asked.

use emite_connect_tests::engines::{self, Kind};
use serde_json::{Value, json};

use super::{AMPLE, Depot, on_each_engine};

#[tokio::test]
async fn a_plan_reads_and_counts_and_writes_nothing() {
    on_each_engine(|kind| async move {
        let depot = Depot::new(kind).await;
        let source = depot.put("one", &[depot.good("a"), depot.bad("b")]).await;
        for event in [
            json!({ "mode": "plan", "keys": [source.key] }),
            json!({ "Items": [{ "Key": source.key, "Size": source.content.len(), "LastModified": 1_795_482_600 }], "BatchInput": {} }),
            json!({ "Key": source.key, "Size": source.content.len(), "LastModified": "2026-11-24T01:10:00Z" }),
        ] {
            let answer = depot.invoke(&event, AMPLE).await.unwrap();
            assert_eq!((&answer["objects"], &answer["records"]), (&json!(1), &json!(2)), "{event}: {answer}");
            assert_eq!(answer["byError"], json!({ "400/mapper_parsing_exception": 2 }), "{event}: {answer}");
            assert_eq!((&answer["indexed"], &answer["remaining"]), (&json!(0), &json!([])), "{event}: {answer}");
        }
        assert!(depot.stands(&source).await);
        assert!(depot.aws.domain_requests(&depot.domain).await.is_empty());
        let written: Vec<_> = depot.proxy.actions().into_iter().filter(|action| action.contains("Put") || action.contains("Delete")).collect();
        assert!(written.is_empty(), "{written:?}");
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn every_shape_of_items_is_applied_within_its_window() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        let batched = depot.put("batched", &[depot.good("a")]).await;
        let bare = depot.put("bare", &[depot.good("b")]).await;
        let late = depot.put("late", &[depot.good("c")]).await;
        let item = |key: &str, modified: &str| json!({ "Key": key, "Size": 1, "LastModified": modified, "Etag": "\"x\"", "StorageClass": "STANDARD" });
        let window = json!({ "mode": "apply", "from": "2020-01-01", "to": "2099-12-31" });
        let event = json!({
            "Items": [item(&batched.key, "2099-12-31T23:59:59Z"), item(&late.key, "2100-01-01T00:00:00Z"), { "Key": format!("{}failed/", depot.base), "Size": 0, "LastModified": 0 }],
            "BatchInput": window,
        });
        let answer = depot.invoke(&event, AMPLE).await.unwrap();
        assert_eq!((&answer["objects"], &answer["indexed"]), (&json!(1), &json!(1)), "{answer}");
        let mut event = item(&bare.key, "2026-11-24T00:00:00Z");
        event.as_object_mut().unwrap().extend(window.as_object().unwrap().clone());
        let answer = depot.invoke(&event, AMPLE).await.unwrap();
        assert_eq!(answer["indexed"], json!(1), "{answer}");
        depot.assert_all_is_done(engine, &[batched, bare], &[]).await;
        assert!(depot.stands(&late).await);
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn the_folders_of_a_stream_made_by_hand_are_redriven_too() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({})).await;
        let mut sources = Vec::new();
        for (number, folder) in [
            "AmazonOpenSearchService-failed",
            "AmazonOpenSearchService_failed",
            "elasticsearch-failed",
            "elasticsearch_failed",
        ]
        .into_iter()
        .enumerate()
        {
            let records = [depot.good(&format!("good-{number}")), depot.bad(&format!("bad-{number}"))];
            let content = emite_connect_tests::failed::object(&records);
            sources.push(depot.put_at(format!("{folder}/2026/11/24/01/x"), content, &records).await);
        }
        let total = depot.redrive(&sources).await;
        assert_eq!((total.indexed, total.quarantined), (4, 4), "{total:?}");
        depot.assert_all_is_done(engine, &sources, &["bad-0", "bad-1", "bad-2", "bad-3"]).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_no_sources_are_refused_and_nothing_is_touched() {
    if engines::missing().is_some() {
        return;
    }
    let depot = Depot::new(Kind::OpenSearch2).await;
    let base = depot.base.clone();
    let good = depot.put("good", &[depot.good("a")]).await;
    for key in [
        format!("{base}redriven/failed/x"),
        format!("{base}results/x"),
        format!("{base}failed/../results/x"),
        "emite-connect/another-stream/failed/x".to_owned(),
        "anything/else".to_owned(),
        "processing-failed/x".to_owned(),
        String::new(),
    ] {
        let event = json!({ "mode": "apply", "keys": [good.key, key] });
        let error = depot.invoke(&event, AMPLE).await.expect_err(&key);
        assert_eq!(error["errorType"], "BadInput", "{key}: {error}");
    }
    assert!(depot.stands(&good).await);
    assert!(depot.aws.domain_requests(&depot.domain).await.is_empty());
    depot.end().await;
}

#[tokio::test]
async fn an_input_that_cannot_be_meant_is_refused() {
    if engines::missing().is_some() {
        return;
    }
    let depot = Depot::new(Kind::OpenSearch2).await;
    let key = format!("{}failed/x", depot.base);
    for event in [
        json!({}),
        json!([]),
        json!({ "mode": "apply" }),
        json!({ "mode": "remove", "keys": [key] }),
        json!({ "mode": "apply", "keys": "x" }),
        json!({ "mode": "apply", "keys": [{ "offset": 1 }] }),
        json!({ "mode": "apply", "keys": [key], "surprise": 1 }),
        json!({ "mode": "apply", "keys": [key], "from": "yesterday" }),
        json!({ "mode": "begin", "input": { "mode": "aply", "from": "x" } }),
    ] {
        let error = depot.invoke(&event, AMPLE).await.expect_err(&event.to_string());
        assert_eq!(error["errorType"], "BadInput", "{event}: {error}");
    }
    depot.end().await;
}

#[tokio::test]
async fn a_run_begins_with_a_checked_input_and_ends_with_one_report() {
    if engines::missing().is_some() {
        return;
    }
    let depot = Depot::new(Kind::OpenSearch2).await;
    let begun = depot.invoke(&json!({ "mode": "begin", "input": {} }), AMPLE).await.unwrap();
    let prefix = format!("{}failed/", depot.base);
    assert_eq!(begun, json!({ "mode": "plan", "from": null, "to": null, "prefix": prefix }));
    let source = depot.put("one", &[depot.good("a"), depot.good("b")]).await;
    let answer = depot.apply(&json!([source.key]), AMPLE).await;
    let input = json!({ "mode": "apply", "from": null, "to": null, "prefix": prefix });
    let event = json!({ "mode": "summarise", "input": input, "results": [answer, answer], "error": null, "execution": "arn:aws:states:x:y:z" });
    let totals = depot.invoke(&event, AMPLE).await.unwrap();
    assert_eq!(
        (&totals["records"], &totals["indexed"], &totals["remainingObjects"]),
        (&json!(4), &json!(4), &json!(0)),
        "{totals}"
    );
    let events = depot.proxy.events();
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    let event: Value = serde_json::from_str(event).unwrap();
    let entry = &event["Entries"][0];
    assert_eq!(
        (&entry["Source"], &entry["DetailType"]),
        (&json!("emite-connect"), &json!("Integration Redrive Report"))
    );
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&detail["version"], &detail["mode"], &detail["records"]),
        (&json!(1), &json!("apply"), &json!(4)),
        "{detail}"
    );
    assert!(detail["stackId"].as_str().is_some_and(|id| id.contains(":stack/redrive-")), "{detail}");
    depot.end().await;
}
