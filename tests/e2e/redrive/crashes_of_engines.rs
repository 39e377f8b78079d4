//! What becomes of a run when the engine goes away under it.

use std::time::Duration;

use emite_connect_tests::engines::Engine;
use emite_connect_tests::failed::Record;
use serde_json::json;

use super::{AMPLE, Depot, SHORT, on_each_engine};

#[tokio::test]
async fn an_engine_that_is_killed_in_the_middle_and_comes_back_has_every_record_once() {
    on_each_engine(|kind| async move {
        let mut engine = Engine::start(kind, &[]).await;
        let depot = Depot::before(&engine).await;
        depot.make_index(&engine, &depot.monthly(), &json!({ "number_of_shards": 2, "number_of_replicas": 0 })).await;
        // Small requests, so that there is a middle.
        depot.aws.limit_bodies(&depot.domain, 10_000).await;
        let mut sources = Vec::new();
        for object in 0..3 {
            let records: Vec<Record> = (0..400).map(|number| depot.good(&format!("{object}-{number}"))).collect();
            sources.push(depot.put(&format!("object-{object}"), &records).await);
        }
        let event = json!({ "mode": "apply", "keys": sources.iter().map(|source| &source.key).collect::<Vec<_>>() });
        let running = depot.invoke(&event, AMPLE);
        let outage = async {
            depot.aws.await_requests(&depot.domain, 20).await;
            engine.kill();
            // The function notices.
            tokio::time::sleep(Duration::from_millis(300)).await;
            engine.start_again().await;
            depot.aws.put_behind(&depot.domain, Some(&engine.url)).await;
        };
        let (answer, ()) = tokio::join!(running, outage);
        let answer = answer.unwrap();
        println!("after the outage: {answer}");
        let requests = depot.aws.domain_requests(&depot.domain).await;
        assert!(requests.iter().any(|request| request["status"] == 503), "nobody noticed: {requests:?}");
        depot.assert_nothing_is_lost(&engine, &sources).await;
        let left: Vec<_> = futures::future::join_all(sources.iter().map(|source| depot.stands(source)))
            .await
            .into_iter()
            .zip(&sources)
            .filter(|(stands, _)| *stands)
            .map(|(_, source)| source.clone())
            .collect();
        if !left.is_empty() {
            depot.redrive(&left).await;
        }
        depot.assert_all_is_done(&engine, &sources, &[]).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_domain_that_stays_away_ends_the_run_in_time_and_moves_nothing() {
    on_each_engine(|kind| async move {
        let mut engine = Engine::start(kind, &[]).await;
        let depot = Depot::before(&engine).await;
        let sources = [depot.put("one", &[depot.good("a")]).await, depot.put("two", &[depot.good("b")]).await];
        engine.stop();
        let keys = json!([sources[0].key, sources[1].key]);
        let answer = depot.apply(&keys, SHORT).await;
        assert_eq!(answer["remaining"].as_array().map(Vec::len), Some(2), "{answer}");
        assert!(depot.aws.domain_requests(&depot.domain).await.len() > 1, "it tried no more than once");
        for source in &sources {
            assert!(depot.stands(source).await, "{}", source.key);
        }
        engine.start_again().await;
        depot.aws.put_behind(&depot.domain, Some(&engine.url)).await;
        depot.redrive(&sources).await;
        depot.assert_all_is_done(&engine, &sources, &[]).await;
        depot.end().await;
    })
    .await;
}
