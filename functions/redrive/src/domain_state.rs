//! Owns what the domain has shown of itself in the course of a run, by which later requests are sent and understood.

use crate::backoff::Backoff;
use crate::batch::LONGEST_BODY;

/// What the domain has shown of itself so far, in all batches of a run.
#[derive(Debug)]
pub(crate) struct DomainState {
    pub(crate) backoff: Backoff,
    /// The longest body that it is sent.
    pub(crate) max_body: usize,
    /// A document that is rejected as a whole request is taken for a bad one, as other requests were answered document by
    /// document.
    pub(crate) rejections_are_final: bool,
    /// Documents in a row that were rejected as whole requests.
    pub(crate) rejected_alone: usize,
}

impl Default for DomainState {
    fn default() -> Self {
        Self { backoff: Backoff::default(), max_body: LONGEST_BODY, rejections_are_final: false, rejected_alone: 0 }
    }
}

impl DomainState {
    /// From now on a document that is rejected as a whole request is taken for a bad one.
    pub(crate) fn accept_rejections(&mut self) {
        self.rejections_are_final = true;
        self.rejected_alone = 0;
    }

    /// Makes later requests smaller.
    pub(crate) fn halve_requests(&mut self) {
        const SMALLEST: usize = 64 << 10;
        self.max_body = (self.max_body / 2).max(SMALLEST);
    }
}
