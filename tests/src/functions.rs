//! Owns what tests do with deployed functions: invoke them, wait until their invocations have ended, and read all that they
//! wrote.

use std::time::Duration;

use serde_json::{Value, json};

use crate::local_aws::{LocalAws, read};

/// How long anything may take that happens by itself.
pub const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);

/// What a look shows once it is there.
///
/// # Panics
/// When it never is.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let waited = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never within {PATIENCE:?}: {what}"))
}

impl LocalAws {
    /// Invokes a function and waits for its answer, or for its error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, Value> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let reply = self.rest_call("lambda", "POST", &path, &event.to_string()).await;
        let failed = reply.headers.iter().any(|(name, _)| name == "x-amz-function-error");
        let answer = read(&path, &reply);
        if failed { Err(answer) } else { Ok(answer) }
    }

    /// Invokes a function as AWS's services do: without waiting, and with what its settings say about failures.
    pub async fn invoke_later(&self, function: &str, event: &Value) {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let request = crate::http::Request::new("POST", &path, event.to_string())
            .with("content-type", "application/json")
            .with("x-amz-invocation-type", "Event");
        let reply = self.send("lambda", request).await;
        assert_eq!(reply.status, 202, "{path}: {reply:?}");
    }

    /// The settings of a function.
    pub async fn configuration(&self, function: &str) -> Value {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        read(&path, &self.rest_call("lambda", "GET", &path, "").await)
    }

    /// Every line of a function's log, oldest first.
    pub async fn function_log(&self, function: &str) -> Vec<String> {
        let configuration = self.configuration(function).await;
        let group = configuration["LoggingConfig"]["LogGroup"].as_str().map(str::to_owned);
        self.log_lines(&group.unwrap_or_else(|| format!("/aws/lambda/{function}"))).await
    }

    /// Every line of a log group, oldest first; none if there is no such group yet.
    pub async fn log_lines(&self, group: &str) -> Vec<String> {
        let known = json!({ "logGroupNamePrefix": group });
        let groups = self.json_call("logs", "Logs_20140328.DescribeLogGroups", &known).await;
        if groups["logGroups"].as_array().is_none_or(Vec::is_empty) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let mut input = json!({ "logGroupName": group });
        loop {
            let page = self.json_call("logs", "Logs_20140328.FilterLogEvents", &input).await;
            let events = page["events"].as_array().cloned().unwrap_or_default();
            lines.extend(events.iter().filter_map(|event| event["message"].as_str().map(str::to_owned)));
            let Some(token) = page["nextToken"].as_str() else { return lines };
            input["nextToken"] = json!(token);
        }
    }

    /// How many invocations of a function have ended.
    pub async fn ended_invocations(&self, function: &str) -> usize {
        self.function_log(function).await.iter().filter(|line| line.starts_with("REPORT RequestId: ")).count()
    }

    /// Waits until so many invocations of a function have ended.
    pub async fn await_invocations(&self, function: &str, number: usize) {
        until(&format!("invocation {number} of {function}"), || async {
            (self.ended_invocations(function).await >= number).then_some(())
        })
        .await;
    }
}
