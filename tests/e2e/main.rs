//! The end-to-end tests: the real binary against the local AWS, driven through the Runtime API that [`emite_connect_tests`]
//! plays, or through CloudFormation. One binary, one module per theme.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, with the place"
)]

mod process;
mod scenario;
mod watched;
mod world;

mod bad_input;
mod by_hand;
mod crashes;
mod duplicates;
mod found;
mod handover;
mod life_cycles;
mod lost_ledger;
mod matrix;
mod orders;
mod policy;
mod preflight;
mod redrive;
mod repair;
mod self_hosted;
mod sequences;
mod surroundings;
mod updates;
mod watch;
