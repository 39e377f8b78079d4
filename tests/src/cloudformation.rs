//! Owns CloudFormation's end of a ResponseURL: it hands out URLs with a secret in path and query, as a presigned one has,
//! and keeps every PUT that arrives there with what S3 would check about it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use crate::http::{Behaviour, HttpServer, Reply, Request};

/// How the next PUTs of an answer fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutFault {
    /// S3 answers 503.
    Unavailable,
    /// The connection is reset before an answer.
    Reset,
}

/// One PUT.
#[derive(Clone, Debug)]
pub struct Put {
    /// When it arrived.
    pub at: Instant,
    /// Whether it was taken (or broken on purpose).
    pub accepted: bool,
    /// As it arrived.
    pub request: Request,
}

impl Put {
    /// The answer as JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.request.body).expect("the answer is JSON")
    }

    /// What S3 or CloudFormation would object to, empty if nothing.
    #[must_use]
    pub fn objections(&self) -> Vec<String> {
        let mut objections = Vec::new();
        let mut check = |holds: bool, text: String| {
            if !holds {
                objections.push(text);
            }
        };
        let body = &self.request.body;
        check(self.request.method == "PUT", format!("method {}", self.request.method));
        let content_type = self.request.header("content-type");
        check(content_type == Some(""), format!("content-type {content_type:?} instead of the empty string"));
        let length = self.request.header("content-length");
        check(
            length == Some(body.len().to_string().as_str()),
            format!("content-length {length:?} for {} bytes", body.len()),
        );
        check(body.len() <= 4096, format!("{} bytes", body.len()));
        check(std::str::from_utf8(body).is_ok(), "not UTF-8".to_owned());
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            check(false, "not JSON".to_owned());
            return objections;
        };
        let status = answer["Status"].as_str().unwrap_or_default();
        check(status == "SUCCESS" || status == "FAILED", format!("Status {status:?}"));
        let reason = answer["Reason"].as_str().unwrap_or_default();
        check(status != "FAILED" || !reason.is_empty(), "FAILED without a Reason".to_owned());
        let id = answer["PhysicalResourceId"].as_str().unwrap_or_default();
        check((1..=1024).contains(&id.len()), format!("PhysicalResourceId of {} bytes", id.len()));
        objections
    }
}

#[derive(Debug)]
struct Inbox {
    puts: Mutex<Vec<Put>>,
    faults: Mutex<Vec<PutFault>>,
    count: watch::Sender<usize>,
}

/// The receiver of answers; it ends when this is dropped.
#[derive(Debug)]
pub struct ResponseEnd {
    server: HttpServer,
    inbox: Arc<Inbox>,
    secrets: Mutex<Vec<String>>,
}

impl ResponseEnd {
    /// Starts one on a free port of the loopback.
    pub async fn start() -> Self {
        let inbox = Arc::new(Inbox { puts: Mutex::default(), faults: Mutex::default(), count: watch::Sender::new(0) });
        let theirs = inbox.clone();
        let server = HttpServer::start(move |request| {
            let inbox = theirs.clone();
            async move { receive(&inbox, request) }
        })
        .await;
        Self { server, inbox, secrets: Mutex::default() }
    }

    /// A new ResponseURL, with secrets of its own.
    pub fn response_url(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (path, signature) = (format!("secretpath{number:08}x"), format!("secretsignature{number:08}x"));
        let query = format!("AWSAccessKeyId=AKIDRESPONSE&Expires=1795395751&X-Amz-Signature={signature}");
        let url = format!("{}/arn%3Aaws%3Acloudformation/{path}?{query}", self.server.url());
        self.secrets.lock().unwrap().extend([path, signature]);
        url
    }

    /// Lets the next PUTs fail, one for each fault.
    pub fn fail_next(&self, faults: &[PutFault]) {
        self.inbox.faults.lock().unwrap().extend(faults);
    }

    /// Every PUT so far, the broken ones too.
    #[must_use]
    pub fn puts(&self) -> Vec<Put> {
        self.inbox.puts.lock().unwrap().clone()
    }

