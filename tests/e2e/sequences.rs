//! Owns random sequences of deployments and people on two stacks that share Connect instances, through the real binary, and the
//! comparison of the AWS in memory, on which thousands more are played, with the local AWS.

use std::collections::BTreeMap;

use emite_connect_tests::faults::ShownStack;
use emite_connect_tests::http::{Reply, Request};
use emite_connect_tests::instance::{Instance, storage_config};
use emite_connect_tests::local_aws::local_aws;
use emite_connect_tests::memory::{MemoryAws, MemoryInstance};
use emite_connect_tests::sequences::stacks::{origin_url, play};
use emite_connect_tests::sequences::{Cloud, Repair, Response, Sequence, State, Step, Stream, THEIRS, TWO};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::world::{AMPLE, Event, World, delete_firehose, delete_stream, make_firehose, make_stream};

const SEQUENCES: u64 = 50;

#[tokio::test]
async fn sampled_sequences_leave_all_as_it_was() {
    let played = futures::stream::iter(0..SEQUENCES).map(async |seed| {
        let sequence = Sequence::new(seed, false);
        let mut cloud = LocalCloud::new(sequence.clone()).await;
        play(&sequence, &mut cloud).await;
        for world in cloud.worlds.into_values() {
            world.into_inner().end().await;
        }
    });
    let played: Vec<()> = played.buffer_unordered(8).collect().await;
    assert_eq!(played.len() as u64, SEQUENCES);
}

struct LocalCloud {
    sequence: Sequence,
    instances: [Instance; TWO],
    /// Each stack's, and those before in its place. A process of the function works at one event at a time.
    worlds: BTreeMap<(usize, u32), Mutex<World>>,
    current: [u32; TWO],
}

impl LocalCloud {
    async fn new(sequence: Sequence) -> Self {
        let aws = local_aws();
        let instances = [aws.new_instance().await, aws.new_instance().await];
        let cloud = Self { sequence, instances, worlds: BTreeMap::new(), current: [0; TWO] };
        for number in 0..THEIRS {
            cloud.set_stream(Stream::Theirs(number), true).await;
        }
        for (number, instance) in cloud.instances.iter().enumerate() {
            if let Some(stream) = cloud.sequence.before.live[number] {
                aws.stream_to(instance, cloud.sequence.resource_type(), &cloud.stream_arn(stream)).await;
            }
            for origin in &cloud.sequence.before.origins[number] {
                aws.approve(instance, &origin_url(*origin)).await;
            }
        }
        cloud
    }
}

impl Cloud for LocalCloud {
    fn instance_arn(&self, instance: usize) -> String {
        self.instances[instance].arn.clone()
    }

    fn stream_arn(&self, stream: Stream) -> String {
        let aws = local_aws();
        stream.arn(&self.sequence, |service, resource| aws.arn(service, resource), &self.prefix())
    }

