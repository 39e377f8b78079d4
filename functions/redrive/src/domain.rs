//! Owns talking to the search domain: one signed `POST /_bulk` at a time, over TLS and without URL query parameters,
//! which the domain would not count into the signature
//! (<https://docs.aws.amazon.com/opensearch-service/latest/developerguide/request-signing.html>).

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use emite_aws::clock;
use emite_aws::error::{AwsError, causes};
use emite_aws::https;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use jiff::Timestamp;

use crate::bulk::{self, BulkError, BulkResponse, WriteResult};

/// What the role needs, on `<domain>/_bulk`.
pub(crate) const ACTION: &str = "es:ESHttpPost";
/// How long one request may take: longer than the minute for which the engine itself waits for a shard, whose response says
/// which of the documents are in (<https://docs.opensearch.org/latest/api-reference/document-apis/bulk/>).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(80);
/// The longest response that is read.
const LONGEST_RESPONSE: usize = 32 << 20;
const NDJSON: &str = "application/x-ndjson";

/// The address of a domain's `_bulk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BulkEndpoint {
    uri: Uri,
    host: String,
    region: String,
}

impl BulkEndpoint {
    /// The address below `endpoint`, which is `https://host[:port]`, in `region`.
    pub(crate) fn of(endpoint: &str, region: &str) -> Result<Self, String> {
        let wrong = || format!("searchEndpoint is '{endpoint}': must be https://, a host and nothing else");
        let url = url::Url::parse(endpoint).map_err(|_| wrong())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if url.scheme() != "https" || !bare || url.password().is_some() {
            return Err(wrong());
        }
        let uri: Uri = url.join("_bulk").map_err(|_| wrong())?.as_str().parse().map_err(|_| wrong())?;
        let host = uri.authority().ok_or_else(wrong)?.to_string();
        Ok(Self { uri, host, region: region.to_owned() })
    }
}

/// A domain, and what it takes to talk to it.
#[derive(Debug)]
pub(crate) struct DomainClient<'a> {
    pub(crate) endpoint: BulkEndpoint,
    pub(crate) client: &'a https::Client,
    pub(crate) credentials: Option<&'a SharedCredentialsProvider>,
}

impl DomainClient<'_> {
    /// Sends a bulk request of `count` documents. Needs `es:ESHttpPost`.
    ///
    /// # Errors
    /// If it cannot be signed. Whatever the domain answers, or that it does not, is no error.
    pub(crate) async fn post(&self, body: Bytes, count: usize, most: Duration) -> Result<BulkResponse, AwsError> {
        let unsigned = |problem: &str| AwsError::unusable(ACTION, problem.to_owned());
        let provider = self.credentials.ok_or_else(|| unsigned("there are no credentials to sign with"))?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|_| unsigned("the credentials to sign with cannot be had"))?;
        let request = signed(&self.endpoint, credentials, body, clock::now())
            .map_err(|_| unsigned("the request cannot be signed"))?;
        let response = tokio::time::timeout(REQUEST_TIMEOUT.min(most), self.send(request, count)).await;
        Ok(response.unwrap_or_else(|_| no_response("no answer in time")))
    }

    async fn send(&self, request: Request<Full<Bytes>>, count: usize) -> BulkResponse {
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                // It is about the network, and quotes no record.
                tracing::warn!(error = causes(&error), "no connection to the search domain");
                return BulkResponse::WholeRequest(bulk::NO_RESPONSE);
            }
            Err(_) => return no_response("the connection broke off"),
        };
        let status = response.status().as_u16();
        match Limited::new(response.into_body(), LONGEST_RESPONSE).collect().await {
            Ok(body) => bulk::read(status, &body.to_bytes(), count),
            // Fewer documents get a shorter response.
            Err(error) if error.is::<LengthLimitError>() => {
                BulkResponse::WholeRequest(WriteResult::TooLarge(BulkError {
                    status: Some(status),
                    error_type: "other",
                }))
            }
            Err(_) => no_response("the answer broke off"),
        }
    }
}

fn no_response(problem: &str) -> BulkResponse {
    tracing::warn!(problem, "the search domain gave no answer");
    BulkResponse::WholeRequest(bulk::NO_RESPONSE)
}

/// The request with its signature, which covers the body.
fn signed(
    endpoint: &BulkEndpoint,
    credentials: Credentials,
    body: Bytes,
    now: Timestamp,
) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&endpoint.region)
        .name("es")
        .time(now.into())
        .settings(settings)
        .build()?
        .into();
    let headers = [("host", endpoint.host.as_str()), ("content-type", NDJSON)];
    let hash = SignableBody::Precomputed(sha256(&body));
    let signable = SignableRequest::new("POST", endpoint.uri.to_string(), headers.into_iter(), hash)?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&endpoint.uri)
        .header(HOST, &endpoint.host)
        .header(CONTENT_TYPE, NDJSON)
        .body(Full::new(body))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// The SHA-256 of a body in hexadecimal digits.
pub fn sha256(body: &[u8]) -> String {
    use std::fmt::Write;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_https_and_a_host_alone() {
        let endpoint = BulkEndpoint::of("https://search-x.ap-southeast-2.es.amazonaws.com", "r").unwrap();
        assert_eq!(endpoint.uri, "https://search-x.ap-southeast-2.es.amazonaws.com/_bulk");
        assert_eq!(BulkEndpoint::of("https://127.0.0.1:9443", "r").unwrap().host, "127.0.0.1:9443");
        for endpoint in [
            "http://x",
            "x",
            "",
            "https://",
            "https://x/y",
            "https://x?y",
            "https://u@x",
            "https://u:p@x",
            "ftp://x",
            "https://x#y",
        ] {
            let problem = BulkEndpoint::of(endpoint, "r").unwrap_err();
            assert!(problem.starts_with("searchEndpoint is"), "{problem}");
        }
    }

    #[test]
    fn a_request_is_signed_for_es_with_the_hash_of_its_body() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("token".to_owned()), None, "test");
        let endpoint = BulkEndpoint::of("https://search.example:9443", "ap-southeast-2").unwrap();
        let now = "2026-11-24T01:02:03Z".parse().unwrap();
        let request = signed(&endpoint, credentials, Bytes::from_static(b"{}\n"), now).unwrap();
        assert_eq!((request.method(), request.uri().query()), (&Method::POST, None));
        let mut headers: Vec<String> =
            request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        headers.sort();
        insta::assert_snapshot!(headers.join("\n"));
        assert!(headers.iter().any(|header| header.ends_with(&sha256(b"{}\n"))));
    }
}
