//! Owns the spec: what the stack was asked to set up, as the health check and repair need it.
//!
//! The template writes it to one SSM parameter, as one flat JSON object. An unknown field, or an impossible value, is a
//! configuration error, and all of them are reported at once; nothing falls back to a default in silence.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::arn::{Arn, Home, InstanceId};
use crate::business_hours::BusinessHours;
use crate::layout::{self, StreamFolders};
use crate::links::approved_origin::Origin;
use crate::problems::Problems;

/// What the stack was asked to set up.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The stack.
    pub stack_id: Arn,
    /// Its partition, region and account.
    pub home: Home,
    /// What people call the integration: the alias of the Amazon Connect instance.
    pub integration: String,
    /// The Amazon Connect instance.
    pub instance_arn: Arn,
    /// The same, as the API takes it.
    pub instance: InstanceId,
    /// The things that were there before the stack, which it uses as they are.
    pub existing: BTreeSet<Existing>,
    /// The stream of agent events.
    pub agent_event_stream: Arn,
    /// Shards that it should have at least.
    pub agent_event_shards: u32,
    /// Hours that it should keep records at least.
    pub agent_event_retention_hours: u32,
    /// The key that it should be encrypted with; none: not at all.
    pub agent_event_key: Option<Arn>,
    /// The data stream that contact records go through on their way to the delivery stream; none: they go there directly.
    pub contact_record_stream: Option<Arn>,
    /// The delivery stream of contact records.
    pub delivery_stream: Arn,
    /// The role that it delivers as.
    pub delivery_role: Arn,
    /// The search domain.
    pub domain: Arn,
    /// Its address, `https://…`.
    pub search_endpoint: String,
    /// Number of its data nodes.
    pub domain_instances: u32,
    /// Storage of each node in GiB.
    pub domain_volume_gib: u32,
    /// The index of contact records, without rotation suffix.
    pub contact_index: String,
    /// The document type; none where the engine has no types.
    pub contact_type: Option<String>,
    /// `NoRotation`, `OneHour`, `OneDay`, `OneWeek` or `OneMonth`.
    pub index_rotation: String,
    /// The bucket for refused records.
    pub backup_bucket: String,
    /// What their keys begin with, before Firehose's name of the error; empty: nothing does.
    pub failed_prefix: String,
    /// The role that eMite assumes.
    pub emite_role: Arn,
    /// Who at eMite may assume it; none if only a server of this account uses it.
    pub emite: Option<Emite>,
    /// The permissions boundary that the role has to have, if any.
    pub role_boundary: Option<Arn>,
    /// The eMite server in this account; none if eMite hosts it.
    pub server: Option<ServerSpec>,
    /// The addresses of the eMite server.
    pub emite_servers: BTreeSet<Ipv4Net>,
    /// The approved origin, for chat.
    pub emite_origin: Option<Origin>,
    /// The topic of the alerts.
    pub alert_topic: Arn,
    /// The URL of the queue that takes events which could not be handled.
    pub dead_letter_queue: String,
    /// The name of the function that checks all this.
    pub health_check_function: String,
    /// The name of the function that repairs on demand.
    pub repair_function: String,
    /// The state machine that sends failed records again.
    pub redrive_state_machine: Arn,
    /// The customer's time zone.
    pub time_zone: TimeZone,
    /// When agents work, in that time zone; none: not watched.
    pub business_hours: Option<BusinessHours>,
    /// The time from one run to the next.
    pub interval: SignedDuration,
    /// What counts as too much.
    pub thresholds: Thresholds,
}

/// A resource that can exist before the stack, which otherwise makes its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Existing {
    /// The stream of agent events.
    AgentEventStream,
    /// The delivery stream of contact records.
    DeliveryStream,
    /// The search domain.
    Domain,
    /// The role that eMite assumes.
    EmiteRole,
}

impl FromStr for Existing {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "agentEventStream" => Ok(Self::AgentEventStream),
            "deliveryStream" => Ok(Self::DeliveryStream),
            "domain" => Ok(Self::Domain),
            "emiteRole" => Ok(Self::EmiteRole),
            _ => Err("must be agentEventStream, deliveryStream, domain or emiteRole"),
        }
    }
}

/// Who at eMite may assume the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emite {
    /// eMite's account root, or one role or user of that account.
    pub principal: Arn,
    /// The external id that it has to present.
    pub customer_id: String,
}

