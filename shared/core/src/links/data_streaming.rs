//! Owns data streaming: which stream an Amazon Connect instance sends its agent events and contact records to.
//!
//! Connect calls this a storage config, associated with the instance once per resource type
//! (<https://docs.aws.amazon.com/connect/latest/APIReference/API_AssociateInstanceStorageConfig.html>). It does not say
//! who made an association, so a [`Claim`] in the ledger does: it is written before our first write, and holds what stood
//! there before.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::arn::{Arn, InstanceId};
use crate::links::Life;

/// What Connect can stream, of what eMite reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ResourceType {
    /// What agents do, as it happens. Connect sends these to a Kinesis data stream only.
    AgentEvents,
    /// One record per finished contact.
    ContactTraceRecords,
}

impl ResourceType {
    /// The name that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentEvents => "AGENT_EVENTS",
            Self::ContactTraceRecords => "CONTACT_TRACE_RECORDS",
        }
    }
}

impl FromStr for ResourceType {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "AGENT_EVENTS" => Ok(Self::AgentEvents),
            "CONTACT_TRACE_RECORDS" => Ok(Self::ContactTraceRecords),
            _ => Err("must be AGENT_EVENTS or CONTACT_TRACE_RECORDS"),
        }
    }
}

/// Where records go. For a stream of either kind the ARN is the whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "storageType", content = "arn", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Target {
    /// A Kinesis data stream.
    KinesisStream(Arn),
    /// An Amazon Data Firehose delivery stream.
    KinesisFirehose(Arn),
    /// Storage of another type, which Connect does not offer for these records today. Never ours, and never replaced,
    /// because it could not be put back.
    Other(String),
}

impl Target {
    /// The target that `arn` names, if it can take records of `resource_type`.
    pub fn of(arn: Arn, resource_type: ResourceType) -> Result<Self, &'static str> {
        let named = |prefix: &str, longest: usize| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            let name = arn.resource.strip_prefix(prefix).unwrap_or_default();
            (1..=longest).contains(&name.len()) && name.bytes().all(allowed)
        };
        match (arn.service.as_str(), resource_type) {
            ("kinesis", _) if named("stream/", 128) => Ok(Self::KinesisStream(arn)),
            ("firehose", ResourceType::ContactTraceRecords) if named("deliverystream/", 64) => {
                Ok(Self::KinesisFirehose(arn))
            }
            (_, ResourceType::AgentEvents) => {
                Err("must be the ARN of a Kinesis data stream: Connect sends agent events nowhere else")
            }
            (_, ResourceType::ContactTraceRecords) => {
                Err("must be the ARN of a Firehose delivery stream or a Kinesis data stream")
            }
        }
    }

    /// Whether both are storage of one type, so that one association can be pointed from the one to the other.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KinesisStream(arn) | Self::KinesisFirehose(arn) => arn.fmt(f),
            Self::Other(storage_type) => write!(f, "storage of type {storage_type}"),
        }
    }
}

/// What an instance streams one resource type to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// Connect's id of the association.
    pub id: String,
    /// Where the records go.
    pub target: Target,
}

/// One resource type of one instance: what an association, and a claim on it, is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The instance.
    pub instance: InstanceId,
    /// What it streams.
    pub resource_type: ResourceType,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.resource_type {
            ResourceType::AgentEvents => "agent events",
            ResourceType::ContactTraceRecords => "contact records",
        })?;
        write!(f, " of instance {}", self.instance)
    }
}

/// What the ledger remembers of an association that this stack answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claim {
    /// Whether the stack still holds the claim.
    pub life: Life,
    /// What stood there before our first write, or what somebody else put in our place and we replaced: to be put back. None:
    /// nothing.
    pub previous: Option<Target>,
    /// Every target that we ever set: only these are ours to replace or remove.
    pub targets: BTreeSet<Target>,
    /// Found as wanted and never written by us: nothing to undo.
    pub adopted: bool,
    /// The targets of the last two requests that succeeded, the newest last. An update back to one of them is a rollback
    /// and never fails.
    pub accepted: Vec<Target>,
    /// We took an association away in order to make another, and had not made it yet.
    pub detached: bool,
    /// Records moved away from this delivery stream of ours, and its buffer may not be empty yet.
    pub draining: Option<Target>,
    /// The CloudFormation request that made the claim, or `repair:` and that of a repair. The late duplicate of a request must
    /// not bring back what was deleted.
    pub created_by: String,
}

impl Claim {
    /// A claim on what `live` shows, before anything was written.
    pub fn on(live: Option<&Association>, created_by: &str) -> Self {
        Self {
            life: Life::Held,
            previous: live.map(|association| association.target.clone()),
            targets: BTreeSet::new(),
            adopted: false,
            accepted: Vec::new(),
            detached: false,
            draining: None,
            created_by: created_by.to_owned(),
        }
    }

    /// Notes that a request for `target` succeeded.
    pub fn accept(&mut self, target: &Target) {
        self.accepted.retain(|accepted| accepted != target);
        self.accepted.push(target.clone());
        self.accepted.drain(..self.accepted.len().saturating_sub(2));
    }

    /// Whether we set `target` ourselves.
    pub fn set_by_us(&self, target: &Target) -> bool {
        self.targets.contains(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(service: &str, resource: &str) -> Arn {
        format!("arn:aws:{service}:eu-west-2:111122223333:{resource}").parse().unwrap()
    }

    #[test]
    fn agent_events_go_to_a_data_stream_only_and_contact_records_to_either_kind() {
        use ResourceType::{AgentEvents, ContactTraceRecords};
        let stream = || arn("kinesis", "stream/s");
        let firehose = || arn("firehose", "deliverystream/f");
        assert!(Target::of(stream(), AgentEvents).is_ok());
        assert!(Target::of(stream(), ContactTraceRecords).is_ok());
        assert!(Target::of(firehose(), ContactTraceRecords).is_ok());
        assert!(Target::of(firehose(), AgentEvents).unwrap_err().contains("nowhere else"));
        for nameless in ["stream/", "stream/x*", "stream/x/consumer/y"] {
            assert!(Target::of(arn("kinesis", nameless), AgentEvents).is_err(), "{nameless}");
        }
        assert!(Target::of(arn("s3", "stream/s"), ContactTraceRecords).is_err());
    }

    #[test]
    fn a_claim_reads_in_the_ledger_as_it_did_when_it_was_written() {
        let live = Association { id: "a-1".into(), target: Target::KinesisStream(arn("kinesis", "stream/theirs")) };
        let claim = Claim {
            targets: BTreeSet::from([Target::KinesisFirehose(arn("firehose", "deliverystream/ours"))]),
            ..Claim::on(Some(&live), "request-1")
        };
        insta::assert_json_snapshot!(claim);
    }
}
