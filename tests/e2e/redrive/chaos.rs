//! The process dies at each of its calls, before and after the call went through, and at moments that nobody chose; it is
//! started again, and in the end every record is in exactly one place.

use std::time::{Duration, Instant};

use emite_connect_tests::engines::{self, Engine, Kind};
use emite_connect_tests::failed::{self, gzip};
use emite_connect_tests::faults::{Fault, Plan};
use serde_json::{Value, json};

use super::{AMPLE, Depot, Source, on_each_engine};

/// How often the process is killed at a random moment, for each engine.
const RANDOM_KILLS: u64 = 60;

/// One of each kind of object, with ids that no other round has.
struct Round {
    sources: Vec<Source>,
    refused: Vec<String>,
}

impl Round {
    async fn put(depot: &Depot, name: &str) -> Self {
        let id = |what: &str| format!("{name}-{what}");
        let (good, bad) = (|what: &str| depot.good(&id(what)), |what: &str| depot.bad(&id(what)));
        let mixed = [good("a"), bad("b"), good("c")];
        let packed = [bad("e"), good("f")];
        let waiting = [good("g"), bad("h"), good("i")];
        let mut lines = Vec::new();
        for (offset, record) in waiting.iter().enumerate() {
            let mut line: Value = serde_json::from_str(&record.line()).unwrap();
            line["redrive"] = json!({ "offset": offset, "kind": "400/mapper_parsing_exception" });
            lines.extend_from_slice(format!("{line}\n").as_bytes());
        }
        let quarantine = format!("{}quarantine/AmazonOpenSearchService-failed/2026/11/23/01/{name}", depot.base);
        let sources = vec![
            depot.put(&format!("{name}-mixed"), &mixed).await,
            depot.put(&format!("{name}-plain"), &[good("d")]).await,
            depot.put_content(&format!("{name}-packed.gz"), gzip(&failed::object(&packed)), &packed).await,
            depot.put_at(quarantine, lines, &waiting).await,
        ];
        Self { sources, refused: ["b", "e", "h"].map(id).to_vec() }
    }

    fn event(&self) -> Value {
        json!({ "mode": "apply", "keys": self.sources.iter().map(|source| &source.key).collect::<Vec<_>>() })
    }

    /// After the kill nothing is lost, and another run brings all of it to its end.
    async fn is_finished_by_another_run(&self, depot: &Depot, engine: &Engine) {
        depot.assert_nothing_is_lost(engine, &self.sources).await;
        let total = depot.redrive(&self.sources).await;
        // What was left of the object in quarantine by the run that died is refused as a whole by this one.
        let left = |left: &Value| left["key"].as_str().is_some_and(|key| key.contains("/quarantine/"));
        assert!(total.stopped.is_none() && total.left.iter().all(left), "{total:?}");
        let refused: Vec<&str> = self.refused.iter().map(String::as_str).collect();
        depot.assert_all_is_done(engine, &self.sources, &refused).await;
        // So that the next round does not read them again.
        for folder in ["quarantine", "redriven", "failed"] {
            for key in depot.keys(folder).await {
                depot.aws.delete_object(&depot.bucket, &key).await;
            }
        }
    }
}

async fn depot(kind: Kind) -> (Depot, &'static Engine) {
    let engine = engines::shared(kind).await;
    let depot = Depot::new(kind).await;
    depot.make_index(engine, &depot.monthly(), &json!({ "number_of_shards": 1, "number_of_replicas": 0 })).await;
    (depot, engine)
}

/// A run that nothing happens to: its calls to AWS, its requests to the domain, and how long it took.
async fn undisturbed(depot: &Depot, engine: &Engine) -> (usize, usize, Duration) {
    let round = Round::put(depot, "undisturbed").await;
    let begun = Instant::now();
    depot.invoke(&round.event(), AMPLE).await.unwrap();
    let took = begun.elapsed();
    let counts = (depot.proxy.calls().len(), depot.aws.domain_requests(&depot.domain).await.len());
    depot.end_process().await;
    round.is_finished_by_another_run(depot, engine).await;
    depot.end_process().await;
    (counts.0, counts.1, took)
}

/// A call or a request at which the process dies.
#[derive(Clone, Copy, Debug)]
enum Kill {
    Call { nth: usize, fault: Fault },
    Request { nth: usize, fault: &'static str },
}

impl Kill {
    /// Before and after each of so many calls to AWS and requests to the domain.
    fn every(calls: usize, requests: usize) -> Vec<Self> {
        let call = |nth| [Fault::Held, Fault::Stuck].map(|fault| Self::Call { nth, fault });
        let request = |nth| ["hold", "stuck"].map(|fault| Self::Request { nth, fault });
        (1..=calls).flat_map(call).chain((0..requests).flat_map(request)).collect()
    }

    fn name(self) -> String {
        match self {
            Self::Call { nth, fault } => format!("call-{nth}-{fault:?}"),
            Self::Request { nth, fault } => format!("request-{nth}-{fault}"),
        }
    }

