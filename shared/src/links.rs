//! Owns the list of links (the things of the customer's account that the chain from Amazon Connect to eMite consists
//! of), and what their claims have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use serde::{Deserialize, Serialize};

pub mod agent_event_stream;
pub mod approved_origin;
pub mod data_streaming;
pub mod domain_access;
pub mod emite_role;
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

/// Counts the attempts of one call. A refusal as "already there" on the first attempt is about somebody else's thing;
/// on a later one it may be about our own, made by an attempt whose answer got lost.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// How many attempts were sent.
    pub fn made(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
