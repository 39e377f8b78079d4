use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::request::{Mode, ResultLocation};

fn read(event: &Value) -> Result<Input, BadInput> {
    Input::read(event, &StreamFolders::managed("s", "emite-connect/s/failed/"), "bucket")
}

fn request_of(event: &Value) -> RunRequest {
    match read(event) {
        Ok(Input::Run(request)) => *request,
        other => panic!("{other:?}"),
    }
}

fn problems(event: &Value) -> String {
    read(event).unwrap_err().0.join("\n")
}

const KEY: &str = "emite-connect/s/failed/elasticsearch-failed/x";

#[test]
fn objects_come_as_keys_as_a_batch_or_alone() {
    let keys = request_of(&json!({"mode": "apply", "keys": [KEY, {"key": KEY, "offset": 12}], "from": "2026-11-24"}));
    assert_eq!((keys.mode, keys.objects.len(), keys.objects[1].resume.offset), (Mode::Apply, 2, 12));
    assert_eq!(keys.window.from, Some("2026-11-24T00:00:00Z".parse().unwrap()));

    let item = json!({"Key": KEY, "Size": 7, "LastModified": 1_763_946_000, "Etag": "x", "StorageClass": "STANDARD"});
    let beside = json!({"mode": "apply", "from": null, "to": "2026-11-24", "prefix": "failed/"});
    let batch = request_of(&json!({"Items": [item, item], "BatchInput": beside}));
    assert_eq!((batch.mode, batch.objects.len()), (Mode::Apply, 2));
    assert_eq!(batch.objects[0].modified, Some("2025-11-24T01:00:00Z".parse().unwrap()));

    let mut alone = item.clone();
    alone["mode"] = "apply".into();
    alone["LastModified"] = "2025-11-24T01:00:00.000Z".into();
    let alone = request_of(&alone);
    assert_eq!((alone.mode, &alone.objects[..]), (Mode::Apply, &batch.objects[..1]));
}

#[test]
fn nothing_is_written_unless_that_is_asked_for() {
    for event in [
        json!({"keys": []}),
        json!({"Items": []}),
        json!({"Items": [], "BatchInput": {"mode": null}}),
        json!({"Key": KEY}),
    ] {
        assert_eq!(request_of(&event).mode, Mode::Plan, "{event}");
    }
}

#[test]
fn what_stands_for_a_folder_is_no_object() {
    let event = json!({"Items": [{"Key": "emite-connect/s/failed/", "Size": 0}, {"Key": KEY, "Size": 1}]});
    assert_eq!(request_of(&event).objects.len(), 1);
}

#[test]
fn run_goes_on_from_an_earlier_result() {
    let result = json!({
        "objects": 1, "records": 2, "indexed": 2, "alreadyPresent": 0, "quarantined": 0, "remaining": [], "byError": {},
        "oldest": null, "newest": null, "left": [], "stopped": null,
    });
    let request = request_of(&json!({"mode": "apply", "keys": [], "soFar": result}));
    assert_eq!(request.so_far.unwrap().objects, 1);
    assert_eq!(request_of(&json!({"keys": [], "soFar": null})).so_far, None);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    insta::assert_snapshot!(
        [
            json!({
                "mode": "write", "keys": ["emite-connect/s/results/x", 7, {"key": KEY, "offset": -1}, "../x"],
                "from": "yesterday", "to": 5, "surprise": 1, "soFar": {"objects": 1}, "prefix": "results/",
            }),
            json!({"Items": {}, "BatchInput": 5, "keysies": 1}),
            json!({"Items": [{"Key": KEY, "LastModified": "soon"}], "BatchInput": {"mode": "apply", "from": "2026-11-25", "to": "2026-11-24"}}),
            json!({"Key": KEY, "modes": "apply"}),
            json!({"mode": "apply"}),
            json!([]),
            json!({"mode": "begin", "input": {"mode": "begin", "form": "2026-11-24", "from": "x", "prefix": "/"}}),
            json!({"mode": "begin", "input": []}),
            json!({"mode": "summarise", "results": {"ResultWriterDetails": {"Bucket": "other", "Key": "x"}}, "x": 1}),
        ]
        .map(|event| problems(&event))
        .join("\n---\n")
    );
}

#[test]
fn an_execution_may_be_started_with_nothing() {
    let begin = |input: Value| match read(&json!({"mode": "begin", "input": input})) {
        Ok(Input::Begin(input)) => input,
        other => panic!("{other:?}"),
    };
    let plain = ExecutionInput { mode: Mode::Plan, from: None, to: None, prefix: None };
    assert_eq!(begin(json!({})), plain);
    assert_eq!(begin(Value::Null), plain);
    let whole =
        begin(json!({"mode": "apply", "from": "2026-11-24", "to": "2026-11-24T01:00:00Z", "prefix": "quarantine/"}));
    assert_eq!(
        (whole.mode, whole.from.as_deref(), whole.prefix.as_deref()),
        (Mode::Apply, Some("2026-11-24"), Some("emite-connect/s/quarantine/"))
    );
}

#[test]
fn an_execution_that_failed_is_summed_up_without_its_cause() {
    let event = json!({
        "mode": "summarise", "input": null, "results": null, "execution": "arn:x",
        "error": {"Error": "States.ItemReaderFailed", "Cause": "+61412345678"},
    });
    let Ok(Input::Summarise(execution)) = read(&event) else { panic!() };
    assert_eq!(
        (execution.error.as_deref(), execution.results),
        (Some("States.ItemReaderFailed"), ResultLocation::Missing)
    );
}

proptest! {
    #[test]
    fn no_key_is_accepted_that_does_not_name_an_object_of_ours(key in "(emite-connect/s/)?(failed/|quarantine/|redriven/|\\.\\./)?[a-z./]{0,20}") {
        if read(&json!({"keys": [key]})).is_ok() {
            let ours = ["emite-connect/s/failed/", "emite-connect/s/quarantine/"].iter().any(|folder| key.starts_with(folder));
            prop_assert!(ours && !key.contains("/../") && !key.ends_with("/.."));
        }
    }
}
