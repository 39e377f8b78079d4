//! Owns what emite-connect knows and decides: types, checks, judging, diffs, policies, and words.
//!
//! Nothing here touches the outside: no AWS SDK, no network, no clock, no environment, no threads. So it cannot fail for
//! outside reasons, and its tests take seconds. The crate `emite-aws` reads and writes.
//!
//! Every thing that the stack manages in a customer's account is a *link* and has the same shape: an observation, a pure
//! [`diff`] against what is wanted, and a [`change::Change`] that carries out the difference. Deployment, drift detection
//! and repair go through the same three, so they cannot disagree.

pub mod arn;
pub mod attribution;
pub mod business_hours;
pub mod change;
pub mod checks;
pub mod command;
pub mod diff;
pub mod failed_object;
pub mod finding;
#[cfg(any(test, feature = "fixtures"))]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "for tests alone")]
pub mod fixtures;
pub mod handover;
pub mod judge;
pub mod latch;
pub mod layout;
pub mod links;
pub mod look;
pub mod metrics;
pub mod offer;
pub mod policies;
pub mod policy;
pub mod problems;
pub mod report;
pub mod snapshot;
pub mod spec;
pub mod watchdog;
pub mod words;
