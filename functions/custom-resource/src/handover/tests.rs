use emite_core::arn::{Arn, Home};
use emite_core::handover::ItemChange;
use emite_core::look::{Cause, Unseen};
use jiff::Timestamp;
use serde_json::json;

use super::items::{SeenItem, Verification};
use super::*;
use crate::request::Object;

const STACK: &str =
    "arn:aws:cloudformation:ap-southeast-2:111122223333:stack/emite/0a1b2c3d-0000-4000-8000-000000000001";

fn stack() -> Arn {
    STACK.parse().unwrap()
}

fn properties(changes: &[(&str, &str)]) -> Object {
    let home = "ap-southeast-2:111122223333";
    let mut properties = json!({
        "ServiceToken": "arn:aws:lambda:…", "ServiceTimeout": "600",
        "InstanceArn": format!("arn:aws:connect:{home}:instance/1b2c3d4e-0000-4000-8000-000000000002"),
        "RoleArn": "arn:aws:iam::111122223333:role/emite-role", "CustomerId": "acme-support-7421",
        "AgentEventStreamArn": format!("arn:aws:kinesis:{home}:stream/connect-agentevents"),
        "ContactRecordTargetArn": format!("arn:aws:firehose:{home}:deliverystream/emite-ctrfirehose"),
        "SearchEndpoint": "https://search-emite-abc.ap-southeast-2.es.amazonaws.com",
        "DomainArn": format!("arn:aws:es:{home}:domain/emite-kinesis-connect"),
        "TimeZone": "Australia/Sydney", "ServerAddress": "", "ServerId": "",
        "Bucket": "emite-backup", "Prefix": "emite-connect/emite-ctrfirehose/handover/", "BucketKeyArn": "",
        "Release": "0.1.0",
    });
    for (name, value) in changes {
        properties[*name] = json!(value);
    }
    properties.as_object().unwrap().clone()
}

fn read(changes: &[(&str, &str)]) -> Result<HandoverProperties, RequestFailure> {
    HandoverProperties::read(&properties(changes), &Home::of(&stack()))
}

fn accepted(changes: &[(&str, &str)]) -> HandoverProperties {
    read(changes).unwrap()
}

const SELF_HOSTED: [(&str, &str); 3] =
    [("ServerAddress", "198.51.100.7"), ("ServerId", "i-0123456789abcdef0"), ("CustomerId", "")];

fn throttled(request: &str) -> Verification {
    let request_id = Some(request.to_owned());
    Verification::Unseen(Unseen { action: "es:DescribeDomain", cause: Cause::Throttled, request_id })
}

/// What reading shows where everything is as it should be, but for these states by the item's name.
fn seen(properties: &HandoverProperties, states: &[(&str, Verification)]) -> Vec<SeenItem> {
    use emite_core::handover::*;
    let state = |name: &str| {
        states.iter().find(|(of, _)| *of == name).map_or(Verification::Verified, |(_, state)| state.clone())
    };
    let item = |name, value: String| SeenItem { name, value, state: state(name) };
    let server = properties.server.iter().map(|server| item(SERVER, server.address.to_string()));
    let mut all: Vec<SeenItem> = server.chain([item(ROLE, properties.role.to_string())]).collect();
    all.extend(properties.customer_id.iter().map(|id| item(EXTERNAL_ID, id.clone())));
    all.push(item(INSTANCE, properties.instance_arn.to_string()));
    all.push(item(AGENT_EVENTS, properties.agent_event_stream.to_string()));
    all.push(item(SEARCH_ENDPOINT, properties.search_endpoint.clone()));
    all.push(item(TIME_ZONE, properties.time_zone.clone()));
    all
}

fn noon() -> Timestamp {
    "2026-11-24T01:00:00Z".parse().unwrap()
}

/// The record of request `r-<number>` with these properties and states, after `last`.
fn after(last: Option<&Record>, number: u8, changes: &[(&str, &str)], states: &[(&str, Verification)]) -> Record {
    let properties = accepted(changes);
    let seen = seen(&properties, states);
    let asked = HandoverRequest { id: &format!("r-{number}"), stack_id: &stack(), now: noon() };
    Record::after(last, &properties, &seen, asked)
}

/// The same, stored and announced.
fn announced(record: Record) -> Record {
    Record { is_stored: true, is_announced: true, ..record }
}

