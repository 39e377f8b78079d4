//! Owns what a stack can be changed into: from each set of parameters to the others, ending in a working integration or refused
//! before anything is changed, and back; a second stack beside it; and what was made by hand, taken over and left as it was.

use emite_connect_tests::failed::{ARRIVAL_MS, Record, object};
use emite_connect_tests::instance::InstanceState;
use emite_connect_tests::stack::Deployment;
use serde_json::{Value, json};

use crate::by_hand::ByHand;
use crate::life_cycles::Stack;
use crate::scenario::Before;
use crate::watched::Watched;
use crate::world::make_stream;

const EVENTS: &str = "AGENT_EVENTS";
const RECORDS: &str = "CONTACT_TRACE_RECORDS";

fn named<'a>(parameters: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    parameters.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn told(deployment: &Deployment, words: &[&str]) {
    let all = deployment.reasons.join("\n");
    assert!(words.iter().all(|word| all.contains(word)), "{words:?} in {all}");
}

/// Where the instance streams to.
fn targets(state: &InstanceState) -> [Option<String>; 2] {
    [state.target(EVENTS), state.target(RECORDS)]
}

#[tokio::test]
async fn an_integration_made_by_hand_gets_health_repair_and_redrive_and_loses_nothing() {
    let (mut stack, hand) = (Stack::new(Before::Nothing).await, ByHand::new().await);
    let aws = stack.aws;
    hand.stream_from(&stack.instance).await;
    stack.parameters.retain(|(name, _)| *name != "EmiteUrl");
    stack.parameters.push(("EmiteUrl", String::new()));
    stack.parameters.extend(hand.parameters());
    stack.looks_now().await;
    let before = aws.instance_state(&stack.instance).await;
    let watched = Watched::on(stack, "60").await;

    // Nothing was interrupted: the very associations, and no resource of the stack's own in their place.
    assert_eq!(aws.instance_state(&watched.stack.instance).await, before);
    for absent in ["AgentEventStream", "DeliveryStream", "DeliveryRole", "SearchDomain", "EmiteRole", "BackupBucket"] {
        assert!(!watched.deployment.resources.contains_key(absent), "{absent}");
    }
    assert_eq!(watched.deployment.outputs["EmiteRoleArn"], hand.role_arn());

    // What the guide's policies lack is told, and mended when asked for.
    let report = watched.check().await;
    let finding = |report: &Value, part: &str| {
        let found = report["findings"].as_array().unwrap().iter();
        found.into_iter().find(|finding| finding["resource"].as_str().unwrap().ends_with(part)).cloned()
    };
    let policy = finding(&report, "#policy").unwrap_or_else(|| panic!("{report:#}"));
    assert!(policy["observed"].as_str().unwrap().contains("connect:DescribeInstance"), "{policy:#}");
    let apply =
        json!({ "mode": "apply", "checks": ["emite-role", "domain-access"], "requestedBy": "an end-to-end test" });
    let answer = aws.invoke(watched.id("RepairFunction"), &apply).await.expect("a repair");
    let after = &answer["after"];
    for part in ["#policy", "#this-account", "#emite-servers"] {
        assert_eq!(finding(after, part), None, "{answer:#}");
    }

    // Refused records lie where Firehose itself puts them: found, told, and put back.
    let record = Record {
        id: "hand-1".into(),
        index: "emite-contacts-2026-11".into(),
        doc_type: Some("contacts".into()),
        arrival_ms: ARRIVAL_MS,
        document: json!({ "ContactId": "hand-1" }).to_string(),
    };
    let folder = "elasticsearch-failed/2026/11/24/01";
    let key = &format!("{folder}/{}-1-2026-11-24-01-00-00-x", hand.firehose);
    let anothers = &format!("{folder}/another-stream-1-2026-11-24-01-00-00-x");
    aws.put_object(&hand.bucket, anothers, object(std::slice::from_ref(&record))).await;
    let report = watched.check().await;
    assert!(report["findings"].as_array().unwrap().iter().all(|one| one["check"] != "failed-records"), "{report:#}");
    aws.put_object(&hand.bucket, key, object(&[record])).await;
    let report = watched.check().await;
    assert!(report["findings"].as_array().unwrap().iter().any(|one| one["check"] == "failed-records"), "{report:#}");
    let begin = json!({ "mode": "begin", "input": { "mode": "apply" } });
    let begun = aws.invoke(watched.id("RedriveFunction"), &begin).await.expect("an input");
    assert_eq!(begun["prefix"], "elasticsearch-failed/", "{begun}");
    let run = json!({ "mode": "plan", "keys": [key, anothers] });
    let read = aws.invoke(watched.id("RedriveFunction"), &run).await.expect("an answer");
    assert_eq!((&read["objects"], &read["records"]), (&json!(1), &json!(1)), "{read}");

    // Deleting the stack takes nothing of it.
    let Watched { stack, .. } = watched;
    let instance = stack.instance.clone();
    stack.deleted().await;
    assert_eq!(aws.instance_state(&instance).await, before);
    let domain = aws.rest_call("es", "GET", &format!("/2021-01-01/opensearch/domain/{}", hand.domain), "").await;
    assert!(domain.status < 300, "{domain:?}");
    let stream = json!({ "StreamName": hand.stream });
    aws.json_call("kinesis", "Kinesis_20131202.DescribeStreamSummary", &stream).await;
    let firehose = json!({ "DeliveryStreamName": hand.firehose });
    aws.json_call("firehose", "Firehose_20150804.DescribeDeliveryStream", &firehose).await;
    aws.form_call("iam", &format!("Action=GetRole&Version=2010-05-08&RoleName={}", hand.role)).await;
}

