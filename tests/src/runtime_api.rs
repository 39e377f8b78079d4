//! Owns the Lambda Runtime API and the process behind it: the real binary of a function gets its events one after another
//! as from AWS, and what it answers, prints and exits with is kept. No AWS SDK, no second implementation of the function.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot};

use crate::http::{Behaviour, HttpServer, Reply, Request};

/// How an invocation ended for Lambda.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The handler returned this.
    Response(Bytes),
    /// The handler failed with this.
    Error(Bytes),
    /// The process ended (crash, exit) before it answered, or never started.
    Exited,
    /// Lambda would have killed it at the deadline.
    DeadlinePassed,
}

/// One invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// How it ended.
    pub ended: Ended,
    /// When the event was handed out (or the wait for that began, if it never was).
    pub started: Instant,
    /// From the handing out to the end.
    pub took: Duration,
}

#[derive(Debug)]
struct Pending {
    id: String,
    body: Bytes,
    remaining: Duration,
    started: oneshot::Sender<Instant>,
}

#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<VecDeque<Pending>>,
    running: Mutex<HashMap<String, oneshot::Sender<Ended>>>,
    init_error: Mutex<Option<Bytes>>,
    arrived: Notify,
    abandoned: AtomicBool,
}

/// The Runtime API on its own, to which anything that speaks it can connect; it ends when this is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    server: HttpServer,
    desk: Arc<Desk>,
    counter: Mutex<u64>,
}

impl RuntimeApi {
    /// Starts one on a free port of the loopback.
    pub async fn start() -> Self {
        let desk = Arc::new(Desk::default());
        let theirs = desk.clone();
        let server = HttpServer::start(move |request| {
            let desk = theirs.clone();
            async move { Behaviour::Reply(serve(&desk, request).await) }
        })
        .await;
        Self { server, desk, counter: Mutex::default() }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// What the function reported about a failed start, if it did.
    #[must_use]
    pub fn init_error(&self) -> Option<Bytes> {
        self.desk.init_error.lock().unwrap().clone()
    }

    /// Queues an event whose deadline is `remaining` after it is handed out, and waits for the end of that invocation.
    pub async fn invoke(&self, body: impl Into<Bytes>, remaining: Duration) -> Invocation {
        let id = {
            let mut counter = self.counter.lock().unwrap();
            *counter += 1;
            format!("00000000-0000-4000-8000-{:012}", *counter)
        };
        let (started, handed_out) = oneshot::channel();
        let (sender, ended) = oneshot::channel();
        self.desk.running.lock().unwrap().insert(id.clone(), sender);
        self.desk.waiting.lock().unwrap().push_back(Pending { id, body: body.into(), remaining, started });
        self.desk.arrived.notify_one();
        let queued = Instant::now();
        if self.desk.abandoned.load(Ordering::SeqCst) {
            self.abandon();
        }
        let Ok(started) = handed_out.await else {
            return Invocation { ended: Ended::Exited, started: queued, took: queued.elapsed() };
        };
        let ended = match tokio::time::timeout(remaining, ended).await {
            Ok(ended) => ended.unwrap_or(Ended::Exited),
            Err(_) => Ended::DeadlinePassed,
        };
        Invocation { ended, started, took: started.elapsed() }
    }

    /// Ends every invocation that waits or comes later: nothing is left to serve it.
    pub fn abandon(&self) {
        self.desk.abandoned.store(true, Ordering::SeqCst);
        self.desk.waiting.lock().unwrap().clear();
        self.desk.running.lock().unwrap().clear();
    }
}

async fn serve(desk: &Desk, request: Request) -> Reply {
    const PREFIX: &str = "/2018-06-01/runtime/";
    let Some(path) = request.path().strip_prefix(PREFIX).map(str::to_owned) else { return Reply::new(404, "") };
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["invocation", "next"]) => next(desk).await,
        ("POST", ["invocation", id, "response"]) => end(desk, id, Ended::Response(request.body)),
        ("POST", ["invocation", id, "error"]) => end(desk, id, Ended::Error(request.body)),
        ("POST", ["init", "error"]) => {
            *desk.init_error.lock().unwrap() = Some(request.body);
            Reply::new(202, "{}")
        }
        _ => Reply::new(404, ""),
    }
}