fn whole(record: &Record) -> String {
    format!("{}\n----\n{}", text::of(&record.handover), serde_json::to_string_pretty(&record.handover).unwrap())
}

#[test]
fn the_first_document_says_all_that_the_emite_team_needs() {
    insta::assert_snapshot!(whole(&after(None, 1, &[], &[])));
}

#[test]
fn a_refreshed_document_says_what_changed_and_first_of_all_what_is_not_verified() {
    let first = announced(after(None, 1, &[], &[]));
    let mut update = vec![("Release", "0.2.0"), ("TimeZone", "Europe/Dublin")];
    update.extend(SELF_HOSTED);
    let states = [
        ("IAM role", Verification::Wrong("the role does not exist".to_owned())),
        ("Search endpoint of contact records", throttled("request-9")),
    ];
    insta::assert_snapshot!(whole(&after(Some(&first), 2, &update, &states)));
}

#[test]
fn what_says_the_same_is_neither_written_nor_announced_again() {
    let first = announced(after(None, 1, &[], &[]));
    assert_eq!(after(Some(&first), 1, &[], &[]), first);
    // An update of something else.
    let second = after(Some(&first), 2, &[], &[]);
    assert_eq!((&second.handover, second.is_stored, second.is_announced), (&first.handover, true, true));
    // Nor is what had not come so far begun anew.
    let undone = Record { is_stored: false, is_announced: false, ..first.clone() };
    assert_eq!(after(Some(&undone), 1, &[], &[]), undone);
}

#[test]
fn failed_read_keeps_a_verification_and_a_wrong_item_revokes_it() {
    let first = announced(after(None, 1, &[], &[]));
    let blind = [("Search endpoint of contact records", throttled("request-1"))];
    assert_eq!(after(Some(&first), 1, &[], &blind), first);
    let gone =
        [("Search endpoint of contact records", Verification::Wrong("the search domain does not exist".to_owned()))];
    let wrong = after(Some(&first), 2, &[], &gone);
    assert_eq!((wrong.handover.revision, wrong.is_stored, wrong.is_announced), (2, false, false));
    assert!(wrong.handover.changes.is_empty());
    // Once it is found again, that is announced too.
    let again = after(Some(&announced(wrong)), 3, &[], &[]);
    assert_eq!((again.handover.revision, again.handover.unverified().count()), (3, 0));
}

#[test]
fn unread_item_is_announced_once_and_verified_by_a_later_read() {
    let blind = |request| [("Search endpoint of contact records", throttled(request))];
    let first = announced(after(None, 1, &[], &blind("request-1")));
    assert_eq!(first.handover.unverified().count(), 1);
    assert_eq!(after(Some(&first), 1, &[], &blind("request-2")), first);
    let second = after(Some(&first), 1, &[], &[]);
    assert_eq!((second.handover.revision, second.handover.unverified().count()), (2, 0));
    assert!(!second.is_announced);
}

