//! Owns real search engines: one node of each kind that tests share, and more of them for tests that stop, kill or starve
//! one. Arranging and reading back goes around the gate.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::functions::until;
use crate::http::{self, Request};
use crate::local_aws::{local_aws, python, tests_directory};

/// The engines that are tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With document types.
    Elasticsearch6,
    /// Without.
    OpenSearch2,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Elasticsearch6, Self::OpenSearch2];

    /// As the launcher and the cache call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch6 => "elasticsearch-6",
            Self::OpenSearch2 => "opensearch-2",
        }
    }

    /// The version that the stack would be asked for.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::Elasticsearch6 => "Elasticsearch_6.8",
            Self::OpenSearch2 => "OpenSearch_2.19",
        }
    }

    /// The type of contact records.
    #[must_use]
    pub fn doc_type(self) -> Option<&'static str> {
        (self == Self::Elasticsearch6).then_some("contacts")
    }

    /// The setting that makes the engine believe in one processor.
    #[must_use]
    pub fn processors(self) -> &'static str {
        match self {
            Self::Elasticsearch6 => "processors",
            Self::OpenSearch2 => "node.processors",
        }
    }
}

/// Why no engine runs here, if none does. Said loudly, once, past the test runner, which keeps what a passed test prints.
///
/// # Panics
/// Where `CI` is `true`: there they have to run.
pub fn missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        let mut command = Command::new(python());
        let output = command
            .args(["-m", "engines", "prepare"])
            .env("PYTHONPATH", tests_directory())
            .stderr(Stdio::inherit())
            .output();
        let output = output.expect("the Python of EMITE_PYTHON runs");
        match output.status.code() {
            Some(0) => None,
            Some(3) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            _ => panic!("the search engines cannot be prepared; see above"),
        }
    };
    let said = || {
        let reason = look()?;
        let line =
            format!("\n!!! NOTHING is redriven into a real search engine, since {reason}. Those tests do NOT run.\n");
        std::io::stderr().write_all(line.as_bytes()).expect("stderr");
        Some(reason)
    };
    let reason = MISSING.get_or_init(said).as_deref();
    #[allow(clippy::disallowed_methods, reason = "this is no setting of the product's")]
    let on_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(reason.is_none() || !on_ci, "on CI these tests have to run, and {reason:?}");
    reason
}

/// The engine of that kind which tests share: each has indices of its own in it.
pub async fn shared(kind: Kind) -> &'static Engine {
    static ELASTICSEARCH: OnceCell<Engine> = OnceCell::const_new();
    static OPENSEARCH: OnceCell<Engine> = OnceCell::const_new();
    let cell = if kind == Kind::Elasticsearch6 { &ELASTICSEARCH } else { &OPENSEARCH };
    cell.get_or_init(|| Engine::start(kind, &[])).await
}

/// One node. It ends with this value, and with this process however that ends; its data go with the local AWS.
#[derive(Debug)]
pub struct Engine {
    /// What it is.
    pub kind: Kind,
    /// Where it is: elsewhere after each start.
    pub url: String,
    settings: Vec<(String, String)>,
    data: PathBuf,
    process: Child,
}

impl Engine {
    /// Starts one with these settings of its own, and no data.
    pub async fn start(kind: Kind, settings: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let data = local_aws().endpoints.state_dir.join(format!("engine-{number}"));
        std::fs::create_dir_all(&data).expect("a directory");
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (process, url) = spawned(kind, data.clone(), settings.clone()).await;
        let engine = Self { kind, url, settings, data, process };
        engine.settle().await;
        engine
    }

    /// Ends it at once, as a power cut does.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Ends it as an operator does.
    pub fn stop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }

    /// Starts it again on its data, at another address.
    pub async fn start_again(&mut self) {
        self.kill();
        (self.process, self.url) = spawned(self.kind, self.data.clone(), self.settings.clone()).await;
        self.settle().await;
    }

    /// One request: the status, and what it says.
    pub async fn call(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::new(method, target, body).with("content-type", "application/json");
        let reply = http::send(&self.url, request).await.unwrap_or_else(|error| panic!("{:?}: {error}", self.kind));
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    /// The same, if it is expected to work.
    pub async fn ask(&self, method: &str, target: &str, body: &Value) -> Value {
        let (status, said) = self.call(method, target, body).await;
        assert!(status < 300, "{:?} {method} {target} {body}: {status} {said}", self.kind);
        said
    }

    /// Until it has read its own data, it takes no document.
    async fn settle(&self) {
        until("the engine has settled", || async {
            let (status, health) = self.call("GET", "/_cluster/health", &Value::Null).await;
            let (listed, _) = self.call("GET", "/_cat/indices?format=json", &Value::Null).await;
            (status == 200 && health["initializing_shards"] == 0 && listed == 200).then_some(())
        })
        .await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A starting engine takes seconds, in which other tests go on.
async fn spawned(kind: Kind, data: PathBuf, settings: Vec<(String, String)>) -> (Child, String) {
    let start = move || {
        let log = std::fs::File::options().create(true).append(true).open(data.join("engine.log")).expect("a log");
        let mut child = Command::new(python())
            .args(["-m", "engines", "run", kind.name()])
            .arg(&data)
            .args(settings.iter().map(|(name, value)| format!("{name}={value}")))
            .env("PYTHONPATH", tests_directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the Python of EMITE_PYTHON runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("the engine's first line");
        let Ok(port) = line.trim().parse::<u16>() else {
            let log = std::fs::read_to_string(data.join("engine.log")).unwrap_or_default();
            panic!("{} did not start: {line}{log}", kind.name());
        };
        (child, format!("http://127.0.0.1:{port}"))
    };
    tokio::task::spawn_blocking(start).await.expect("the engine starts")
}
