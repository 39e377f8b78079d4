//! The whole way: a deployed stack, its state machine over its bucket, its function with its own role, and a real engine behind
//! its domain.

use emite_connect_tests::engines::{self, Engine, Kind};
use emite_connect_tests::failed::{self, ARRIVAL_MS, Record};
use emite_connect_tests::functions::until;
use emite_connect_tests::search::Domain;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::watched::Watched;

const OBJECTS: usize = 2000;
/// Of so many objects, one has a record that the index never takes.
const ONE_IN: usize = 100;

/// The stack's own domain, with a real engine behind it.
async fn domain_of(watched: &Watched, engine: &Engine) -> Domain {
    let domain = Domain {
        name: watched.name_in("domain").to_owned(),
        arn: watched.setting("domain").to_owned(),
        endpoint: watched.setting("searchEndpoint").to_owned(),
    };
    watched.aws.put_behind(&domain, Some(&engine.url)).await;
    domain
}

fn record(watched: &Watched, id: &str, amount: &str) -> Record {
    Record {
        id: format!("{}.{id}", watched.stack.name),
        index: format!("{}-2026-11", watched.stack.name),
        doc_type: Some("contacts".to_owned()),
        arrival_ms: ARRIVAL_MS,
        document: format!(r#"{{"ContactId":"{id}","Attributes":{{"amount":{amount}}}}}"#),
    }
}

/// Runs the state machine to its end: its status, its output, and the error that it ended with.
async fn run(watched: &Watched, input: &Value) -> (String, Value, String) {
    let start = json!({ "stateMachineArn": watched.setting("redriveStateMachine"), "input": input.to_string() });
    let started = watched.aws.json_call("states", "AWSStepFunctions.StartExecution", &start).await;
    let about = json!({ "executionArn": started["executionArn"] });
    let ended = until("the end of the execution", || async {
        let execution = watched.aws.json_call("states", "AWSStepFunctions.DescribeExecution", &about).await;
        (execution["status"] != "RUNNING").then_some(execution)
    })
    .await;
    let output = ended["output"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let text = |name: &str| ended[name].as_str().unwrap_or_default().to_owned();
    (text("status"), output, text("error"))
}

#[tokio::test]
async fn two_thousand_objects_go_through_the_state_machine_each_record_once() {
    if engines::missing().is_some() {
        return;
    }
    let engine = engines::shared(Kind::Elasticsearch6).await;
    let watched = &Watched::healthy().await;
    let domain = domain_of(watched, engine).await;
    let index = format!("{}-2026-11", watched.stack.name);
    let fields = json!({ "properties": { "Attributes": { "properties": { "amount": { "type": "long" } } } } });
    engine.ask("PUT", &format!("/{index}"), &json!({ "mappings": { "contacts": fields } })).await;
    let bucket = watched.setting("backupBucket").to_owned();
    let base = format!("emite-connect/{}/", watched.name_in("deliveryStream"));
    let objects = (0..OBJECTS).map(|number| {
        let refused = number % ONE_IN == 0;
        let records = [
            record(watched, &format!("{number}a"), "7"),
            record(watched, &format!("{number}b"), if refused { r#""a lot""# } else { "8" }),
        ];
        (format!("{base}failed/AmazonOpenSearchService-failed/2026/11/24/01/{number:04}"), failed::object(&records))
    });
    let put = |(key, content): (String, Vec<u8>)| {
        let bucket = &bucket;
        async move { watched.aws.put_object(bucket, &key, content).await }
    };
    futures::stream::iter(objects.collect::<Vec<_>>()).map(put).buffer_unordered(8).collect::<Vec<()>>().await;

    let (status, plan, _) = run(watched, &json!({})).await;
    assert_eq!(
        (status.as_str(), &plan["records"], &plan["mode"]),
        ("SUCCEEDED", &json!(2 * OBJECTS), &json!("plan")),
        "{plan}"
    );
    let (status, done, _) = run(watched, &json!({ "mode": "apply" })).await;
    let refused = OBJECTS / ONE_IN;
    let told = ["objects", "records", "indexed", "quarantined", "remainingObjects", "failedBatches"]
        .map(|name| done[name].clone());
    let expected = [OBJECTS, 2 * OBJECTS, 2 * OBJECTS - refused, refused, 0, 0].map(|number| json!(number));
    assert_eq!((status.as_str(), told), ("SUCCEEDED", expected), "{done}");
    engine.ask("POST", &format!("/{index}/_refresh"), &Value::Null).await;
    let count = engine.ask("GET", &format!("/{index}/_count"), &Value::Null).await;
    assert_eq!(count["count"], 2 * OBJECTS - refused, "{count}");
    for (folder, number) in [("failed", 0), ("redriven", OBJECTS), ("quarantine", refused)] {
        assert_eq!(watched.aws.keys(&bucket, &format!("{base}{folder}/")).await.len(), number, "{folder}");
    }

    // What is in quarantine is put back once its cause is mended: here, by another index for it.
    let prefix = format!("{base}quarantine/");
    let (status, again, error) = run(watched, &json!({ "mode": "apply", "prefix": prefix })).await;
    assert_eq!((status.as_str(), error.as_str()), ("FAILED", "Incomplete"), "{again}");
    assert_eq!(watched.aws.keys(&bucket, &prefix).await.len(), refused, "what still fails stays");

    let (status, _, error) = run(watched, &json!({ "mode": "mend", "surprise": 1 })).await;
    assert_eq!((status.as_str(), error.as_str()), ("FAILED", "BadInput"));
    watched.aws.put_behind(&domain, None).await;
}
