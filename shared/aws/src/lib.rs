//! Owns everything that touches the outside: the AWS clients and all their calls, what a run reads ([`observe`]) and
//! writes ([`apply`](mod@apply)), the [`ledger`], settings, the clock, and HTTPS.
//!
//! The crate `emite-core` decides what to do. The ledger remembers the state of a link before our first write, so that
//! deleting the stack restores it.

pub mod apply;
pub mod claims;
pub mod clients;
pub mod clock;
pub mod cloudformation;
pub mod cloudwatch;
pub mod connect;
mod convert;
pub mod ec2;
pub mod error;
pub mod eventbridge;
pub mod firehose;
pub mod https;
pub mod iam;
pub mod keys;
pub mod kinesis;
pub mod kms;
mod latch;
pub mod ledger;
pub mod logging;
pub mod logs;
pub mod look;
#[cfg(test)]
mod mocks;
pub mod observe;
pub mod opensearch;
pub mod s3;
pub mod services;
pub mod settings;
pub mod sns;
pub mod sqs;
pub mod ssm;
pub mod wait;
