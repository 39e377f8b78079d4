//! Owns the network between a function and AWS: a proxy that recognises each call as its IAM action, writes it down, and
//! breaks the calls that a test names in the way that the test names. One port stands for all services.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use crate::calls::{self, Asked, Protocol};
use crate::http::{self, Behaviour, HttpServer, Reply, Request};

/// The ways in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The service's own throttling error.
    Throttle,
    /// The service's own internal error (500).
    Internal,
    /// The connection is reset before the service gets the request.
    Reset,
    /// The call is accepted and never answered.
    Silence,
    /// IAM says no.
    Denied,
    /// The service does it, and the answer gets lost.
    Lost,
    /// The service does it and never answers; see [`Proxy::stuck`].
    Stuck,
    /// The call waits until the test lets it go on; see [`Proxy::stuck`] and [`Proxy::release`].
    Held,
    /// A read shows what stood there before the last write through this proxy.
    Stale,
    /// If the service refuses the call, then with this error code instead of its own.
    Renamed(&'static str),
    /// The service does not do it, with this error code.
    Refused(&'static str),
    /// The call succeeds with this body, which is not of the service's protocol.
    Garbled(&'static str),
    /// Another client gets in first: see [`Proxy::race`].
    Raced,
}

impl Fault {
    /// Those that can happen to any call.
    pub const ALL: [Self; 6] = [Self::Throttle, Self::Internal, Self::Reset, Self::Silence, Self::Denied, Self::Lost];
}

/// Which calls break, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The IAM action, or `*` for any.
    pub action: String,
    /// The first call of that action that breaks, from 1, counted from when the plan was made.
    pub nth: usize,
    /// How many calls break, from that one on.
    pub times: usize,
    /// How.
    pub fault: Fault,
}

/// One call, as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// The IAM action.
    pub action: String,
    /// Method and request target.
    pub line: String,
    /// When it arrived.
    pub at: Instant,
    /// What the plan did to it.
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct Plans {
    plans: Vec<Plan>,
    seen: HashMap<String, usize>,
}

#[derive(Debug)]
struct State {
    aws: String,
    connect: String,
    plans: Mutex<Plans>,
    calls: Mutex<Vec<Call>>,
    strangers: Mutex<Vec<String>>,
    events: Mutex<Vec<String>>,
    rival: Mutex<Option<Request>>,
    stuck: Notify,
    released: watch::Sender<bool>,
    seen: Mutex<Seen>,
    stack: Mutex<Option<ShownStack>>,
}

/// What CloudFormation shows of a stack that exists in a test only.
#[derive(Clone, Debug)]
pub struct ShownStack {
    /// Such as `UPDATE_IN_PROGRESS`.
    pub status: String,
    /// Its parameters.
    pub parameters: Vec<(String, String)>,
    /// Its resources: name in the template, type, status and physical id.
    pub resources: Vec<[String; 4]>,
}

/// What Connect's reads showed, by request target.
#[derive(Debug, Default)]
struct Seen {
    now: HashMap<String, Reply>,
    before_the_last_write: HashMap<String, Reply>,
}

/// The proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    server: HttpServer,
    state: Arc<State>,
}

impl Proxy {
    /// Starts one that forwards Connect's calls to `connect` and all others to `aws`.
    pub async fn start(aws: &str, connect: &str) -> Self {
        let state = Arc::new(State {
            aws: aws.to_owned(),
            connect: connect.to_owned(),
            plans: Mutex::default(),
            calls: Mutex::default(),
            strangers: Mutex::default(),
            events: Mutex::default(),
            rival: Mutex::default(),
            stuck: Notify::new(),
            released: watch::Sender::new(false),
            seen: Mutex::default(),
            stack: Mutex::default(),
        });
        let theirs = state.clone();
        let server = HttpServer::start(move |request| {
            let state = theirs.clone();
            async move { pass(&state, request).await }
        })
        .await;
        Self { server, state }
    }

