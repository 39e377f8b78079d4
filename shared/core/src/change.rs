//! Owns changes: what is to be done to one link, decided by a pure function and carried out elsewhere.
//!
//! A change states an intent and what was observed when it was decided, never a finished document. `apply` reads again
//! before it writes. The JSON form of [`PlannedChange`] is a contract: it says what a change is about and what it means
//! for others. The [`Change`] itself, with what was observed, never leaves the process.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::arn::Arn;
use crate::links::approved_origin::Place;
use crate::links::data_streaming::{Association, Source, Target};
use crate::links::emite_server::{Address, Profile};
use crate::policies::trust::Admission;

/// What one change would do to a third-party configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Touches only what is ours, or fills what is empty.
    Safe,
    /// Replaces what a third party set up. If it outlives the stack, it is remembered, and restored when the stack is
    /// deleted.
    ReplacesForeign,
    /// Would replace what could not be restored, so it is never done.
    Irreversible,
}

/// One change to one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stream to `to` instead of `from`.
    StreamTo {
        /// Which records of which instance.
        source: Source,
        /// What was observed; none if they went nowhere.
        from: Option<Association>,
        /// Where they are to go.
        to: Target,
        /// What that means for a third party.
        consent: Consent,
    },
    /// Stream to where the records went before us; if none of these streams is left, to nowhere.
    RestoreStreaming {
        /// Which records of which instance.
        source: Source,
        /// What was seen; none if they went nowhere.
        from: Option<Association>,
        /// Where they went before, the newest first: the first that still exists is restored.
        to: Vec<Target>,
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
    /// Let only eMite assume the role.
    SetTrust {
        /// The role's name.
        role: String,
        /// The trust policy that was seen.
        seen: Value,
        /// Who may assume it, and how.
        admission: Admission,
        /// Whether a third party loses the role by it.
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
    /// What it would do to a third-party configuration.
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

    /// Whether anyone loses access or stops receiving records.
    pub fn interrupts(&self) -> bool {
        match self {
            Self::StreamTo { consent, .. } => *consent != Consent::Safe,
            Self::SetTrust { seen, admission, .. } => admission.drops_anybody(seen),
            Self::AttachProfile { from, .. } => from.is_some(),
            Self::AssociateAddress { seen, .. } => seen.is_taken(),
            _ => false,
        }
    }

    /// The configuration that is lost once it is applied; none if nothing is.
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

/// A change, as reports describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedChange {
    /// `<check>/<resource>/<action>`.
    pub id: String,
    /// The check whose finding it repairs.
    pub check: String,
    /// What is done, such as `associate`.
    pub action: String,
    /// What it is done to, as in the finding.
    pub resource: String,
    /// What was seen; none if there was nothing.
    pub from: Option<String>,
    /// What it will be.
    pub to: Option<String>,
    /// It replaces what a third party set up, so it is applied only on request.
    pub replaces_foreign: bool,
    /// Someone loses access or stops receiving records.
    pub interrupts: bool,
    /// The IAM actions with which it is applied.
    pub iam: Vec<String>,
}
