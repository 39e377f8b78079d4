//! Owns the response to CloudFormation: its form, its size limit, and putting it where CloudFormation reads it
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>).
//!
//! The response type of `aws_lambda_events` says SUCCESS by default, and the address signs an empty content type, which
//! the SDK's HTTP client cannot send; hence a type of our own and a plain client.

use std::collections::BTreeMap;
use std::time::Duration;

use emite_aws::https::{self, Schemes};
use emite_aws::wait;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use crate::request::ReplyTo;

/// Values for `Fn::GetAtt`.
pub(crate) type Data = BTreeMap<&'static str, String>;

/// What a request that worked came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The resource's values.
    pub(crate) data: Data,
    /// What an admin should know all the same, or nothing.
    pub(crate) note: String,
}

impl From<Data> for Done {
    fn from(data: Data) -> Self {
        Self { data, note: String::new() }
    }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The resource's name from now on. Another one than before means a replacement, whose Delete follows.
    pub(crate) physical_id: String,
    /// What came of a success, or the reason of a failure.
    pub(crate) outcome: Result<Done, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResponseBody<'a> {
    status: &'static str,
    reason: &'a str,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Data>,
}

/// CloudFormation refuses a longer response.
const LONGEST_BODY: usize = 4096;

impl Response {
    /// The response as CloudFormation reads it: at most 4,096 bytes of UTF-8. A longer reason is cut.
    pub(crate) fn encode(&self, reply_to: &ReplyTo) -> Vec<u8> {
        let (status, reason, data) = match &self.outcome {
            Ok(done) => ("SUCCESS", done.note.as_str(), Some(&done.data)),
            Err(reason) => ("FAILED", reason.as_str(), None),
        };
        let encode = |reason: &str| {
            let body = ResponseBody {
                status,
                reason,
                physical_resource_id: &self.physical_id,
                stack_id: &reply_to.stack_id,
                request_id: &reply_to.request_id,
                logical_resource_id: &reply_to.logical_id,
                data,
            };
            serde_json::to_vec(&body).unwrap_or_default()
        };
        let whole = encode(reason);
        if whole.len() <= LONGEST_BODY {
            return whole;
        }
        // Escapes make a text longer than its bytes, so the cut is searched rather than computed.
        let mut cuts: Vec<usize> = reason.char_indices().map(|(at, _)| at).take(LONGEST_BODY).collect();
        let fits = cuts.partition_point(|&cut| encode(&format!("{}…", &reason[..cut])).len() <= LONGEST_BODY);
        cuts.truncate(fits);
        encode(&format!("{}…", &reason[..cuts.last().copied().unwrap_or(0)]))
    }
}

/// Sends responses.
#[derive(Clone, Debug)]
pub(crate) struct Mailer {
    client: https::Client,
}

/// Why a response did not arrive. Never holds the address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDelivered {
    /// The address does not take it, for example because it has expired.
    #[error("CloudFormation's address refused the answer with HTTP {0}")]
    Refused(StatusCode),
    /// No try came through.
    #[error("the answer could not be delivered to CloudFormation: {0}")]
    Unreachable(String),
}

impl Mailer {
    /// A mailer that trusts the system's certificate authorities.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { client: https::client(Schemes::HttpsOrHttp)? })
    }

    /// Puts `body` to where CloudFormation reads it; tries again while that can help, within the time that is kept for it.
    pub(crate) async fn deliver(&self, reply_to: &ReplyTo, body: Vec<u8>) -> Result<(), NotDelivered> {
        let body = Bytes::from(body);
        let put = async || self.put(reply_to, body.clone()).await;
        let final_outcome = |outcome: &Result<(), NotDelivered>| match outcome {
            Ok(()) | Err(NotDelivered::Refused(_)) => true,
            Err(error) => {
                tracing::warn!(%error, "the answer did not reach CloudFormation");
                false
            }
        };
        wait::until(wait::FOR_AN_ANSWER, put, final_outcome).await
    }

    async fn put(&self, reply_to: &ReplyTo, body: Bytes) -> Result<(), NotDelivered> {
        const TIME_LIMIT: Duration = Duration::from_secs(2);
        let unreachable = |problem: &str| NotDelivered::Unreachable(problem.to_owned());
        let request = Request::builder()
            .method(Method::PUT)
            .uri(&reply_to.url)
            .header(CONTENT_TYPE, HeaderValue::from_static(""))
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|_| unreachable("its address makes no request"))?;
        let response = tokio::time::timeout(TIME_LIMIT, self.client.request(request))
            .await
            .map_err(|_| unreachable("no answer within 2 s"))?
            .map_err(|error| {
                unreachable(if error.is_connect() { "no connection" } else { "the connection broke off" })
            })?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(unreachable(status.as_str()))
            }
            status => Err(NotDelivered::Refused(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn reply_to() -> ReplyTo {
        ReplyTo {
            issued: None,
            url: "https://s3.example/x".parse().unwrap(),
            stack_id: "arn:aws:cloudformation:eu-west-2:111122223333:stack/emite/1".into(),
            request_id: "r-1".into(),
            logical_id: "AgentEvents".into(),
        }
    }

    #[test]
    fn an_answer_repeats_what_cloudformation_needs_to_find_the_request() {
        let response = Response {
            physical_id: "i|data-streaming|AGENT_EVENTS".into(),
            outcome: Ok(Data::from([("AssociationId", "a-1".into())]).into()),
        };
        insta::assert_snapshot!(String::from_utf8(response.encode(&reply_to())).unwrap());
    }

    proptest! {
        #[test]
        fn an_answer_of_any_length_fits_and_is_valid_json(reason in "(\\PC|[\"\\\\\n\u{0}é😀]){0,6000}", id in "[a-z|]{1,1024}") {
            let body = Response { physical_id: id.clone(), outcome: Err(reason.clone()) }.encode(&reply_to());
            prop_assert!(body.len() <= LONGEST_BODY);
            let parsed: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(parsed["PhysicalResourceId"].as_str().unwrap(), id);
            let shown = parsed["Reason"].as_str().unwrap();
            let kept = shown.strip_suffix('…').unwrap_or(shown);
            prop_assert!(reason.starts_with(kept));
            prop_assert!(shown == reason || body.len() > LONGEST_BODY - 16, "cut shorter than needed");
        }
    }
}
