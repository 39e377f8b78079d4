//! Owns the calls of S3 that read, write and move whole objects, with the time-outs that those need.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, TaggingDirective};
use hyper::body::Bytes;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::convert::timestamp;
use crate::error::{AwsError, causes};

/// What reading an object needs. `s3:ListBucket` is needed as well: without it a missing key is a denied one.
pub const GET_OBJECT: &str = "s3:GetObject";
const PUT_OBJECT: &str = "s3:PutObject";
const DELETE_OBJECT: &str = "s3:DeleteObject";
const ABORT_UPLOAD: &str = "s3:AbortMultipartUpload";

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    s3: Client,
    name: String,
}

/// An object that is being read.
#[derive(Debug)]
pub struct StoredObject {
    /// The version that is read.
    pub etag: String,
    /// Its bytes, as they are stored.
    pub size: u64,
    /// When it was written.
    pub modified: Option<Timestamp>,
    /// Its bytes, which come as they are asked for.
    pub content: Content,
}

/// The bytes of an object, as they come.
#[derive(Debug)]
pub struct Content(ByteStream);

impl Content {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`AwsError::UNREACHABLE`] if they break off, or do not fit their checksum.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AwsError> {
        let broken_off = |error| AwsError::new(GET_OBJECT, AwsError::UNREACHABLE, causes(&error));
        self.0.next().await.transpose().map_err(broken_off)
    }
}

impl Bucket {
    /// The bucket of this name. A copy of a large object, or a part of 8 MiB on a slow day, takes longer than the usual
    /// call.
    pub fn new(s3: &Client, name: String) -> Self {
        let patient = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(60))
            .operation_timeout(Duration::from_secs(120))
            .build();
        Self { s3: Client::from_conf(s3.config().to_builder().timeout_config(patient).build()), name }
    }

    /// An object (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:GetObject`.
    pub async fn get(&self, key: &str) -> Result<StoredObject, AwsError> {
        let answer = self.get_object(key).send().await.map_err(AwsError::of(GET_OBJECT))?;
        Ok(StoredObject {
            etag: answer.e_tag.unwrap_or_default(),
            size: answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default(),
            modified: answer.last_modified.as_ref().and_then(timestamp),
            content: Content(answer.body),
        })
    }

    /// An object from its byte `from` on, only if it still is the version `etag`.
    ///
    /// # Errors
    /// [`AwsError`] of `s3:GetObject`.
    pub async fn get_from(&self, key: &str, from: u64, etag: &str) -> Result<Content, AwsError> {
        let mut get = self.get_object(key).if_match(etag);
        if from > 0 {
            get = get.range(format!("bytes={from}-"));
        }
        Ok(Content(get.send().await.map_err(AwsError::of(GET_OBJECT))?.body))
    }

    fn get_object(&self, key: &str) -> GetObjectFluentBuilder {
        self.s3.get_object().bucket(&self.name).key(key)
    }

    /// Whether there is such an object (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:GetObject`.
    pub async fn has(&self, key: &str) -> Result<bool, AwsError> {
        match self.s3.head_object().bucket(&self.name).key(key).send().await.map_err(AwsError::of(GET_OBJECT)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is any object below a prefix
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:ListBucket`.
    pub async fn has_any(&self, prefix: &str) -> Result<bool, AwsError> {
        let listed = self.s3.list_objects_v2().bucket(&self.name).prefix(prefix).max_keys(1).send().await;
        Ok(listed.map_err(AwsError::of("s3:ListBucket"))?.contents.is_some_and(|found| !found.is_empty()))
    }

    /// Stores an object; with `etag` only in place of that version
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:PutObject`.
    pub async fn put(&self, key: &str, content: Vec<u8>, etag: Option<&str>) -> Result<(), AwsError> {
        let put = self.s3.put_object().bucket(&self.name).key(key).body(ByteStream::from(content));
        put.set_if_match(etag.map(str::to_owned)).send().await.map_err(AwsError::of(PUT_OBJECT))?;
        Ok(())
    }

    /// Copies the version `etag` of an object, without its tags, which would take rights of their own; encryption is
    /// the bucket's own (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:PutObject`.
    pub async fn copy(&self, from: &str, etag: &str, to: &str) -> Result<(), AwsError> {
        let source = format!("{}/{}", self.name, encoded(from));
        let copy = self.s3.copy_object().bucket(&self.name).key(to).copy_source(source).copy_source_if_match(etag);
        copy.tagging_directive(TaggingDirective::Replace).send().await.map_err(AwsError::of(PUT_OBJECT))?;
        Ok(())
    }

    /// Deletes an object; with `etag` only that version
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:DeleteObject`.
    pub async fn delete(&self, key: &str, etag: Option<&str>) -> Result<(), AwsError> {
        let delete = self.s3.delete_object().bucket(&self.name).key(key).set_if_match(etag.map(str::to_owned));
        delete.send().await.map_err(AwsError::of(DELETE_OBJECT))?;
        Ok(())
    }

    /// Begins an upload in parts (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>).
    ///
    /// # Errors
    /// [`AwsError`] of `s3:PutObject`.
    pub async fn begin_upload(&self, key: &str) -> Result<MultipartUpload, AwsError> {
        let begun = self
            .s3
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
            .map_err(AwsError::of(PUT_OBJECT))?;
        let id = begun.upload_id.ok_or_else(|| AwsError::unusable(PUT_OBJECT, "the upload has no id".to_owned()))?;
        Ok(MultipartUpload { id, parts: Vec::new() })
    }

    /// Uploads the next part.
    ///
    /// # Errors
    /// [`AwsError`] of `s3:PutObject`.
    pub async fn upload_part(&self, key: &str, upload: &mut MultipartUpload, content: Vec<u8>) -> Result<(), AwsError> {
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let part = self.s3.upload_part().bucket(&self.name).key(key).upload_id(&upload.id).part_number(number);
        let added = part.body(ByteStream::from(content)).send().await.map_err(AwsError::of(PUT_OBJECT))?;
        upload.parts.push(CompletedPart::builder().part_number(number).set_e_tag(added.e_tag).build());
        Ok(())
    }

    /// Makes an object of what was uploaded; with `etag` only in place of that version.
    ///
    /// # Errors
    /// [`AwsError`] of `s3:PutObject`.
    pub async fn complete_upload(
        &self,
        key: &str,
        upload: MultipartUpload,
        etag: Option<&str>,
    ) -> Result<(), AwsError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(upload.parts)).build();
        let complete = self.s3.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload.id);
        complete
            .multipart_upload(parts)
            .set_if_match(etag.map(str::to_owned))
            .send()
            .await
            .map_err(AwsError::of(PUT_OBJECT))?;
        Ok(())
    }

    /// Discards what was uploaded.
    ///
    /// # Errors
    /// [`AwsError`] of `s3:AbortMultipartUpload`.
    pub async fn abort_upload(&self, key: &str, upload: MultipartUpload) -> Result<(), AwsError> {
        let abort = self.s3.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload.id);
        abort.send().await.map_err(AwsError::of(ABORT_UPLOAD))?;
        Ok(())
    }
}

/// An upload in parts that has begun.
#[derive(Debug)]
pub struct MultipartUpload {
    id: String,
    parts: Vec<CompletedPart>,
}

/// A key as the header of a copy has it.
fn encoded(key: &str) -> String {
    const REST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(key, REST).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_encoded_but_for_its_slashes() {
        assert_eq!(encoded("a/b-1_2.gz~/c d+ü%2F"), "a/b-1_2.gz~/c%20d%2B%C3%BC%252F");
    }
}