/// An eMite server in this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// The EC2 instance, `i-…`.
    pub instance_id: String,
    /// Its Elastic IP.
    pub address: Ipv4Addr,
    /// The allocation of that, `eipalloc-…`.
    pub allocation_id: String,
    /// The instance profile with the role that it reads with.
    pub profile: Arn,
    /// Its security group, `sg-…`.
    pub group_id: String,
    /// From where that group lets Remote Desktop in; nothing: from nowhere.
    pub rdp_from: BTreeSet<Ipv4Net>,
}

/// What counts as too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Iterator age from which there is a warning, in seconds.
    pub iterator_age_warning_seconds: u32,
    /// Iterator age from which it is critical, in percent of the stream's retention.
    pub iterator_age_critical_percent: u32,
    /// Free storage of the domain below which there is a warning, in percent.
    pub free_storage_percent: u32,
    /// Minutes without an agent event, in business hours, from which there is a warning.
    pub agent_silence_minutes: u32,
}

/// All that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack's settings cannot be used: {}", .0.join("; "))]
pub struct BadSpec(pub Vec<String>);

impl Spec {
    /// Reads the text of the SSM parameter.
    ///
    /// # Errors
    /// [`BadSpec`] with every problem: missing, unknown and impossible fields, and ARNs of another account or region.
    pub fn parse(text: &str) -> Result<Self, BadSpec> {
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            BadSpec(vec![format!("not a JSON object (line {}, column {})", error.line(), error.column())])
        })?;
        let mut fields = Fields { fields, ..Fields::default() };
        let spec = Self::read(&mut fields);
        let problems = fields.finish(spec.as_ref().map(|spec| &spec.home));
        problems.finish(spec).map_err(BadSpec)
    }

    /// Reads every field, in the order in which problems are listed. The result counts only if there are none: it has
    /// [`Blank`] where a field cannot be read.
    fn read(fields: &mut Fields) -> Option<Self> {
        let stack_id = fields.value("stackId");
        let integration = fields.required("integration");
        let instance_arn = fields.own_arn("instanceArn");
        Some(Self {
            integration,
            existing: fields.existing("existing"),
            agent_event_stream: fields.own("agentEventStream"),
            agent_event_shards: fields.within("agentEventShards", 1, 10_000),
            agent_event_retention_hours: fields.within("agentEventRetentionHours", 24, 8760),
            agent_event_key: fields.optional("agentEventKey"),
            contact_record_stream: fields.own_if_set("contactRecordStream"),
            delivery_stream: fields.own("deliveryStream"),
            delivery_role: fields.required("deliveryRole"),
            domain: fields.own("domain"),
            search_endpoint: fields.required("searchEndpoint"),
            domain_instances: fields.within("domainInstances", 1, 100),
            domain_volume_gib: fields.within("domainVolumeGib", 10, 16_384),
            contact_index: fields.required("contactIndex"),
            contact_type: fields.optional("contactType"),
            index_rotation: fields.required("indexRotation"),
            backup_bucket: fields.required("backupBucket"),
            failed_prefix: fields.text("failedPrefix").unwrap_or_default(),
            emite_role: fields.required("emiteRole"),
            emite: fields.emite(),
            role_boundary: fields.optional("roleBoundary"),
            server: fields.server(),
            emite_servers: fields.addresses("emiteServers"),
            emite_origin: fields.optional("emiteOrigin"),
            alert_topic: fields.own("alertTopic"),
            dead_letter_queue: fields.required("deadLetterQueue"),
            health_check_function: fields.required("healthCheckFunction"),
            repair_function: fields.required("repairFunction"),
            redrive_state_machine: fields.own("redriveStateMachine"),
            time_zone: fields.time_zone("timeZone"),
            business_hours: fields.optional("businessHours"),
            interval: SignedDuration::from_mins(fields.within("healthCheckMinutes", 1, 60).into()),
            thresholds: Thresholds {
                iterator_age_warning_seconds: fields.within("iteratorAgeWarningSeconds", 10, 86_400),
                iterator_age_critical_percent: fields.within("iteratorAgeCriticalPercent", 5, 95),
                free_storage_percent: fields.within("freeStoragePercent", 5, 60),
                agent_silence_minutes: fields.within("agentSilenceMinutes", 5, 1440),
            },
            // Every field has been read by now, so these may give up.
            instance: fields.instance(instance_arn.as_ref()?)?,
            instance_arn: instance_arn?,
            home: Home::of(stack_id.as_ref()?),
            stack_id: stack_id?,
        })
    }

    /// Whether the stack found this thing rather than made it.
    pub fn found(&self, thing: Existing) -> bool {
        self.existing.contains(&thing)
    }

    /// The folders of the delivery stream in the bucket.
    pub fn stream_folders(&self) -> StreamFolders {
        let (name, prefix) = (self.delivery_stream_name(), &self.failed_prefix);
        if self.found(Existing::DeliveryStream) {
            StreamFolders::existing(name, prefix)
        } else {
            StreamFolders::managed(name, prefix)
        }
    }

    /// The prefix of one of the stack's own folders in the bucket.
    pub fn folder(&self, name: &str) -> String {
        layout::folder(self.delivery_stream_name(), name)
    }

    /// Below what records are kept that the domain never takes.
    pub fn quarantine_prefix(&self) -> String {
        self.folder(layout::QUARANTINE)
    }

    /// The name of the search domain.
    pub fn domain_name(&self) -> &str {
        self.domain.name()
    }

    /// The name of the agent event stream.
    pub fn agent_event_stream_name(&self) -> &str {
        self.agent_event_stream.name()
    }

    /// The name of the stream that contact records go through, if they do.
    pub fn contact_record_stream_name(&self) -> Option<&str> {
        self.contact_record_stream.as_ref().map(Arn::name)
    }

    /// The name of the delivery stream.
    pub fn delivery_stream_name(&self) -> &str {
        self.delivery_stream.name()
    }

    /// The name of the role that eMite assumes.
    pub fn emite_role_name(&self) -> &str {
        self.emite_role.name()
    }
}

