use serde_json::json;

use super::*;
use crate::failure::FailureKind;
use crate::fixtures::{handover, minutes, noon, scene};
use crate::redrive::LeftObject;

const HEALTH: &str = include_str!("../../../../infra/events/health-report.json");
const REPAIR: &str = include_str!("../../../../infra/events/repair-report.json");
const REDRIVE: &str = include_str!("../../../../infra/events/redrive-report.json");
const HANDED_OVER: &str = include_str!("../../../../infra/events/handover.json");
const RECORD: &str = include_str!("../../../../infra/events/failure-record.json");
const TEST: &str = include_str!("../../../../infra/events/test.json");
const SILENCE: &str = include_str!("../../../../infra/events/silence.json");

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn read(payload: Value) -> Result<Input, BadInput> {
    let scene = scene();
    Input::read(payload, &EventContext { spec: &scene.spec, now: noon() + minutes(120), request_id: "request-1" })
}

fn problems(payload: Value) -> Vec<String> {
    read(payload).unwrap_err().0
}

/// A sample with one field, given as a JSON pointer, replaced.
fn with(sample: &str, pointer: &str, value: Value) -> Value {
    let mut payload = json_of(sample);
    *payload.pointer_mut(pointer).unwrap() = value;
    payload
}

#[test]
fn every_sample_event_is_understood() {
    let Ok(Input::Health(report)) = read(json_of(HEALTH)) else { panic!() };
    assert_eq!(report.findings.len(), 2);
    let Ok(Input::Repair { after: Some(after) }) = read(json_of(REPAIR)) else { panic!() };
    assert!(after.findings.is_empty());
    let Ok(Input::Redrive { id, mode: Mode::Apply, redrive }) = read(json_of(REDRIVE)) else { panic!() };
    assert_eq!((id.len(), redrive.records, redrive.by_error.len()), (36, 1200, 2));
    assert_eq!(redrive.prefix.as_deref(), Some("emite-connect/emite-ctrfirehose/failed/"));
    assert!(!redrive.is_incomplete());
    assert_eq!(read(json_of(HANDED_OVER)), Ok(Input::Handover(Box::new(handover()))));
    let Ok(Input::Failure(failure)) = read(json_of(RECORD)) else { panic!() };
    assert_eq!(failure.kind, FailureKind::TimedOut("60.00".to_owned()));
    assert!(failure.function.resource.ends_with("HealthCheckFunction-1A2B3C4D5E6F"), "{}", failure.function);
    assert_eq!(read(json_of(TEST)), Ok(Input::Test { id: "request-1".to_owned() }));
    let Ok(Input::Silence { check, silence: Some(silence) }) = read(json_of(SILENCE)) else { panic!() };
    assert_eq!((check.as_str(), silence.reason.as_str()), ("agent-event-flow", "telephone maintenance"));
}

#[test]
fn repair_that_only_planned_has_no_report_afterwards() {
    assert_eq!(read(with(REPAIR, "/detail/after", Value::Null)), Ok(Input::Repair { after: None }));
}

#[test]
fn unknown_event_is_refused_with_the_known_kinds() {
    for payload in [json!({}), json!(null), json!([1]), json!("x"), json!({"hello": "marker-61000000000"})] {
        let text = read(payload).unwrap_err().to_string();
        assert!(text.starts_with("this event cannot be handled: it is none"), "{text}");
        assert!(!text.contains("marker"), "{text}");
    }
    let [problem] = &problems(with(HEALTH, "/detail-type", "Some\nOther \u{1F600}".into()))[..] else { panic!() };
    assert!(
        problem.starts_with("detail-type is 'Some Other ?': must be one of Integration Health Report"),
        "{problem}"
    );
    assert!(problems(with(HEALTH, "/source", "aws.ec2".into()))[0].starts_with("source is 'aws.ec2'"));
    assert!(problems(with(HEALTH, "/detail-type", 5.into()))[0].starts_with("it is not an EventBridge event"));
}

