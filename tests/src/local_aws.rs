//! Owns the local AWS of a test run: one launcher process for the whole test binary, which ends with it, and the plain
//! calls by which tests arrange and inspect it. Arranging goes around the function and its faults, as root.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{self, Reply, Request};

/// Where the local AWS is, as its launcher says.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The endpoint of every service but Connect.
    pub endpoint: String,
    /// The Connect stand-in.
    pub connect_endpoint: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account_id: String,
    /// Root's access key.
    pub access_key_id: String,
    /// Root's secret key.
    pub secret_access_key: String,
    /// The instance that is there from the start.
    pub instance_id: String,
    /// Its ARN.
    pub instance_arn: String,
    /// The file that says who called what, one JSON object a line.
    pub call_log: PathBuf,
    /// A directory that goes with the local AWS.
    pub state_dir: PathBuf,
    /// The control of the gate that all search domains are behind.
    pub search_control: String,
    /// What to trust at the endpoints of search domains (`SSL_CERT_FILE`).
    pub search_authority: PathBuf,
}

/// The local AWS.
#[derive(Debug)]
pub struct LocalAws {
    /// Where it is.
    pub endpoints: Endpoints,
    /// The launcher ends when its stdin is closed, that is: with this process, however that ends.
    _launcher: Child,
}

/// The local AWS that this test binary shares; the first caller starts it.
pub fn local_aws() -> &'static LocalAws {
    static SHARED: OnceLock<LocalAws> = OnceLock::new();
    SHARED.get_or_init(LocalAws::start)
}

pub(crate) fn python() -> PathBuf {
    std::env::var_os("EMITE_PYTHON").map(PathBuf::from).unwrap_or_else(|| {
        panic!("EMITE_PYTHON is not set: run these tests with `make test`, which sets up the local AWS and names its Python there")
    })
}

