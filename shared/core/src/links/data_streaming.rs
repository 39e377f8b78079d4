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
use crate::links::{Claimed, Extended, History, Life};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether the stack still holds the claim.
    pub life: Life,
    /// What stood there before our first write, and what others put in our place and we replaced, the newest last: the newest
    /// that still exists is to be put back. Empty: nothing stood there.
    pub previous: Vec<Target>,
    /// Every target that we ever set: only these are ours to replace or remove.
    pub targets: BTreeSet<Target>,
    /// The targets of the last two requests that succeeded, the newest last: a rollback leads to one of them.
    pub accepted: Vec<Target>,
    /// We took an association away in order to make another, and had not made it yet.
    pub detached: bool,
    /// Records moved away from this delivery stream of ours, and its buffer may not be empty yet.
    pub draining: Option<Target>,
    /// The CloudFormation request that made the claim, or `repair:` and that of a repair. The late duplicate of a request must
    /// not bring back what was deleted.
    pub created_by: String,
    /// Where the newest request wants the records to go. One that is late and finds that it overwrote this puts it back.
    pub wanted: Option<Target>,
    /// The requests that worked on it.
    pub history: History,
}

impl Claim {
    /// A claim on what `live` shows, before anything was written.
    pub fn on(live: Option<&Association>, created_by: &str) -> Self {
        Self {
            life: Life::Held,
            previous: live.map(|association| association.target.clone()).into_iter().collect(),
            targets: BTreeSet::new(),
            accepted: Vec::new(),
            detached: false,
            draining: None,
            created_by: created_by.to_owned(),
            wanted: None,
            history: History::default(),
        }
    }

    /// Notes that a request for `target` succeeded.
    pub fn accept(&mut self, target: &Target) {
        self.accepted.retain(|accepted| accepted != target);
        self.accepted.push(target.clone());
        self.accepted.drain(..self.accepted.len().saturating_sub(2));
    }

    /// Notes that a third party had set `target`, which is to be put back once we go.
    pub fn remember(&mut self, target: &Target) {
        self.previous.retain(|previous| previous != target);
        self.previous.push(target.clone());
        if self.previous.len() > MOST_PREVIOUS {
            self.previous.remove(1);
        }
    }

    /// Whether we set `target` ourselves.
    pub fn set_by_us(&self, target: &Target) -> bool {
        self.targets.contains(target)
    }
}

/// How many earlier targets a claim remembers, as an item of the ledger is limited in size. The oldest of them, which stood
/// there before the stack, is never dropped.
const MOST_PREVIOUS: usize = 20;

/// A claim in the form that the first release reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Body {
    life: Life,
    /// The newest.
    previous: Option<Target>,
    targets: BTreeSet<Target>,
    /// Found as wanted and never written by us.
    adopted: bool,
    accepted: Vec<Target>,
    detached: bool,
    draining: Option<Target>,
    created_by: String,
}

/// What later releases added.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extension {
    /// All but the newest.
    earlier: Vec<Target>,
    wanted: Option<Target>,
    #[serde(flatten)]
    history: History,
}

impl Extended for Claim {
    type Body = Body;
    type Extension = Extension;

    fn split(&self) -> (Body, Extension) {
        let Self { life, previous, targets, accepted, detached, draining, created_by, wanted, history } = self.clone();
        let mut earlier = previous;
        let previous = earlier.pop();
        let adopted = targets.is_empty();
        let body = Body { life, previous, targets, adopted, accepted, detached, draining, created_by };
        (body, Extension { earlier, wanted, history })
    }

    fn join(body: Body, extension: Extension) -> Self {
        let Body { life, previous, targets, adopted: _, accepted, detached, draining, created_by } = body;
        let Extension { mut earlier, wanted, history } = extension;
        earlier.retain(|earlier| previous.as_ref() != Some(earlier));
        earlier.extend(previous);
        Self { life, previous: earlier, targets, accepted, detached, draining, created_by, wanted, history }
    }
}

impl Claimed for Claim {
    fn life(&self) -> Life {
        self.life
    }

    fn created_by(&self) -> &str {
        &self.created_by
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    fn blank() -> Self {
        Self { life: Life::Released, ..Self::on(None, "") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Owner;

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

    /// What release 0.1.0 reads and writes, as it did.
    mod first_release {
        use super::*;

        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct Claim {
            pub(super) life: Life,
            pub(super) previous: Option<Target>,
            pub(super) targets: BTreeSet<Target>,
            pub(super) adopted: bool,
            pub(super) accepted: Vec<Target>,
            pub(super) detached: bool,
            pub(super) draining: Option<Target>,
            pub(super) created_by: String,
        }
    }

    fn kinesis(name: &str) -> Target {
        Target::KinesisStream(arn("kinesis", &format!("stream/{name}")))
    }

    fn claim() -> Claim {
        let live = Association { id: "a-1".into(), target: kinesis("theirs") };
        let mut claim = Claim {
            targets: BTreeSet::from([Target::KinesisFirehose(arn("firehose", "deliverystream/ours"))]),
            wanted: Some(kinesis("ours")),
            ..Claim::on(Some(&live), "request-1")
        };
        claim.remember(&kinesis("passing"));
        let owner = Owner {
            stack_id: "arn:aws:cloudformation:eu-west-2:111122223333:stack/s/1".into(),
            logical_id: "L".into(),
        };
        claim.history.begin("request-1", None, owner);
        claim
    }

    #[test]
    fn a_claim_reads_in_the_ledger_as_it_did_when_it_was_written() {
        let (body, extension) = claim().split();
        insta::assert_json_snapshot!((&body, &extension));
        assert_eq!(Claim::join(body, extension), claim());
    }

    #[test]
    fn the_first_release_reads_what_this_one_writes_and_this_one_what_it_wrote() {
        let (body, _) = claim().split();
        let text = serde_json::to_string(&body).unwrap();
        let read: first_release::Claim = serde_json::from_str(&text).unwrap();
        assert_eq!((read.previous.as_ref(), read.adopted), (Some(&kinesis("passing")), false));
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(written, text);
        let again = Claim::join(serde_json::from_str(&written).unwrap(), Extension::default());
        let lost = Claim { previous: vec![kinesis("passing")], wanted: None, history: History::default(), ..claim() };
        assert_eq!(again, lost);
        // What stands for no claim yet is none for the first release either.
        let (blank, _) = Claim::blank().split();
        let read: first_release::Claim = serde_json::from_str(&serde_json::to_string(&blank).unwrap()).unwrap();
        assert_eq!((read.life, read.previous), (Life::Released, None));
    }

    #[test]
    fn what_was_replaced_last_is_the_first_to_be_put_back_and_nothing_is_remembered_twice() {
        let mut claim = Claim::on(None, "r");
        for name in ["a", "b", "a"] {
            claim.remember(&kinesis(name));
        }
        assert_eq!(claim.previous, [kinesis("b"), kinesis("a")]);
        for number in 0..MOST_PREVIOUS {
            claim.remember(&kinesis(&format!("passing-{number}")));
        }
        assert_eq!(claim.previous.len(), MOST_PREVIOUS);
        assert_eq!((&claim.previous[0], &claim.previous[1]), (&kinesis("b"), &kinesis("passing-1")));
    }
}
