//! Owns reading the engine's response to a bulk request: what it means for each record. Pure.
//!
//! Nothing of a response is kept but a status and a type of error that is known: reasons quote the document.

mod error_type;

use std::fmt;

use emite_core::failed_object::known_type;
use serde::Deserialize;

use error_type::ErrorType;

/// The error of a document or a request that the engine did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BulkError {
    /// The HTTP status; none if there was no response.
    pub(crate) status: Option<u16>,
    /// A known type of error, or `other`.
    pub(crate) error_type: &'static str,
}

impl fmt::Display for BulkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(formatter, "{status}/{}", self.error_type),
            None => write!(formatter, "none/{}", self.error_type),
        }
    }
}

/// What a response means for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteResult {
    /// The document is in the index now.
    Indexed,
    /// It was before.
    AlreadyPresent,
    /// It never will be.
    Rejected(BulkError),
    /// It is too large, or the request was.
    TooLarge(BulkError),
    /// Nothing will be before a user has done something.
    Fatal(BulkError),
    /// Another try may do.
    Retryable(BulkError),
}

/// The response to a bulk request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BulkResponse {
    /// One result for each document of the request.
    PerDocument(Vec<WriteResult>),
    /// The same for all of it.
    WholeRequest(WriteResult),
}

/// A response that does not come, breaks off or makes no sense. Ids are kept, so sending again is safe.
pub(crate) const NO_RESPONSE: WriteResult =
    WriteResult::Retryable(BulkError { status: None, error_type: "unreachable" });

#[derive(Deserialize)]
struct ResponseBody<'a> {
    #[serde(borrow)]
    items: Vec<ResponseItem<'a>>,
}

/// `{"create":{…}}`
#[derive(Deserialize)]
struct ResponseItem<'a> {
    #[serde(borrow)]
    create: CreateResult<'a>,
}

#[derive(Deserialize)]
struct CreateResult<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: ErrorType<'a>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow, default)]
    error: ErrorType<'a>,
}

/// What the response with this status and body means for a request of `count` documents.
pub(crate) fn read(status: u16, body: &[u8], count: usize) -> BulkResponse {
    if status != 200 {
        let error = serde_json::from_slice(body).map(|body: ErrorBody<'_>| body.error).unwrap_or_default();
        return BulkResponse::WholeRequest(match result_of(status, &error) {
            // Of one document that could be meant, of a whole request it settles nothing.
            WriteResult::Indexed | WriteResult::AlreadyPresent => {
                WriteResult::Fatal(BulkError { status: Some(status), error_type: "other" })
            }
            result => result,
        });
    }
    match serde_json::from_slice::<ResponseBody<'_>>(body) {
        Ok(ResponseBody { items }) if items.len() == count => BulkResponse::PerDocument(
            items.iter().map(|item| result_of(item.create.status, &item.create.error)).collect(),
        ),
        _ => BulkResponse::WholeRequest(NO_RESPONSE),
    }
}

/// What engines say with the status of a bad document though no document is to blame: the index is closed, or the domain
/// has as many shards as it may and makes no index of a new month.
const INDEX_TO_BLAME: [&str; 2] = ["index_closed_exception", "validation_exception"];

/// Elasticsearch and OpenSearch name all blocks of writes so: `cluster_block_exception`, `index_create_block_exception`, …
fn is_block(error_type: &str) -> bool {
    error_type.ends_with("_block_exception")
}

fn result_of(status: u16, error: &ErrorType<'_>) -> WriteResult {
    let blocked = is_block(&error.0) || INDEX_TO_BLAME.contains(&&*error.0);
    let bulk_error = BulkError { status: Some(status), error_type: known_type(&error.0).unwrap_or("other") };
    match status {
        _ if blocked => WriteResult::Fatal(bulk_error),
        200 | 201 => WriteResult::Indexed,
        409 => WriteResult::AlreadyPresent,
        400 => WriteResult::Rejected(bulk_error),
        413 => WriteResult::TooLarge(bulk_error),
        408 | 429 | 500.. => WriteResult::Retryable(bulk_error),
        _ => WriteResult::Fatal(bulk_error),
    }
}

/// What an admin does about a run that stopped.
pub(crate) fn remedy(bulk_error: BulkError) -> &'static str {
    match (bulk_error.status, bulk_error.error_type) {
        (_, block) if is_block(block) => {
            "The domain takes no writes, mostly because its storage is full: give it more storage or delete old indices, lift \
             the block if it stays, then run the redrive again."
        }
        (_, "index_closed_exception") => {
            "The index that the records name is closed: open it, or move the objects away, then run the redrive again."
        }
        (_, "validation_exception") => {
            "The domain makes no further index, mostly because it has as many shards as it may: delete old indices, or raise \
             cluster.max_shards_per_node, then run the redrive again."
        }
        (Some(401 | 403), _) => {
            "The domain does not let this function write: see that its access policy admits this account and that the \
             function's role allows es:ESHttpPost on the domain's /_bulk, then run the redrive again."
        }
        (Some(404), _) => {
            "The domain does not make the index that the records name, or its address is of something else: make the index or \
             mend the address, then run the redrive again."
        }
        (None, _) => {
            "The domain does not answer: see in the OpenSearch console that it is active and can be reached, then run the \
             redrive again."
        }
        (Some(408 | 429 | 500..), _) => {
            "The domain is busy or unwell: wait until it is healthy, give it larger or more nodes if that happens again, then run \
             the redrive again."
        }
        _ => {
            "The domain answered what this release does not know: look at it in the OpenSearch console, then run the redrive again."
        }
    }
}

#[cfg(test)]
mod tests;
