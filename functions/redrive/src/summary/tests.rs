use serde_json::json;

use super::*;
use crate::fake::FakeAws;
use crate::request::Mode;

const SPEC: &str = include_str!("../../../../infra/events/spec.json");

async fn report(results: ResultLocation, error: Option<&str>, fake: &FakeAws) -> RedriveReport {
    let execution = FinishedExecution {
        mode: Mode::Apply,
        prefix: Some("emite-connect/s/failed/".to_owned()),
        results,
        error: error.map(str::to_owned),
        arn: Some("arn:x".to_owned()),
    };
    let bucket = Bucket::new(&fake.s3(), "bucket".to_owned());
    summarise(execution, &Spec::parse(SPEC).unwrap(), &bucket, &StreamFolders::managed("s", "emite-connect/s/failed/"))
        .await
}

fn result(objects: u64, remaining: usize) -> Value {
    let remaining: Vec<Value> =
        (0..remaining).map(|number| json!({"key": format!("k{number}"), "offset": number})).collect();
    json!({
        "objects": objects, "records": 10, "indexed": 7, "alreadyPresent": 1, "quarantined": 2, "remaining": remaining,
        "byError": {"400/other": 2, "409/version_conflict_engine_exception": 1},
        "oldest": "2026-11-24T01:00:00Z", "newest": "2026-11-24T02:00:00Z",
        "left": [{"key": "l", "cause": "c", "size": 9}],
        "stopped": {"status": 403, "errorType": "cluster_block_exception", "remedy": "r"},
    })
}

#[tokio::test]
async fn answers_that_come_along_are_added_up() {
    let failed = json!({"Error": "AwsError", "Cause": "+61412345678"});
    let results = ResultLocation::Inline(vec![result(1, 2), result(3, 0), failed]);
    insta::assert_json_snapshot!(report(results, None, &FakeAws::default()).await);
}

#[tokio::test]
async fn answers_in_files_are_read_and_those_that_failed_count_by_their_objects() {
    let fake = FakeAws::default();
    let folder = "emite-connect/s/results/run/";
    let key = |name: &str| format!("{folder}{name}");
    let manifest = json!({
        "DestinationBucket": "bucket", "MapRunArn": "arn",
        "ResultFiles": {
            "FAILED": [{"Key": key("FAILED_0.json"), "Size": 1}], "PENDING": [],
            "SUCCEEDED": [{"Key": key("SUCCEEDED_0.json"), "Size": 1}],
        },
    });
    let done = json!([
        {"Name": "1", "Status": "SUCCEEDED", "Input": "{}", "Output": result(1, 1).to_string()},
        {"Name": "2", "Status": "SUCCEEDED", "Input": "{}", "Output": result(2, 0).to_string()},
    ]);
    let input = json!({"Items": [{"Key": "f1"}, {"Key": "f2"}], "BatchInput": {}}).to_string();
    let failed = json!([{"Name": "3", "Status": "FAILED", "Input": input, "Error": "Lambda.Unknown", "Cause": "x"}]);
    for (name, content) in [("manifest.json", manifest), ("SUCCEEDED_0.json", done), ("FAILED_0.json", failed)] {
        fake.lock().objects.insert(key(name), content.to_string().into_bytes());
    }
    let results = || ResultLocation::Manifest { key: key("manifest.json") };
    let report = report(results(), None, &fake).await;
    insta::assert_json_snapshot!(report);

    // What cannot be read does not keep the rest out of the report.
    fake.lock().objects.insert(key("SUCCEEDED_0.json"), b"\x1f\x8b\x08 broken".to_vec());
    let partly = super::tests::report(results(), None, &fake).await;
    assert_eq!((partly.error.as_deref(), partly.objects, partly.remaining_objects), (Some(UNREADABLE), 0, 2));

    let elsewhere = br#"{"ResultFiles":{"SUCCEEDED":[{"Key":"elsewhere"}]}}"#;
    fake.lock().objects.insert(key("manifest.json"), elsewhere.to_vec());
    fake.lock().objects.insert("elsewhere".to_owned(), json!([result(1, 0)]).to_string().into_bytes());
    let nothing = super::tests::report(results(), None, &fake).await;
    assert_eq!((nothing.error.as_deref(), nothing.failed_batches), (Some(UNREADABLE), 1));
    assert_eq!(nothing.objects, 0, "nothing else of the bucket is read");
}

#[tokio::test]
async fn an_execution_that_came_to_nothing_is_told_too() {
    let report = report(ResultLocation::Missing, Some("States.ItemReaderFailed"), &FakeAws::default()).await;
    assert_eq!((report.failed_batches, report.objects), (1, 0));
}

#[tokio::test]
async fn the_report_of_many_batches_stays_small() {
    let mut one = result(1, 10);
    one["remaining"][0]["key"] = "k".repeat(1024).into();
    one["left"][0]["key"] = "k".repeat(1024).into();
    let results = (0..1000)
        .map(|number| {
            one["byError"] = json!({format!("400/kind_{number}"): number});
            one.clone()
        })
        .collect();
    let report = report(ResultLocation::Inline(results), None, &FakeAws::default()).await;
    assert_eq!((report.remaining.len(), report.left.len(), report.counts.by_error.len()), (100, 20, 61));
    assert_eq!((report.remaining_objects, report.objects), (11_000, 1000));
    assert!(serde_json::to_string(&report).unwrap().len() < 64 * 1024);
}
