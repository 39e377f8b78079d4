//! Owns the proof that no order of events ends wrong or stuck: random sequences of deployments, cancellations, people and
//! repairs on two stacks that share Connect instances, with calls that are slow, throttled or lose their answer, functions
//! that die between any two calls, and events that are delivered twice, at once or much later.
//!
//! AWS is in memory, behind the SDK's own HTTP client, and time is paused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use emite_aws::claims;
use emite_aws::clients::Aws;
use emite_aws::connect;
use emite_aws::ledger::Ledger;
use emite_connect_tests::faults::ShownStack;
use emite_connect_tests::http;
use emite_connect_tests::memory::{MemoryAws, MemoryInstance};
use emite_connect_tests::sequences::stacks::{origin_url, play};
use emite_connect_tests::sequences::{Cloud, Repair, Response, Sequence, State, Step, Stream, THEIRS, TWO};
use emite_core::arn::{Home, InstanceId};
use emite_core::change::{Change, Consent};
use emite_core::links::approved_origin::Place;
use emite_core::links::data_streaming::{Source, Target};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::{dispatch, guarded, physical_id};
use crate::provider::Provider;
use crate::request::{Request, ResponseAddresses};

/// How many sequences are played, unless `SEQUENCES` says how many, or `SEQUENCE` which one.
const SEQUENCES: u64 = 2000;

#[test]
fn no_order_of_events_ends_wrong_or_stuck() {
    let (first, end) = match number("SEQUENCE") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("SEQUENCES").unwrap_or(SEQUENCES)),
    };
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            // Futures of unoptimized code are large.
            let thread = std::thread::Builder::new().stack_size(64 << 20);
            let spawned = thread.spawn_scoped(scope, || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    if std::panic::catch_unwind(|| play_one(seed)).is_err() {
                        lock(&failed).push(seed);
                    }
                }
            });
            spawned.unwrap();
        }
    });
    let failed = lock(&failed);
    assert!(
        failed.is_empty(),
        "{} of {SEQUENCES} sequences went wrong: SEQUENCE=… with one of {failed:?}",
        failed.len()
    );
}

#[allow(clippy::disallowed_methods, reason = "who runs the test says how much of it to run")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn play_one(seed: u64) {
    // The pauses of the SDK's retries are random, too.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let sequence = Sequence::new(seed, true);
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.unwrap(), async {
        let mut cloud = MemoryCloud::new(sequence.clone());
        let hour = Duration::from_secs(3600);
        let played = tokio::time::timeout(hour * 24 * 7, play(&sequence, &mut cloud)).await;
        assert!(played.is_ok(), "stuck: {sequence:?}");
    });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    static INVOCATION: Arc<Invocation>;
}

/// One run of the function.
#[derive(Debug)]
struct Invocation {
    /// At which call it dies, if at all.
    dies_at: Option<u32>,
    calls: AtomicU32,
    died: Notify,
}

/// What all functions share.
#[derive(Debug)]
struct Shared {
    aws: Mutex<MemoryAws>,
    rng: Mutex<Rng>,
    running: AtomicUsize,
    ended: Notify,
    requests: AtomicUsize,
    /// Events that are going to be delivered once more.
    late: Mutex<Vec<(Arc<Provider>, Arc<Request>)>>,
}

impl Shared {
    fn random<T>(&self, draw: impl Fn(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.rng))
    }

    fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random(|rng| rng.u64(range.clone())))
    }

    fn one_in(&self, number: u32) -> bool {
        self.random(|rng| rng.u32(..number)) == 0
    }
}

/// The way from the SDK to AWS.
#[derive(Clone, Debug)]
struct Network(Arc<Shared>);

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = self.0.clone();
        HttpConnectorFuture::new(async move { carry(&shared, &request).await })
    }
}