#[tokio::test]
async fn records_that_go_to_a_stream_already_stay_there_and_firehose_reads_them() {
    let mut stack = Stack::new(Before::Nothing).await;
    let aws = stack.aws;
    let records = make_stream(&format!("{}-theirs", stack.name)).await;
    aws.stream_to(&stack.instance, RECORDS, &records).await;
    stack.looks_now().await;
    let name = records.rsplit('/').next().unwrap().to_owned();
    stack.parameters.push(("ExistingContactRecordStreamName", name));
    let association = aws.instance_state(&stack.instance).await.streaming[RECORDS].clone();
    let watched = Watched::healthy_on(stack).await;
    assert_eq!(aws.instance_state(&watched.stack.instance).await.streaming[RECORDS], association);
    let delivery = json!({ "DeliveryStreamName": watched.name_in("deliveryStream") });
    let described = aws.json_call("firehose", "Firehose_20150804.DescribeDeliveryStream", &delivery).await;
    let source = &described["DeliveryStreamDescription"]["Source"]["KinesisStreamSourceDescription"];
    assert_eq!(source["KinesisStreamARN"], records, "{described:#}");

    // A Firehose stream cannot be turned around: refused at once, and the stack is as before.
    let back = [("ExistingContactRecordStreamName", ""), ("OnExistingStreaming", "Replace")];
    let (good, refused) = aws.deploy(&watched.stack.name, &back).await;
    assert!(!good);
    told(&refused, &["ExistingContactRecordStreamName", "DeliveryStreamName"]);
    assert_eq!(refused.status, "UPDATE_ROLLBACK_COMPLETE");
    // With a new name it works, and what stood there before is put back in the end.
    let renamed = format!("{}-records-2", watched.stack.name);
    let both = [back[0], back[1], ("DeliveryStreamName", renamed.as_str())];
    let (good, changed) = aws.deploy(&watched.stack.name, &both).await;
    assert!(good, "{:#?}", changed.reasons);
    let state = aws.instance_state(&watched.stack.instance).await;
    assert_eq!(state.target(RECORDS), Some(aws.arn("firehose", &format!("deliverystream/{renamed}"))));
    let Watched { stack, .. } = watched;
    stack.deleted().await;
}

