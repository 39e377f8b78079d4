//! Owns a bucket and a domain in memory, for tests of whole runs. Either can fail from any call on, as when the process
//! dies there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ErrorMetadata;
use aws_sdk_s3::operation::abort_multipart_upload::AbortMultipartUploadOutput;
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput;
use aws_sdk_s3::operation::copy_object::{CopyObjectError, CopyObjectOutput};
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadOutput;
use aws_sdk_s3::operation::delete_object::{DeleteObjectError, DeleteObjectOutput};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_smithy_mocks::{MockResponse, Rule, RuleMode, mock, mock_client};
use bytes::Bytes;
use emite_aws::error::AwsError;
use serde_json::{Value, json};

use crate::bulk::{self, BulkResponse};

/// What there is, and what was called.
#[derive(Debug, Default)]
pub(crate) struct FakeState {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// The domain's documents by index and id.
    pub(crate) documents: BTreeMap<(String, String), String>,
    pub(crate) calls: Vec<String>,
    /// Calls that work; every later one fails.
    pub(crate) lives: Option<usize>,
    /// A body breaks off after so many bytes, again and again.
    pub(crate) breaks: Option<usize>,
    /// Ids that the domain answers with this status, so many times.
    pub(crate) refuses: BTreeMap<String, (u16, &'static str, usize)>,
    /// Keys that may not be read.
    pub(crate) denied: BTreeSet<String>,
    /// What another run puts into the bucket right after the first copy.
    pub(crate) after_copy: Option<(String, Vec<u8>)>,
    /// The domain answers a request with 400 if this id is in it.
    pub(crate) refuses_request_with: Option<String>,
    /// The domain answers every request with this status.
    pub(crate) refuses_all: Option<u16>,
    upload: BTreeMap<i32, Vec<u8>>,
}

/// A state that clients and tests share.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeAws(Arc<Mutex<FakeState>>);

impl FakeState {
    fn is_version(&self, key: &str, wanted: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| self.objects.get(key).is_some_and(|content| etag(content) == wanted))
    }

    /// Notes a call; false if it fails.
    fn call(&mut self, name: &str, key: &str) -> bool {
        let lives = self.lives.is_none_or(|lives| self.calls.len() < lives);
        self.calls.push(format!("{name} {key}"));
        lives
    }

    fn body(&self, content: &[u8]) -> ByteStream {
        match self.breaks {
            Some(most) if most < content.len() => {
                let begun = Bytes::copy_from_slice(&content[..most]);
                ByteStream::from_body_1_x(BrokenBody(Some(begun)))
            }
            _ => ByteStream::from(content.to_vec()),
        }
    }
}

/// A body that ends in an error.
struct BrokenBody(Option<Bytes>);

impl hyper::body::Body for BrokenBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        let frame = self.0.take().map(hyper::body::Frame::data).ok_or_else(|| std::io::Error::other("broken off"));
        std::task::Poll::Ready(Some(frame))
    }
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", crate::sha256(content))
}

/// Whether the line of a bulk request creates the document with this id.
fn names(line: &[u8], id: &str) -> bool {
    serde_json::from_slice(line).is_ok_and(|line: Value| line["create"]["_id"] == id)
}

fn changed() -> ErrorMetadata {
    ErrorMetadata::builder().code("PreconditionFailed").build()
}

fn no_such_key() -> ErrorMetadata {
    ErrorMetadata::builder().code("NoSuchKey").message("gone").build()
}

fn died() -> ErrorMetadata {
    ErrorMetadata::builder().code("Died").message("died").build()
}

