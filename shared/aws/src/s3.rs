//! Owns the calls of S3: how many failed records wait in the bucket, since when, and why; where a bucket is and what it
//! encrypts with; and storing a document.

pub mod objects;

use std::time::Duration;

use aws_sdk_s3::Client;
use emite_core::failed_object;
use emite_core::snapshot::{ErrorKind, FailedRecords};
use emite_core::spec::Spec;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::convert::timestamp;
use crate::error::{AwsError, causes, if_there};
use crate::look::log;

/// Pages of a listing that are read in one run, of a thousand objects each.
const PAGES: usize = 5;
/// What is read of one object to find out why its records failed.
const BEGINNING: &str = "bytes=0-65535";
/// How long that may take. If it takes longer, the finding does not give the reason.
const PATIENCE: Duration = Duration::from_secs(5);

/// What waits in the folders of failed records and in `quarantine/`; none if the bucket is gone.
pub async fn failed_records(s3: &Client, spec: &Spec) -> Result<Option<FailedRecords>, AwsError> {
    let folders = spec.stream_folders();
    let is_ours = |key: &str| !folders.is_of_another_stream(key);
    let failed = folders.failed().iter().map(|folder| listing(s3, &spec.backup_bucket, folder, is_ours));
    let quarantine = spec.quarantine_prefix();
    let listings = tokio::try_join!(
        async { Ok(together(try_join_all(failed).await?)) },
        listing(s3, &spec.backup_bucket, &quarantine, |_| true),
    );
    let Some((failed, quarantined)) = if_there(listings)? else { return Ok(None) };
    let kind = match &failed.oldest {
        Some((_, key)) => timeout(PATIENCE, kind(s3, &spec.backup_bucket, key)).await.unwrap_or_default(),
        None => None,
    };
    Ok(Some(FailedRecords {
        failed: failed.objects,
        quarantined: quarantined.objects,
        more: failed.more || quarantined.more,
        oldest: failed.oldest.map(|(at, _)| at),
        kind,
    }))
}

/// Where a bucket of `owner` is, as the API names it: the empty text is us-east-1, and `EU` may stand for eu-west-1, as
/// those two regions are older than their names. Needs `s3:GetBucketLocation`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>).
pub async fn bucket_location(s3: &Client, bucket: &str, owner: &str) -> Result<String, AwsError> {
    let answer = s3.get_bucket_location().bucket(bucket).expected_bucket_owner(owner).send().await;
    let location = answer.map_err(AwsError::of("s3:GetBucketLocation"))?.location_constraint;
    Ok(location.map_or_else(String::new, |location| location.as_str().to_owned()))
}

/// The KMS keys that a bucket of `owner` encrypts with by default. Needs `s3:GetEncryptionConfiguration`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html>).
pub async fn bucket_keys(s3: &Client, bucket: &str, owner: &str) -> Result<Vec<String>, AwsError> {
    let answer = s3.get_bucket_encryption().bucket(bucket).expected_bucket_owner(owner).send().await;
    let answer = answer.map_err(AwsError::of("s3:GetEncryptionConfiguration"))?;
    let rules =
        answer.server_side_encryption_configuration.map(|configuration| configuration.rules).unwrap_or_default();
    let defaults = rules.into_iter().filter_map(|rule| rule.apply_server_side_encryption_by_default);
    Ok(defaults.filter_map(|default| default.kms_master_key_id).collect())
}

/// A document to be stored.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// The bucket, which must belong to `owner`.
    pub bucket: &'a str,
    /// The object's key.
    pub key: String,
    /// The account that the bucket has to belong to.
    pub owner: &'a str,
    /// The KMS key that encrypts it; none: as the bucket does.
    pub kms_key: Option<&'a str>,
    /// The content type.
    pub content_type: &'a str,
    /// The text.
    pub content: String,
}

/// Stores a document. Needs `s3:PutObject`, and with a key `kms:GenerateDataKey`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>). Without a key the bucket's own encryption
/// applies, which every bucket has, and which may be stronger than what could be asked for here
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html>).
pub async fn put_document(s3: &Client, document: Document<'_>) -> Result<(), AwsError> {
    let put = s3
        .put_object()
        .bucket(document.bucket)
        .key(document.key)
        .expected_bucket_owner(document.owner)
        .checksum_algorithm("SHA256".into())
        .content_type(document.content_type)
        .body(document.content.into_bytes().into());
    let put = match document.kms_key {
        Some(key) => put.server_side_encryption("aws:kms".into()).ssekms_key_id(key),
        None => put,
    };
    put.send().await.map(drop).map_err(AwsError::of("s3:PutObject"))
}

#[derive(Default)]
struct Listing {
    objects: u64,
    more: bool,
    oldest: Option<(Timestamp, String)>,
}

/// Several listings as one.
fn together(listings: Vec<Listing>) -> Listing {
    listings.into_iter().fold(Listing::default(), |all, one| Listing {
        objects: all.objects + one.objects,
        more: all.more || one.more,
        oldest: [all.oldest, one.oldest].into_iter().flatten().min(),
    })
}

/// The beginning of a listing, of the objects with keys that are ours
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
async fn listing(s3: &Client, bucket: &str, prefix: &str, is_ours: impl Fn(&str) -> bool) -> Result<Listing, AwsError> {
    let mut listing = Listing::default();
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    for _ in 0..PAGES {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(AwsError::of("s3:ListBucket"))?;
        listing.more = page.is_truncated == Some(true);
        // The console makes empty objects that stand for folders.
        let objects = page.contents.unwrap_or_default().into_iter().filter(|object| object.size != Some(0));
        for object in objects.filter(|object| object.key.as_deref().is_some_and(&is_ours)) {
            listing.objects += 1;
            let written = object.last_modified.as_ref().and_then(timestamp);
            if let (Some(at), Some(key)) = (written, object.key)
                && listing.oldest.as_ref().is_none_or(|(oldest, _)| at < *oldest)
            {
                listing.oldest = Some((at, key));
            }
        }
        if !listing.more {
            break;
        }
    }
    Ok(listing)
}

/// Why the records of an object failed.
async fn kind(s3: &Client, bucket: &str, key: &str) -> Option<ErrorKind> {
    const ACTION: &str = "s3:GetObject";
    let answer = s3.get_object().bucket(bucket).key(key).range(BEGINNING).send().await;
    let read = async {
        let Some(object) = if_there(answer.map_err(AwsError::of(ACTION)))? else { return Ok(None) };
        let broken_off = |error| AwsError::new(ACTION, AwsError::UNREACHABLE, causes(&error));
        object.body.collect().await.map(Some).map_err(broken_off)
    };
    match read.await {
        Ok(body) => failed_object::kind_of(&body?.into_bytes()),
        Err(error) => {
            log(&error, "could not tell why records were refused");
            None
        }
    }
}