    /// The answers that were taken so far.
    #[must_use]
    pub fn answers(&self) -> Vec<Put> {
        self.puts().into_iter().filter(|put| put.accepted).collect()
    }

    /// Waits for the `n`-th answer (from 1).
    pub async fn answer(&self, n: usize, patience: Duration) -> Option<Put> {
        let mut count = self.inbox.count.subscribe();
        let arrived = count.wait_for(|count| *count >= n);
        tokio::time::timeout(patience, arrived).await.ok()?.ok()?;
        self.answers().into_iter().nth(n - 1)
    }

    /// What of the URLs handed out is found in `text`: each is a leak.
    #[must_use]
    pub fn leaks(&self, text: &str) -> Vec<String> {
        let secrets = self.secrets.lock().unwrap();
        let names = ["X-Amz-Signature", "AKIDRESPONSE"].map(str::to_owned);
        secrets.iter().cloned().chain(names).filter(|secret| text.contains(secret.as_str())).collect()
    }
}

fn receive(inbox: &Inbox, request: Request) -> Behaviour {
    let fault = {
        let mut faults = inbox.faults.lock().unwrap();
        if faults.is_empty() { None } else { Some(faults.remove(0)) }
    };
    let accepted = fault.is_none();
    inbox.puts.lock().unwrap().push(Put { at: Instant::now(), accepted, request });
    match fault {
        None => {
            inbox.count.send_modify(|count| *count += 1);
            Behaviour::Reply(Reply::new(200, ""))
        }
        Some(PutFault::Unavailable) => Behaviour::Reply(Reply::new(503, "<Error><Code>SlowDown</Code></Error>")),
        Some(PutFault::Reset) => Behaviour::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    const GOOD: &str =
        r#"{"Status":"SUCCESS","PhysicalResourceId":"x","StackId":"s","RequestId":"r","LogicalResourceId":"l"}"#;

    async fn put(
        end: &ResponseEnd,
        content_type: &str,
        body: impl Into<hyper::body::Bytes>,
    ) -> Result<http::Reply, String> {
        let url = end.response_url();
        let target = url.trim_start_matches(&end.server.url()).to_owned();
        http::send(&end.server.url(), Request::new("PUT", &target, body).with("content-type", content_type)).await
    }

    #[tokio::test]
    async fn a_good_answer_meets_no_objection_and_each_bad_one_meets_its_own() {
        let end = ResponseEnd::start().await;
        put(&end, "", GOOD).await.unwrap();
        put(&end, "application/json", GOOD).await.unwrap();
        put(&end, "", r#"{"Status":"FAILED","PhysicalResourceId":""}"#).await.unwrap();
        put(&end, "", format!("{GOOD}{}", " ".repeat(4096))).await.unwrap();
        put(&end, "", vec![0xff_u8, 0xfe]).await.unwrap();
        assert!(end.answer(5, Duration::from_secs(5)).await.is_some());
        let objections: Vec<usize> = end.answers().iter().map(|put| put.objections().len()).collect();
        assert_eq!(objections, [0, 1, 2, 1, 2]);
    }

    #[tokio::test]
    async fn the_first_puts_fail_as_told_and_are_no_answers() {
        let end = ResponseEnd::start().await;
        end.fail_next(&[PutFault::Unavailable, PutFault::Reset]);
        assert_eq!(put(&end, "", GOOD).await.unwrap().status, 503);
        assert!(put(&end, "", GOOD).await.is_err());
        assert_eq!(put(&end, "", GOOD).await.unwrap().status, 200);
        assert_eq!((end.puts().len(), end.answers().len()), (3, 1));
    }

    #[tokio::test]
    async fn a_log_that_quotes_a_response_url_is_a_leak() {
        let end = ResponseEnd::start().await;
        let url = end.response_url();
        assert!(end.leaks("all is well").is_empty());
        assert_eq!(end.leaks(&format!("PUT {url}")).len(), 4);
        let path = url.split(['/', '?']).find(|part| part.starts_with("secretpath")).unwrap();
        assert_eq!(end.leaks(path).len(), 1);
    }
}