/// Carries a request out as AWS might: slowly, not at all, or in vain.
async fn carry(shared: &Shared, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let dies = INVOCATION.try_with(|invocation| {
        let call = invocation.calls.fetch_add(1, Ordering::Relaxed);
        (invocation.dies_at == Some(call)).then(|| invocation.clone())
    });
    let dies = dies.ok().flatten();
    let slow = shared.one_in(30);
    tokio::time::sleep(shared.millis(if slow { 1000..4000 } else { 1..150 })).await;
    let reached = dies.is_none() || shared.one_in(2);
    let throttled = shared.one_in(60);
    let reply = match (reached, throttled) {
        (true, false) => Some(lock(&shared.aws).reply(&plain(request))),
        (true, true) => Some(refusal(request)),
        (false, _) => None,
    };
    if let Some(invocation) = dies {
        invocation.died.notify_one();
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(shared.millis(1..50)).await;
    match reply {
        Some(reply) if !shared.one_in(60) => Ok(response(reply)),
        _ => Err(ConnectorError::io("the answer got lost".into())),
    }
}

fn plain(request: &HttpRequest) -> http::Request {
    let uri = request.uri();
    let target = uri.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or("/");
    let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let body = request.body().bytes().unwrap_or_default().to_vec();
    http::Request { method: request.method().to_owned(), target: target.to_owned(), headers, body: body.into() }
}

fn refusal(request: &HttpRequest) -> http::Reply {
    const CODE: &str = "ThrottlingException";
    let form = request.headers().get("content-type") == Some("application/x-www-form-urlencoded");
    let body = match form {
        true => {
            "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>\
             <RequestId>memory</RequestId></ErrorResponse>"
                .to_owned()
        }
        false => json!({ "__type": CODE, "message": "Rate exceeded" }).to_string(),
    };
    let reply = http::Reply::new(400, body);
    if form { reply.with("content-type", "text/xml") } else { reply.with("x-amzn-errortype", CODE) }
}

fn response(reply: http::Reply) -> HttpResponse {
    let mut response = HttpResponse::new(reply.status.try_into().unwrap(), SdkBody::from(reply.body));
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The cloud of one sequence.
struct MemoryCloud {
    sequence: Sequence,
    shared: Arc<Shared>,
    /// The function of each stack, and of those before in its place.
    functions: BTreeMap<(usize, u32), Arc<Provider>>,
    current: [u32; TWO],
    begun: tokio::time::Instant,
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:eu-west-2:111122223333:{resource}")
}

impl MemoryCloud {
    fn new(sequence: Sequence) -> Self {
        let shared = Shared {
            aws: Mutex::default(),
            rng: Mutex::new(Rng::with_seed(sequence.seed)),
            running: AtomicUsize::new(0),
            ended: Notify::new(),
            requests: AtomicUsize::new(0),
            late: Mutex::default(),
        };
        let begun = tokio::time::Instant::now();
        let cloud = Self { sequence, shared: Arc::new(shared), functions: BTreeMap::new(), current: [0; TWO], begun };
        let mut aws = lock(&cloud.shared.aws);
        aws.refuse_storage_type_change = cloud.shared.one_in(2);
        aws.streams = (0..THEIRS).map(|number| cloud.stream_arn(Stream::Theirs(number))).collect();
        for instance in 0..TWO {
            let origins = cloud.sequence.before.origins[instance].iter().map(|origin| origin_url(*origin)).collect();
            let mut made = MemoryInstance { origins, ..MemoryInstance::default() };
            if let Some(stream) = cloud.sequence.before.live[instance] {
                cloud.set_streaming(&mut made, stream);
            }
            aws.instances.insert(format!("instance-{instance}"), made);
        }
        drop(aws);
        cloud
    }

    fn set_streaming(&self, instance: &mut MemoryInstance, stream: Stream) {
        let id = format!("theirs-{}", self.shared.random(|rng| rng.u32(..)));
        let config = emite_connect_tests::instance::storage_config(&self.stream_arn(stream));
        instance.streaming.insert(self.sequence.resource_type().to_owned(), (id, config));
    }

    fn stack_arn(&self, stack: usize, generation: u32) -> String {
        arn("cloudformation", &format!("stack/stack-{stack}/{generation}"))
    }
}

impl Cloud for MemoryCloud {
    fn instance_arn(&self, instance: usize) -> String {
        arn("connect", &format!("instance/instance-{instance}"))
    }

    fn stream_arn(&self, stream: Stream) -> String {
        stream.arn(&self.sequence, arn, "")
    }

    fn drain_seconds(&self) -> &'static str {
        "20"
    }

    async fn new_stack(&mut self, stack: usize, generation: u32) {
        let variables =
            [("AWS_REGION", "eu-west-2"), ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let found =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let aws = Aws::from_environment(found).with_http_client(Network(self.shared.clone()));
        let stack_id = self.stack_arn(stack, generation).parse().unwrap();
        let provider = Provider {
            ledger: Ledger::new(aws.dynamodb().clone(), format!("ledger-{stack}-{generation}")),
            aws,
            home: Home::of(&stack_id),
            stack_id,
            permission_grace: Duration::from_secs(60),
        };
        self.functions.insert((stack, generation), Arc::new(provider));
        self.current[stack] = generation;
    }

    fn show(&self, stack: usize, shown: ShownStack) {
        lock(&self.shared.aws).stacks.insert(self.stack_arn(stack, self.current[stack]), shown);
    }

    async fn respond(&self, stack: usize, mut event: Value) -> Response {
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        event["StackId"] = json!(self.stack_arn(stack, self.current[stack]));
        event["RequestId"] = json!(format!("request-{number}"));
        let issued = (jiff::Timestamp::UNIX_EPOCH + self.begun.elapsed()).strftime("%Y%m%dT%H%M%SZ");
        event["ResponseURL"] = json!(format!(
            "https://cloudformation-custom-resource-response-euwest2.s3.amazonaws.com/x?X-Amz-Date={issued}"
        ));
        let addresses =
            ResponseAddresses::from_environment(|name| (name == "AWS_REGION").then(|| "eu-west-2".to_owned()));
        let request = Arc::new(Request::read(&event, &addresses).unwrap());
        let provider = self.functions[&(stack, self.current[stack])].clone();
        let (answer, answered) = oneshot::channel();
        let answer = Arc::new(Mutex::new(Some(answer)));
        let twin = self.shared.one_in(8);
        for _ in 0..if twin { 2 } else { 1 } {
            spawn(&self.shared, deliver(self.shared.clone(), provider.clone(), request.clone(), answer.clone()));
        }
        if self.shared.one_in(6) {
            lock(&self.shared.late).push((provider, request));
        }
        if self.shared.one_in(3) {
            deliver_late(&self.shared);
        }
        answered.await.unwrap()
    }

    async fn set_stream(&self, stream: Stream, exists: bool) {
        let arn = self.stream_arn(stream);
        let streams = &mut lock(&self.shared.aws).streams;
        if exists {
            streams.insert(arn)
        } else {
            streams.remove(&arn)
        };
    }

    async fn person(&self, step: &Step) {
        if let Step::DeleteStream(stream) = step {
            return self.set_stream(*stream, false).await;
        }
        let mut aws = lock(&self.shared.aws);
        let mut instance = |number: &usize| aws.instances.remove(&format!("instance-{number}")).unwrap();
        let (number, left) = match step {
            Step::Stream { instance: number, to } => {
                let mut left = instance(number);
                match to {
                    Some(stream) => self.set_streaming(&mut left, *stream),
                    None => left.streaming.clear(),
                }
                (number, left)
            }
            Step::Origin { instance: number, origin, listed } => {
                let mut left = instance(number);
                left.origins.retain(|standing| *standing != origin_url(*origin));
                left.origins.extend(listed.then(|| origin_url(*origin)));
                (number, left)
            }
            Step::DeleteInstance(number) => {
                instance(number);
                return;
            }
            other => panic!("{other:?} is nothing that a person does"),
        };
        aws.instances.insert(format!("instance-{number}"), left);
    }

    async fn repair(&self, Repair { stack, config }: Repair) {
        let provider = self.functions[&stack].clone();
        let instance = InstanceId::of(&self.instance_arn(config.instance).parse().unwrap()).unwrap();
        let resource_type = self.sequence.resource_type().parse().unwrap();
        let source = Source { instance: instance.clone(), resource_type };
        let to = Target::of(self.stream_arn(config.target).parse().unwrap(), resource_type).unwrap();
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let id = format!("repair:{number}");
        tokio::time::sleep(self.shared.millis(0..4000)).await;
        let Ok(from) = connect::association(provider.aws.connect(), &source).await else { return };
        let changes = [
            from.as_ref().is_none_or(|from| from.target != to).then(|| Change::StreamTo {
                source: source.clone(),
                from: from.clone(),
                to,
                consent: Consent::ReplacesForeign,
            }),
            config.origin.map(|origin| Change::AllowOrigin {
                place: Place { instance, origin: origin_url(origin).parse().unwrap() },
            }),
        ];
        for change in changes.into_iter().flatten() {
            // One that is in the way of a deployment fails.
            let _ = claims::repair(&provider.aws, &provider.ledger, &change, &id).await;
        }
    }

    async fn meanwhile(&self) {
        // It takes CloudFormation more than a second to change its mind.
        tokio::time::sleep(self.shared.millis(1100..4000)).await;
    }

    async fn settled(&self) {
        if self.shared.one_in(4) {
            while !lock(&self.shared.late).is_empty() {
                deliver_late(&self.shared);
            }
        }
        while self.shared.running.load(Ordering::Relaxed) > 0 {
            self.shared.ended.notified().await;
        }
    }

    async fn state(&self) -> State {
        let aws = lock(&self.shared.aws);
        let mut state = State::default();
        for number in 0..TWO {
            let id = format!("instance-{number}");
            let target = aws.target(&id, self.sequence.resource_type());
            state.live[number] = target.map(|arn| Stream::named(arn.rsplit('/').next().unwrap()).unwrap());
            let Some(instance) = aws.instances.get(&id) else { continue };
            state.origins[number] = (0..2).filter(|origin| instance.origins.contains(&origin_url(*origin))).collect();
        }
        state
    }
}

fn spawn(shared: &Arc<Shared>, work: impl Future<Output = ()> + 'static) {
    shared.running.fetch_add(1, Ordering::Relaxed);
    let shared = shared.clone();
    tokio::task::spawn_local(async move {
        work.await;
        shared.running.fetch_sub(1, Ordering::Relaxed);
        shared.ended.notify_one();
    });
}

/// Delivers one of the events that come once more.
fn deliver_late(shared: &Arc<Shared>) {
    let mut late = lock(&shared.late);
    if late.is_empty() {
        return;
    }
    let at = shared.random(|rng| rng.usize(..late.len()));
    let (provider, request) = late.swap_remove(at);
    drop(late);
    let nobody = Arc::new(Mutex::new(None));
    spawn(shared, deliver(shared.clone(), provider, request, nobody));
}

/// Delivers an event as Lambda does: after a while, and again if the function died.
async fn deliver(
    shared: Arc<Shared>,
    provider: Arc<Provider>,
    request: Arc<Request>,
    answer: Arc<Mutex<Option<oneshot::Sender<Response>>>>,
) {
    tokio::time::sleep(shared.millis(0..2000)).await;
    for attempt in 0_u32.. {
        let dies_at = (attempt < 2 && shared.one_in(10)).then(|| shared.random(|rng| rng.u32(..16)));
        let invocation = Arc::new(Invocation { dies_at, calls: AtomicU32::new(0), died: Notify::new() });
        let limit = Duration::from_secs(890);
        let work = INVOCATION.scope(invocation.clone(), guarded(limit, Box::pin(dispatch(&provider, &request))));
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = invocation.died.notified() => {
                tokio::time::sleep(Duration::from_secs(60) * (attempt + 1)).await;
                continue;
            }
        };
        let (success, reason) = match outcome {
            Ok(done) => (true, done.note),
            Err(reason) => (false, reason),
        };
        if let Some(answer) = lock(&answer).take() {
            // CloudFormation may have stopped waiting.
            let _ = answer.send(Response { success, reason, physical_id: physical_id(&request) });
        }
        return;
    }
}