    /// The endpoint to give to the function, for every service.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on, exactly these plans hold; counting starts anew.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        *self.state.plans.lock().unwrap() = Plans { plans: plans.into_iter().collect(), seen: HashMap::new() };
    }

    /// What CloudFormation shows from now on, to calls for whatever stack; without, they go to the local AWS.
    pub fn show(&self, stack: ShownStack) {
        *self.state.stack.lock().unwrap() = Some(stack);
    }

    /// What another client asks of Connect just before a call that is [`Fault::Raced`].
    pub fn race(&self, rival: Request) {
        *self.state.rival.lock().unwrap() = Some(rival);
    }

    /// Returns once a call is [`Fault::Stuck`] and done, or [`Fault::Held`] and not done.
    pub async fn stuck(&self) {
        self.state.stuck.notified().await;
    }

    /// Lets every call that is [`Fault::Held`] go on, now and later.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Nothing breaks any more.
    pub fn heal(&self) {
        self.plan([]);
    }

    /// All calls so far, in the order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// The actions called so far.
    #[must_use]
    pub fn actions(&self) -> BTreeSet<String> {
        self.calls().into_iter().map(|call| call.action).collect()
    }

    /// Calls that no plan can name, because they were not recognised. A test that goes on with any proves too little.
    #[must_use]
    pub fn strangers(&self) -> Vec<String> {
        self.state.strangers.lock().unwrap().clone()
    }

    /// What was put onto the event bus so far, or would have been but for a fault: the bodies of the calls.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.state.events.lock().unwrap().clone()
    }
}

async fn pass(state: &State, request: Request) -> Behaviour {
    let asked = match calls::identify(&request) {
        Ok(asked) => asked,
        Err(stranger) => {
            state.strangers.lock().unwrap().push(stranger.clone());
            return Behaviour::Reply(Reply::new(501, stranger));
        }
    };
    let fault = state.plans.lock().unwrap().next_fault(&asked.action);
    let line = format!("{} {}", request.method, request.target);
    state.calls.lock().unwrap().push(Call { action: asked.action.clone(), line, at: Instant::now(), fault });
    if asked.action == "events:PutEvents" {
        state.events.lock().unwrap().push(String::from_utf8_lossy(&request.body).into_owned());
    }
    let upstream = if asked.action.starts_with("connect:") { &state.connect } else { &state.aws };
    match fault {
        None => Behaviour::Reply(forward_and_note(state, upstream, request).await),
        Some(Fault::Reset) => Behaviour::Reset,
        Some(Fault::Silence) => Behaviour::Silence,
        Some(Fault::Lost) => {
            forward_and_note(state, upstream, request).await;
            Behaviour::Reset
        }
        Some(Fault::Stuck) => {
            forward_and_note(state, upstream, request).await;
            state.stuck.notify_one();
            Behaviour::Silence
        }
        Some(Fault::Held) => {
            state.stuck.notify_one();
            let _ = state.released.subscribe().wait_for(|released| *released).await;
            Behaviour::Reply(forward_and_note(state, upstream, request).await)
        }
        Some(Fault::Stale) => {
            let stale = state.seen.lock().unwrap().before_the_last_write.get(&request.target).cloned();
            Behaviour::Reply(stale.unwrap_or_else(|| Reply::new(501, "there was no read before the last write")))
        }
        Some(Fault::Garbled(body)) => Behaviour::Reply(Reply::new(200, body)),
        Some(Fault::Refused(code)) => Behaviour::Reply(renamed(Reply::new(400, ""), code)),
        Some(Fault::Renamed(code)) => Behaviour::Reply(renamed(forward_and_note(state, upstream, request).await, code)),
        Some(Fault::Raced) => {
            let rival = state.rival.lock().unwrap().clone().expect("a rival to race");
            forward(upstream, rival).await;
            Behaviour::Reply(forward_and_note(state, upstream, request).await)
        }
        Some(Fault::Throttle | Fault::Internal | Fault::Denied) => Behaviour::Reply(error_reply(&asked, fault)),
    }
}

