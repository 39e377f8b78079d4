//! Owns the life cycles of whole stacks: the real template through CloudFormation, with IAM enforced. Each begins with an
//! instance in some state and ends with it in exactly that state.

use std::sync::atomic::{AtomicUsize, Ordering};

use emite_connect_tests::instance::{Instance, InstanceState};
use emite_connect_tests::local_aws::{LocalAws, local_aws};
use emite_connect_tests::stack::Deployment;
use serde_json::{Value, json};

use crate::scenario::Before;
use crate::world::{Targets, make_firehose, make_stream};

const URL: &str = "https://emite.example.com";
const EVENTS: &str = "AGENT_EVENTS";
const RECORDS: &str = "CONTACT_TRACE_RECORDS";

/// A stack with names of its own, and the instance that it is about.
pub(crate) struct Stack {
    pub(crate) aws: &'static LocalAws,
    pub(crate) name: String,
    pub(crate) instance: Instance,
    before: InstanceState,
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl Stack {
    pub(crate) async fn new(before: Before) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let aws = local_aws();
        let name = format!("life-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let instance = aws.new_instance().await;
        let mut stack =
            Self { aws, instance: instance.clone(), before: InstanceState::default(), parameters: Vec::new(), name };
        let on_existing = if before == Before::Foreign { "Replace" } else { "Fail" };
        stack.parameters = vec![
            ("ConnectInstanceArn", instance.arn.clone()),
            ("EmiteUrl", URL.to_owned()),
            ("OnExistingStreaming", on_existing.to_owned()),
            ("AgentEventStreamName", stack.named("events")),
            ("DeliveryStreamName", stack.named("records")),
            ("DomainName", stack.name.clone()),
            ("RoleName", stack.named("role")),
        ];
        stack.arrange(before, &instance).await;
        stack.before = aws.instance_state(&instance).await;
        stack
    }

    /// What is there now is what a deletion has to leave.
    pub(crate) async fn looks_now(&mut self) {
        self.before = self.aws.instance_state(&self.instance).await;
    }

    fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    fn stream(&self, name: &str) -> Option<String> {
        Some(self.aws.arn("kinesis", &format!("stream/{name}")))
    }

    fn delivery(&self, name: &str) -> Option<String> {
        Some(self.aws.arn("firehose", &format!("deliverystream/{name}")))
    }

    async fn arrange(&self, before: Before, instance: &Instance) {
        let targets = Targets::get().await;
        match before {
            Before::Nothing => {}
            Before::Foreign => {
                self.aws.stream_to(instance, EVENTS, &targets.foreign_stream).await;
                self.aws.stream_to(instance, RECORDS, &targets.foreign_firehose).await;
                self.aws.approve(instance, "https://other.example.com").await;
            }
            // As an earlier stack of the same names left it whose streams were deleted by hand.
            Before::Equal => {
                let (events, records) = (self.named("events"), self.named("records"));
                let (stream, firehose) = (make_stream(&events).await, make_firehose(&records).await);
                self.aws.stream_to(instance, EVENTS, &stream).await;
                self.aws.stream_to(instance, RECORDS, &firehose).await;
                self.aws.approve(instance, URL).await;
                self.aws.json_call("kinesis", "Kinesis_20131202.DeleteStream", &json!({ "StreamName": events })).await;
                self.aws
                    .json_call(
                        "firehose",
                        "Firehose_20150804.DeleteDeliveryStream",
                        &json!({ "DeliveryStreamName": records }),
                    )
                    .await;
            }
        }
    }

    async fn create(&self) -> (bool, Deployment) {
        let parameters: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.aws.deploy(&self.name, &parameters).await
    }

    pub(crate) async fn created(&self) -> Deployment {
        let (good, deployment) = self.create().await;
        assert!(good, "{}: {} {:#?}", self.name, deployment.status, deployment.reasons);
        deployment
    }

    pub(crate) async fn updated(&self, parameters: &[(&str, &str)]) -> Deployment {
        let (good, deployment) = self.aws.deploy(&self.name, parameters).await;
        assert!(good, "{} {parameters:?}: {} {:#?}", self.name, deployment.status, deployment.reasons);
        deployment
    }

    /// The text that the stack hands over, which has these words in it and nothing that is not verified.
    async fn handed_over(&self, deployment: &Deployment, words: &[&str]) -> String {
        let place = deployment.outputs["HandoverDocument"].strip_prefix("s3://").expect("an address in S3");
        let (bucket, key) = place.split_once('/').expect("a key");
        assert_eq!(bucket, deployment.outputs["BackupBucket"]);
        let text = self.aws.object(bucket, key).await.expect("the document");
        let text = String::from_utf8(text.to_vec()).expect("UTF-8");
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        assert!(!text.contains("NOT"), "{text}");
        text
    }

    async fn state(&self) -> InstanceState {
        self.aws.instance_state(&self.instance).await
    }

    /// Deletes the stack: its instance is as before, and its functions were never denied anything.
    pub(crate) async fn deleted(self) {
        self.gone().await;
        self.was_denied_nothing();
    }

    /// The same after updates to other things: a warm function looks by the settings that it knows while it reads the new ones,
    /// and is denied what the stack has left.
    pub(crate) async fn gone(&self) {
        let (good, deployment) = self.aws.delete(&self.name).await;
        assert!(good, "{}: {} {:#?}", self.name, deployment.status, deployment.reasons);
        assert_eq!(self.state().await, self.before);
    }

    fn was_denied_nothing(&self) {
        // Roles that CloudFormation names begin with the stack's name.
        let role = format!("assumed-role/{}-", self.name);
        let own: Vec<_> = self.aws.call_log().into_iter().filter(|call| call.principal.contains(&role)).collect();
        assert!(own.iter().any(|call| call.action.starts_with("connect:")), "no call of {role} in the log");
        let denied: Vec<_> = own.iter().filter(|call| !call.allowed()).collect();
        assert!(denied.is_empty(), "{denied:#?}");
    }
}

fn physical_id<'a>(deployment: &'a Deployment, kind: &str, part: &str) -> Option<&'a str> {
    let mut ids = deployment
        .resources
        .values()
        .filter(|resource| resource.kind == kind)
        .filter_map(|resource| resource.physical_id.as_deref());
    ids.find(|id| id.contains(part))
}

