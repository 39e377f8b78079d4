//! Owns changes: what is to be done to one link, decided by a pure function and carried out here.
//!
//! A change states an intent and what was seen when it was decided, never a finished document. [`apply`] looks again
//! before it writes: what changed in between is [`ApplyError::ChangedMeanwhile`], and what is already as wanted is left
//! alone, so applying twice is harmless.

mod documents;
mod streaming;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::arn::Arn;
use crate::aws::Aws;
use crate::error::AwsError;
use crate::ledger::{Ledger, LedgerError};
use crate::links::approved_origin::Place;
use crate::links::data_streaming::{Association, Source, Target};
use crate::links::emite_role::Admission;
use crate::links::emite_server::{Address, Profile};
use crate::links::{agent_event_stream, emite_role, emite_server};

pub use streaming::{observe_origin_until, observe_until};

/// What one change would do to somebody else's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Touches only what is ours, or fills what is empty.
    Safe,
    /// Replaces what somebody else set up. Where it outlives the stack, it is remembered, and put back when the stack goes.
    ReplacesForeign,
    /// Would replace what could not be put back, so it is never done.
    Irreversible,
}

/// One change to one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stream to `to` instead of `from`.
    StreamTo {
        /// Which records of which instance.
        source: Source,
        /// What was seen; none if they went nowhere.
        from: Option<Association>,
        /// Where they shall go.
        to: Target,
        /// What that means for somebody else.
        consent: Consent,
    },
    /// Stream to where the records went before us; if that stream is gone, to nowhere.
    RestoreStreaming {
        /// Which records of which instance.
        source: Source,
        /// What was seen; none if they went nowhere.
        from: Option<Association>,
        /// Where they went before.
        to: Target,
    },
    /// Stream nowhere.
    StopStreaming {
        /// Which records of which instance.
        source: Source,
        /// What was seen.
        from: Association,
    },
    /// Add an approved origin.
    AllowOrigin {
        /// Which origin of which instance.
        place: Place,
    },
    /// Remove an approved origin.
    RemoveOrigin {
        /// Which origin of which instance.
        place: Place,
        /// The spelling in which the instance lists it.
        listed: String,
    },
    /// Keep the records of a data stream for longer.
    SetRetention {
        /// The stream's name.
        stream: String,
        /// Hours that were seen.
        from: u32,
        /// Hours that it shall keep records at least.
        to: u32,
    },
    /// Let statements be in the access policy of a search domain, beside all that are there.
    AdmitToDomain {
        /// The domain's name.
        domain: String,
        /// The policy that was seen; null if there was none.
        seen: Value,
        /// What it has to say.
        statements: Vec<Value>,
    },
    /// Let eMite, and nobody else, assume the role.
    SetTrust {
        /// The role's name.
        role: String,
        /// The trust policy that was seen.
        seen: Value,
        /// Who may assume it, and how.
        admission: Admission,
        /// Whether somebody else loses the role by it.
        consent: Consent,
    },
    /// Let sessions of the role last for so long.
    SetSession {
        /// The role's name.
        role: String,
        /// Seconds that were seen.
        from: u32,
        /// Seconds.
        to: u32,
    },
    /// Let statements be in the stack's inline policy of the role, beside all that are there.
    SetRolePolicy {
        /// The role's name.
        role: String,
        /// The policy that was seen; null if there was none.
        seen: Value,
        /// What it has to say.
        statements: Vec<Value>,
    },
    /// Hold the role within this permissions boundary.
    SetBoundary {
        /// The role's name.
        role: String,
        /// The boundary that was seen.
        from: Option<String>,
        /// The policy's ARN.
        to: Arn,
    },
    /// Give a server an instance profile.
    AttachProfile {
        /// The EC2 instance.
        instance: String,
        /// The one that it was seen to have.
        from: Option<Profile>,
        /// The profile's ARN.
        to: Arn,
    },
    /// Associate an Elastic IP with a server.
    AssociateAddress {
        /// The EC2 instance.
        instance: String,
        /// The allocation of the address.
        allocation: String,
        /// Who was seen to have it, and what the server was seen to have in its place.
        seen: Address,
    },
}