    fn drain_seconds(&self) -> &'static str {
        "0"
    }

    async fn new_stack(&mut self, stack: usize, generation: u32) {
        self.worlds.insert((stack, generation), Mutex::new(World::on(self.instances[0].clone(), &[]).await));
        self.current[stack] = generation;
    }

    fn show(&self, stack: usize, shown: ShownStack) {
        let world =
            self.worlds[&(stack, self.current[stack])].try_lock().expect("nothing runs while the stack changes");
        world.shows(shown);
    }

    async fn respond(&self, stack: usize, event: Value) -> Response {
        let world = self.worlds[&(stack, self.current[stack])].lock().await;
        let mut whole = Event::new("", "", &json!({}));
        let fields = event.as_object().unwrap().clone();
        whole.0.as_object_mut().unwrap().extend(fields);
        let answer = world.try_send(&whole, AMPLE).await.unwrap();
        Response { success: answer.success, reason: answer.reason, physical_id: answer.physical_id }
    }

    async fn set_stream(&self, stream: Stream, exists: bool) {
        let name = format!("{}{stream}", self.prefix());
        match (self.stream_arn(stream).contains(":firehose:"), exists) {
            (true, true) => drop(make_firehose(&name).await),
            (true, false) => delete_firehose(&name).await,
            (false, true) => drop(make_stream(&name).await),
            (false, false) => delete_stream(&name).await,
        }
    }

    async fn person(&self, step: &Step) {
        let aws = local_aws();
        match step {
            Step::DeleteStream(stream) => self.set_stream(*stream, false).await,
            Step::Stream { instance, to } => {
                let resource_type = self.sequence.resource_type();
                aws.stop_streaming(&self.instances[*instance], resource_type).await;
                if let Some(stream) = to {
                    aws.stream_to(&self.instances[*instance], resource_type, &self.stream_arn(*stream)).await;
                }
            }
            Step::Origin { instance, origin, listed } => {
                let (instance, origin) = (&self.instances[*instance], origin_url(*origin));
                let stands = aws.origins(instance).await.contains(&origin);
                match (stands, listed) {
                    (false, true) => aws.approve(instance, &origin).await,
                    (true, false) => aws.disapprove(instance, &origin).await,
                    _ => {}
                }
            }
            other => panic!("{other:?} is nothing that a person does here"),
        }
    }

    async fn repair(&self, repair: Repair) {
        panic!("{repair:?}: the sequences played here have no repairs");
    }

    async fn meanwhile(&self) {
        panic!("the sequences played here have no cancellations");
    }

    async fn settled(&self) {}

    async fn state(&self) -> State {
        let mut state = State::default();
        for (number, instance) in self.instances.iter().enumerate() {
            let seen = local_aws().instance_state(instance).await;
            let target = seen.target(self.sequence.resource_type());
            state.live[number] = target.map(|arn| {
                let name = arn.rsplit('/').next().and_then(|name| name.strip_prefix(&self.prefix()));
                name.and_then(Stream::named).unwrap_or_else(|| panic!("{arn} is of no sequence"))
            });
            state.origins[number] = (0..2).filter(|origin| seen.origins.contains(&origin_url(*origin))).collect();
        }
        state
    }
}

impl LocalCloud {
    fn prefix(&self) -> String {
        format!("sequence-{}-", self.sequence.seed)
    }
}

/// What a caller depends on: whether it worked, the error's code, and what was asked for, without the names of associations.
fn essence(reply: &Reply) -> (u16, Option<String>, Value) {
    let code = reply.headers.iter().find(|(name, _)| name == "x-amzn-errortype").map(|(_, code)| code.clone());
    let mut body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if reply.status >= 300 {
        let code = code.or_else(|| body["__type"].as_str().map(|kind| kind.rsplit('#').next().unwrap().to_owned()));
        return (reply.status, code, Value::Null);
    }
    for config in body["StorageConfigs"].as_array_mut().into_iter().flatten() {
        config["AssociationId"] = json!("some");
    }
    if !body["AssociationId"].is_null() {
        body["AssociationId"] = json!("some");
    }
    (reply.status, None, body)
}

