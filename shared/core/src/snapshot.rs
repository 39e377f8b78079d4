//! Owns the snapshot: everything that the checks of one run judge, read once.
//!
//! Each observation is independent. A read that failed is [`Unseen`](crate::look::Unseen), with its cause, and hides no
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::links::data_streaming::Association;
use crate::links::emite_server::{Address, Profile};
use crate::look::Look;
use crate::metrics::Metrics;

/// What one run observed. A thing that does not exist is `None`; one that could not be read is
/// [`Unseen`](crate::look::Unseen).
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When the run began.
    pub taken_at: Timestamp,
    /// How long reading took; all reads run at once.
    pub took: Duration,
    /// The Amazon Connect instance.
    pub instance: Look<Option<Instance>>,
    /// Where its agent events go.
    pub agent_event_streaming: Look<Option<Association>>,
    /// Where its contact records go.
    pub contact_record_streaming: Look<Option<Association>>,
    /// Its approved origins, as listed.
    pub approved_origins: Look<Vec<String>>,
    /// The stream of agent events.
    pub agent_event_stream: Look<Option<DataStream>>,
    /// The data stream that contact records go through; none, too, if they go through none.
    pub contact_record_stream: Look<Option<DataStream>>,
    /// The delivery stream of contact records.
    pub delivery_stream: Look<Option<DeliveryStream>>,
    /// Failed records that wait in the bucket; none if there is no such bucket.
    pub failed_records: Look<Option<FailedRecords>>,
    /// The search domain.
    pub domain: Look<Option<Domain>>,
    /// The role that eMite assumes.
    pub emite_role: Look<Option<Role>>,
    /// The eMite server; none too if it is terminated, or if this stack has none.
    pub server: Look<Option<Server>>,
    /// The subscriptions of the alert topic.
    pub subscriptions: Look<Vec<Subscription>>,
    /// How many events wait in the dead-letter queues.
    pub dead_letters: Look<u64>,
    /// When the stream was first read for longer than a short test, if ever.
    pub first_read: Look<Option<Timestamp>>,
    /// When the stream was last read, if ever.
    pub last_read: Look<Option<Timestamp>>,
    /// Since when there are unread records in the stream, if there are any.
    pub unread_since: Look<Option<Timestamp>>,
    /// When this stack was first checked.
    pub watched_since: Look<Timestamp>,
    /// All metrics of the run.
    pub metrics: Metrics,
}

/// An Amazon Connect instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `ACTIVE`, `CREATION_IN_PROGRESS` or `CREATION_FAILED`.
    pub status: String,
    /// The name in its web address.
    pub alias: Option<String>,
    /// The ARN of the role that it works with; none for an instance from before October 2018 that was never moved to a
    /// service-linked role.
    pub service_role: Option<String>,
}

/// A Kinesis data stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataStream {
    /// `CREATING`, `DELETING`, `ACTIVE` or `UPDATING`.
    pub status: String,
    /// How many hours records are kept.
    pub retention_hours: u32,
    /// Open shards.
    pub shards: u32,
    /// `PROVISIONED` or `ON_DEMAND`.
    pub mode: String,
    /// The key it is encrypted with, as Kinesis names it (id, ARN or alias); none if it is not.
    pub key: Option<String>,
}

/// A Firehose delivery stream with what matters of its one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryStream {
    /// `CREATING`, `CREATING_FAILED`, `DELETING`, `DELETING_FAILED` or `ACTIVE`.
    pub status: String,
    /// Why creating or deleting it failed: Firehose's type of failure.
    pub failure: Option<String>,
    /// The data stream that it reads from; none if records are put into it directly.
    pub source: Option<String>,
    /// Where it delivers; none if that is no search domain.
    pub destination: Option<Destination>,
}

/// A search domain as the destination of a delivery stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The domain.
    pub domain_arn: Option<String>,
    /// The index, without its rotation suffix.
    pub index: Option<String>,
    /// `NoRotation`, `OneHour`, `OneDay`, `OneWeek` or `OneMonth`.
    pub rotation: Option<String>,
    /// The document type; empty or none where the engine has no types.
    pub document_type: Option<String>,
    /// The role that it delivers as.
    pub role_arn: Option<String>,
    /// The bucket for refused records.
    pub bucket_arn: Option<String>,
    /// What the keys of all objects in that bucket begin with, unless the next says something else.
    pub prefix: Option<String>,
    /// What the keys of refused records begin with.
    pub error_prefix: Option<String>,
    /// Seconds that it buffers before it delivers.
    pub buffer_seconds: Option<u32>,
}