impl Change {
    /// What it would do to somebody else's configuration.
    pub fn consent(&self) -> Consent {
        match self {
            Self::StreamTo { consent, .. } | Self::SetTrust { consent, .. } => *consent,
            Self::SetBoundary { from: Some(_), .. } | Self::AttachProfile { from: Some(_), .. } => {
                Consent::ReplacesForeign
            }
            Self::AssociateAddress { seen, .. } if seen.is_taken() => Consent::ReplacesForeign,
            _ => Consent::Safe,
        }
    }

    /// Whether somebody who gets or may do something now will not any more.
    pub fn interrupts(&self) -> bool {
        match self {
            Self::StreamTo { consent, .. } => *consent != Consent::Safe,
            Self::SetTrust { seen, admission, .. } => admission.drops_anybody(seen),
            Self::AttachProfile { from, .. } => from.is_some(),
            Self::AssociateAddress { seen, .. } => seen.is_taken(),
            _ => false,
        }
    }

    /// What stands in AWS now and nowhere else once it is applied; none, if nothing of it goes.
    pub fn replaced(&self) -> Option<Value> {
        match self {
            Self::SetTrust { seen, .. } => Some(seen.clone()),
            Self::SetBoundary { from: Some(from), .. } => Some(from.clone().into()),
            Self::AttachProfile { from: Some(from), .. } => Some(from.arn.clone().into()),
            Self::AssociateAddress { seen, .. } if seen.is_taken() => {
                Some(json!({"associatedWith": seen.holder, "addressesOfTheServer": seen.instead}))
            }
            _ => None,
        }
    }

    /// Its name among the changes of one link.
    pub fn action(&self) -> &'static str {
        match self {
            Self::StreamTo { from: Some(_), .. } => "update",
            Self::StreamTo { from: None, .. } | Self::AllowOrigin { .. } | Self::AssociateAddress { .. } => "associate",
            Self::RestoreStreaming { .. } => "restore",
            Self::StopStreaming { .. } | Self::RemoveOrigin { .. } => "disassociate",
            Self::SetRetention { .. } => "increase-retention",
            Self::AdmitToDomain { .. } => "merge-access-policy",
            Self::SetTrust { .. } => "merge-trust",
            Self::SetSession { .. } => "set-session",
            Self::SetRolePolicy { .. } => "merge-policy",
            Self::SetBoundary { .. } => "set-boundary",
            Self::AttachProfile { .. } => "attach",
        }
    }

    /// The IAM actions with which it is applied.
    pub fn iam(&self) -> BTreeSet<&'static str> {
        const LIST: &str = "connect:ListInstanceStorageConfigs";
        const ASSOCIATE: &str = "connect:AssociateInstanceStorageConfig";
        const UPDATE: &str = "connect:UpdateInstanceStorageConfig";
        const DISASSOCIATE: &str = "connect:DisassociateInstanceStorageConfig";
        const PROFILES: &str = "ec2:DescribeIamInstanceProfileAssociations";
        const PASS: &str = "iam:PassRole";
        BTreeSet::from_iter(match self {
            Self::StreamTo { from: None, .. } => vec![LIST, ASSOCIATE],
            Self::StreamTo { from: Some(from), to, .. } if from.target.same_kind(to) => vec![LIST, UPDATE],
            Self::StreamTo { .. } | Self::RestoreStreaming { .. } => vec![LIST, UPDATE, DISASSOCIATE, ASSOCIATE],
            Self::StopStreaming { .. } => vec![LIST, DISASSOCIATE],
            Self::AllowOrigin { .. } => vec!["connect:ListApprovedOrigins", "connect:AssociateApprovedOrigin"],
            Self::RemoveOrigin { .. } => vec!["connect:ListApprovedOrigins", "connect:DisassociateApprovedOrigin"],
            Self::SetRetention { .. } => vec!["kinesis:DescribeStreamSummary", "kinesis:IncreaseStreamRetentionPeriod"],
            Self::AdmitToDomain { .. } => vec!["es:DescribeDomain", "es:DescribeDomainConfig", "es:UpdateDomainConfig"],
            Self::SetTrust { .. } => vec!["iam:GetRole", "iam:UpdateAssumeRolePolicy"],
            Self::SetSession { .. } => vec!["iam:GetRole", "iam:UpdateRole"],
            Self::SetRolePolicy { .. } => vec!["iam:GetRolePolicy", "iam:PutRolePolicy"],
            Self::SetBoundary { .. } => vec!["iam:GetRole", "iam:PutRolePermissionsBoundary"],
            Self::AttachProfile { from: None, .. } => vec![PROFILES, "ec2:AssociateIamInstanceProfile", PASS],
            Self::AttachProfile { .. } => vec![PROFILES, "ec2:ReplaceIamInstanceProfileAssociation", PASS],
            Self::AssociateAddress { .. } => vec!["ec2:DescribeAddresses", "ec2:AssociateAddress"],
        })
    }
}

