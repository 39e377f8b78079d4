//! Owns plain HTTP/1.1 on the loopback: one request, and a server whose answer to a request may also be to break the
//! connection or to stay silent. Both ends read whole bodies: everything here is small.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, as sent or as received.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query, as on the request line.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// A request without headers; `hyper` adds `content-length`.
    pub fn new(method: &str, target: &str, body: impl Into<Bytes>) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// An answer, as sent or as received.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// An answer without headers.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What a server does with a request.
#[derive(Debug)]
pub enum Behaviour {
    /// It answers.
    Reply(Reply),
    /// It resets the connection (RST, not a polite end).
    Reset,
    /// It keeps the connection open and never answers.
    Silence,
}

/// A server on a free port of 127.0.0.1; it ends when this is dropped.
#[derive(Debug)]
pub struct HttpServer {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Starts a server that gives every request to `handle`.
    pub async fn start<H, F>(handle: H) -> Self
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Behaviour> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback");
        let address = listener.local_addr().expect("the port that was given");
        let handle = Arc::new(handle);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let handle = handle.clone();
                connections.spawn(async move { converse(stream, &*handle).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, task }
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is broken on purpose")
    }
}

impl std::error::Error for Broken {}

async fn converse<H, F>(stream: TcpStream, handle: &H)
where
    H: Fn(Request) -> F,
    F: Future<Output = Behaviour>,
{
    let _ = stream.set_nodelay(true);
    // A second handle on the socket: hyper owns the first, and only a socket that lingers zero seconds ends in a reset.
    let Ok(stream) = stream.into_std() else { return };
    let Ok(second) = stream.try_clone().and_then(TcpStream::from_std) else { return };
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let second = &second;
        async move {
            let Ok(request) = read_request(request).await else { return Err(Broken) };
            match handle(request).await {
                Behaviour::Reply(reply) => Ok(write_reply(&reply)),
                Behaviour::Silence => std::future::pending().await,
                Behaviour::Reset => {
                    let _ = second.set_zero_linger();
                    Err(Broken)
                }
            }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read_request(request: hyper::Request<Incoming>) -> Result<Request, hyper::Error> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let headers = read_headers(&parts.headers);
    let body = body.collect().await?.to_bytes();
    Ok(Request { method: parts.method.to_string(), target, headers, body })
}

fn read_headers(headers: &hyper::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

fn write_reply(reply: &Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in reply.headers.iter().filter(|(name, _)| !is_framing(name)) {
        response = response.header(name, value);
    }
    response.body(Full::new(reply.body.clone())).expect("a well-formed answer")
}

/// Headers that belong to one connection, and that the next one sets anew.
fn is_framing(name: &str) -> bool {
    matches!(name, "connection" | "content-length" | "transfer-encoding" | "keep-alive" | "date")
}

/// Sends one request over a connection of its own to `base` (`http://host:port`) and reads the whole answer.
///
/// # Errors
/// When nothing answers there, or the connection ends before the whole answer came.
pub async fn send(base: &str, request: Request) -> Result<Reply, String> {
    let address = base.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let mut builder = hyper::Request::builder().method(request.method.as_str()).uri(&request.target);
        if request.header("host").is_none() {
            builder = builder.header("host", address);
        }
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_framing(name)) {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(request.body.clone())).map_err(|error| error.to_string())?;
        let (parts, body) = sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok::<_, String>(Reply { status: parts.status.as_u16(), headers: read_headers(&parts.headers), body })
    };
    let driven = async { connection.await.map_err(|error| error.to_string()) };
    tokio::pin!(exchange, driven);
    tokio::select! {
        reply = &mut exchange => reply,
        ended = &mut driven => match ended {
            // The connection may end in the same moment as the answer is complete.
            Ok(()) => exchange.await,
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_gets_the_whole_request_and_the_client_the_whole_reply() {
        let server = HttpServer::start(|request| async move {
            let text =
                format!("{} {} {:?} {}", request.method, request.target, request.header("x-a"), request.body.len());
            Behaviour::Reply(Reply::new(201, text).with("x-b", "2"))
        })
        .await;
        let request = Request::new("PUT", "/path?query=1", "12345").with("x-a", "1");
        let reply = send(&server.url(), request).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (201, &b"PUT /path?query=1 Some(\"1\") 5"[..]));
        assert!(reply.headers.contains(&("x-b".to_owned(), "2".to_owned())));
    }

    #[tokio::test]
    async fn a_reset_is_a_reset_on_the_wire() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let server = HttpServer::start(|_| async { Behaviour::Reset }).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let error = stream.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_silent_server_accepts_and_never_answers() {
        let server = HttpServer::start(|_| async { Behaviour::Silence }).await;
        let url = server.url();
        let sent = send(&url, Request::new("GET", "/", ""));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(200), sent).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_was_dropped_is_gone() {
        let server = HttpServer::start(|_| async { Behaviour::Reply(Reply::new(200, "")) }).await;
        let url = server.url();
        drop(server);
        let gone = async { while send(&url, Request::new("GET", "/", "")).await.is_ok() {} };
        tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.expect("the port is closed");
    }
}