impl ShownStack {
    /// The answer to a call of CloudFormation about the stack, none to any other call.
    pub(crate) fn reply(&self, request: &Request) -> Option<Reply> {
        let body = String::from_utf8_lossy(&request.body);
        let field = |name: &str| {
            body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        let content = match field("Action").as_str() {
            "DescribeStacks" => {
                let parameters: String = self.parameters.iter().map(|(name, value)| {
                    format!("<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>")
                }).collect();
                format!(
                    "<Stacks><member><StackName>e2e</StackName><CreationTime>2026-11-23T00:00:00Z</CreationTime>\
                     <StackStatus>{}</StackStatus><Parameters>{parameters}</Parameters></member></Stacks>",
                    self.status
                )
            }
            "DescribeStackResource" => {
                let named = field("LogicalResourceId");
                let found = self.resources.iter().find(|[logical_id, ..]| *logical_id == named);
                let Some([logical_id, kind, status, physical_id]) = found else {
                    let message = format!("Resource {named} does not exist for stack e2e");
                    let body = format!(
                        "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>{message}</Message></Error>\
                         <RequestId>e2e</RequestId></ErrorResponse>"
                    );
                    return Some(Reply::new(400, body).with("content-type", "text/xml"));
                };
                format!(
                    "<StackResourceDetail><LogicalResourceId>{logical_id}</LogicalResourceId><ResourceType>{kind}</ResourceType>\
                     <PhysicalResourceId>{physical_id}</PhysicalResourceId><ResourceStatus>{status}</ResourceStatus>\
                     <LastUpdatedTimestamp>2026-11-23T00:00:00Z</LastUpdatedTimestamp></StackResourceDetail>"
                )
            }
            _ => return None,
        };
        let action = field("Action");
        let body = format!(
            "<{action}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><{action}Result>{content}</{action}Result>\
             <ResponseMetadata><RequestId>e2e</RequestId></ResponseMetadata></{action}Response>"
        );
        Some(Reply::new(200, body).with("content-type", "text/xml"))
    }
}

impl Plans {
    fn next_fault(&mut self, action: &str) -> Option<Fault> {
        for name in [action, "*"] {
            *self.seen.entry(name.to_owned()).or_default() += 1;
        }
        let hit = |plan: &&Plan| {
            let of_this = plan.action == action || plan.action == "*";
            of_this && (plan.nth..plan.nth.saturating_add(plan.times)).contains(&self.seen[&plan.action])
        };
        self.plans.iter().find(hit).map(|plan| plan.fault)
    }
}

async fn forward(upstream: &str, request: Request) -> Reply {
    http::send(upstream, request).await.unwrap_or_else(|error| Reply::new(502, error))
}

async fn forward_and_note(state: &State, upstream: &str, request: Request) -> Reply {
    let stack = state.stack.lock().unwrap().clone();
    if let Some(reply) = stack.and_then(|stack| stack.reply(&request)) {
        return reply;
    }
    let (reads, target) = (request.method == "GET", request.target.clone());
    let reply = forward(upstream, request).await;
    let mut seen = state.seen.lock().unwrap();
    if reads {
        seen.now.insert(target, reply.clone());
    } else if upstream == state.connect && reply.status < 300 {
        seen.before_the_last_write = seen.now.clone();
    }
    reply
}

fn renamed(reply: Reply, code: &str) -> Reply {
    if reply.status < 300 {
        return reply;
    }
    let status = if code == "ResourceConflictException" { 409 } else { 400 };
    let body = serde_json::json!({ "Message": "it is there already", "__type": code }).to_string();
    Reply::new(status, body).with("content-type", "application/json").with("x-amzn-errortype", code)
}

fn error_reply(asked: &Asked, fault: Option<Fault>) -> Reply {
    let (status, code) = error_code(asked, fault);
    let message = match fault {
        Some(Fault::Denied) => {
            format!(
                "User: arn:aws:sts::000000000000:assumed-role/e2e/e2e is not authorized to perform: {}",
                asked.action
            )
        }
        _ => "injected by the test".to_owned(),
    };
    match asked.protocol {
        Protocol::AwsJson => Reply::new(status, format!(r#"{{"__type":"{code}","message":"{message}"}}"#))
            .with("content-type", "application/x-amz-json-1.1")
            .with("x-amzn-requestid", "e2e-injected"),
        Protocol::Cbor => Reply::new(status, cbor(&[("__type", code), ("message", &message)]))
            .with("content-type", "application/cbor")
            .with("smithy-protocol", "rpc-v2-cbor")
            .with("x-amzn-requestid", "e2e-injected"),
        Protocol::RestJson => Reply::new(status, format!(r#"{{"Message":"{message}"}}"#))
            .with("content-type", "application/json")
            .with("x-amzn-errortype", code)
            .with("x-amzn-requestid", "e2e-injected"),
        Protocol::Ec2Query => Reply::new(
            status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>e2e-injected</RequestID></Response>"
            ),
        )
        .with("content-type", "text/xml"),
        Protocol::Query => Reply::new(
            status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>e2e-injected</RequestId></ErrorResponse>"
            ),
        )
        .with("content-type", "text/xml"),
        Protocol::RestXml => Reply::new(
            status,
            format!(
                "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>e2e-injected</RequestId></Error>"
            ),
        )
        .with("content-type", "application/xml"),
    }
}

/// A CBOR map of texts (RFC 8949, major types 5 and 3), each shorter than 64 KiB.
fn cbor(texts: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0xa0 + u8::try_from(texts.len()).expect("a few entries")];
    for text in texts.iter().flat_map(|(name, value)| [name, value]) {
        bytes.push(0x79);
        bytes.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The errors as each service's model (or, for the ones common to all, its documentation) spells them.
fn error_code(asked: &Asked, fault: Option<Fault>) -> (u16, &'static str) {
    let service = asked.action.split(':').next().unwrap_or_default();
    match (service, fault) {
        ("dynamodb", Some(Fault::Throttle)) => (400, "com.amazonaws.dynamodb.v20120810#ThrottlingException"),
        ("dynamodb", Some(Fault::Internal)) => (500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
        ("dynamodb", _) => (400, "com.amazon.coral.service#AccessDeniedException"),
        ("kinesis" | "firehose" | "kms", Some(Fault::Throttle)) => (400, "ThrottlingException"),
        ("kinesis" | "firehose", Some(Fault::Internal)) => (500, "InternalFailure"),
        ("kms", Some(Fault::Internal)) => (500, "KMSInternalException"),
        ("kinesis" | "firehose" | "kms", _) => (400, "AccessDeniedException"),
        ("connect" | "es", Some(Fault::Throttle)) => (429, "ThrottlingException"),
        ("connect", Some(Fault::Internal)) => (500, "InternalServiceException"),
        ("es", Some(Fault::Internal)) => (500, "InternalException"),
        ("connect" | "es", _) => (403, "AccessDeniedException"),
        ("iam", Some(Fault::Throttle)) => (400, "Throttling"),
        ("iam", Some(Fault::Internal)) => (500, "ServiceFailure"),
        ("sns", Some(Fault::Internal)) => (500, "InternalError"),
        ("sns", Some(Fault::Denied)) => (403, "AuthorizationError"),
        ("s3", Some(Fault::Throttle)) => (503, "SlowDown"),
        ("ec2", Some(Fault::Throttle)) => (503, "RequestLimitExceeded"),
        ("ec2", Some(Fault::Denied)) => (403, "UnauthorizedOperation"),
        (_, Some(Fault::Throttle)) => (400, "Throttling"),
        (_, Some(Fault::Internal)) => (500, "InternalError"),
        _ => (403, "AccessDenied"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn upstream(name: &'static str) -> (HttpServer, Arc<AtomicUsize>) {
        let served = Arc::new(AtomicUsize::new(0));
        let counter = served.clone();
        let server = HttpServer::start(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            async move { Behaviour::Reply(Reply::new(200, name)) }
        })
        .await;
        (server, served)
    }

    fn call(service: &str, target: &str) -> Request {
        let authorization = format!("AWS4-HMAC-SHA256 Credential=AKIDX/20261123/us-east-1/{service}/aws4_request, x");
        let request = Request::new("GET", target, "").with("authorization", &authorization);
        if service == "dynamodb" { request.with("x-amz-target", "DynamoDB_20120810.GetItem") } else { request }
    }

    fn plan(action: &str, nth: usize, times: usize, fault: Fault) -> Plan {
        Plan { action: action.to_owned(), nth, times, fault }
    }

    #[tokio::test]
    async fn calls_go_to_their_service_and_are_written_down() {
        let ((aws, _), (connect, _)) = (upstream("aws").await, upstream("connect").await);
        let proxy = Proxy::start(&aws.url(), &connect.url()).await;
        let one = http::send(&proxy.url(), call("dynamodb", "/")).await.unwrap();
        let two = http::send(&proxy.url(), call("connect", "/instance/i")).await.unwrap();
        assert_eq!((&one.body[..], &two.body[..]), (&b"aws"[..], &b"connect"[..]));
        let actions: Vec<String> = proxy.calls().into_iter().map(|call| call.action).collect();
        assert_eq!(actions, ["dynamodb:GetItem", "connect:DescribeInstance"]);
        assert!(proxy.strangers().is_empty());
        assert_eq!(http::send(&proxy.url(), call("rds", "/")).await.unwrap().status, 501);
        assert_eq!(proxy.strangers().len(), 1);
    }

    #[tokio::test]
    async fn only_the_named_calls_break() {
        let (aws, served) = upstream("aws").await;
        let proxy = Proxy::start(&aws.url(), "http://127.0.0.1:9").await;
        proxy.plan([plan("dynamodb:GetItem", 2, 2, Fault::Throttle)]);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(http::send(&proxy.url(), call("dynamodb", "/")).await.unwrap().status);
        }
        assert_eq!(statuses, [200, 400, 400, 200]);
        assert_eq!(served.load(Ordering::SeqCst), 2);
        proxy.plan([plan("*", 2, 1, Fault::Denied)]);
        assert_eq!(http::send(&proxy.url(), call("connect", "/instance/i")).await.unwrap().status, 502);
        assert_eq!(http::send(&proxy.url(), call("dynamodb", "/")).await.unwrap().status, 400);
        proxy.plan([plan("dynamodb:GetItem", 1, usize::MAX, Fault::Denied)]);
        assert_eq!(http::send(&proxy.url(), call("dynamodb", "/")).await.unwrap().status, 400);
        proxy.heal();
        assert_eq!(http::send(&proxy.url(), call("dynamodb", "/")).await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn a_stale_read_shows_what_the_last_read_before_the_last_write_showed() {
        let value = Arc::new(AtomicUsize::new(1));
        let theirs = value.clone();
        let connect = HttpServer::start(move |request| {
            let value = if request.method == "GET" {
                theirs.load(Ordering::SeqCst)
            } else {
                theirs.fetch_add(1, Ordering::SeqCst)
            };
            async move { Behaviour::Reply(Reply::new(200, value.to_string())) }
        })
        .await;
        let proxy = Proxy::start("http://127.0.0.1:9", &connect.url()).await;
        proxy.plan([plan("connect:ListApprovedOrigins", 2, 1, Fault::Stale)]);
        let read =
            || async { http::send(&proxy.url(), call("connect", "/instance/i/approved-origins")).await.unwrap().body };
        let write = Request { method: "PUT".to_owned(), ..call("connect", "/instance/i/approved-origin") };
        assert_eq!(read().await, "1");
        http::send(&proxy.url(), write).await.unwrap();
        assert_eq!(read().await, "1");
        assert_eq!(read().await, "2");
    }

    #[tokio::test]
    async fn a_rival_gets_in_first_and_a_refusal_is_renamed() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let theirs = log.clone();
        let connect = HttpServer::start(move |request| {
            theirs.lock().unwrap().push(request.target);
            async { Behaviour::Reply(Reply::new(409, "")) }
        })
        .await;
        let proxy = Proxy::start("http://127.0.0.1:9", &connect.url()).await;
        proxy.race(Request::new("PUT", "/rival", ""));
        let action = "connect:DescribeInstance";
        proxy.plan([plan(action, 1, 1, Fault::Raced), plan(action, 2, 1, Fault::Renamed("InvalidRequestException"))]);
        assert_eq!(http::send(&proxy.url(), call("connect", "/instance/i")).await.unwrap().status, 409);
        let renamed = http::send(&proxy.url(), call("connect", "/instance/i")).await.unwrap();
        assert_eq!(renamed.status, 400);
        assert!(renamed.headers.contains(&("x-amzn-errortype".to_owned(), "InvalidRequestException".to_owned())));
        assert_eq!(*log.lock().unwrap(), ["/rival", "/instance/i", "/instance/i"]);
    }

    #[tokio::test]
    async fn a_reset_call_is_not_done_and_a_lost_one_is() {
        let (aws, served) = upstream("aws").await;
        let proxy = Proxy::start(&aws.url(), "http://127.0.0.1:9").await;
        proxy.plan([plan("dynamodb:GetItem", 1, 1, Fault::Reset), plan("dynamodb:GetItem", 2, 1, Fault::Lost)]);
        assert!(http::send(&proxy.url(), call("dynamodb", "/")).await.is_err());
        assert_eq!(served.load(Ordering::SeqCst), 0);
        assert!(http::send(&proxy.url(), call("dynamodb", "/")).await.is_err());
        assert_eq!(served.load(Ordering::SeqCst), 1);
    }
}
