use std::io::Write;
use std::time::Duration;

use emite_aws::s3::objects::Bucket;
use emite_core::layout::StreamFolders;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::fake::{FakeAws, FakeState};
use crate::keys::SourceObject;
use crate::naming::{IndexNaming, Rotation};
use crate::window::Window;

const KEY: &str = "emite-connect/s/failed/x";
const MOVED: &str = "emite-connect/s/redriven/failed/x";
const QUARANTINE: &str = "emite-connect/s/quarantine/x";
const FOREVER: usize = usize::MAX;

fn line(id: &str) -> String {
    json!({
        "attemptsMade": 1, "arrivalTimestamp": 1_763_946_000_000_i64, "errorCode": "429", "errorMessage": "x",
        "rawData": base64_simd::STANDARD.encode_to_string(format!("{{\"id\":\"{id}\"}}")),
        "esDocumentId": id, "esIndexName": "emite-contacts", "esTypeName": "contacts",
    })
    .to_string()
}

fn lines(ids: &[&str]) -> String {
    ids.iter().map(|id| if id.is_empty() { "nonsense\n".to_owned() } else { line(id) + "\n" }).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn fake_with(objects: &[(&str, &[u8])]) -> FakeAws {
    let fake = FakeAws::default();
    fake.lock().objects.extend(objects.iter().map(|(key, content)| ((*key).to_owned(), content.to_vec())));
    fake
}

fn request(mode: Mode, keys: &[(&str, u64)]) -> RunRequest {
    request_from(mode, keys.iter().map(|(key, offset)| remaining(key, *offset)).collect())
}

fn request_from(mode: Mode, positions: Vec<RemainingObject>) -> RunRequest {
    let objects = positions.into_iter().map(|RemainingObject { key, resume }| RequestedObject {
        source: SourceObject::of(&key, &StreamFolders::managed("s", "emite-connect/s/failed/")).unwrap(),
        resume,
        modified: None,
    });
    RunRequest { mode, objects: objects.collect(), window: Window::default(), so_far: None }
}

fn remaining(key: &str, offset: u64) -> RemainingObject {
    RemainingObject { key: key.into(), resume: ResumePoint { offset, ..ResumePoint::default() } }
}

/// A run after the other, each with what the one before left, until nothing is.
async fn to_the_end(fake: &FakeAws, mut request: RunRequest, seconds: u64) -> (RunResult, usize) {
    for runs in 1.. {
        let result = within(fake, request.clone(), seconds).await.unwrap();
        if result.remaining.is_empty() {
            return (result, runs);
        }
        request = request_from(request.mode, result.remaining.clone());
        request.so_far = Some(result);
    }
    unreachable!()
}

async fn carry_out(fake: &FakeAws, request: RunRequest) -> Result<RunResult, AwsError> {
    within(fake, request, 600).await
}

async fn within(fake: &FakeAws, request: RunRequest, seconds: u64) -> Result<RunResult, AwsError> {
    let context = RunContext {
        mode: request.mode,
        window: request.window,
        bucket: Bucket::new(&fake.s3(), "bucket".to_owned()),
        naming: IndexNaming { index: "emite-contacts".into(), rotation: Rotation::Month, doc_type: None },
        post: async |body: Bytes, count| {
            // A request takes a while, so that runs can end between two.
            tokio::time::sleep(Duration::from_secs(1)).await;
            fake.post(&body, count)
        },
        end: Instant::now() + Duration::from_secs(seconds),
    };
    super::carry_out(&context, request).await
}

async fn apply(fake: &FakeAws, key: &str) -> RunResult {
    carry_out(fake, request(Mode::Apply, &[(key, 0)])).await.unwrap()
}

fn keys(state: &FakeState) -> Vec<&str> {
    state.objects.keys().map(String::as_str).collect()
}

fn writes(state: &FakeState) -> Vec<&str> {
    state
        .calls
        .iter()
        .map(String::as_str)
        .filter(|call| !call.starts_with("get") && !call.starts_with("head"))
        .collect()
}

fn in_domain(state: &FakeState) -> String {
    state.documents.keys().map(|(_, id)| id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn records_go_to_the_domain_and_their_object_is_moved() {
    let text = lines(&["a", "b"]);
    for content in [text.clone().into_bytes(), packed(&text)] {
        let fake = fake_with(&[(KEY, &content)]);
        let result = apply(&fake, KEY).await;
        let state = fake.lock();
        assert_eq!((result.objects, result.counts.records, result.counts.indexed), (1, 2, 2));
        assert_eq!((result.remaining, result.left, result.stopped), (vec![], vec![], None));
        assert_eq!(result.counts.oldest, Some("2025-11-24T01:00:00Z".parse().unwrap()));
        assert_eq!(state.documents[&("emite-contacts-2025-11".to_owned(), "a".to_owned())], "{\"id\":\"a\"}");
        assert_eq!(state.objects, std::collections::BTreeMap::from([(MOVED.to_owned(), content)]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_counts_and_writes_nothing() {
    let fake = fake_with(&[(KEY, lines(&["a", "", "b"]).as_bytes())]);
    let result = carry_out(&fake, request(Mode::Plan, &[(KEY, 0), ("emite-connect/s/failed/gone", 0)])).await.unwrap();
    insta::assert_json_snapshot!(result);
    let seen = fake.lock();
    assert_eq!((keys(&seen), writes(&seen)), (vec![KEY], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_the_domain_refuses_is_in_quarantine_before_the_object_moves() {
    let fake = fake_with(&[(KEY, lines(&["a", "b", "", "c"]).as_bytes())]);
    fake.lock().refuses.insert("b".into(), (400, "mapper_parsing_exception", FOREVER));
    fake.lock().refuses.insert("c".into(), (429, "es_rejected_execution_exception", 2));
    let result = apply(&fake, KEY).await;
    insta::assert_json_snapshot!(result);
    let state = fake.lock();
    let quarantine = String::from_utf8(state.objects[QUARANTINE].clone()).unwrap();
    insta::assert_snapshot!(quarantine);
    assert_eq!(in_domain(&state), "ac");
    let moves = [format!("put {QUARANTINE}"), format!("copy {MOVED}"), format!("delete {KEY}")];
    assert_eq!(writes(&state)[writes(&state).len() - 3..], moves);
}

#[tokio::test(start_paused = true)]
async fn quarantine_that_is_redriven_keeps_only_what_still_fails() {
    let fake = fake_with(&[(KEY, lines(&["a", "b", "c"]).as_bytes())]);
    for id in ["b", "c"] {
        fake.lock().refuses.insert(id.into(), (400, "mapper_parsing_exception", 2));
    }
    apply(&fake, KEY).await;
    let before = fake.lock().objects[QUARANTINE].clone();

    let all_refused = apply(&fake, QUARANTINE).await;
    assert_eq!((all_refused.objects, all_refused.left.len(), all_refused.counts.quarantined), (0, 1, 2));
    assert_eq!(fake.lock().objects[QUARANTINE], before, "left as it is");

    fake.lock().refuses.insert("c".into(), (400, "other", FOREVER));
    let result = apply(&fake, QUARANTINE).await;
    assert_eq!((result.counts.indexed, result.counts.quarantined, result.objects), (1, 1, 1));
    let moved = "emite-connect/s/redriven/quarantine/x";
    assert_eq!(fake.lock().objects[moved], before);
    let after = String::from_utf8(fake.lock().objects[QUARANTINE].clone()).unwrap();
    assert_eq!((after.lines().count(), after.matches("redrive").count()), (1, 1), "{after}");

    fake.lock().refuses.clear();
    let result = apply(&fake, QUARANTINE).await;
    assert_eq!((result.counts.indexed, keys(&fake.lock())), (1, vec![MOVED, moved]));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_object_of_failed_records_is_left_without_a_trace() {
    let lambda_failure = format!("{}\n", json!({"rawData": "e30=", "errorCode": "Lambda.X", "lambdaArn": "arn"}));
    for content in [&b""[..], b"hello\nworld\n", lambda_failure.as_bytes(), &packed("{}\n"), b"PK\x03\x04"] {
        let fake = fake_with(&[(KEY, content), (QUARANTINE, b"x")]);
        for mode in [Mode::Apply, Mode::Plan] {
            let result = carry_out(&fake, request(mode, &[(KEY, 0)])).await.unwrap();
            assert!(result.left[0].cause.contains("not an object of failed records"), "{:?}", result.left);
            assert_eq!((result.objects, result.counts), (0, Counts::default()));
        }
        assert!(writes(&fake.lock()).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn gzip_that_is_cut_off_is_left_and_what_can_be_read_goes_in() {
    let whole = packed(&lines(&["a", "b"]));
    let fake = fake_with(&[(KEY, &whole[..whole.len() - 4])]);
    let result = apply(&fake, KEY).await;
    assert!(result.left[0].cause.contains("gzip"), "{:?}", result.left);
    let seen = fake.lock();
    assert_eq!((in_domain(&seen).as_str(), keys(&seen)), ("ab", vec![KEY]));
}

#[tokio::test(start_paused = true)]
async fn a_block_stops_the_run_and_the_next_one_goes_on_from_there() {
    let others = "emite-connect/s/failed/y";
    let fake = fake_with(&[(KEY, lines(&["a", "b", "c"]).as_bytes()), (others, lines(&["d"]).as_bytes())]);
    fake.lock().refuses.insert("b".into(), (403, "cluster_block_exception", 1));
    let run_request = request(Mode::Apply, &[(KEY, 0), (others, 0)]);
    let stopped = carry_out(&fake, run_request).await.unwrap();
    let offset = line("a").len() as u64 + 1;
    let remaining = [remaining(KEY, offset), remaining(others, 0)];
    assert_eq!((stopped.remaining.clone(), stopped.objects), (remaining.to_vec(), 0));
    let why = stopped.stopped.clone().unwrap();
    assert_eq!((why.status, &*why.error_type), (Some(403), "cluster_block_exception"));
    assert_eq!(stopped.counts.by_error["403/cluster_block_exception"], 1);

    let mut run_request = request(Mode::Apply, &[(KEY, offset), (others, 0)]);
    run_request.so_far = Some(stopped);
    let result = carry_out(&fake, run_request).await.unwrap();
    assert_eq!((result.objects, result.counts.records, result.counts.indexed), (2, 4, 3));
    assert_eq!(result.counts.already_present, 1, "c went in before the run stopped");
    assert_eq!((in_domain(&fake.lock()).as_str(), result.stopped), ("abcd", None));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_out_of_time_is_continued_with_its_quarantine() {
    let ids: Vec<String> =
        (0..20_000).map(|number| if number % 4000 == 1 { String::new() } else { number.to_string() }).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let text = lines(&ids);
    for content in [text.clone().into_bytes(), packed(&text)] {
        let fake = fake_with(&[(KEY, &content)]);
        let first = within(&fake, request(Mode::Apply, &[(KEY, 0)]), 1).await.unwrap();
        let resume = &first.remaining[0].resume;
        assert!(resume.offset > 0 && text.as_bytes()[resume.offset as usize - 1] == b'\n' && resume.quarantined > 0);
        let mut run_request = request_from(Mode::Apply, first.remaining.clone());
        run_request.so_far = Some(first);
        let (result, runs) = to_the_end(&fake, run_request, 1).await;
        let (counts, runs) = (result.counts, runs + 1);
        assert_eq!((runs, counts.records, counts.indexed, counts.quarantined), (5, 20_000, 19_995, 5));
        let state = fake.lock();
        let quarantine = String::from_utf8(state.objects[QUARANTINE].clone()).unwrap();
        assert_eq!((quarantine.lines().count(), state.documents.len()), (5, 19_995));
        assert_eq!(keys(&state), [QUARANTINE, MOVED]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_progress_in_a_whole_run_is_left_with_its_size() {
    let fake = fake_with(&[(KEY, &packed(&lines(&["a"])))]);
    let size = fake.lock().objects[KEY].len() as u64;
    // Time that is over as soon as the object is open.
    let context = RunContext {
        mode: Mode::Apply,
        window: Window::default(),
        bucket: Bucket::new(&fake.s3(), "bucket".to_owned()),
        naming: IndexNaming { index: "i".into(), rotation: Rotation::None, doc_type: None },
        post: async |_: Bytes, _| panic!("nothing is sent"),
        end: Instant::now(),
    };
    let mut state = DomainState::default();
    let object = request(Mode::Apply, &[(KEY, 0)]).objects.remove(0);
    match go_through(&context, &object, &mut state, TimeBudget::WholeRun).await.unwrap() {
        ObjectOutcome::Left { size: told, cause, .. } => assert!(told == size && cause.contains("too big"), "{cause}"),
        other => panic!("{other:?}"),
    }
    match go_through(&context, &object, &mut state, TimeBudget::RestOfRun).await.unwrap() {
        ObjectOutcome::Remaining { resume, .. } => assert_eq!(resume.offset, 0, "another run has all its time for it"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_too_large_leaves_its_object_and_the_others_go_in() {
    let fake = fake_with(&[(KEY, lines(&["a", "b", "c"]).as_bytes())]);
    fake.lock().refuses.insert("b".into(), (413, "", FOREVER));
    let result = apply(&fake, KEY).await;
    assert!(result.left[0].cause.contains("too large"), "{:?}", result.left);
    let seen = fake.lock();
    assert_eq!((in_domain(&seen).as_str(), keys(&seen)), ("ac", vec![KEY]));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_breaks_off_goes_on_from_there() {
    let text = lines(&["a", "b", "c"]);
    for content in [text.clone().into_bytes(), packed(&text)] {
        let fake = fake_with(&[(KEY, &content)]);
        fake.lock().breaks = Some(100);
        let result = apply(&fake, KEY).await;
        assert_eq!((result.counts.records, in_domain(&fake.lock()).as_str()), (3, "abc"));
        let gets = fake.lock().calls.iter().filter(|call| call.starts_with("get")).count();
        assert_eq!(gets, content.len().div_ceil(100));
    }
}

#[tokio::test(start_paused = true)]
async fn an_offset_inside_of_a_line_is_refused() {
    for content in [lines(&["a", "b"]).into_bytes(), packed(&lines(&["a", "b"]))] {
        let fake = fake_with(&[(KEY, &content)]);
        for offset in [1, 100_000] {
            let result = carry_out(&fake, request(Mode::Apply, &[(KEY, offset)])).await.unwrap();
            assert!(result.left[0].cause.contains("offset"), "{:?}", result.left);
            let seen = fake.lock();
            assert!(in_domain(&seen).is_empty() && writes(&seen).is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_quarantine_object_is_replaced_or_removed() {
    let fake = fake_with(&[
        (KEY, lines(&["a", "b"]).as_bytes()),
        (QUARANTINE, b"{\"redrive\":{\"offset\":7,\"kind\":\"x\"}}\n"),
    ]);
    apply(&fake, KEY).await;
    assert_eq!(keys(&fake.lock()), [MOVED]);
}

#[tokio::test(start_paused = true)]
async fn much_that_is_refused_is_uploaded_in_parts() {
    let long = format!("{}\n", "x".repeat(3 << 20));
    let fake = fake_with(&[(KEY, (lines(&["a"]) + &long + &long + &long).as_bytes())]);
    let result = apply(&fake, KEY).await;
    assert_eq!(result.counts.quarantined, 3);
    let state = fake.lock();
    let quarantine = String::from_utf8(state.objects[QUARANTINE].clone()).unwrap();
    assert_eq!(quarantine.lines().count(), 3);
    assert_eq!(writes(&state)[1..4], ["begin", "add", "add"].map(|call| format!("{call} {QUARANTINE}")));
}

/// Records of which a run of a second takes some, and the next one the rest.
fn many() -> Vec<String> {
    (0..8000).map(|number| number.to_string()).collect()
}

fn many_lines() -> String {
    let ids = many();
    lines(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_too_large_keeps_its_object_in_later_runs_too() {
    let too_long = format!("{}\n", "x".repeat(17 << 20));
    let text = many_lines();
    for (content, cause) in [(text.clone(), "too large"), (too_long + &text, "longer than 16 MiB")] {
        let fake = fake_with(&[(KEY, content.as_bytes())]);
        match cause {
            "too large" => drop(fake.lock().refuses.insert("7".into(), (413, "", FOREVER))),
            // The line does not come all at once.
            _ => fake.lock().breaks = Some(1 << 20),
        }
        let (result, runs) = to_the_end(&fake, request(Mode::Apply, &[(KEY, 0)]), 1).await;
        assert!(runs > 1 && result.left[0].cause.contains(cause), "{runs} {:?}", result.left);
        assert_eq!(keys(&fake.lock()), [KEY], "its record is nowhere else");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_not_in_quarantine_any_more_are_taken_from_the_source_again() {
    let text = many_lines();
    let fake = fake_with(&[(KEY, text.as_bytes())]);
    fake.lock().refuses.insert("7".into(), (400, "mapper_parsing_exception", FOREVER));
    let first = within(&fake, request(Mode::Apply, &[(KEY, 0)]), 1).await.unwrap();
    assert_eq!(first.remaining[0].resume.quarantined, 1);
    let quarantine = fake.lock().objects.remove(QUARANTINE);
    let (result, _) = to_the_end(&fake, request_from(Mode::Apply, first.remaining), 10).await;
    assert_eq!((result.objects, result.counts.quarantined), (1, 1));
    assert_eq!(fake.lock().objects.get(QUARANTINE), quarantine.as_ref());
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_object_that_cannot_be_read_is_not_replaced() {
    let fake = fake_with(&[(KEY, many_lines().as_bytes()), (QUARANTINE, b"\x1f\x8b\x08 broken")]);
    let resume = ResumePoint { offset: line("0").len() as u64 + 1, quarantined: 1, flaw: None };
    let run_request = request_from(Mode::Apply, vec![RemainingObject { key: KEY.into(), resume }]);
    let error = carry_out(&fake, run_request).await.unwrap_err();
    assert!(error.to_string().contains("quarantine"), "{error}");
    assert_eq!(keys(&fake.lock()), [KEY, QUARANTINE]);
}

#[tokio::test(start_paused = true)]
async fn object_that_another_run_quarantined_meanwhile_is_kept() {
    for refused in [None, Some("b")] {
        let fake = fake_with(&[(QUARANTINE, lines(&["a", "b"]).as_bytes())]);
        let others = (QUARANTINE.to_owned(), lines(&["c"]).into_bytes());
        fake.lock().after_copy = Some(others.clone());
        if let Some(id) = refused {
            fake.lock().refuses.insert(id.into(), (400, "mapper_parsing_exception", FOREVER));
        }
        let result = apply(&fake, QUARANTINE).await;
        assert!(result.left[0].cause.contains("changed"), "{:?}", result.left);
        assert_eq!(fake.lock().objects[QUARANTINE], others.1);
    }
}

#[tokio::test(start_paused = true)]
async fn domain_that_rejects_every_request_has_nothing_quarantined() {
    let names: Vec<String> = (0..20).map(|number| format!("emite-connect/s/failed/{number:02}")).collect();
    let text = lines(&["a", "b"]);
    let objects: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), text.as_bytes())).collect();
    let fake = fake_with(&objects);
    fake.lock().refuses_all = Some(400);
    let run_request = request(Mode::Apply, &names.iter().map(|name| (name.as_str(), 0)).collect::<Vec<_>>());
    let result = carry_out(&fake, run_request).await.unwrap();
    assert_eq!((result.remaining.len(), result.counts.quarantined), (20, 0));
    assert!(result.stopped.is_some() && writes(&fake.lock()).iter().all(|call| call.starts_with("post")));
}

#[tokio::test(start_paused = true)]
async fn a_record_for_which_whole_requests_are_refused_stops_none_of_the_others() {
    let others = "emite-connect/s/failed/y";
    for text in [lines(&["b"]), lines(&["a"])] {
        let fake = fake_with(&[(KEY, lines(&["", "X"]).as_bytes()), (others, text.as_bytes())]);
        fake.lock().refuses_request_with = Some("X".to_owned());
        let result = carry_out(&fake, request(Mode::Apply, &[(KEY, 0), (others, 0)])).await.unwrap();
        assert_eq!((result.objects, result.counts.indexed, result.counts.quarantined), (2, 1, 2));
        assert_eq!(result.counts.by_error["400/other"], 1);
    }
    // Alone it shows nothing of the domain, and 400 is what a bad record gets.
    let fake = fake_with(&[(KEY, lines(&["X"]).as_bytes())]);
    fake.lock().refuses_request_with = Some("X".to_owned());
    assert_eq!(apply(&fake, KEY).await.counts.quarantined, 1);
    assert_eq!(keys(&fake.lock()), [QUARANTINE, MOVED]);
}

#[tokio::test(start_paused = true)]
async fn objects_outside_of_the_window_do_not_remain_when_a_run_stops() {
    let (others, late) = ("emite-connect/s/failed/y", "emite-connect/s/failed/z");
    let text = lines(&["a"]);
    let fake = fake_with(&[(KEY, text.as_bytes()), (others, text.as_bytes()), (late, text.as_bytes())]);
    fake.lock().refuses.insert("a".into(), (403, "cluster_block_exception", FOREVER));
    let mut run_request = request(Mode::Apply, &[(KEY, 0), (others, 0), (late, 0)]);
    run_request.window.to = Some("2025-11-24T02:00:00Z".parse().unwrap());
    run_request.objects[2].modified = Some("2025-11-24T03:00:00Z".parse().unwrap());
    let result = carry_out(&fake, run_request).await.unwrap();
    assert_eq!(result.remaining, [remaining(KEY, 0), remaining(others, 0)]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_may_not_be_read_fails_the_run_after_the_others() {
    let denied = "emite-connect/s/failed/denied";
    let fake = fake_with(&[(KEY, lines(&["a"]).as_bytes())]);
    fake.lock().denied.insert(denied.to_owned());
    let error = carry_out(&fake, request(Mode::Apply, &[(denied, 0), (KEY, 0)])).await.unwrap_err();
    assert!(error.to_string().contains("Allow s3:GetObject"), "{error}");
    assert_eq!(keys(&fake.lock()), [MOVED]);
}

#[tokio::test(start_paused = true)]
async fn objects_written_outside_of_the_window_are_not_touched() {
    let fake = fake_with(&[(KEY, lines(&["a"]).as_bytes())]);
    let mut run_request = request(Mode::Apply, &[(KEY, 0)]);
    run_request.window.to = Some("2025-11-24T00:59:59Z".parse().unwrap());
    assert_eq!(carry_out(&fake, run_request.clone()).await.unwrap(), RunResult::default());
    run_request.objects[0].modified = Some("2025-11-24T00:59:58Z".parse().unwrap());
    run_request.window.to = Some("2025-11-24T00:59:57Z".parse().unwrap());
    fake.lock().calls.clear();
    assert_eq!(carry_out(&fake, run_request).await.unwrap(), RunResult::default());
    assert!(fake.lock().calls.is_empty(), "the listing says when it was written");
}

/// Where each record of a text is: in the domain, in an object, or nowhere.
fn is_somewhere(state: &FakeState, id: &str) -> bool {
    let texts = state.objects.iter().filter(|(key, _)| !key.contains("/redriven/")).map(|(_, content)| content);
    let mut texts = texts.map(|content| {
        let mut text = Vec::new();
        let mut unpack = crate::unpack::Unpack::detecting();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let taken = unpack.push(rest, &mut text).unwrap();
            rest = &rest[taken..];
        }
        unpack.finish(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    in_domain(state).contains(id) || texts.any(|text| text.contains(&format!("\"esDocumentId\":\"{id}\"")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn wherever_a_run_dies_nothing_is_lost_and_the_next_one_does_the_rest(
        kinds in proptest::collection::vec(0..4_u8, 1..8), gzip: bool, in_quarantine: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let ids: Vec<String> = (0..kinds.len()).map(|number| format!("{}", char::from(b'a' + number as u8))).collect();
            let text: String = ids.iter().zip(&kinds).map(|(id, kind)| if *kind == 3 { "nonsense\n".to_owned() } else { line(id) + "\n" }).collect();
            let content = if gzip { packed(&text) } else { text.into_bytes() };
            let key = if in_quarantine { QUARANTINE } else { KEY };
            let fresh = || {
                let fake = fake_with(&[(key, &content)]);
                for (id, _) in ids.iter().zip(&kinds).filter(|(_, kind)| **kind == 1) {
                    fake.lock().refuses.insert(id.clone(), (400, "mapper_parsing_exception", FOREVER));
                }
                fake
            };
            let undisturbed = fresh();
            apply(&undisturbed, key).await;
            let calls = undisturbed.lock().calls.len();
            for lives in 0..calls {
                let fake = fresh();
                fake.lock().lives = Some(lives);
                assert!(carry_out(&fake, request(Mode::Apply, &[(key, 0)])).await.is_err());
                for (id, _) in ids.iter().zip(&kinds).filter(|(_, kind)| **kind != 3) {
                    assert!(is_somewhere(&fake.lock(), id), "{id} is lost after {lives} calls");
                }
                fake.lock().lives = None;
                apply(&fake, key).await;
                assert_eq!(fake.lock().objects, undisturbed.lock().objects, "after {lives} calls");
                assert_eq!(fake.lock().documents, undisturbed.lock().documents, "after {lives} calls");
            }
        });
    }
}