impl FakeAws {
    pub(crate) fn lock(&self) -> MutexGuard<'_, FakeState> {
        self.0.lock().unwrap()
    }

    /// A client whose calls are answered from here.
    pub(crate) fn s3(&self) -> Client {
        let rules = [vec![self.reads(), self.heads()], self.writes(), self.uploads()].concat();
        mock_client!(aws_sdk_s3, RuleMode::MatchAny, &rules)
    }

    fn reads(&self) -> Rule {
        let state = self.clone();
        mock!(Client::get_object).then_compute_response(move |request| {
            let (mut state, key) = (state.lock(), request.key().unwrap().to_owned());
            let failed = |meta| MockResponse::Error(GetObjectError::generic(meta));
            if !state.call("get", &key) {
                return failed(died());
            }
            if state.denied.contains(&key) {
                return failed(ErrorMetadata::builder().code("AccessDenied").message("no").build());
            }
            let Some(content) = state.objects.get(&key) else { return failed(no_such_key()) };
            if request.if_match().is_some_and(|wanted| wanted != etag(content)) {
                return failed(changed());
            }
            let from =
                request.range().map_or(0, |range| range["bytes=".len()..].trim_end_matches('-').parse().unwrap());
            let Some(rest) = content.get(from..).filter(|rest| !rest.is_empty() || from == 0) else {
                return failed(ErrorMetadata::builder().code("InvalidRange").build());
            };
            MockResponse::Output(
                GetObjectOutput::builder()
                    .e_tag(etag(content))
                    .content_length(i64::try_from(rest.len()).unwrap())
                    .last_modified(DateTime::from_secs(1_763_946_000))
                    .body(state.body(rest))
                    .build(),
            )
        })
    }

    fn heads(&self) -> Rule {
        let state = self.clone();
        mock!(Client::head_object).then_compute_response(move |request| {
            let (mut state, key) = (state.lock(), request.key().unwrap().to_owned());
            if !state.call("head", &key) {
                return MockResponse::Error(HeadObjectError::generic(died()));
            }
            match state.objects.contains_key(&key) {
                true => MockResponse::Output(HeadObjectOutput::builder().build()),
                false => {
                    MockResponse::Error(HeadObjectError::generic(ErrorMetadata::builder().code("NotFound").build()))
                }
            }
        })
    }

    fn writes(&self) -> Vec<Rule> {
        let state = self.clone();
        let put = mock!(Client::put_object).then_compute_response(move |request| {
            let (mut state, key) = (state.lock(), request.key().unwrap().to_owned());
            if !state.call("put", &key) {
                return MockResponse::Error(PutObjectError::generic(died()));
            }
            if !state.is_version(&key, request.if_match()) {
                return MockResponse::Error(PutObjectError::generic(changed()));
            }
            state.objects.insert(key, request.body().bytes().unwrap().to_vec());
            MockResponse::Output(PutObjectOutput::builder().build())
        });
        let state = self.clone();
        let copy = mock!(Client::copy_object).then_compute_response(move |request| {
            let (mut state, key) = (state.lock(), request.key().unwrap().to_owned());
            let failed = |meta| MockResponse::Error(CopyObjectError::generic(meta));
            if !state.call("copy", &key) {
                return failed(died());
            }
            let from = request.copy_source().unwrap().strip_prefix("bucket/").unwrap();
            let Some(content) = state.objects.get(from).cloned() else { return failed(no_such_key()) };
            if request.copy_source_if_match() != Some(&etag(&content)) {
                return failed(changed());
            }
            state.objects.insert(key, content);
            if let Some((key, content)) = state.after_copy.take() {
                state.objects.insert(key, content);
            }
            MockResponse::Output(CopyObjectOutput::builder().build())
        });
        let state = self.clone();
        let delete = mock!(Client::delete_object).then_compute_response(move |request| {
            let (mut state, key) = (state.lock(), request.key().unwrap().to_owned());
            if !state.call("delete", &key) {
                return MockResponse::Error(DeleteObjectError::generic(died()));
            }
            if !state.is_version(&key, request.if_match()) {
                return MockResponse::Error(DeleteObjectError::generic(changed()));
            }
            state.objects.remove(&key);
            MockResponse::Output(DeleteObjectOutput::builder().build())
        });
        vec![put, copy, delete]
    }

    fn uploads(&self) -> Vec<Rule> {
        let state = self.clone();
        let begin = mock!(Client::create_multipart_upload).then_compute_output(move |request| {
            let mut state = state.lock();
            state.call("begin", request.key().unwrap());
            state.upload.clear();
            CreateMultipartUploadOutput::builder().upload_id("u").build()
        });
        let state = self.clone();
        let add = mock!(Client::upload_part).then_compute_output(move |request| {
            let mut state = state.lock();
            state.call("add", request.key().unwrap());
            state.upload.insert(request.part_number().unwrap(), request.body().bytes().unwrap().to_vec());
            UploadPartOutput::builder().e_tag("p").build()
        });
        let state = self.clone();
        let complete = mock!(Client::complete_multipart_upload).then_compute_output(move |request| {
            let (mut state, key) = (state.lock(), request.key().unwrap().to_owned());
            state.call("complete", &key);
            let whole: Vec<u8> = std::mem::take(&mut state.upload).into_values().flatten().collect();
            state.objects.insert(key, whole);
            CompleteMultipartUploadOutput::builder().build()
        });
        let state = self.clone();
        let abort = mock!(Client::abort_multipart_upload).then_compute_output(move |request| {
            state.lock().call("abort", request.key().unwrap());
            AbortMultipartUploadOutput::builder().build()
        });
        vec![begin, add, complete, abort]
    }

    /// The domain's response to a bulk request.
    pub(crate) fn post(&self, body: &Bytes, count: usize) -> Result<BulkResponse, AwsError> {
        let mut state = self.lock();
        if !state.call("post", &count.to_string()) {
            return Err(AwsError::unusable("es:ESHttpPost", "died".to_owned()));
        }
        if let Some(status) = state.refuses_all {
            return Ok(bulk::read(status, b"", count));
        }
        let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
        if state.refuses_request_with.as_ref().is_some_and(|id| lines.iter().any(|line| names(line, id))) {
            return Ok(bulk::read(400, b"", count));
        }
        let items: Vec<Value> = lines.chunks_exact(2).map(|pair| state.create(pair[0], pair[1])).collect();
        Ok(bulk::read(200, json!({"items": items}).to_string().as_bytes(), count))
    }
}

impl FakeState {
    fn create(&mut self, action: &[u8], document: &[u8]) -> Value {
        let action: Value = serde_json::from_slice(action).unwrap();
        let text = |name: &str| action["create"][name].as_str().unwrap().to_owned();
        let (index, id) = (text("_index"), text("_id"));
        if let Some((status, error_type, times)) = self.refuses.get_mut(&id)
            && *times > 0
        {
            *times -= 1;
            return json!({"create": {"status": *status, "error": {"type": *error_type}}});
        }
        let document = String::from_utf8(document.to_vec()).unwrap();
        match self.documents.entry((index, id)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(document);
                json!({"create": {"status": 201}})
            }
            std::collections::btree_map::Entry::Occupied(_) => {
                json!({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}})
            }
        }
    }
}