/// What stands in for a value that cannot be read, in a spec that is discarded because of that.
trait Blank {
    const BLANK: Self;
}

impl Blank for String {
    const BLANK: Self = Self::new();
}

impl Blank for u32 {
    const BLANK: Self = 0;
}

impl Blank for Arn {
    const BLANK: Self = Self {
        partition: String::BLANK,
        service: String::BLANK,
        region: String::BLANK,
        account: String::BLANK,
        resource: String::BLANK,
    };
}

/// The fields that are not read yet, and what was wrong with those that were.
#[derive(Default)]
struct Fields {
    fields: Map<String, Value>,
    problems: Problems,
    /// The ARNs that must be of the stack's own account and region, and those of them that may be empty.
    own: Vec<(&'static str, Arn)>,
    own_if_set: Vec<(&'static str, Arn)>,
}

impl Fields {
    /// The text of a field; a number counts as its digits.
    fn text(&mut self, name: &str) -> Option<String> {
        let text = match self.fields.remove(name) {
            None => Err("is missing"),
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(_) => Err("must be a text or a number"),
        };
        self.problems.keep(text.map_err(|problem| format!("{name} {problem}")))
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        self.problems.keep(text.parse().map_err(|error| format!("{name} is '{text}': {error}")))
    }

    /// The value of a field that must not be empty.
    fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        if text.is_empty() {
            self.problems.add(format!("{name} is empty"));
            return None;
        }
        self.parsed(name, &text)
    }

    fn required<T: FromStr<Err: Display> + Blank>(&mut self, name: &str) -> T {
        self.value(name).unwrap_or(T::BLANK)
    }

    fn own(&mut self, name: &'static str) -> Arn {
        self.own_arn(name).unwrap_or(Arn::BLANK)
    }

    /// The ARN of something in the stack's own account and region.
    fn own_arn(&mut self, name: &'static str) -> Option<Arn> {
        let arn: Option<Arn> = self.value(name);
        self.own.extend(arn.clone().map(|arn| (name, arn)));
        arn
    }

    /// The same, if the field is not empty.
    fn own_if_set(&mut self, name: &'static str) -> Option<Arn> {
        let arn: Option<Arn> = self.optional(name);
        self.own_if_set.extend(arn.clone().map(|arn| (name, arn)));
        arn
    }

    fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.if_set(name).flatten()
    }

    /// `Some(None)` if the field is empty.
    #[allow(clippy::option_option, reason = "a problem, nothing, or something")]
    fn if_set<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<Option<T>> {
        let text = self.text(name)?;
        if text.is_empty() { Some(None) } else { self.parsed(name, &text).map(Some) }
    }

