//! Owns data streaming: which stream an Amazon Connect instance sends its agent events and contact records to.
//!
//! Connect calls this a storage config, associated with the instance once per resource type
//! (<https://docs.aws.amazon.com/connect/latest/APIReference/API_AssociateInstanceStorageConfig.html>). It does not say
//! who made an association, so a [`Claim`] in the ledger does: it is written before our first write, and holds what stood
//! there before.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use aws_sdk_connect::Client;
use aws_sdk_connect::types::{
    InstanceStorageConfig, InstanceStorageResourceType, KinesisFirehoseConfig, KinesisStreamConfig, StorageType,
};
use serde::{Deserialize, Serialize};

use crate::arn::{Arn, InstanceId};
use crate::aws::Aws;
use crate::change::{Change, Consent};
use crate::error::AwsError;
use crate::ledger::Key;
use crate::links::{Attempts, Life};

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
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentEvents => "AGENT_EVENTS",
            Self::ContactTraceRecords => "CONTACT_TRACE_RECORDS",
        }
    }

    fn api(self) -> InstanceStorageResourceType {
        InstanceStorageResourceType::from(self.as_str())
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

    /// The target of a storage config as Connect reports it.
    fn reported(config: &InstanceStorageConfig) -> Option<Self> {
        let stream = |config: &KinesisStreamConfig| config.stream_arn.parse().ok().map(Self::KinesisStream);
        let firehose = |config: &KinesisFirehoseConfig| config.firehose_arn.parse().ok().map(Self::KinesisFirehose);
        match &config.storage_type {
            StorageType::KinesisStream => config.kinesis_stream_config.as_ref().and_then(stream),
            StorageType::KinesisFirehose => config.kinesis_firehose_config.as_ref().and_then(firehose),
            other => Some(Self::Other(other.as_str().to_owned())),
        }
    }

    /// Whether both are storage of one type, so that one association can be pointed from the one to the other.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn config(&self) -> Result<InstanceStorageConfig, AwsError> {
        let config = match self {
            Self::KinesisStream(arn) => {
                InstanceStorageConfig::builder().storage_type(StorageType::KinesisStream).kinesis_stream_config(
                    KinesisStreamConfig::builder().stream_arn(arn.to_string()).build().map_err(incomplete)?,
                )
            }
            Self::KinesisFirehose(arn) => {
                InstanceStorageConfig::builder().storage_type(StorageType::KinesisFirehose).kinesis_firehose_config(
                    KinesisFirehoseConfig::builder().firehose_arn(arn.to_string()).build().map_err(incomplete)?,
                )
            }
            Self::Other(storage_type) => {
                return Err(incomplete(format!("storage of type {storage_type} cannot be set")));
            }
        };
        config.build().map_err(incomplete)
    }
}

