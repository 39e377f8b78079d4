use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::backoff::PATIENCE;
use crate::batch::LONGEST_BODY;
use crate::bulk;
use crate::naming::{IndexNaming, Rotation};

/// A batch of records with these ids; one that is empty is no record.
fn batch(ids: &[&str]) -> Batch {
    let mut batch = Batch::from(0);
    for id in ids {
        let line = json!({"rawData": "e30=", "esDocumentId": id, "esIndexName": "i"});
        batch.text.extend(format!("{line}\n").bytes());
    }
    batch.fill(&IndexNaming { index: "i".into(), rotation: Rotation::None, doc_type: None }, LONGEST_BODY);
    batch
}

fn ids_of(body: &[u8]) -> Vec<String> {
    let lines = body.split(|byte| *byte == b'\n').step_by(2).filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice::<Value>(line).unwrap()["create"]["_id"].as_str().unwrap().to_owned())
        .collect()
}

/// A domain that answers by the ids of a request.
struct Played {
    delivered: Delivered,
    state: DomainState,
    /// What was sent, each request by its ids.
    sent: Vec<String>,
    took: Duration,
}

async fn play(ids: &[&str], response: impl Fn(usize, &[String]) -> BulkResponse) -> Played {
    let (mut batch, sent, began) = (batch(ids), RefCell::new(Vec::new()), Instant::now());
    let before = batch.body.clone();
    let post = async |body: Bytes, count: usize| {
        let ids = ids_of(&body);
        assert_eq!(ids.len(), count);
        sent.borrow_mut().push(ids.concat());
        let number = sent.borrow().len();
        Ok(response(number, &ids))
    };
    let end = Instant::now() + Duration::from_secs(600);
    let mut state = DomainState::default();
    let delivered = deliver(&mut batch, &mut state, end, post).await.unwrap();
    assert_eq!(batch.body, before, "the buffer comes back");
    Played { delivered, state, sent: sent.into_inner(), took: began.elapsed() }
}

