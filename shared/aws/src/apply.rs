//! Owns applying changes: the one place that writes to the customer's services.
//!
//! The live configuration is read again right before it is written. If it differs from what the change was decided on,
//! the result is [`ApplyError::ChangedMeanwhile`]. What is already as wanted is left alone, so applying twice is
//! harmless.

mod documents;
mod outcome;
mod server;
mod settings;
mod streaming;

use emite_core::change::Change;

use crate::clients::Aws;
use crate::ledger::Ledger;

pub use outcome::{Applied, ApplyError};
pub(crate) use streaming::{Streamed, stream_to};
pub use streaming::{exists, observe_origin_until, observe_until};

/// Waits until an applied change is in force, where AWS takes its time; a minute at most.
pub async fn settled(aws: &Aws, change: &Change) {
    if let Change::AdmitToDomain { domain, .. } = change {
        documents::in_force(aws, domain).await;
    }
}

/// Carries out `change`. What is claimed in the ledger goes through [`crate::claims`], which writes the claim first.
pub async fn apply(aws: &Aws, ledger: &Ledger, change: &Change) -> Result<Applied, ApplyError> {
    match change {
        Change::StreamTo { source, from, to, .. } => {
            Ok(streaming::stream_to(aws, ledger, source, from.as_ref(), to).await?.applied)
        }
        Change::RestoreStreaming { source, from, to } => {
            streaming::restore(aws, ledger, source, from.as_ref(), to).await
        }
        Change::StopStreaming { source, from } => streaming::stop_streaming(aws, source, from).await,
        Change::AllowOrigin { place } => streaming::allow_origin(aws, place).await,
        Change::RemoveOrigin { place, listed } => streaming::remove_origin(aws, place, listed).await,
        Change::SetRetention { stream, from, to } => settings::raise_retention(aws, stream, *from, *to).await,
        Change::AdmitToDomain { domain, seen, statements } => {
            documents::admit_to_domain(aws, domain, seen, statements).await
        }
        Change::SetTrust { role, seen, admission, .. } => documents::set_trust(aws, role, seen, admission).await,
        Change::SetSession { role, from, to } => settings::set_session(aws, role, *from, *to).await,
        Change::SetRolePolicy { role, seen, statements } => {
            documents::set_role_policy(aws, role, seen, statements).await
        }
        Change::SetBoundary { role, from, to } => settings::set_boundary(aws, role, from.as_deref(), to).await,
        Change::AttachProfile { instance, from, to } => {
            server::attach_profile(aws.ec2(), instance, from.as_ref(), to).await
        }
        Change::AssociateAddress { instance, allocation, seen } => {
            server::associate_address(aws.ec2(), instance, allocation, seen).await
        }
    }
}
