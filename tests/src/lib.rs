//! Owns the harness of the end-to-end tests: the local AWS that one test run shares, and the three parties that a function
//! meets there and that the tests play: the Lambda Runtime API, CloudFormation's end of a ResponseURL, and a network with faults.
//!
//! The tests themselves are in `e2e/`; everything here is built without the product, and has its own tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that cannot go on has to stop the test that uses it, with the place"
)]

pub mod alerts;
pub mod calls;
pub mod cli;
pub mod cloudformation;
pub mod engines;
pub mod failed;
pub mod faults;
pub mod functions;
pub mod http;
pub mod instance;
pub mod local_aws;
pub mod memory;
pub mod metrics;
pub mod network;
pub mod objects;
pub mod runtime_api;
pub mod search;
pub mod sequences;
pub mod stack;
