//! Owns the links: the things of the customer's account that the chain from Amazon Connect to eMite consists of, as AWS
//! shows them, and what their claims have in common.

use serde::{Deserialize, Serialize};

pub mod approved_origin;
pub mod data_streaming;
pub mod emite_server;

/// Where a claim is between being made and being forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Life {
    /// The stack wants it.
    Held,
    /// The stack is giving it up: what was there before is being put back.
    Releasing,
    /// Given up. Kept for a while, so that a late duplicate of the request that made it is recognised.
    Released,
}