fn change(name: &str, from: Option<&str>, to: Option<&str>) -> ItemChange {
    ItemChange { name: name.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

#[test]
fn changes_are_listed_against_the_last_announced_handover() {
    let first = announced(after(None, 1, &[], &[]));
    let never_announced = after(Some(&first), 2, &[("TimeZone", "Europe/Dublin"), ("Release", "0.2.0")], &[]);
    let third = after(Some(&never_announced), 3, &[("TimeZone", "Europe/Madrid"), ("Release", "0.3.0")], &[]);
    assert_eq!(third.handover.changes, [change("Time zone", Some("Australia/Sydney"), Some("Europe/Madrid"))]);
    assert_eq!(third.handover.previous_release.as_deref(), Some("0.1.0"));
    assert_eq!(third.handover.revision, 3);
}

#[test]
fn a_rollback_hands_over_what_was_before_and_says_so() {
    let first = announced(after(None, 1, &[], &[]));
    let second = announced(after(Some(&first), 2, &SELF_HOSTED, &[]));
    assert_eq!(
        second.handover.changes,
        [
            change("Public address of the eMite server", None, Some("198.51.100.7")),
            change("External id of the role (customer id)", Some("acme-support-7421"), None)
        ]
    );
    let back = after(Some(&second), 3, &[], &[]);
    assert_eq!(
        back.handover.changes,
        [
            change("External id of the role (customer id)", None, Some("acme-support-7421")),
            change("Public address of the eMite server", Some("198.51.100.7"), None)
        ]
    );
    assert!(!back.is_announced);
    assert_eq!(back.handover.items, first.handover.items);
}

#[test]
fn another_bucket_is_announced_and_another_key_only_stores_again() {
    let first = announced(after(None, 1, &[], &[]));
    let moved = after(Some(&first), 2, &[("Bucket", "another-bucket")], &[]);
    assert_eq!((moved.handover.revision, moved.is_stored, moved.is_announced), (2, false, false));
    assert!(moved.handover.document_uri.starts_with("s3://another-bucket/"));
    let key = "arn:aws:kms:ap-southeast-2:111122223333:key/9a1b2c3d-0000-1111-2222-333344445555";
    let encrypted = after(Some(&first), 2, &[("BucketKeyArn", key)], &[]);
    assert_eq!((encrypted.handover.revision, encrypted.is_stored, encrypted.is_announced), (1, false, true));
    assert_eq!(encrypted.folder.key.as_deref(), Some(key));
}

#[test]
fn requests_before_the_last_are_remembered_but_not_for_ever() {
    let mut record = after(None, 0, &[], &[]);
    for number in 1..=100 {
        record = after(Some(&record), number, &[], &[]);
        record = after(Some(&record), number, &[], &[]);
        assert!(record.came_after(&format!("r-{}", number - 1)) && !record.came_after(&format!("r-{number}")));
    }
    assert!(record.came_after("r-80") && !record.came_after("r-79"));
}

#[test]
fn each_wrong_property_is_named() {
    let elsewhere = "arn:aws:kinesis:eu-west-2:111122223333:stream/x";
    let wrong = [
        ("InstanceArn", "arn:aws:connect:ap-southeast-2:999999999999:instance/1b2c"),
        ("InstanceArn", "arn:aws:connect:ap-southeast-2:111122223333:instance/1b2c/agent/x"),
        ("RoleArn", "arn:aws:iam::999999999999:role/emite-role"),
        ("RoleArn", "arn:aws:iam::111122223333:user/emite-role"),
        ("RoleArn", "arn:aws:iam::111122223333:role/"),
        ("CustomerId", "has a space"),
        ("CustomerId", "x"),
        ("AgentEventStreamArn", elsewhere),
        ("AgentEventStreamArn", "arn:aws:firehose:ap-southeast-2:111122223333:deliverystream/x"),
        ("ContactRecordTargetArn", elsewhere),
        ("ContactRecordTargetArn", "arn:aws:es:ap-southeast-2:111122223333:domain/x"),
        ("SearchEndpoint", "http://search.example.com"),
        ("SearchEndpoint", "https://search.example.com/_plugin"),
        ("DomainArn", "arn:aws:es:ap-southeast-2:111122223333:domain/a/b"),
        ("TimeZone", "Mars/Olympus"),
        ("TimeZone", "europe/dublin"),
        ("ServerAddress", "203.0.113.10"),
        ("ServerAddress", "203.0.113.10/32"),
        ("ServerId", "i-0123456789abcdef0"),
        ("ServerId", "i-x"),
        ("Bucket", "My_Bucket"),
        ("Prefix", "emite-connect/x/failed/"),
        ("Prefix", "emite-connect/a/b/handover/"),
        ("BucketKeyArn", "arn:aws:kms:ap-southeast-2:111122223333:alias/x"),
        ("Release", "0.1 0"),
        ("Surprise", "x"),
    ];
    let refusals: Vec<String> = wrong.iter().map(|one| read(&[*one]).unwrap_err().to_string()).collect();
    for ((name, _), text) in wrong.iter().zip(&refusals) {
        assert!(text.contains(name), "{name}: {text}");
    }
    insta::assert_snapshot!(refusals.join("\n"));
    let all = read(&[("TimeZone", "Mars"), ("Bucket", "X"), ("Surprise", "y")]).unwrap_err().to_string();
    assert!(["TimeZone", "Bucket", "Surprise"].iter().all(|name| all.contains(name)), "{all}");
}

#[test]
fn optional_properties_may_be_empty() {
    assert_eq!(accepted(&[]).server, None);
    let theirs = accepted(&SELF_HOSTED);
    assert_eq!((theirs.customer_id, theirs.server.unwrap().id.as_str()), (None, "i-0123456789abcdef0"));
}