/// What applying a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is as wanted now.
    Done,
    /// It was as wanted already, so nothing was written.
    Unchanged,
    /// Somebody else had made it so before us: it is not ours to undo.
    AlreadyThere,
    /// What was to be put back does not exist any more; nothing stands there now.
    PreviousIsGone,
}

/// Why a change was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// AWS refused or failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Something else is there than when the change was decided: look again and decide anew.
    #[error("{0} changed in between")]
    ChangedMeanwhile(String),
    /// AWS is carrying out another change to it, and accepts no second one until then.
    #[error("another change to {0} is in progress")]
    InProgress(&'static str),
    /// It was done, and undone again, as the stack turned out to be going.
    #[error("this was done and undone again: the stack gave its claim on {0} up meanwhile")]
    Undone(String),
}

impl ApplyError {
    /// Whether somebody else was there in between.
    pub fn is_changed_meanwhile(&self) -> bool {
        matches!(self, Self::ChangedMeanwhile(_) | Self::Ledger(LedgerError::ChangedMeanwhile(_)))
    }

    /// Whether AWS may accept it a little later.
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::InProgress(_))
    }
}

/// Waits until an applied change is in force, where AWS takes its time; a minute at most.
pub async fn settled(aws: &Aws, change: &Change) {
    if let Change::AdmitToDomain { domain, .. } = change {
        documents::in_force(aws, domain).await;
    }
}

/// Carries out `change`. What is claimed in the ledger goes through [`crate::claimed`], which writes the claim first.
pub async fn apply(aws: &Aws, ledger: &Ledger, change: &Change) -> Result<Applied, ApplyError> {
    match change {
        Change::StreamTo { source, from, to, .. } => streaming::stream_to(aws, ledger, source, from.as_ref(), to).await,
        Change::RestoreStreaming { source, from, to } => {
            streaming::restore(aws, ledger, source, from.as_ref(), to).await
        }
        Change::StopStreaming { source, from } => streaming::stop_streaming(aws, source, from).await,
        Change::AllowOrigin { place } => streaming::allow_origin(aws, place).await,
        Change::RemoveOrigin { place, listed } => streaming::remove_origin(aws, place, listed).await,
        Change::SetRetention { stream, from, to } => {
            agent_event_stream::raise_retention(&aws.kinesis, stream, *from, *to).await
        }
        Change::AdmitToDomain { domain, seen, statements } => {
            documents::admit_to_domain(aws, domain, seen, statements).await
        }
        Change::SetTrust { role, seen, admission, .. } => documents::set_trust(aws, role, seen, admission).await,
        Change::SetSession { role, from, to } => emite_role::set_session(&aws.iam, role, *from, *to).await,
        Change::SetRolePolicy { role, seen, statements } => {
            documents::set_role_policy(aws, role, seen, statements).await
        }
        Change::SetBoundary { role, from, to } => emite_role::set_boundary(&aws.iam, role, from.as_deref(), to).await,
        Change::AttachProfile { instance, from, to } => {
            emite_server::attach_profile(&aws.ec2, instance, from.as_ref(), to).await
        }
        Change::AssociateAddress { instance, allocation, seen } => {
            emite_server::associate_address(&aws.ec2, instance, allocation, seen).await
        }
    }
}