#[test]
fn what_a_redrive_left_and_why_it_stopped_are_taken_as_numbers_and_known_kinds() {
    let told = |stopped: Value| {
        let mut event = with(REDRIVE, "/detail/remainingObjects", 2500.into());
        event["detail"]["stopped"] = stopped;
        let Ok(Input::Redrive { redrive, .. }) = read(event) else { panic!() };
        (redrive.remaining, redrive.stopped)
    };
    let blocked = json!({"status": 403, "errorType": "cluster_block_exception", "remedy": "marker"});
    assert_eq!(told(blocked), (2500, Some("403/cluster_block_exception".to_owned())));
    assert_eq!(told(json!({"status": 400, "errorType": "Jane Marker"})), (2500, Some("other".to_owned())));
    assert_eq!(told(json!({"status": null, "errorType": "timeout"})), (2500, Some("none/timeout".to_owned())));
    assert_eq!(told(Value::Null), (2500, None));
    let stopped = problems(with(REDRIVE, "/detail/stopped", json!({"status": "marker", "errorType": "x"})));
    assert_eq!(stopped, ["detail.stopped.status is incomplete or invalid"]);
}

/// What is taken from the sample of a redrive with one field of its detail replaced.
fn redriven(name: &str, value: Value) -> Redrive {
    match read(with(REDRIVE, &format!("/detail/{name}"), value)) {
        Ok(Input::Redrive { redrive, .. }) => *redrive,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_redrive_is_incomplete_by_whatever_shows_it() {
    let left = json!([{"key": "k", "cause": "c", "size": null}]);
    let stopped = json!({"status": null, "errorType": "timeout"});
    for (name, value) in [
        ("remainingObjects", 1.into()),
        ("left", left),
        ("failedBatches", 1.into()),
        ("stopped", stopped),
        ("error", "States.Timeout".into()),
    ] {
        assert!(redriven(name, value).is_incomplete(), "{name}");
    }
}

#[test]
fn a_redrive_of_an_earlier_release_is_understood() {
    let mut event = json_of(REDRIVE);
    for name in ["failedBatches", "error", "prefix"] {
        event["detail"].as_object_mut().unwrap().remove(name).unwrap();
    }
    let Ok(Input::Redrive { redrive, .. }) = read(event) else { panic!() };
    assert_eq!((redrive.failed_batches, redrive.error.as_ref(), redrive.prefix.as_ref()), (0, None, None));
}

#[test]
fn the_error_that_ended_a_redrive_is_a_name_and_never_goes_unseen() {
    let error = |text: &str| redriven("error", text.into()).error.unwrap();
    assert_eq!(error("States.Timeout"), "States.Timeout");
    assert_eq!(error("Lambda.$(reboot)\n \u{e9}x_y-z"), "Lambda.rebootx_y-z");
    assert_eq!(error(&"x".repeat(500)).len(), 80);
    assert_eq!((error(""), error("\u{1F600}")), ("other".to_owned(), "other".to_owned()));
    assert_eq!(redriven("error", Value::Null).error, None);
}

#[test]
fn only_a_prefix_that_the_redrive_accepts_is_kept() {
    let own = "emite-connect/emite-ctrfirehose";
    for prefix in [
        format!("{own}/failed/"),
        format!("{own}/failed/2026/11/"),
        format!("{own}/quarantine/"),
        "AmazonOpenSearchService-failed/".to_owned(),
        "AmazonOpenSearchService_failed/2026/".to_owned(),
        "elasticsearch-failed/2026/11/".to_owned(),
        "elasticsearch_failed/it's $(x)".to_owned(),
    ] {
        assert_eq!(redriven("prefix", prefix.as_str().into()).prefix, Some(prefix));
    }
    for prefix in [
        String::new(),
        format!("{own}/failed"),
        format!("{own}/redriven/"),
        "emite-connect/another/failed/".to_owned(),
        "failed/".to_owned(),
        "/elasticsearch-failed/".to_owned(),
        "elasticsearch-failed/../else/".to_owned(),
        "elasticsearch-failed/./".to_owned(),
        "elasticsearch-failed/a\nb".to_owned(),
        "elasticsearch-failed/\u{202e}gnp".to_owned(),
        format!("elasticsearch-failed/{}", "x".repeat(1024)),
    ] {
        assert_eq!(redriven("prefix", prefix.as_str().into()).prefix, None, "{prefix}");
    }
}

#[test]
fn objects_that_are_left_are_taken_if_they_have_a_key_and_a_cause() {
    let entries = json!([{"key": "a", "cause": "too large", "size": 9}, {"key": "b", "cause": "locked", "size": null},
        {"key": "c", "cause": "gone"}]);
    let left = |key: &str, cause: &str, size| LeftObject { key: key.to_owned(), cause: cause.to_owned(), size };
    assert_eq!(
        redriven("left", entries).left,
        [left("a", "too large", Some(9)), left("b", "locked", None), left("c", "gone", None)]
    );
    assert_eq!(redriven("left", vec![json!({"key": "k", "cause": "c"}); 100].into()).left.len(), 20);
    for (entry, place) in [
        (json!({"key": 1, "cause": "marker"}), "[0].key"),
        (json!({"key": "marker"}), "[0]"),
        (json!("marker"), "[0]"),
        (json!({"key": "c", "cause": "gone", "size": "marker"}), "[0].size"),
    ] {
        let refusal = problems(with(REDRIVE, "/detail/left", json!([entry])));
        assert_eq!(refusal, [format!("detail.left{place} is incomplete or invalid")]);
    }
}

#[test]
fn another_version_and_another_stack_are_refused() {
    for sample in [HEALTH, REPAIR, REDRIVE, HANDED_OVER] {
        let version = problems(with(sample, "/detail/version", 2.into()));
        assert_eq!(version, ["detail.version must be 1: bring all functions of the stack to the same release"]);
        let stack = problems(with(sample, "/detail/stackId", "arn:aws:cloudformation:x:y:stack/z/1".into()));
        assert!(stack.len() == 1 && stack[0].starts_with("detail.stackId must be arn:"), "{stack:?}");
    }
    let inner = problems(with(REPAIR, "/detail/after/stackId", "other".into()));
    assert!(inner[0].starts_with("detail.after.stackId must be arn:"), "{inner:?}");
}

/// Each change of the sample, alone, is refused with the place of what is wrong, and nothing of what it says.
fn assert_refused(sample: &str, changes: &[(&str, Value, &str)]) {
    for (pointer, value, place) in changes {
        let refusal = problems(with(sample, pointer, value.clone()));
        assert_eq!(refusal, [format!("detail.{place} is incomplete or invalid")]);
    }
}

#[test]
fn refusal_of_a_report_names_the_place_and_shows_no_value() {
    let wrong = [
        ("/detail/checkedAt", "marker yesterday".into(), "checkedAt"),
        ("/detail/status", "marker".into(), "status"),
        ("/detail/findings/0/severity", "marker".into(), "findings[0].severity"),
        ("/detail/findings/0/repair", json!({"more": "marker"}), "findings[0].repair.more"),
        ("/detail/findings/1/summary", json!({"marker": 1}), "findings[1].summary"),
        ("/detail/findings/1/dataLossAt", 7.into(), "findings[1].dataLossAt"),
        ("/detail/findings/1", json!({"check": "emite-role"}), "findings[1]"),
        ("/detail/checks/3/durationMs", (-1).into(), "checks[3].durationMs"),
        ("/detail/checks/4", "marker".into(), "checks[4]"),
    ];
    assert_refused(HEALTH, &wrong);
    let after = problems(with(REPAIR, "/detail/after/findings", json!([{"check": 1}])));
    assert_eq!(after, ["detail.after.findings[0].check is incomplete or invalid"]);
    let unknown = problems(with(HEALTH, "/detail/findings/1/check", "marker".into()));
    assert_eq!(unknown, ["detail.findings[1].check must be the name of a check of this release"]);
}

#[test]
fn report_that_names_parts_and_causes_is_understood_and_so_is_one_that_does_not() {
    let mut event = json_of(HEALTH);
    event["detail"]["findings"][0]["part"] = "AGENT_EVENTS".into();
    event["detail"]["findings"][1]["cause"] = json!({"action": "kinesis:DescribeStreamSummary", "kind": "Denied"});
    event["detail"]["findings"][1]["values"] = json!({"retentionHours": 24});
    let Ok(Input::Health(named)) = read(event) else { panic!() };
    let Ok(Input::Health(unnamed)) = read(json_of(HEALTH)) else { panic!() };
    for report in [named, unnamed] {
        assert_eq!(report.findings[0].part(), "AGENT_EVENTS");
    }
}

#[test]
fn refusal_of_a_handover_names_the_place_and_its_texts_are_bounded() {
    let wrong = [
        ("/detail/revision", (-1).into(), "revision"),
        ("/detail/release", Value::Null, "release"),
        ("/detail/items/0/verified", "marker".into(), "items[0].verified"),
        ("/detail/items/1", "marker".into(), "items[1]"),
        ("/detail/changes/0/to", 5.into(), "changes[0].to"),
        ("/detail/notIncluded/0", json!({"marker": 1}), "notIncluded[0]"),
    ];
    assert_refused(HANDED_OVER, &wrong);
    let unknown = with(HANDED_OVER, "/detail/items/0", json!({"name": "x", "value": "", "verified": true, "more": 1}));
    assert_eq!(problems(unknown), ["detail.items[0].more is incomplete or invalid"]);
    let item = json_of(HANDED_OVER)["detail"]["items"][0].clone();
    let many = problems(with(HANDED_OVER, "/detail/items", vec![item; 9].into()));
    assert_eq!(many, ["detail.items must have 8 entries at most"]);
    assert!(problems(with(HANDED_OVER, "/detail/previousRelease", "a\nb".into()))[0].contains("printable"));
    let long = with(HANDED_OVER, "/detail/items/0/value", "\u{202e}x".repeat(5000).into());
    let Ok(Input::Handover(handover)) = read(long) else { panic!() };
    assert!(handover.items[0].value.len() <= 1224 && !handover.items[0].value.contains('\u{202e}'));
}

#[test]
fn a_report_from_the_future_would_shut_out_all_others_and_is_refused() {
    assert_eq!(
        problems(with(HEALTH, "/detail/checkedAt", "2027-01-01T00:00:00Z".into())),
        ["detail.checkedAt must not lie in the future"]
    );
}

#[test]
fn list_of_problems_is_capped() {
    let mut unknown = json_of(HEALTH)["detail"]["findings"][0].clone();
    unknown["check"] = "marker".into();
    assert_eq!(problems(with(HEALTH, "/detail/findings", vec![unknown; 100].into())).len(), 21);
}

#[test]
fn every_field_of_every_detail_is_checked() {
    for sample in [HEALTH, REPAIR, REDRIVE, HANDED_OVER] {
        let whole = json_of(sample);
        for name in whole["detail"].as_object().unwrap().keys() {
            let told = read(with(sample, &format!("/detail/{name}"), json!([[]])));
            // Of these, nothing is read.
            let may_be_anything = ["requestedBy", "planned", "outcomes", "before", "remaining", "execution"];
            let may_be_anything = may_be_anything.contains(&name.as_str());
            assert_eq!(told.is_ok(), may_be_anything, "{name}: {told:?}");
        }
    }
}

#[test]
fn only_names_of_errors_are_taken_from_a_redrive() {
    let counts =
        json!({"400/mapper_parsing_exception": 2, "unreadable/not_json": 1, "400/reason: John Doe": 3, "marker": 4});
    let Ok(Input::Redrive { redrive, .. }) = read(with(REDRIVE, "/detail/byError", counts)) else { panic!() };
    let counts: Vec<_> = redrive.by_error.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counts, [("400/mapper_parsing_exception", 2), ("other", 7), ("unreadable/not_json", 1)]);
    let refusal = problems(with(REDRIVE, "/detail/byError", json!({"marker": "x"})));
    assert_eq!(refusal, ["detail.byError must be an object of whole numbers"]);
}

#[test]
fn a_failure_record_says_how_the_health_check_failed_and_no_more() {
    let how = |answer: Value| match read(with(RECORD, "/responsePayload", answer)) {
        Ok(Input::Failure(failure)) => failure.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        how(json!({"errorType": "BadSpec", "errorMessage": "marker"})),
        FailureKind::Crashed(Some("BadSpec".to_owned()))
    );
    assert_eq!(how(json!({"errorType": "marker one", "errorMessage": "marker"})), FailureKind::Crashed(None));
    assert_eq!(how(json!({"errorMessage": "Task timed out after $(x) seconds"})), FailureKind::Crashed(None));
    assert_eq!(
        how(json!({"errorMessage": "Task timed out after 3.00 seconds"})),
        FailureKind::TimedOut("3.00".to_owned())
    );
    assert_eq!(how(Value::Null), FailureKind::Crashed(None));
    let Ok(Input::Failure(late)) = read(with(RECORD, "/requestContext/condition", "EventAgeExceeded".into())) else {
        panic!()
    };
    assert_eq!(late.kind, FailureKind::NotRun);
}

#[test]
fn failure_records_of_other_functions_are_refused() {
    let other = "arn:aws:lambda:ap-southeast-2:111122223333:function:emite-connect-HealthCheckFunction-1A2B3C4D5E6Fx";
    let told = problems(with(RECORD, "/requestContext/functionArn", other.into()));
    assert!(told.len() == 1 && told[0].starts_with("requestContext.functionArn must be that of"), "{told:?}");
    let version = problems(with(RECORD, "/version", "2".into()));
    assert_eq!(version, ["version must be 1.0, as in Lambda's records of asynchronous invocations"]);
    let time = problems(with(RECORD, "/timestamp", "marker".into()));
    assert_eq!(time, ["timestamp is incomplete or invalid"]);
    let condition = problems(with(RECORD, "/requestContext/condition", 1.into()));
    assert_eq!(condition, ["requestContext.condition is incomplete or invalid"]);
}

#[test]
fn refusal_of_a_silence_lists_all_its_problems() {
    let wish = |silence: Value| json!({ "silence": silence });
    assert_eq!(problems(wish(json!({"check": "marker", "until": "marker", "reason": ""}))).len(), 3);
    assert_eq!(problems(wish(json!("marker"))).len(), 3);
    for until in ["2026-11-24T03:00:00Z", "2026-11-24T02:00:00Z", "2026-12-01T03:00:01Z", "tomorrow"] {
        let told = problems(wish(json!({"check": "iterator-age", "until": until, "reason": "x"})));
        assert!(told.len() == 1 && told[0].starts_with("silence.until must be a time in the next 7 days"), "{told:?}");
    }
    let longest = wish(json!({"check": "health-check", "until": "2026-12-01T14:00:00+11:00", "reason": "x"}));
    assert!(read(longest).is_ok());
    let long = wish(json!({"check": "iterator-age", "until": "2026-11-25T00:00:00Z", "reason": "x".repeat(201)}));
    assert_eq!(problems(long), ["silence.reason must be 1 to 200 printable characters"]);
    let lifted = wish(json!({"check": "iterator-age", "until": null}));
    assert_eq!(read(lifted), Ok(Input::Silence { check: "iterator-age".to_owned(), silence: None }));
}

#[test]
fn a_test_is_true_and_nothing_else() {
    assert!(read(json!({"test": false})).is_err());
    assert!(read(json!({"test": true, "surprise": 1})).is_err());
}