    fn within(&mut self, name: &str, least: u32, most: u32) -> u32 {
        let value = self.value(name);
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            self.problems.add(format!("{name} is {value}: must be from {least} to {most}"));
        }
        value.unwrap_or(u32::BLANK)
    }

    fn time_zone(&mut self, name: &str) -> TimeZone {
        let Some(zone) = self.value::<String>(name) else { return TimeZone::UTC };
        TimeZone::get(&zone).unwrap_or_else(|_| {
            let not_listed = "not a time zone of the IANA list, such as Australia/Sydney";
            self.problems.add(format!("{name} is '{zone}': {not_listed}"));
            TimeZone::UTC
        })
    }

    fn instance(&mut self, arn: &Arn) -> Option<InstanceId> {
        let id = InstanceId::of(arn);
        if id.is_none() {
            self.problems.add("instanceArn is not the ARN of an Amazon Connect instance");
        }
        id
    }

    fn existing(&mut self, name: &str) -> BTreeSet<Existing> {
        let list = self.text(name).unwrap_or_default();
        let things = list.split(',').filter(|thing| !thing.is_empty());
        things.filter_map(|thing| self.parsed(name, thing)).collect()
    }

    /// None if eMite itself may not assume the role.
    fn emite(&mut self) -> Option<Emite> {
        let (principal, customer_id) = (self.if_set("emitePrincipal"), self.if_set("customerId"));
        match (principal?, customer_id?) {
            (None, None) => None,
            (Some(principal), Some(customer_id)) => Some(Emite { principal, customer_id }),
            _ => {
                self.problems.add("emitePrincipal and customerId must be given together, or neither");
                None
            }
        }
    }

    /// None if eMite hosts the server.
    fn server(&mut self) -> Option<ServerSpec> {
        let instance_id = self.if_set("server");
        let address = self.if_set("serverAddress");
        let allocation_id = self.if_set("serverAllocation");
        let profile = self.if_set("serverProfile");
        let group_id = self.if_set("serverGroup");
        let rdp_from = self.networks("rdpFrom");
        match (instance_id?, address?, allocation_id?, profile?, group_id?) {
            (None, None, None, None, None) => None,
            (Some(instance_id), Some(address), Some(allocation_id), Some(profile), Some(group_id)) => {
                Some(ServerSpec { instance_id, address, allocation_id, profile, group_id, rdp_from })
            }
            _ => {
                let together = "server, serverAddress, serverAllocation, serverProfile and serverGroup";
                self.problems.add(format!("{together} must be given together, or none of them"));
                None
            }
        }
    }

    /// At least one network.
    fn addresses(&mut self, name: &str) -> BTreeSet<Ipv4Net> {
        let before = self.problems.len();
        let networks = self.networks(name);
        if networks.is_empty() && self.problems.len() == before {
            self.problems.add(format!("{name} is empty"));
        }
        networks
    }

    /// IPv4 addresses and ranges, separated by commas, or nothing.
    fn networks(&mut self, name: &str) -> BTreeSet<Ipv4Net> {
        let list = self.text(name).unwrap_or_default();
        // The template leaves places empty.
        let addresses = list.split(',').map(str::trim).filter(|address| !address.is_empty());
        let read = |address: &str| {
            let net = if address.contains('/') { address.parse() } else { format!("{address}/32").parse() };
            let net = net.map(|net: Ipv4Net| net.trunc());
            self.problems.keep(net.map_err(|_| format!("{name} has '{address}': not an IPv4 address or range")))
        };
        addresses.filter_map(read).collect()
    }

    /// All problems: of the fields, then fields that are unknown, then ARNs of another account or region.
    fn finish(self, home: Option<&Home>) -> Problems {
        let mut problems = self.problems;
        problems.extend(self.fields.keys().map(|name| format!("{name} is unknown to this version")));
        if let Some(home) = home {
            let own = self.own.iter().chain(&self.own_if_set);
            problems.extend(own.filter_map(|(name, arn)| Some(format!("{name} {}", home.objection(arn)?))));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SPEC, self_hosted};

    fn with(name: &str, value: Value) -> Result<Spec, BadSpec> {
        let mut spec: Value = serde_json::from_str(SPEC).unwrap();
        spec[name] = value;
        Spec::parse(&spec.to_string())
    }

    #[test]
    fn what_is_left_empty_is_not_wanted() {
        let spec = Spec::parse(SPEC).unwrap();
        assert_eq!(spec.agent_event_key, None);
        assert_eq!(spec.domain_name(), "emite-kinesis-connect");
        assert_eq!(with("businessHours", "".into()).unwrap().business_hours, None);
        assert_eq!(with("emiteOrigin", "".into()).unwrap().emite_origin, None);
        assert_eq!(with("roleBoundary", "".into()).unwrap().role_boundary, None);
        assert_eq!(spec.server, None);
        assert_eq!(spec.contact_record_stream, None);
    }

    #[test]
    fn what_was_there_is_told_by_name() {
        let found = with("existing", ",deliveryStream,,domain".into()).unwrap();
        assert_eq!(found.existing, BTreeSet::from([Existing::DeliveryStream, Existing::Domain]));
        assert_eq!(found.stream_folders().failed().len(), layout::FIREHOSE_FOLDERS.len());
        assert_eq!(Spec::parse(SPEC).unwrap().stream_folders().failed(), ["emite-connect/emite-ctrfirehose/failed/"]);
        let BadSpec(problems) = with("existing", "bucket".into()).unwrap_err();
        assert!(problems[0].starts_with("existing is 'bucket': must be"), "{problems:?}");
    }

    #[test]
    fn what_belongs_together_is_given_as_a_whole_or_not_at_all() {
        let BadSpec(problems) = with("customerId", "".into()).unwrap_err();
        assert_eq!(problems, ["emitePrincipal and customerId must be given together, or neither"]);
        let BadSpec(problems) = with("server", "i-0a1b2c3d4e5f60718".into()).unwrap_err();
        assert!(problems[0].ends_with("must be given together, or none of them"), "{problems:?}");
        let server = self_hosted().server.unwrap();
        assert_eq!(server.address, Ipv4Addr::new(198, 51, 100, 20));
        assert_eq!(self_hosted().emite, None);
    }

    #[test]
    fn single_addresses_and_ranges_are_read() {
        let spec = with("emiteServers", "203.0.113.10, 198.51.100.7/28".into()).unwrap();
        let servers: Vec<_> = spec.emite_servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["198.51.100.0/28", "203.0.113.10/32"]);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut spec: Value = serde_json::from_str(SPEC).unwrap();
        spec["timeZone"] = "Australia/Sidney".into();
        spec["businessHours"] = "Mon-Fri 18:00-08:00x".into();
        spec["healthCheckMinutes"] = "0".into();
        spec["iteratorAgeCriticalPercent"] = 200.into();
        spec["domain"] = "arn:aws:es:eu-west-1:111122223333:domain/x".into();
        spec["emiteServers"] = "203.0.113".into();
        spec["agentEventStream"] = Value::Null;
        spec["surprise"] = "x".into();
        let BadSpec(problems) = Spec::parse(&spec.to_string()).unwrap_err();
        for name in [
            "timeZone",
            "businessHours",
            "healthCheckMinutes",
            "iteratorAgeCriticalPercent",
            "emiteServers",
            "agentEventStream",
            "surprise",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name} is not told: {problems:#?}");
        }
    }

    #[test]
    fn arns_of_elsewhere_are_refused() {
        let BadSpec(problems) = with("domain", "arn:aws:es:eu-west-1:111122223333:domain/x".into()).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("domain "), "{problems:?}");
    }

    #[test]
    fn problem_of_one_field_hides_no_arn_of_elsewhere() {
        let mut spec: Value = serde_json::from_str(SPEC).unwrap();
        spec["timeZone"] = "Australia/Sidney".into();
        spec["domain"] = "arn:aws:es:eu-west-1:111122223333:domain/x".into();
        let BadSpec(problems) = Spec::parse(&spec.to_string()).unwrap_err();
        let fields: Vec<_> = problems.iter().filter_map(|problem| problem.split(' ').next()).collect();
        assert_eq!(fields, ["timeZone", "domain"]);
    }

    #[test]
    fn each_field_is_needed_and_none_is_taken_for_another() {
        let whole: Map<String, Value> = serde_json::from_str(SPEC).unwrap();
        for name in whole.keys() {
            let mut without = whole.clone();
            without.remove(name);
            let BadSpec(problems) = Spec::parse(&Value::Object(without).to_string()).unwrap_err();
            assert!(problems.contains(&format!("{name} is missing")), "{name}: {problems:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_showing_it() {
        let BadSpec(problems) = Spec::parse("[\"secret\"").unwrap_err();
        assert!(problems[0].starts_with("not a JSON object"), "{problems:?}");
    }
}