pub(crate) fn tests_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl LocalAws {
    fn start() -> Self {
        let mut child = Command::new(python())
            .args(["-m", "localaws", "run"])
            .env("PYTHONPATH", tests_directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python of EMITE_PYTHON runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("the launcher's first line");
        let endpoints = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("the launcher of the local AWS said {line:?} instead of where it is: {error}")
        });
        let aws = Self { endpoints, _launcher: child };
        aws.spare_the_tests_the_throttle();
        aws
    }

    /// Connect's two calls a second are for the whole account, so one test would slow down all others. Throttling is
    /// tested at each call instead, by the faults.
    fn spare_the_tests_the_throttle(&self) {
        std::thread::scope(|scope| {
            let set = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(self.control("POST", "options", &json!({ "throttle": false })))
            });
            set.join().expect("the stand-in takes the option")
        });
    }

    /// The ARN of something in this account and region.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.endpoints.region, self.endpoints.account_id)
    }

    /// The environment of a process that is to work as root.
    #[must_use]
    pub fn root_environment(&self) -> Vec<(String, String)> {
        let endpoints = &self.endpoints;
        [
            ("AWS_ENDPOINT_URL", endpoints.endpoint.clone()),
            ("AWS_ENDPOINT_URL_CONNECT", endpoints.connect_endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", endpoints.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", endpoints.secret_access_key.clone()),
            ("AWS_REGION", endpoints.region.clone()),
            ("AWS_DEFAULT_REGION", endpoints.region.clone()),
            ("SSL_CERT_FILE", endpoints.search_authority.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn signed(&self, service: &str, request: Request) -> Request {
        self.signed_in(&self.endpoints.region, service, request)
    }

    /// Root's signature is not verified locally; only who signs, for which service and region, counts.
    fn signed_in(&self, region: &str, service: &str, request: Request) -> Request {
        let scope = format!("{}/20261123/{region}/{service}/aws4_request", self.endpoints.access_key_id);
        let value =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={}", "0".repeat(64));
        request.with("x-amz-date", "20261123T000000Z").with("authorization", &value)
    }

    /// One call as root, of a service that speaks JSON with a target (`DynamoDB_20120810.PutItem`).
    pub async fn json_call(&self, service: &str, target: &str, input: &Value) -> Value {
        let version = if ["dynamodb", "sqs", "monitoring"].contains(&service) { "1.0" } else { "1.1" };
        let request = Request::new("POST", "/", input.to_string())
            .with("content-type", &format!("application/x-amz-json-{version}"))
            .with("x-amz-target", target);
        let reply =
            http::send(&self.endpoints.endpoint, self.signed(service, request)).await.expect("the local AWS answers");
        read(&format!("{target} {input}"), &reply)
    }

    /// One call as root, of a service that takes a form (`Action=…`); the answer is XML.
    pub async fn form_call(&self, service: &str, form: &str) -> String {
        let request =
            Request::new("POST", "/", form.to_owned()).with("content-type", "application/x-www-form-urlencoded");
        let reply =
            http::send(&self.endpoints.endpoint, self.signed(service, request)).await.expect("the local AWS answers");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(reply.status < 300, "{form}: {} {text}", reply.status);
        text
    }

    /// One call as root, of a service that speaks REST.
    pub async fn rest_call(&self, service: &str, method: &str, target: &str, body: &str) -> Reply {
        let request = Request::new(method, target, body.to_owned()).with("content-type", "application/json");
        self.send(service, request).await
    }

    /// One request as root.
    pub async fn send(&self, service: &str, request: Request) -> Reply {
        let base = if service == "connect" { &self.endpoints.connect_endpoint } else { &self.endpoints.endpoint };
        http::send(base, self.signed(service, request)).await.expect("the local AWS answers")
    }

    /// Makes a bucket in that region.
    pub async fn make_bucket(&self, name: &str, region: &str) {
        let body = format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        );
        let request = self.signed_in(region, "s3", Request::new("PUT", &format!("/{name}"), body));
        let reply = http::send(&self.endpoints.endpoint, request).await.expect("the local AWS answers");
        assert!(reply.status < 300, "{name}: {reply:?}");
    }

    /// A request of Connect as root, for another client to send.
    #[must_use]
    pub fn connect_request(&self, method: &str, target: &str, input: &Value) -> Request {
        self.signed("connect", Request::new(method, target, input.to_string()).with("content-type", "application/json"))
    }

    /// One call of Connect as root.
    pub async fn connect_call(&self, method: &str, target: &str, input: &Value) -> Value {
        let body = if input.is_null() { String::new() } else { input.to_string() };
        read(&format!("{method} {target} {input}"), &self.rest_call("connect", method, target, &body).await)
    }

    /// One call of the stand-in's own control.
    pub async fn control(&self, method: &str, path: &str, input: &Value) -> Value {
        let body = if input.is_null() { String::new() } else { input.to_string() };
        let request = Request::new(method, &format!("/_standin/{path}"), body).with("content-type", "application/json");
        let reply = http::send(&self.endpoints.connect_endpoint, request).await.expect("the stand-in answers");
        read(&format!("{method} {path} {input}"), &reply)
    }

    /// A new user of IAM with this policy: its access key and secret key.
    pub async fn new_user(&self, name: &str, policy: &Value) -> (String, String) {
        let form = |action: &str| format!("Action={action}&Version=2010-05-08&UserName={name}");
        self.form_call("iam", &form("CreateUser")).await;
        let document = percent_encoded(&policy.to_string());
        self.form_call("iam", &format!("{}&PolicyName=all&PolicyDocument={document}", form("PutUserPolicy"))).await;
        let made = self.form_call("iam", &form("CreateAccessKey")).await;
        let text = |name: &str| {
            let rest = made.split(&format!("<{name}>")).nth(1).expect("the key");
            rest.split('<').next().unwrap_or_default().to_owned()
        };
        (text("AccessKeyId"), text("SecretAccessKey"))
    }

    /// A new ledger table, empty.
    pub async fn new_ledger(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("e2e-ledger-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let input = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("pk"), attribute("sk")],
            "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        });
        self.json_call("dynamodb", "DynamoDB_20120810.CreateTable", &input).await;
        name
    }

    /// Every item of a ledger, in DynamoDB's JSON.
    pub async fn ledger_items(&self, table: &str) -> Vec<Value> {
        let input = json!({ "TableName": table, "ConsistentRead": true });
        let answer = self.json_call("dynamodb", "DynamoDB_20120810.Scan", &input).await;
        answer["Items"].as_array().cloned().unwrap_or_default()
    }
}

/// A text as forms, paths and queries have it.
pub(crate) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Runs a command of the launcher: whether it succeeded, its stdout, and its stderr, which is for people.
pub(crate) async fn launcher(arguments: &[&str], environment: &[(String, String)]) -> (bool, String, String) {
    let output = tokio::process::Command::new(python())
        .args(["-m", "localaws"])
        .args(arguments)
        .env("PYTHONPATH", tests_directory())
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the Python of EMITE_PYTHON runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

pub(crate) fn read(what: &str, reply: &Reply) -> Value {
    let text = String::from_utf8_lossy(&reply.body);
    assert!(reply.status < 300, "{what}: {} {text}", reply.status);
    if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
}