/// A whole life, with every update that matters and a rollback in the middle.
async fn whole_life(before: Before) {
    let stack = Stack::new(before).await;
    let created = stack.created().await;
    let state = stack.state().await;
    assert_eq!(state.target(EVENTS), stack.stream(&stack.named("events")));
    assert_eq!(state.target(RECORDS), stack.delivery(&stack.named("records")));
    assert!(state.origins.contains(&URL.to_owned()));
    let id = format!("{}|data-streaming|{EVENTS}", stack.instance.id);
    assert!(physical_id(&created, "Custom::ConnectDataStreaming", &id).is_some(), "{created:#?}");
    assert_eq!(created.outputs["ConnectInstanceArn"], stack.instance.arn);

    let told =
        stack.handed_over(&created, &[&stack.stream(&stack.named("events")).unwrap(), "This is the first one."]).await;

    // Parameters that are none of Connect's business.
    let updated = stack
        .updated(&[
            ("TimeZone", "Europe/Dublin"),
            ("CustomerId", "another-external-id"),
            ("EmiteServerCidrs", "198.51.100.0/24"),
        ])
        .await;
    assert_eq!(stack.state().await, state);
    let words = ["number 2,", "from Australia/Sydney\n    to   Europe/Dublin", "to   another-external-id"];
    assert_ne!(stack.handed_over(&updated, &words).await, told);
    let other = if before == Before::Foreign { "Fail" } else { "Replace" };
    stack.updated(&[("OnExistingStreaming", other)]).await;
    assert_eq!(stack.state().await, state);

    // Both targets renamed: without a gap, so in the same associations. Streams of the stack's own that were associated
    // before it are no more after a rename, and could not be put back.
    if before != Before::Equal {
        rename_targets(&stack, &state).await;
    }

    // The origin changed, removed, added.
    let foreign: Vec<String> = stack.before.origins.clone();
    let with = |origin: Option<&str>| {
        let mut origins: Vec<String> = foreign.iter().cloned().chain(origin.map(str::to_owned)).collect();
        origins.sort();
        origins.dedup();
        origins
    };
    stack.updated(&[("EmiteUrl", "https://emite-2.example.com")]).await;
    assert_eq!(stack.state().await.origins, with(Some("https://emite-2.example.com")));
    stack.updated(&[("EmiteUrl", "")]).await;
    assert_eq!(stack.state().await.origins, with(None));
    stack.updated(&[("EmiteUrl", URL)]).await;
    assert_eq!(stack.state().await.origins, with(Some(URL)));
    stack.deleted().await;
}