/// Contact records that wait in the bucket because the domain refused them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedRecords {
    /// Objects below `failed/`; at least so many if `more`.
    pub failed: u64,
    /// Objects below `quarantine/`; at least so many if `more`.
    pub quarantined: u64,
    /// The listing was not read to its end.
    pub more: bool,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// What the domain answered to the records of the oldest object; none if that could not be found out.
    pub kind: Option<ErrorKind>,
}

/// Why the domain refused a record: its HTTP status and the engine's error type, never the engine's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorKind {
    /// `errorCode`, such as `400`.
    pub status: String,
    /// The engine's type of error, such as `mapper_parsing_exception`, if it is a known one.
    pub error_type: Option<String>,
    /// The field that it is about, masked below `Attributes.`, if the engine names one.
    pub field: Option<String>,
    /// The error is the limit on the number of fields of an index.
    pub field_limit: bool,
}

/// A search domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// `Elasticsearch_6.8`, …
    pub engine: String,
    /// The host name of its public endpoint; none while it is being created, or if it is in a VPC.
    pub endpoint: Option<String>,
    /// The VPC that it is in; none if its access is public.
    pub vpc: Option<String>,
    /// Fine-grained access control asks every caller for credentials.
    pub requires_credentials: bool,
    /// Bulk requests must not name an index in their body, as Firehose does: the advanced option
    /// `rest.action.multi.allow_explicit_index` is `false`.
    pub forbids_explicit_index: bool,
    /// It is being deleted.
    pub deleted: bool,
    /// A change of its configuration is going on.
    pub processing: bool,
    /// AWS's word for what is going on: `Active`, `Isolated`, `Modifying`, …
    pub processing_status: Option<String>,
    /// Number of data nodes.
    pub instance_count: u32,
    /// Storage of each node in GiB; none without EBS.
    pub volume_gib: Option<u32>,
    /// The access policy, parsed; null if there is none.
    pub access_policy: Value,
    /// How the newest change of its configuration is getting on, in AWS's word: `Pending`, `InProgress`, `Completed`,
    /// `ValidationFailed`, …
    pub change_status: Option<String>,
    /// When that change began.
    pub change_began: Option<Timestamp>,
    /// A service software update that AWS installs by itself on this date.
    pub required_update_at: Option<Timestamp>,
}

/// The role that eMite assumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its ARN, with its path.
    pub arn: String,
    /// The longest session in seconds.
    pub max_session_seconds: u32,
    /// The trust policy, parsed.
    pub trust: Value,
    /// The inline policies by name, parsed.
    pub inline: BTreeMap<String, Value>,
    /// ARNs of attached managed policies.
    pub attached: BTreeSet<String>,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
}

/// An eMite server in this account. What belongs to it is read separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `pending`, `running`, `stopping` or `stopped`.
    pub state: String,
    /// Whoever asks it for its role's credentials has to show a token first (IMDSv2), or cannot ask at all.
    pub metadata_guarded: bool,
    /// AWS's checks of it.
    pub status: Look<StatusChecks>,
    /// Its Elastic IP; none if that was released.
    pub address: Look<Option<Address>>,
    /// The instance profile that it has.
    pub profile: Look<Option<Profile>>,
    /// All its security groups.
    pub groups: Look<Vec<SecurityGroup>>,
}

/// AWS's checks of an instance: `ok`, `impaired`, `initializing`, `insufficient-data` or `not-applicable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChecks {
    /// Of the machine that it runs on.
    pub system: String,
    /// Of its own operating system.
    pub instance: String,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// What it lets in.
    pub rules: Vec<Ingress>,
}

/// Something that a security group lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// `tcp`, `udp`, `icmp`, …, or a protocol's number; `-1` is any.
    pub protocol: String,
    /// Its ports; none if it has none, or all.
    pub ports: Option<RangeInclusive<i32>>,
    /// From where: address ranges, other security groups (`sg-…`) and prefix lists (`pl-…`).
    pub from: BTreeSet<String>,
}

/// A subscription of the alert topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// `email`, `sqs`, `https`, …
    pub protocol: String,
    /// The address or ARN.
    pub endpoint: String,
    /// It is confirmed.
    pub confirmed: bool,
    /// It has a filter policy. Subscriptions that are not confirmed are not asked.
    pub filtered: Look<bool>,
}

impl Instance {
    /// Whether it takes calls and streams records.
    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }
}

impl DataStream {
    /// Whether it is written to and read from: also while its shards or its key change.
    pub fn is_usable(&self) -> bool {
        matches!(self.status.as_str(), "ACTIVE" | "UPDATING")
    }
}

impl DeliveryStream {
    /// Whether it takes and delivers records.
    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }
}

impl Snapshot {
    /// How long ago `then` was; zero if it is yet to come.
    pub fn since(&self, then: Timestamp) -> SignedDuration {
        self.taken_at.duration_since(then).max(SignedDuration::ZERO)
    }
}