fn each(ids: &[String], status: impl Fn(&str) -> (u16, &'static str)) -> BulkResponse {
    let items: Vec<Value> = ids
        .iter()
        .map(|id| {
            let (status, error_type) = status(id);
            json!({"create": {"status": status, "error": {"type": error_type}}})
        })
        .collect();
    bulk::read(200, json!({"items": items}).to_string().as_bytes(), ids.len())
}

fn bulk_error(status: u16, error_type: &'static str) -> BulkError {
    BulkError { status: Some(status), error_type }
}

#[tokio::test(start_paused = true)]
async fn each_record_gets_what_the_domain_says_of_it() {
    let played = play(&["a", "", "b", "c"], |_, ids| {
        each(ids, |id| match id {
            "a" => (201, ""),
            "b" => (400, "mapper_parsing_exception"),
            _ => (409, "version_conflict_engine_exception"),
        })
    })
    .await;
    let refused = LineStatus::Rejected(bulk_error(400, "mapper_parsing_exception"));
    let statuses =
        [LineStatus::Indexed, LineStatus::Unreadable(Unreadable::NotARecord), refused, LineStatus::AlreadyPresent];
    assert_eq!((played.delivered.statuses, played.delivered.halt), (statuses.to_vec(), None));
    assert_eq!((played.sent, played.took), (vec!["abc".to_owned()], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn only_what_the_domain_was_too_busy_for_is_sent_again() {
    let played = play(&["a", "b", "c", "d"], |number, ids| {
        each(
            ids,
            |id| if number < 3 && "bd".contains(id) { (429, "es_rejected_execution_exception") } else { (201, "") },
        )
    })
    .await;
    assert_eq!(played.sent, ["abcd", "bd", "bd"]);
    assert_eq!((played.delivered.statuses, played.delivered.halt), (vec![LineStatus::Indexed; 4], None));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again() {
    let played = play(&["a", "b"], |number, ids| match number {
        1 => BulkResponse::WholeRequest(bulk::NO_RESPONSE),
        2 => bulk::read(503, b"", 2),
        _ => each(ids, |_| (409, "version_conflict_engine_exception")),
    })
    .await;
    assert_eq!(played.sent, ["ab", "ab", "ab"]);
    assert_eq!(played.delivered.statuses, [LineStatus::AlreadyPresent; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_stays_busy_ends_the_run_after_a_while() {
    let played = play(&["a", "b"], |_, ids| {
        each(ids, |id| if id == "a" { (201, "") } else { (429, "circuit_breaking_exception") })
    })
    .await;
    let busy = bulk_error(429, "circuit_breaking_exception");
    assert_eq!(played.delivered.statuses, [LineStatus::Indexed, LineStatus::Pending(Some(busy))]);
    assert_eq!(played.delivered.halt, Some(Halt::Stopped(busy)));
    assert!(played.took <= PATIENCE && played.sent.len() > 4, "{:?} {:?}", played.took, played.sent);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_halved_down_to_the_document() {
    let played = play(&["a", "b", "X", "c", "d"], |_, ids| {
        if ids.len() > 2 || ids.concat().contains('X') { bulk::read(413, b"", 1) } else { each(ids, |_| (201, "")) }
    })
    .await;
    assert_eq!(played.sent, ["abXcd", "ab", "Xcd", "X", "cd"]);
    let too_large = LineStatus::TooLarge(bulk_error(413, "other"));
    assert_eq!(
        played.delivered.statuses,
        [LineStatus::Indexed, LineStatus::Indexed, too_large, LineStatus::Indexed, LineStatus::Indexed]
    );
    assert!(played.state.max_body < LONGEST_BODY);
}

#[tokio::test(start_paused = true)]
async fn a_document_for_which_a_whole_request_is_refused_is_found() {
    let played = play(&["a", "b", "X", "c"], |_, ids| {
        if ids.concat().contains('X') { bulk::read(400, b"", 1) } else { each(ids, |_| (201, "")) }
    })
    .await;
    assert_eq!(played.sent, ["abXc", "ab", "Xc", "X", "c"]);
    assert_eq!(played.delivered.statuses[2], LineStatus::Rejected(bulk_error(400, "other")));
    assert_eq!(played.state.max_body, LONGEST_BODY);
}

#[tokio::test(start_paused = true)]
async fn whether_a_document_is_a_bad_one_is_not_clear_before_the_domain_has_taken_any() {
    let played = play(&["a", "X"], |_, _| bulk::read(400, b"", 1)).await;
    assert_eq!(played.delivered.statuses, [LineStatus::Pending(Some(bulk_error(400, "other"))); 2]);
    assert_eq!(played.delivered.halt, Some(Halt::Inconclusive));
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_refuses_every_request_stops_the_run() {
    let ids: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let played = play(&ids, |_, _| bulk::read(400, br#"{"error":{"type":"illegal_argument_exception"}}"#, 1)).await;
    let refused = bulk_error(400, "illegal_argument_exception");
    assert_eq!(played.delivered.halt, Some(Halt::Stopped(refused)));
    assert!(played.delivered.statuses.iter().all(|fate| matches!(fate, LineStatus::Pending(_))), "nothing is given up");
}

#[tokio::test(start_paused = true)]
async fn a_block_or_a_denial_stops_at_once_and_keeps_what_was_taken() {
    let blocked = bulk_error(403, "cluster_block_exception");
    let played = play(&["a", "b"], |_, ids| {
        each(ids, |id| if id == "a" { (201, "") } else { (403, "cluster_block_exception") })
    })
    .await;
    assert_eq!(played.delivered.statuses, [LineStatus::Indexed, LineStatus::Pending(Some(blocked))]);
    assert_eq!((played.delivered.halt, played.sent.len()), (Some(Halt::Stopped(blocked)), 1));
    for status in [401, 403, 404] {
        let played = play(&["a", "b"], |_, _| bulk::read(status, b"", 2)).await;
        assert_eq!(played.delivered.halt, Some(Halt::Stopped(bulk_error(status, "other"))));
        assert_eq!((played.sent.len(), played.took), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_lines_that_are_no_records() {
    let played = play(&["", ""], |_, _| panic!("nothing to send")).await;
    assert_eq!((played.sent.len(), played.delivered.halt), (0, None));
}