async fn rename_targets(stack: &Stack, before: &InstanceState) {
    let (events, records) = (stack.named("events-2"), stack.named("records-2"));
    stack
        .updated(&[
            ("AgentEventStreamName", &events),
            ("DeliveryStreamName", &records),
            ("OnExistingStreaming", "Replace"),
        ])
        .await;
    let renamed = stack.state().await;
    assert_eq!((renamed.target(EVENTS), renamed.target(RECORDS)), (stack.stream(&events), stack.delivery(&records)));
    let ids = |state: &InstanceState| [EVENTS, RECORDS].map(|kind| state.streaming[kind][0]["AssociationId"].clone());
    assert_eq!(ids(&renamed), ids(before));
}

#[tokio::test]
async fn a_whole_life_on_an_instance_without_streaming_leaves_nothing() {
    whole_life(Before::Nothing).await;
}

#[tokio::test]
async fn a_whole_life_on_an_instance_that_streamed_elsewhere_puts_that_back() {
    whole_life(Before::Foreign).await;
}

#[tokio::test]
async fn a_whole_life_on_an_instance_that_was_set_up_already_leaves_it_so() {
    whole_life(Before::Equal).await;
}

/// To another instance and, by a failed update, nearly to a third.
async fn replacement(before: Before) {
    let stack = Stack::new(before).await;
    stack.created().await;
    let other = stack.aws.new_instance().await;
    stack.arrange_other(before, &other).await;
    let other_before = stack.aws.instance_state(&other).await;
    stack.updated(&[("ConnectInstanceArn", &other.arn)]).await;
    assert_eq!(stack.state().await, stack.before, "the first instance is as it was");
    let moved = stack.aws.instance_state(&other).await;
    assert_eq!(moved.target(EVENTS), stack.stream(&stack.named("events")));
    assert_eq!(moved.target(RECORDS), stack.delivery(&stack.named("records")));
    let aws = stack.aws;
    stack.deleted().await;
    assert_eq!(aws.instance_state(&other).await, other_before, "the second instance is as it was");
}

impl Stack {
    /// The second instance cannot stream to our streams beforehand unless they are there, and by then they are.
    async fn arrange_other(&self, before: Before, other: &Instance) {
        if before == Before::Equal {
            self.aws.stream_to(other, EVENTS, &self.stream(&self.named("events")).unwrap()).await;
            self.aws.stream_to(other, RECORDS, &self.delivery(&self.named("records")).unwrap()).await;
            self.aws.approve(other, URL).await;
        } else {
            self.arrange(before, other).await;
        }
    }
}

#[tokio::test]
async fn another_instance_without_streaming_takes_the_place_of_the_first() {
    replacement(Before::Nothing).await;
}

#[tokio::test]
async fn another_instance_that_streamed_elsewhere_takes_the_place_of_the_first() {
    replacement(Before::Foreign).await;
}

#[tokio::test]
async fn another_instance_that_was_set_up_already_takes_the_place_of_the_first() {
    replacement(Before::Equal).await;
}

/// As many origins as an instance may have: the last thing of the stack that touches Connect then fails.
async fn exhaust_origins(aws: &LocalAws, instance: &Instance) {
    let state = aws.control("GET", "state", &Value::Null).await;
    let quota = state["options"]["origin_quota"].as_u64().unwrap();
    let used = aws.instance_state(instance).await.origins.len() as u64;
    for number in used..quota {
        aws.approve(instance, &format!("https://filler-{number}.example.com")).await;
    }
}

async fn failed_create(before: Before) {
    let mut stack = Stack::new(before).await;
    exhaust_origins(stack.aws, &stack.instance).await;
    stack.parameters.retain(|(name, _)| *name != "EmiteUrl");
    stack.parameters.push(("EmiteUrl", "https://one-too-many.example.com".to_owned()));
    stack.before = stack.state().await;
    let (good, deployment) = stack.create().await;
    assert!(!good, "{deployment:#?}");
    assert_eq!(deployment.status, "ROLLBACK_COMPLETE", "{:#?}", deployment.reasons);
    assert!(
        deployment.reasons.iter().any(|reason| reason.contains("connect:AssociateApprovedOrigin")),
        "{:#?}",
        deployment.reasons
    );
    assert_eq!(stack.state().await, stack.before);
    stack.deleted().await;
}

