//! Owns the request of CloudFormation, read from plain JSON.
//!
//! It is read field by field rather than into a struct, because a request that does not parse has to be answered too:
//! whatever is needed for an answer is read first, and everything else can be wrong and still be reported
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>).

use std::fmt;

use hyper::Uri;
use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// What CloudFormation wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Create the resource.
    Create,
    /// Change it; also sent when a failed update is rolled back.
    Update,
    /// Remove it; also sent for a resource whose Create failed, or never answered.
    Delete,
}

/// Where an answer goes, and what it has to repeat word by word.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    /// A presigned S3 address, so a secret: `Debug` does not show it.
    pub(crate) url: Uri,
    /// The stack's ARN.
    pub(crate) stack_id: String,
    /// Unique per request of this stack.
    pub(crate) request_id: String,
    /// The resource's name in the template.
    pub(crate) logical_id: String,
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("stack_id", &self.stack_id)
            .field("request_id", &self.request_id)
            .field("logical_id", &self.logical_id)
            .finish_non_exhaustive()
    }
}

/// A request that can be answered. What is asked for may still be nonsense.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// Where the answer goes.
    pub(crate) reply_to: ReplyTo,
    /// `Create`, `Update` or `Delete`, if it is one of them.
    pub(crate) action: Result<Action, String>,
    /// `Custom::…`, or empty.
    pub(crate) resource_type: String,
    /// What an earlier answer called the resource, or what CloudFormation made up if there was none.
    pub(crate) physical_id: Option<String>,
    /// What the template says.
    pub(crate) properties: Object,
    /// What the template said before an update.
    pub(crate) old_properties: Object,
}

/// A request that cannot be answered, because it does not say where to or as what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request of CloudFormation that can be answered: {0}")]
pub(crate) struct Unanswerable(String);

impl Request {
    /// Reads a request.
    pub(crate) fn read(event: &Value) -> Result<Self, Unanswerable> {
        let echoed = |name: &str| match text(event, name) {
            Some(value) if (1..=ECHO_LIMIT).contains(&value.len()) => Ok(value.to_owned()),
            Some(_) => Err(Unanswerable(format!("{name} is empty or longer than {ECHO_LIMIT} bytes"))),
            None => Err(Unanswerable(format!("{name} is missing or not a string"))),
        };
        let reply_to = ReplyTo {
            url: response_url(&text(event, "ResponseURL").unwrap_or_default())?,
            stack_id: echoed("StackId")?,
            request_id: echoed("RequestId")?,
            logical_id: echoed("LogicalResourceId")?,
        };
        let action = match text(event, "RequestType").as_deref() {
            Some("Create") => Ok(Action::Create),
            Some("Update") => Ok(Action::Update),
            Some("Delete") => Ok(Action::Delete),
            _ => Err("RequestType must be Create, Update or Delete".to_owned()),
        };
        Ok(Self {
            reply_to,
            action,
            resource_type: text(event, "ResourceType").unwrap_or_default(),
            physical_id: text(event, "PhysicalResourceId").filter(|id| (1..=LONGEST_PHYSICAL_ID).contains(&id.len())),
            properties: object(event, "ResourceProperties"),
            old_properties: object(event, "OldResourceProperties"),
        })
    }
}

/// What an answer repeats has to leave room for the rest of it. CloudFormation's own are far shorter.
const ECHO_LIMIT: usize = 512;

const LONGEST_PHYSICAL_ID: usize = 1024;

fn text(event: &Value, name: &str) -> Option<String> {
    event.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn object(event: &Value, name: &str) -> Object {
    event.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The address to answer to: https, or plain http to this very machine, as local emulators use it. An error does not
/// repeat the address, which is a secret.
fn response_url(text: &str) -> Result<Uri, Unanswerable> {
    let wrong = || Unanswerable("ResponseURL is missing, or neither https nor http to a loopback address".to_owned());
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let host = url.host().ok_or_else(wrong)?;
    let loopback =
        host == "localhost" || host == "[::1]" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if loopback => Ok(url),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({"RequestType": "Create", "ResponseURL": "https://s3.example/x?X-Amz-Signature=secret", "StackId": "arn:aws:cloudformation:r:a:stack/s/1",
            "RequestId": "r-1", "LogicalResourceId": "AgentEvents", "ResourceType": "Custom::ConnectDataStreaming", "ResourceProperties": {"A": "1"}})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut event = event();
        event[name] = value;
        event
    }

    #[test]
    fn a_request_without_an_address_or_a_name_cannot_be_answered_and_keeps_the_address_secret() {
        for (name, value) in [
            ("ResponseURL", json!("http://s3.example/secret")),
            ("ResponseURL", json!("ftp://127.0.0.1/secret")),
            ("ResponseURL", json!(5)),
            ("ResponseURL", json!("not a url with secret")),
            ("StackId", json!(null)),
            ("RequestId", json!("")),
            ("LogicalResourceId", json!("x".repeat(100_000))),
        ] {
            let error = Request::read(&with(name, value)).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for host in ["127.0.0.1:4566", "localhost", "[::1]:80"] {
            assert!(Request::read(&with("ResponseURL", json!(format!("http://{host}/x")))).is_ok(), "{host}");
        }
        for host in ["127.0.0.1.example.com", "10.0.0.1"] {
            assert!(Request::read(&with("ResponseURL", json!(format!("http://{host}/x")))).is_err(), "{host}");
        }
    }

    #[test]
    fn debug_output_does_not_show_the_address() {
        assert!(!format!("{:?}", Request::read(&event()).unwrap()).contains("secret"));
    }

    #[test]
    fn what_is_asked_for_may_be_nonsense_and_is_still_answerable() {
        let request = Request::read(&with("RequestType", json!("Destroy"))).unwrap();
        assert!(request.action.is_err());
        let request = Request::read(&with("ResourceProperties", json!([1]))).unwrap();
        assert!(request.properties.is_empty());
    }
}