async fn next(desk: &Desk) -> Reply {
    let pending = loop {
        let arrived = desk.arrived.notified();
        if let Some(pending) = desk.waiting.lock().unwrap().pop_front() {
            break pending;
        }
        arrived.await;
    };
    let deadline = since_epoch() + pending.remaining;
    let _ = pending.started.send(Instant::now());
    Reply::new(200, pending.body)
        .with("content-type", "application/json")
        .with("lambda-runtime-aws-request-id", &pending.id)
        .with("lambda-runtime-deadline-ms", &deadline.as_millis().to_string())
        .with("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:e2e")
        .with("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
}

/// The clock that deadlines are in.
#[allow(clippy::disallowed_methods, reason = "this plays Lambda, whose clock is the real one")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn end(desk: &Desk, id: &str, ended: Ended) -> Reply {
    match desk.running.lock().unwrap().remove(id) {
        Some(sender) => {
            let _ = sender.send(ended);
            Reply::new(202, "{}")
        }
        // AWS refuses a second answer to one invocation too.
        None => Reply::new(400, r#"{"errorType":"InvalidRequestID"}"#),
    }
}

/// A running function: the real binary, its Runtime API, and everything it has printed.
#[derive(Debug)]
pub struct Function {
    api: Arc<RuntimeApi>,
    printed: Arc<Mutex<Vec<u8>>>,
    process: Option<u32>,
    kill: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

impl Function {
    /// Starts the binary of that name with exactly this environment besides what Lambda sets itself.
    /// Everything is logged: a secret that only shows at TRACE is a leak all the same.
    pub async fn start(name: &str, environment: &[(String, String)]) -> Self {
        let api = Arc::new(RuntimeApi::start().await);
        let path = binary(name);
        let mut child = Command::new(&path)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "e2e")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/emite-connect/e2e")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "e2e")
            .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
            .env("RUST_BACKTRACE", "1")
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let process = child.id();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let readers = [
            tokio::spawn(collect(child.stdout.take().expect("piped"), printed.clone())),
            tokio::spawn(collect(child.stderr.take().expect("piped"), printed.clone())),
        ];
        let (kill, killed) = oneshot::channel();
        let watched = api.clone();
        let ended = tokio::spawn(async move {
            watch(&mut child, killed).await;
            for reader in readers {
                let _ = reader.await;
            }
            watched.abandon();
        });
        Self { api, printed, process, kill: Some(kill), ended }
    }

    /// Hands out one event. See [`RuntimeApi::invoke`].
    pub async fn invoke(&self, body: impl Into<Bytes>, remaining: Duration) -> Invocation {
        self.api.invoke(body, remaining).await
    }

    /// What it reported about a failed start, if it did.
    #[must_use]
    pub fn init_error(&self) -> Option<Bytes> {
        self.api.init_error()
    }

    /// Everything that it has printed so far, on either stream.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    /// The most memory that the process ever had, in KiB; none where the system does not tell
    /// (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
    #[must_use]
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process?)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// Ends the process and returns everything that it printed.
    pub async fn stop(mut self) -> String {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        let _ = (&mut self.ended).await;
        self.log()
    }
}

async fn watch(child: &mut Child, killed: oneshot::Receiver<()>) {
    tokio::select! {
        _ = child.wait() => {}
        // Either asked to, or the owner is gone.
        _ = killed => { let _ = child.kill().await; }
    }
}

async fn collect(mut pipe: impl AsyncRead + Unpin, printed: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        printed.lock().unwrap().extend_from_slice(&buffer[..read]);
    }
}

/// The binary of that name: beside the directory of the running test binary, where one `cargo build --workspace` puts both.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test binary");
    let directory = own.parent().and_then(std::path::Path::parent).expect("target/debug/deps/<test binary>");
    let path = directory.join(name);
    assert!(path.exists(), "{} is not built: run `make build` (or `make test`)", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    async fn take(api: &RuntimeApi) -> http::Reply {
        let url = format!("http://{}", api.address());
        http::send(&url, Request::new("GET", "/2018-06-01/runtime/invocation/next", "")).await.unwrap()
    }

    async fn say(api: &RuntimeApi, id: &str, how: &str, body: &str) -> u16 {
        let url = format!("http://{}", api.address());
        let path = format!("/2018-06-01/runtime/invocation/{id}/{how}");
        http::send(&url, Request::new("POST", &path, body.to_owned())).await.unwrap().status
    }

    fn header<'a>(reply: &'a http::Reply, name: &str) -> &'a str {
        reply.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap()
    }

    #[tokio::test]
    async fn events_are_handed_out_in_order_with_their_deadline_and_end_once() {
        let api = RuntimeApi::start().await;
        let function = async {
            let first = take(&api).await;
            let id = header(&first, "lambda-runtime-aws-request-id").to_owned();
            let deadline: u128 = header(&first, "lambda-runtime-deadline-ms").parse().unwrap();
            let now = since_epoch().as_millis();
            assert!(deadline > now + 55_000 && deadline <= now + 60_000);
            assert_eq!(say(&api, &id, "response", "1").await, 202);
            assert_eq!(say(&api, &id, "response", "1").await, 400);
            let second = take(&api).await;
            assert_eq!(say(&api, header(&second, "lambda-runtime-aws-request-id"), "error", "2").await, 202);
            assert_eq!((&first.body[..], &second.body[..]), (&b"a"[..], &b"b"[..]));
        };
        let caller = async {
            let first = api.invoke("a", Duration::from_secs(60)).await;
            let second = api.invoke("b", Duration::from_secs(60)).await;
            (first.ended, second.ended)
        };
        let ((), ended) = tokio::join!(function, caller);
        assert_eq!(ended, (Ended::Response("1".into()), Ended::Error("2".into())));
    }

    #[tokio::test]
    async fn an_event_that_is_never_answered_ends_at_its_deadline() {
        let api = RuntimeApi::start().await;
        let (_, invocation) = tokio::join!(take(&api), api.invoke("a", Duration::from_millis(50)));
        assert_eq!(invocation.ended, Ended::DeadlinePassed);
    }

    #[tokio::test]
    async fn an_event_for_nobody_ends_when_the_function_is_gone() {
        let api = RuntimeApi::start().await;
        let abandoned = async {
            while api.desk.waiting.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            api.abandon();
        };
        let (invocation, ()) = tokio::join!(api.invoke("a", Duration::from_secs(60)), abandoned);
        assert_eq!(invocation.ended, Ended::Exited);
    }

    #[tokio::test]
    async fn a_failed_start_is_kept() {
        let api = RuntimeApi::start().await;
        let url = format!("http://{}", api.address());
        let request = Request::new("POST", "/2018-06-01/runtime/init/error", "{\"errorType\":\"x\"}");
        http::send(&url, request).await.unwrap();
        assert_eq!(api.init_error().unwrap(), "{\"errorType\":\"x\"}");
    }
}