/// Each step from one set of parameters to the next, there and back, ends in a working integration.
#[tokio::test]
async fn a_stack_goes_from_its_own_things_to_existing_ones_and_back() {
    let (stack, hand) = (Stack::new(Before::Nothing).await, ByHand::new().await);
    let aws = stack.aws;
    stack.created().await;
    let own = targets(&aws.instance_state(&stack.instance).await);
    let name = stack.name.clone();
    let step = async |parameters: &[(&str, &str)], wanted: [Option<String>; 2]| {
        let (good, deployment) = aws.deploy(&name, parameters).await;
        assert!(good, "{parameters:?}: {:#?}", deployment.reasons);
        assert_eq!(targets(&aws.instance_state(&stack.instance).await), wanted, "{parameters:?}");
        // What exists may lack what the rest needs: then it is told with the repair that mends it.
        let function = deployment.resources["RepairFunction"].physical_id.clone().expect("a name");
        let apply = json!({ "mode": "apply", "checks": ["domain-access", "emite-role"] });
        let report = aws.invoke(&function, &apply).await.expect("a repair")["after"].clone();
        let broken = |finding: &&Value| finding["severity"] == "Critical" && finding["status"] != "Unobservable";
        let broken: Vec<_> = report["findings"].as_array().unwrap().iter().filter(broken).collect();
        assert!(broken.is_empty(), "{parameters:?}: {broken:#?}");
        deployment
    };
    // Somebody else's stream for agent events, which nobody streams to yet, and back to one of the stack's own.
    let stream = Some(hand.stream_arn());
    step(&[("ExistingAgentEventStreamName", &hand.stream)], [stream, own[1].clone()]).await;
    let events = format!("{name}-events-2");
    let renamed = Some(aws.arn("kinesis", &format!("stream/{events}")));
    step(&[("ExistingAgentEventStreamName", ""), ("AgentEventStreamName", &events)], [renamed.clone(), own[1].clone()])
        .await;
    // The domain and the role.
    let foreign = hand.parameters();
    let only =
        |wanted: &str| foreign.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str()).unwrap();
    let delivery = format!("{name}-records-2");
    let moved = Some(aws.arn("firehose", &format!("deliverystream/{delivery}")));
    let to_domain = [
        ("ExistingDomainName", only("ExistingDomainName")),
        ("ExistingRoleName", only("ExistingRoleName")),
        ("DeliveryStreamName", delivery.as_str()),
        ("EmiteServerCidrs", crate::by_hand::SERVER),
    ];
    step(&to_domain, [renamed.clone(), moved.clone()]).await;
    // Everything by hand, then refused where it cannot be, and the stack is as before.
    let all: Vec<(&str, &str)> = named(&foreign);
    step(&all, [Some(hand.stream_arn()), Some(hand.firehose_arn())]).await;
    let (good, refused) = aws.deploy(&name, &[("ExistingDomainName", "")]).await;
    assert!(!good);
    told(&refused, &["ExistingDomainName"]);
    let state = targets(&aws.instance_state(&stack.instance).await);
    assert_eq!(state, [Some(hand.stream_arn()), Some(hand.firehose_arn())]);
    stack.gone().await;
}

#[tokio::test]
async fn a_second_stack_looks_after_a_second_instance_beside_the_first() {
    let (first, second) = (Stack::new(Before::Nothing).await, Stack::new(Before::Nothing).await);
    let (one, other) = (first.created().await, second.created().await);
    assert_ne!(one.outputs["AgentEventStreamArn"], other.outputs["AgentEventStreamArn"]);
    let aws = first.aws;
    let report = async |deployment: &Deployment| {
        let function = deployment.resources["HealthCheckFunction"].physical_id.clone().expect("a name");
        aws.invoke(&function, &json!({})).await.expect("a report")
    };
    let (here, there) = (report(&one).await, report(&other).await);
    assert_eq!(
        (&here["instanceArn"], &there["instanceArn"]),
        (&json!(first.instance.arn), &json!(second.instance.arn))
    );
    // The same names a second time are refused at once, by the parameters that set them apart.
    let mut third = Stack::new(Before::Nothing).await;
    third.parameters.retain(|(name, _)| *name == "ConnectInstanceArn");
    third.parameters.extend(first.parameters.iter().filter(|(name, _)| name.ends_with("Name")).cloned());
    let (good, refused) = aws.deploy(&third.name, &named(&third.parameters)).await;
    assert!(!good);
    told(&refused, &["AgentEventStreamName", "DeliveryStreamName", "DomainName", "RoleName"]);
    let instance = second.instance.clone();
    let streaming = targets(&aws.instance_state(&instance).await);
    first.deleted().await;
    assert_eq!(targets(&aws.instance_state(&instance).await), streaming);
    second.deleted().await;
}

#[tokio::test]
async fn who_wants_again_what_was_before_is_checked_anew_and_a_rollback_is_not() {
    let stack = Stack::new(Before::Nothing).await;
    stack.created().await;
    let aws = stack.aws;
    let domain = stack.name.clone();
    let state = aws.instance_state(&stack.instance).await;
    let (good, changed) = aws.deploy(&stack.name, &[("ExistingDomainName", domain.as_str())]).await;
    assert!(good, "{:#?}", changed.reasons);
    assert!(!changed.resources.contains_key("SearchDomain"), "{changed:#?}");
    // The domain that the stack left is there, and its name is taken.
    let (good, refused) = aws.deploy(&stack.name, &[("ExistingDomainName", "")]).await;
    assert!(!good);
    told(&refused, &["DomainName", "exists already", "ExistingDomainName"]);
    assert_eq!(refused.status, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(aws.instance_state(&stack.instance).await, state);
    stack.gone().await;
}