#[tokio::test]
async fn the_aws_in_memory_answers_as_the_local_one() {
    let aws = local_aws();
    let (instance, table) = (aws.new_instance().await, aws.new_ledger().await);
    let streams =
        [make_stream("memory-1").await, make_stream("memory-2").await, aws.arn("kinesis", "stream/memory-none")];
    let mut memory = MemoryAws::default();
    memory.streams.extend(streams[..2].iter().cloned());
    memory.instances.insert(instance.id.clone(), MemoryInstance::default());
    let mut rng = fastrand::Rng::with_seed(7);
    let mut outcomes = BTreeMap::new();
    for _ in 0..400 {
        let id = if rng.u8(..12) == 0 { "0f0f0f0f-0000-4000-8000-000000000000" } else { &instance.id };
        let config = json!(storage_config(&streams[rng.usize(..3)]));
        let origin = format!("https://memory-{}.example.com", rng.u8(..2));
        let base = format!("/instance/{id}");
        // Each AWS has its own name for the association.
        let ids = [
            aws.storage_configs(&instance, "AGENT_EVENTS").await.first().map(|config| config["AssociationId"].clone()),
            memory.instances[&instance.id].streaming.get("AGENT_EVENTS").map(|(id, _)| json!(id)),
        ]
        .map(|id| id.and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_else(|| "none".to_owned()));
        let each = |request: &dyn Fn(&str) -> Request| [request(&ids[0]), request(&ids[1])];
        let with_query = |id: &str| format!("{base}/storage-config/{id}?resourceType=AGENT_EVENTS");
        let json_body = |method: &str, target: &str, body: &Value| {
            Request::new(method, target, body.to_string()).with("content-type", "application/json")
        };
        let version = rng.u8(1..4);
        let item = json!({ "pk": { "S": "p" }, "sk": { "S": "s" }, "version": { "N": version.to_string() } });
        let dynamodb = |operation: &str, body: &Value| {
            json_body("POST", "/", body)
                .with("content-type", "application/x-amz-json-1.0")
                .with("x-amz-target", &format!("DynamoDB_20120810.{operation}"))
        };
        let (name, requests) = match rng.u8(..10) {
            0 => ("instance", each(&|_| Request::new("GET", &base, ""))),
            1 => (
                "list",
                each(&|_| Request::new("GET", &format!("{base}/storage-configs?resourceType=AGENT_EVENTS"), "")),
            ),
            2 => (
                "associate",
                each(&|_| {
                    let body = json!({ "ResourceType": "AGENT_EVENTS", "StorageConfig": config });
                    json_body("PUT", &format!("{base}/storage-config"), &body)
                }),
            ),
            3 => ("update", each(&|id| json_body("POST", &with_query(id), &json!({ "StorageConfig": config })))),
            4 => ("disassociate", each(&|id| Request::new("DELETE", &with_query(id), ""))),
            5 => ("origins", each(&|_| Request::new("GET", &format!("{base}/approved-origins"), ""))),
            6 => (
                "approve",
                each(&|_| json_body("PUT", &format!("{base}/approved-origin"), &json!({ "Origin": origin }))),
            ),
            7 => (
                "withdraw",
                each(&|_| {
                    let query = origin.replace(':', "%3A").replace('/', "%2F");
                    Request::new("DELETE", &format!("{base}/approved-origin?origin={query}"), "")
                }),
            ),
            8 => {
                let key = json!({ "pk": { "S": "p" }, "sk": { "S": "s" } });
                (
                    "get",
                    each(&|_| dynamodb("GetItem", &json!({ "TableName": table, "Key": key, "ConsistentRead": true }))),
                )
            }
            _ => {
                let replaced = (version > 1).then(|| json!({ ":replaced": { "N": (version - 1).to_string() } }));
                let mut put = json!({ "TableName": table, "Item": item });
                put["ConditionExpression"] =
                    json!(if replaced.is_some() { "version = :replaced" } else { "attribute_not_exists(pk)" });
                if let Some(values) = replaced {
                    put["ExpressionAttributeValues"] = values;
                }
                ("put", each(&|_| dynamodb("PutItem", &put)))
            }
        };
        let service = if ["get", "put"].contains(&name) { "dynamodb" } else { "connect" };
        let [real, mine] = requests;
        let described = format!("{name}: {} {} {:?}", mine.method, mine.target, mine.body);
        let (real, mine) = (essence(&aws.send(service, real).await), essence(&memory.reply(&mine)));
        if name == "instance" && real.0 == 200 {
            assert_eq!((real.0, real.2["Instance"]["InstanceStatus"].clone()), (mine.0, json!("ACTIVE")));
        } else {
            assert_eq!(mine, real, "{described}");
        }
        *outcomes.entry((name, mine.0)).or_insert(0) += 1;
    }
    // Each operation has worked and, where it can, failed.
    assert!(outcomes.len() >= 18, "{outcomes:?}");
}