    /// Begins that, and has the process die.
    async fn happens(self, depot: &Depot, event: &Value) {
        let came = match self {
            Self::Call { nth, fault } => {
                depot.proxy.plan([Plan { action: "*".to_owned(), nth, times: 1, fault }]);
                depot.kill_at(event, depot.proxy.stuck()).await
            }
            Self::Request { nth, fault } => {
                depot.aws.break_domain(&depot.domain, fault, nth, 1).await;
                depot.kill_at(event, depot.aws.domain_holds(&depot.domain)).await
            }
        };
        assert!(came, "{self:?} did not come");
        depot.proxy.heal();
        depot.aws.heal_domain(&depot.domain).await;
    }
}

async fn dies_at_each_call(kind: Kind) {
    let (depot, engine) = depot(kind).await;
    let (calls, requests, _) = undisturbed(&depot, engine).await;
    assert!(calls > 10 && requests > 3, "{calls} calls and {requests} requests");
    let kills = Kill::every(calls, requests);
    for kill in &kills {
        let round = Round::put(&depot, &kill.name()).await;
        kill.happens(&depot, &round.event()).await;
        round.is_finished_by_another_run(&depot, engine).await;
        depot.end_process().await;
    }
    println!("{}: {} kills at {calls} calls and {requests} requests", kind.name(), kills.len());
    depot.end().await;
}

/// The domain stops a run in the middle of an object, and the process dies when it goes on there.
async fn dies_while_it_goes_on(kind: Kind) {
    let (depot, engine) = depot(kind).await;
    depot.aws.limit_bodies(&depot.domain, 700).await;
    let mut kills: Vec<Option<Kill>> = vec![None];
    let mut number = 0;
    while let Some(kill) = kills.pop() {
        number += 1;
        let records: Vec<_> = (0..8)
            .map(|place| {
                let id = format!("going-on-{number}-{place}");
                if place % 3 == 1 { depot.bad(&id) } else { depot.good(&id) }
            })
            .collect();
        let source = depot.put(&format!("going-on-{number}"), &records).await;
        let refused: Vec<&str> =
            (0..8).filter(|place| place % 3 == 1).map(|place| records[place].id.as_str()).collect();
        // Some requests are too large, and some are done, among them one with a document that is refused.
        depot.aws.break_domain(&depot.domain, "denied", 2, 1).await;
        let answer = depot.apply(&json!([source.key]), AMPLE).await;
        assert!(
            answer["remaining"][0]["offset"].as_u64() > Some(0) && answer["quarantined"].as_u64() > Some(0),
            "{answer}"
        );
        let event = json!({ "mode": "apply", "keys": answer["remaining"] });
        depot.end_process().await;
        let before = (depot.proxy.calls().len(), depot.aws.domain_requests(&depot.domain).await.len());
        if let Some(kill) = kill {
            kill.happens(&depot, &event).await;
            depot.assert_nothing_is_lost(engine, std::slice::from_ref(&source)).await;
        }
        // What a state machine does with a task that failed: the same again.
        depot.invoke(&event, AMPLE).await.unwrap();
        if kill.is_none() {
            let calls = depot.proxy.calls().len() - before.0;
            // Requests that are too large are refused before they can be held.
            let requests = depot.aws.domain_requests(&depot.domain).await.split_off(before.1);
            let requests = requests.iter().filter(|request| request["status"] != 413).count();
            kills = Kill::every(calls, requests).into_iter().map(Some).collect();
            println!("{}: {} kills at {calls} calls and {requests} requests", kind.name(), kills.len());
        }
        depot.assert_all_is_done(engine, &[source], &refused).await;
        depot.end_process().await;
    }
    depot.end().await;
}

async fn dies_at_random(kind: Kind) {
    let (depot, engine) = depot(kind).await;
    let (.., mut took) = undisturbed(&depot, engine).await;
    let (mut kills, mut seed) = (0, 0);
    while kills < RANDOM_KILLS {
        seed += 1;
        assert!(seed < 5 * RANDOM_KILLS, "only {kills} kills within {took:?}");
        let round = Round::put(&depot, &format!("seed-{seed}")).await;
        let begun = Instant::now();
        if depot.kill_at(&round.event(), tokio::time::sleep(took.mul_f64(random(seed)))).await {
            kills += 1;
        } else {
            took = begun.elapsed().min(took);
        }
        round.is_finished_by_another_run(&depot, engine).await;
        depot.end_process().await;
    }
    println!("{}: {kills} kills in {seed} runs of {took:?}", kind.name());
    depot.end().await;
}

/// From 0 to 1, the same for a seed every time (splitmix64).
#[allow(clippy::cast_precision_loss, reason = "a moment needs no more")]
fn random(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[tokio::test]
async fn a_process_that_dies_at_any_call_loses_and_doubles_nothing_in_elasticsearch() {
    if engines::missing().is_none() {
        dies_at_each_call(Kind::Elasticsearch6).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_call_loses_and_doubles_nothing_in_opensearch() {
    if engines::missing().is_none() {
        dies_at_each_call(Kind::OpenSearch2).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_going_on_in_an_object_loses_and_doubles_nothing() {
    on_each_engine(dies_while_it_goes_on).await;
}

#[tokio::test]
async fn a_process_that_dies_at_any_moment_loses_and_doubles_nothing_in_elasticsearch() {
    if engines::missing().is_none() {
        dies_at_random(Kind::Elasticsearch6).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_moment_loses_and_doubles_nothing_in_opensearch() {
    if engines::missing().is_none() {
        dies_at_random(Kind::OpenSearch2).await;
    }
}
