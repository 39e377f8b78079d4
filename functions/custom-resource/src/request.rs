//! Owns the request of CloudFormation, read from plain JSON.
//!
//! It is read field by field rather than into a struct, because a request that does not parse has to be answered too:
//! whatever is needed for an answer is read first, and everything else can be wrong and still be reported
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>).

use std::fmt;

use hyper::Uri;
use jiff::Timestamp;
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
    /// When CloudFormation made the request, as far as the signature of the address tells.
    pub(crate) issued: Option<Timestamp>,
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
    pub(crate) fn read(event: &Value, addresses: &ResponseAddresses) -> Result<Self, Unanswerable> {
        let echoed = |name: &str| match text(event, name) {
            Some(value) if (1..=ECHO_LIMIT).contains(&value.len()) => Ok(value.to_owned()),
            Some(_) => Err(Unanswerable(format!("{name} is empty or longer than {ECHO_LIMIT} bytes"))),
            None => Err(Unanswerable(format!("{name} is missing or not a string"))),
        };
        let url = addresses.read(&text(event, "ResponseURL").unwrap_or_default())?;
        let reply_to = ReplyTo {
            issued: signed_at(&url),
            url,
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

/// When a presigned address was made, which CloudFormation does for each request
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>). An address that is signed otherwise does
/// not tell.
fn signed_at(url: &Uri) -> Option<Timestamp> {
    url.query()?.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Date="))?.parse().ok()
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

/// Where responses may go: to CloudFormation's own bucket of this region. Whoever may invoke the function could name another
/// address, and would be sent what the response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseAddresses {
    region: String,
    loopback: bool,
}

/// Lets responses go to this very machine by plain http, as local emulators need it. AWS Lambda refuses variables whose name
/// begins like this, so no one can set it there.
const LOOPBACK: &str = "_EMITE_LOOPBACK_RESPONSES";

impl ResponseAddresses {
    /// The addresses of the region that AWS Lambda names in the environment.
    pub(crate) fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { region: lookup("AWS_REGION").unwrap_or_default(), loopback: lookup(LOOPBACK).is_some() }
    }

    /// Reads an address. An error does not repeat it, since it is a secret.
    fn read(&self, text: &str) -> Result<Uri, Unanswerable> {
        let wrong = || {
            Unanswerable("ResponseURL is missing, or is not CloudFormation's response bucket in this region".to_owned())
        };
        let url: Uri = text.parse().map_err(|_| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let plain =
            authority.as_str() == authority.host() || authority.as_str().strip_prefix(authority.host()) == Some(":443");
        match url.scheme_str() {
            Some("https") if plain && self.is_cloudformations(authority.host()) => Ok(url),
            Some("http") if self.loopback && is_loopback(authority.host()) => Ok(url),
            _ => Err(wrong()),
        }
    }

    /// Whether `host` is that of the bucket that CloudFormation reads responses from, in any form of S3's
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>).
    fn is_cloudformations(&self, host: &str) -> bool {
        let bucket = format!("cloudformation-custom-resource-response-{}.s3", self.region.replace('-', ""));
        let Some(rest) = host.strip_prefix(&bucket) else { return false };
        let rest = rest.strip_prefix(".dualstack").unwrap_or(rest);
        let regional = rest.strip_prefix(['.', '-']).and_then(|rest| rest.strip_prefix(&self.region));
        !self.region.is_empty() && matches!(regional.unwrap_or(rest), ".amazonaws.com" | ".amazonaws.com.cn")
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({"RequestType": "Create", "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?X-Amz-Signature=secret", "StackId": "arn:aws:cloudformation:r:a:stack/s/1",
            "RequestId": "r-1", "LogicalResourceId": "AgentEvents", "ResourceType": "Custom::ConnectDataStreaming", "ResourceProperties": {"A": "1"}})
    }

    fn in_region(region: &str) -> ResponseAddresses {
        ResponseAddresses::from_environment(|name| (name == "AWS_REGION").then(|| region.to_owned()))
    }

    fn read(event: &Value) -> Result<Request, Unanswerable> {
        Request::read(event, &in_region("us-east-1"))
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
            let error = read(&with(name, value)).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn responses_go_to_cloudformations_bucket_in_whatever_form_it_is_named() {
        for (region, host) in [
            ("us-east-1", "useast1.s3.amazonaws.com"),
            ("us-west-2", "uswest2.s3-us-west-2.amazonaws.com"),
            ("eu-west-1", "euwest1.s3-eu-west-1.amazonaws.com"),
            ("eu-west-2", "euwest2.s3.eu-west-2.amazonaws.com"),
            ("eu-west-2", "euwest2.s3.dualstack.eu-west-2.amazonaws.com"),
            ("ap-southeast-2", "apsoutheast2.s3.ap-southeast-2.amazonaws.com:443"),
            ("us-gov-west-1", "usgovwest1.s3-us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "cnnorth1.s3.cn-north-1.amazonaws.com.cn"),
        ] {
            let url =
                format!("https://cloudformation-custom-resource-response-{host}/arn%3Aaws?X-Amz-Signature=secret");
            assert!(in_region(region).read(&url).is_ok(), "{host}");
            assert!(in_region("eu-central-1").read(&url).is_err(), "{host} is of another region");
        }
    }

    #[test]
    fn responses_go_nowhere_else() {
        const BUCKET: &str = "cloudformation-custom-resource-response-useast1";
        for host in [
            "evil.example".to_owned(),
            format!("{BUCKET}.s3.amazonaws.com.evil.example"),
            format!("{BUCKET}.s3.evil.amazonaws.com"),
            format!("{BUCKET}x.s3.amazonaws.com"),
            format!("x{BUCKET}.s3.amazonaws.com"),
            format!("{BUCKET}.s3.amazonaws.com:8443"),
            format!("{BUCKET}.s3.amazonaws.com@evil.example"),
            format!("user@{BUCKET}.s3.amazonaws.com"),
            format!("{BUCKET}.s3.us-west-2.amazonaws.com"),
            "127.0.0.1:4566".to_owned(),
        ] {
            assert!(in_region("us-east-1").read(&format!("https://{host}/x")).is_err(), "{host}");
        }
        let unknown = ResponseAddresses::from_environment(|_| None);
        assert!(unknown.read("https://cloudformation-custom-resource-response-.s3.amazonaws.com/x").is_err());
    }

    #[test]
    fn plain_http_is_for_this_machine_only_and_never_in_lambda() {
        let local = ResponseAddresses::from_environment(|name| (name == LOOPBACK).then(|| "1".to_owned()));
        for host in ["127.0.0.1:4566", "localhost", "[::1]:80"] {
            assert!(local.read(&format!("http://{host}/x")).is_ok(), "{host}");
            assert!(in_region("us-east-1").read(&format!("http://{host}/x")).is_err(), "{host}");
        }
        for host in ["127.0.0.1.example.com", "10.0.0.1"] {
            assert!(local.read(&format!("http://{host}/x")).is_err(), "{host}");
        }
    }

    #[test]
    fn the_signature_of_the_address_tells_when_a_request_was_made() {
        let url = |query: &str| {
            let address = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x";
            read(&with("ResponseURL", json!(format!("{address}{query}")))).unwrap().reply_to.issued
        };
        let dated = url("?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260818T140227Z&X-Amz-Expires=7199");
        assert_eq!(dated, Some("2026-08-18T14:02:27Z".parse().unwrap()));
        for untold in
            ["", "?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1555451971&Signature=x", "?X-Amz-Date=yesterday"]
        {
            assert_eq!(url(untold), None, "{untold}");
        }
    }

    #[test]
    fn debug_output_does_not_show_the_address() {
        assert!(!format!("{:?}", read(&event()).unwrap()).contains("secret"));
    }

    #[test]
    fn what_is_asked_for_may_be_nonsense_and_is_still_answerable() {
        let request = read(&with("RequestType", json!("Destroy"))).unwrap();
        assert!(request.action.is_err());
        let request = read(&with("ResourceProperties", json!([1]))).unwrap();
        assert!(request.properties.is_empty());
    }
}
