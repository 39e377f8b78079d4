//! Owns what two or more functions of emite-connect share.
//!
//! Every thing that the stack manages in a customer's account is a *link* and has the same shape: `observe` reads it,
//! a pure `diff` compares it with what is wanted, and [`change::apply`] carries out the difference. Deployment, drift
//! detection and repair go through the same three, so they cannot disagree. The [`ledger`] remembers what a link looked
//! like before our first write, so that taking the stack away leaves it as it was found.

pub mod arn;
pub mod attribution;
pub mod aws;
pub mod business_hours;
pub mod change;
pub mod checks;
pub mod claimed;
pub mod clock;
pub mod error;
pub mod failed_object;
pub mod finding;
pub mod handover;
pub mod https;
pub mod ledger;
pub mod links;
pub mod looks;
pub mod metrics;
pub mod plan;
pub mod policy;
pub mod publish;
pub mod report;
pub mod services;
pub mod settings;
pub mod snapshot;
pub mod spec;
pub mod watchdog;
pub mod words;