#[tokio::test]
async fn a_create_that_fails_late_leaves_an_instance_without_streaming_as_it_was() {
    failed_create(Before::Nothing).await;
}

#[tokio::test]
async fn a_create_that_fails_late_leaves_foreign_streaming_as_it_was() {
    failed_create(Before::Foreign).await;
}

#[tokio::test]
async fn a_create_that_fails_late_leaves_equal_streaming_as_it_was() {
    failed_create(Before::Equal).await;
}

async fn rolled_back_update(before: Before) {
    let stack = Stack::new(before).await;
    stack.created().await;
    let state = stack.state().await;
    // Refused by Preflight: nothing is touched.
    let (good, refused) =
        stack.aws.deploy(&stack.name, &[("TimeZone", "Mars/Olympus"), ("AgentEventStreamName", "never-made")]).await;
    assert!(!good);
    assert!(
        refused.status == "UPDATE_ROLLBACK_COMPLETE"
            && refused.reasons.iter().any(|reason| reason.contains("TimeZone")),
        "{refused:#?}"
    );
    assert_eq!(stack.state().await, state);
    // Fails after the streams were renamed: all of it goes back.
    let foreign_origins = stack.state().await.origins;
    exhaust_origins(stack.aws, &stack.instance).await;
    let full = stack.state().await;
    let (events, records) = (stack.named("events-2"), stack.named("records-2"));
    let (good, failed) = stack
        .aws
        .deploy(
            &stack.name,
            &[
                ("AgentEventStreamName", &events),
                ("DeliveryStreamName", &records),
                ("OnExistingStreaming", "Replace"),
                ("EmiteUrl", "https://one-too-many.example.com"),
            ],
        )
        .await;
    assert!(!good);
    assert_eq!(failed.status, "UPDATE_ROLLBACK_COMPLETE", "{failed:#?}");
    assert!(
        failed.reasons.iter().any(|reason| reason.contains("connect:AssociateApprovedOrigin")),
        "{:#?}",
        failed.reasons
    );
    assert_eq!(stack.state().await, full);
    for origin in full.origins.iter().filter(|origin| !foreign_origins.contains(origin)) {
        let path = format!("/instance/{}/approved-origin?origin={origin}", stack.instance.id);
        stack.aws.connect_call("DELETE", &path, &Value::Null).await;
    }
    stack.deleted().await;
}

#[tokio::test]
async fn an_update_that_fails_goes_back_on_an_instance_without_streaming() {
    rolled_back_update(Before::Nothing).await;
}

#[tokio::test]
async fn an_update_that_fails_goes_back_over_foreign_streaming() {
    rolled_back_update(Before::Foreign).await;
}

#[tokio::test]
async fn an_update_that_fails_goes_back_over_equal_streaming() {
    rolled_back_update(Before::Equal).await;
}

#[tokio::test]
async fn a_create_over_foreign_streaming_with_fail_is_refused_in_its_first_step_and_names_both_streams() {
    let mut stack = Stack::new(Before::Foreign).await;
    stack.parameters.retain(|(name, _)| *name != "OnExistingStreaming");
    stack.parameters.push(("OnExistingStreaming", "Fail".to_owned()));
    let (good, deployment) = stack.create().await;
    assert!(!good);
    let targets = Targets::get().await;
    let told = deployment.reasons.join("\n");
    for word in ["OnExistingStreaming", "Replace", &targets.foreign_stream, &targets.foreign_firehose] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
    assert_eq!(stack.state().await, stack.before);
    for kind in ["AWS::Kinesis::Stream", "AWS::KinesisFirehose::DeliveryStream", "AWS::OpenSearchService::Domain"] {
        let made = deployment
            .resources
            .values()
            .filter(|resource| resource.kind == kind && resource.status != "DELETE_COMPLETE")
            .count();
        assert_eq!(made, 0, "{kind} in {:#?}", deployment.resources);
    }
    stack.deleted().await;
}