fn incomplete(error: impl fmt::Display) -> AwsError {
    AwsError::unusable("connect:AssociateInstanceStorageConfig", error.to_string())
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

impl Source {
    /// The claim's place in the ledger.
    pub fn key(&self) -> Key {
        Key { partition: format!("association#{}", self.instance), sort: self.resource_type.as_str().to_owned() }
    }
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

/// What `source` streams to now, if anything. Needs `connect:ListInstanceStorageConfigs`.
pub async fn observe(connect: &Client, source: &Source) -> Result<Option<Association>, AwsError> {
    const OPERATION: &str = "connect:ListInstanceStorageConfigs";
    let pages = connect
        .list_instance_storage_configs()
        .instance_id(source.instance.as_str())
        .resource_type(source.resource_type.api())
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(AwsError::of(OPERATION))?;
    let mut associations = pages.into_iter();
    let Some(config) = associations.next() else { return Ok(None) };
    if associations.next().is_some() {
        return Err(AwsError::unusable(OPERATION, format!("more than one storage config for the {source}")));
    }
    let target = Target::reported(&config);
    match (config.association_id, target) {
        (Some(id), Some(target)) => Ok(Some(Association { id, target })),
        _ => Err(AwsError::unusable(OPERATION, format!("an association of the {source} has no id or no stream"))),
    }
}

/// Whether the stream that `target` names is there. Needs `kinesis:DescribeStream` or `firehose:DescribeDeliveryStream`.
pub async fn exists(aws: &Aws, target: &Target) -> Result<bool, AwsError> {
    let found = match target {
        Target::KinesisStream(arn) => {
            let described = aws.kinesis.describe_stream().stream_name(arn.name()).send().await;
            described.map(drop).map_err(AwsError::of("kinesis:DescribeStream"))
        }
        Target::KinesisFirehose(arn) => {
            let described = aws.firehose.describe_delivery_stream().delivery_stream_name(arn.name()).send().await;
            described.map(drop).map_err(AwsError::of("firehose:DescribeDeliveryStream"))
        }
        Target::Other(_) => Ok(()),
    };
    match found {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What has to change so that `source` streams to `desired`. Pure.
pub fn diff(source: &Source, desired: &Target, live: Option<&Association>, claim: Option<&Claim>) -> Option<Change> {
    if live.is_some_and(|live| live.target == *desired) {
        return None;
    }
    let consent = match live.map(|live| &live.target) {
        Some(Target::Other(_)) => Consent::Irreversible,
        Some(target) if !claim.is_some_and(|claim| claim.set_by_us(target)) => Consent::ReplacesForeign,
        _ => Consent::Safe,
    };
    Some(Change::StreamTo { source: source.clone(), from: live.cloned(), to: desired.clone(), consent })
}

/// What has to change so that `source` streams to what it did before us. Pure.
///
/// Nothing, unless what is live now is ours, or we were in the middle of replacing it.
pub fn removal(source: &Source, live: Option<&Association>, claim: Option<&Claim>) -> Option<Change> {
    let claim = claim.filter(|claim| claim.life != Life::Released && !claim.adopted)?;
    let ours = match live {
        Some(live) => claim.set_by_us(&live.target),
        None => claim.detached,
    };
    match (live, &claim.previous) {
        _ if !ours => None,
        (Some(live), Some(previous)) if live.target == *previous => None,
        (Some(live), None) => Some(Change::StopStreaming { source: source.clone(), from: live.clone() }),
        (None, None) => None,
        (from, Some(previous)) => {
            Some(Change::RestoreStreaming { source: source.clone(), from: from.cloned(), to: previous.clone() })
        }
    }
}

/// Makes the first association of `source`. Needs `connect:AssociateInstanceStorageConfig` and what Connect asks of
/// the caller behind it. The number of attempts tells whether "already there" can be our own lost answer.
pub async fn associate(connect: &Client, source: &Source, to: &Target) -> (Result<(), AwsError>, u32) {
    const OPERATION: &str = "connect:AssociateInstanceStorageConfig";
    let config = match to.config() {
        Ok(config) => config,
        Err(error) => return (Err(error), 0),
    };
    let attempts = Attempts::default();
    let answer = connect
        .associate_instance_storage_config()
        .instance_id(source.instance.as_str())
        .resource_type(source.resource_type.api())
        .storage_config(config)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await;
    (answer.map(drop).map_err(AwsError::of(OPERATION)), attempts.made())
}

/// Points an association at another stream, without a gap. Needs `connect:UpdateInstanceStorageConfig` and what
/// Connect asks of the caller behind it.
pub async fn update(connect: &Client, source: &Source, association_id: &str, to: &Target) -> Result<(), AwsError> {
    connect
        .update_instance_storage_config()
        .instance_id(source.instance.as_str())
        .resource_type(source.resource_type.api())
        .association_id(association_id)
        .storage_config(to.config()?)
        .send()
        .await
        .map(drop)
        .map_err(AwsError::of("connect:UpdateInstanceStorageConfig"))
}

/// Ends an association; one that is gone already is fine. Needs `connect:DisassociateInstanceStorageConfig`.
pub async fn disassociate(connect: &Client, source: &Source, association_id: &str) -> Result<(), AwsError> {
    let answer = connect
        .disassociate_instance_storage_config()
        .instance_id(source.instance.as_str())
        .resource_type(source.resource_type.api())
        .association_id(association_id)
        .send()
        .await
        .map_err(AwsError::of("connect:DisassociateInstanceStorageConfig"));
    match answer {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(resource_type: ResourceType) -> Source {
        let arn: Arn = "arn:aws:connect:eu-west-2:111122223333:instance/1b2c".parse().unwrap();
        Source { instance: InstanceId::of(&arn).unwrap(), resource_type }
    }

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

    fn targets() -> impl Strategy<Value = Target> {
        (0..6u8).prop_map(|n| match n {
            5 => Target::Other("S3".into()),
            n if n % 2 == 0 => Target::KinesisStream(arn("kinesis", &format!("stream/{n}"))),
            n => Target::KinesisFirehose(arn("firehose", &format!("deliverystream/{n}"))),
        })
    }

    prop_compose! {
        fn claims()(
            life in prop_oneof![Just(Life::Held), Just(Life::Releasing), Just(Life::Released)],
            previous in proptest::option::of(targets()),
            ours in proptest::collection::btree_set(targets().prop_filter("never ours", |target| !matches!(target, Target::Other(_))), 0..4),
            adopted in any::<bool>(),
            detached in any::<bool>(),
        ) -> Claim {
            Claim { life, previous, targets: ours, adopted, detached, ..Claim::on(None, "r") }
        }
    }

    fn associations() -> impl Strategy<Value = Option<Association>> {
        proptest::option::of(targets().prop_map(|target| Association { id: "a-1".into(), target }))
    }

    /// What is live after `change` worked.
    fn after(change: Option<&Change>, live: Option<Association>) -> Option<Association> {
        match change {
            None => live,
            Some(Change::StreamTo { to, .. } | Change::RestoreStreaming { to, .. }) => {
                Some(Association { id: "a-2".into(), target: to.clone() })
            }
            Some(_) => None,
        }
    }

    proptest! {
        #[test]
        fn once_applied_nothing_differs(desired in targets(), live in associations(), claim in proptest::option::of(claims())) {
            let source = source(ResourceType::ContactTraceRecords);
            let change = diff(&source, &desired, live.as_ref(), claim.as_ref());
            let live = after(change.as_ref(), live);
            prop_assert_eq!(diff(&source, &desired, live.as_ref(), claim.as_ref()), None);
        }

        #[test]
        fn only_what_is_ours_or_empty_is_replaced_without_consent(desired in targets(), live in associations(), claim in proptest::option::of(claims())) {
            let source = source(ResourceType::ContactTraceRecords);
            if let Some(Change::StreamTo { consent, .. }) = diff(&source, &desired, live.as_ref(), claim.as_ref()) {
                let ours = live.as_ref().is_none_or(|live| claim.as_ref().is_some_and(|claim| claim.targets.contains(&live.target)));
                prop_assert_eq!(consent == Consent::Safe, ours);
            }
        }

        #[test]
        fn removal_touches_nothing_of_others_and_leaves_what_was_there_before(live in associations(), claim in claims()) {
            let source = source(ResourceType::ContactTraceRecords);
            let change = removal(&source, live.as_ref(), Some(&claim));
            if change.is_some() {
                let ours = live.as_ref().map_or(claim.detached, |live| claim.targets.contains(&live.target));
                prop_assert!(ours && !claim.adopted && claim.life != Life::Released);
                let left = after(change.as_ref(), live).map(|live| live.target);
                prop_assert_eq!(left, claim.previous);
            } else if let Some(live) = live.filter(|live| claim.targets.contains(&live.target)) {
                prop_assert!(claim.adopted || claim.life == Life::Released || claim.previous == Some(live.target));
            }
        }

        #[test]
        fn without_a_claim_removal_does_nothing(live in associations()) {
            prop_assert_eq!(removal(&source(ResourceType::AgentEvents), live.as_ref(), None), None);
        }
    }
}
