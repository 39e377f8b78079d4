//! Owns the calls to S3, with the time-outs that whole objects need.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, TaggingDirective};
use emite_aws::error::AwsError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// `s3:ListBucket` is needed as well: without it a missing key is a denied one.
pub(crate) const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";
const ABORT: &str = "s3:AbortMultipartUpload";

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    s3: Client,
    pub(crate) name: String,
}

/// What of an object is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part<'a> {
    /// From which byte on.
    pub(crate) from: u64,
    /// Only if it still is this version.
    pub(crate) etag: Option<&'a str>,
}

impl Bucket {
    /// The bucket of this name. A copy of a large object, or a part of 8 MiB on a slow day, takes longer than the usual
    /// call.
    pub(crate) fn new(s3: &Client, name: String) -> Self {
        let patient = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(60))
            .operation_timeout(Duration::from_secs(120))
            .build();
        Self { s3: Client::from_conf(s3.config().to_builder().timeout_config(patient).build()), name }
    }

    /// An object, or its end (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).
    pub(crate) async fn get(&self, key: &str, part: Part<'_>) -> Result<GetObjectOutput, AwsError> {
        let mut get = self.s3.get_object().bucket(&self.name).key(key).set_if_match(part.etag.map(str::to_owned));
        if part.from > 0 {
            get = get.range(format!("bytes={}-", part.from));
        }
        get.send().await.map_err(AwsError::of(GET))
    }

    /// Whether there is such an object (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>).
    pub(crate) async fn has(&self, key: &str) -> Result<bool, AwsError> {
        match self.s3.head_object().bucket(&self.name).key(key).send().await.map_err(AwsError::of(GET)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is any object below a prefix
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
    pub(crate) async fn has_any(&self, prefix: &str) -> Result<bool, AwsError> {
        let listed = self.s3.list_objects_v2().bucket(&self.name).prefix(prefix).max_keys(1).send().await;
        Ok(listed.map_err(AwsError::of("s3:ListBucket"))?.contents.is_some_and(|found| !found.is_empty()))
    }

    /// Stores an object; with `etag` only in place of that version
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>).
    pub(crate) async fn put(&self, key: &str, content: Vec<u8>, etag: Option<&str>) -> Result<(), AwsError> {
        let put = self.s3.put_object().bucket(&self.name).key(key).body(ByteStream::from(content));
        put.set_if_match(etag.map(str::to_owned)).send().await.map_err(AwsError::of(PUT))?;
        Ok(())
    }

    /// Copies the version `etag` of an object, without its tags, which would take rights of their own; encryption is the
    /// bucket's own
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>).
    pub(crate) async fn copy(&self, from: &str, etag: &str, to: &str) -> Result<(), AwsError> {
        let source = format!("{}/{}", self.name, encoded(from));
        let copy = self.s3.copy_object().bucket(&self.name).key(to).copy_source(source).copy_source_if_match(etag);
        copy.tagging_directive(TaggingDirective::Replace).send().await.map_err(AwsError::of(PUT))?;
        Ok(())
    }

    /// Deletes an object; with `etag` only that version
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>).
    pub(crate) async fn delete(&self, key: &str, etag: Option<&str>) -> Result<(), AwsError> {
        let delete = self.s3.delete_object().bucket(&self.name).key(key).set_if_match(etag.map(str::to_owned));
        delete.send().await.map_err(AwsError::of(DELETE))?;
        Ok(())
    }

    /// Begins an upload in parts (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>).
    pub(crate) async fn begin(&self, key: &str) -> Result<Upload, AwsError> {
        let begun =
            self.s3.create_multipart_upload().bucket(&self.name).key(key).send().await.map_err(AwsError::of(PUT))?;
        let id = begun.upload_id.ok_or_else(|| AwsError::unusable(PUT, "the upload has no id".to_owned()))?;
        Ok(Upload { id, parts: Vec::new() })
    }

    pub(crate) async fn add(&self, key: &str, upload: &mut Upload, content: Vec<u8>) -> Result<(), AwsError> {
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let part = self.s3.upload_part().bucket(&self.name).key(key).upload_id(&upload.id).part_number(number);
        let added = part.body(ByteStream::from(content)).send().await.map_err(AwsError::of(PUT))?;
        upload.parts.push(CompletedPart::builder().part_number(number).set_e_tag(added.e_tag).build());
        Ok(())
    }

    /// Makes an object of what was uploaded; with `etag` only in place of that version.
    pub(crate) async fn complete(&self, key: &str, upload: Upload, etag: Option<&str>) -> Result<(), AwsError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(upload.parts)).build();
        let complete = self.s3.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload.id);
        complete
            .multipart_upload(parts)
            .set_if_match(etag.map(str::to_owned))
            .send()
            .await
            .map_err(AwsError::of(PUT))?;
        Ok(())
    }

    pub(crate) async fn abort(&self, key: &str, upload: Upload) -> Result<(), AwsError> {
        let abort = self.s3.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload.id);
        abort.send().await.map_err(AwsError::of(ABORT))?;
        Ok(())
    }
}

/// An upload in parts that has begun.
#[derive(Debug)]
pub(crate) struct Upload {
    id: String,
    parts: Vec<CompletedPart>,
}

/// A key as the header of a copy has it.
fn encoded(key: &str) -> String {
    const REST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(key, REST).to_string()
}

/// The object is not the version any more that was asked for, or is just being changed.
pub(crate) fn has_changed(error: &AwsError) -> bool {
    matches!(error.code.as_str(), "PreconditionFailed" | "HTTP 412" | "ConditionalRequestConflict" | "HTTP 409")
}

/// The object is in an archive and has to be restored before it can be read
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html>).
pub(crate) fn is_archived(error: &AwsError) -> bool {
    error.code == "InvalidObjectState"
}

/// The object does not reach that far.
pub(crate) fn is_past_the_end(error: &AwsError) -> bool {
    matches!(error.code.as_str(), "InvalidRange" | "HTTP 416")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_encoded_but_for_its_slashes() {
        assert_eq!(encoded("a/b-1_2.gz~/c d+ü%2F"), "a/b-1_2.gz~/c%20d%2B%C3%BC%252F");
    }
}
