//! Owns the items of a handover: what the eMite team needs, and whether AWS shows it to be so. What could not be read is
//! neither verified nor wrong.

use std::fmt::Display;
use std::time::Duration;

use emite_aws::ec2::{self, Machine};
use emite_aws::look::look;
use emite_aws::observe::streaming;
use emite_aws::{connect, iam, kinesis, opensearch, wait};
use emite_core::handover::{AGENT_EVENTS, EXTERNAL_ID, INSTANCE, ROLE, SEARCH_ENDPOINT, SERVER, TIME_ZONE};
use emite_core::links::data_streaming::{Association, ResourceType, Target};
use emite_core::look::{Cause, Look, Unseen};
use emite_core::policies::emite_role::SESSION_SECONDS;
use emite_core::policies::trust::takes_external_id;
use emite_core::snapshot::{DataStream, Domain, Instance, Role};

use super::properties::{HandedServer, HandoverProperties};
use crate::provider::Provider;

/// An item, and what reading it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenItem {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) state: Verification,
}

/// What reading an item showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// It is as it is handed over.
    Verified,
    /// It is not, and how.
    Wrong(String),
    /// It could not be read.
    Unseen(Unseen),
}

impl Verification {
    fn wrong(what: impl Display) -> Self {
        Self::Wrong(what.to_string())
    }

    /// What `judge` makes of a thing that was read; `gone` if it does not exist.
    fn judged<T>(read: &Look<Option<T>>, gone: &str, judge: impl FnOnce(&T) -> Self) -> Self {
        match read {
            Ok(Some(thing)) => judge(thing),
            Ok(None) => Self::wrong(gone),
            Err(unseen) => Self::Unseen(unseen.clone()),
        }
    }

    /// What was found wrong; otherwise what could not be read.
    fn of(found: impl IntoIterator<Item = Self>) -> Self {
        let (mut wrong, mut unseen) = (Vec::new(), None);
        for state in found {
            match state {
                Self::Verified => {}
                Self::Wrong(what) => wrong.push(what),
                Self::Unseen(what) => unseen = unseen.or(Some(what)),
            }
        }
        match unseen {
            _ if !wrong.is_empty() => Self::Wrong(wrong.join("; ")),
            Some(unseen) => Self::Unseen(unseen),
            None => Self::Verified,
        }
    }
}

/// How long what is wrong may take to come right: AWS shows a change of seconds ago not everywhere at once.
const SETTLING: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_secs(2);

/// All items, read again while they may just be late, or the permissions to read them.
pub(super) async fn settled(provider: &Provider, properties: &HandoverProperties) -> Vec<SeenItem> {
    let denied = |seen: &SeenItem| matches!(&seen.state, Verification::Unseen(unseen) if unseen.cause == Cause::Denied);
    let patience = |seen: &Vec<SeenItem>| {
        if seen.iter().any(denied) {
            provider.permission_grace
        } else if seen.iter().any(|seen| matches!(seen.state, Verification::Wrong(_))) {
            SETTLING
        } else {
            Duration::ZERO
        }
    };
    let read = async || items(properties, &observe(provider, properties).await);
    wait::patiently(PAUSE, read, patience).await
}

/// What is read of the things that are handed over: as the health check reads them, as far as this function's role allows.
struct Observation {
    role: Look<Option<Role>>,
    instance: Look<Option<Instance>>,
    agent_events: Look<Option<Association>>,
    contact_records: Look<Option<Association>>,
    stream: Look<Option<DataStream>>,
    domain: Look<Option<Domain>>,
    server: Look<Option<Machine>>,
}

async fn observe(provider: &Provider, properties: &HandoverProperties) -> Observation {
    let HandoverProperties { instance, .. } = properties;
    let aws = &provider.aws;
    let server = async {
        match &properties.server {
            Some(server) => look("ec2:DescribeInstances", ec2::machine(aws.ec2(), &server.id)).await,
            None => Ok(None),
        }
    };
    let (role, instance_itself, agent_events, contact_records, stream, domain, server) = tokio::join!(
        Box::pin(look("iam:GetRole", iam::described_if_there(aws.iam(), properties.role.name()))),
        Box::pin(look("connect:DescribeInstance", connect::instance(aws.connect(), instance))),
        Box::pin(streaming(aws, instance, ResourceType::AgentEvents)),
        Box::pin(streaming(aws, instance, ResourceType::ContactTraceRecords)),
        Box::pin(look(kinesis::SUMMARY, kinesis::data_stream(aws.kinesis(), properties.agent_event_stream.name()))),
        Box::pin(look("es:DescribeDomain", opensearch::domain(aws.opensearch(), properties.domain.name()))),
        Box::pin(server),
    );
    Observation { role, instance: instance_itself, agent_events, contact_records, stream, domain, server }
}

/// The guide's list, in its order. Pure.
fn items(properties: &HandoverProperties, read: &Observation) -> Vec<SeenItem> {
    let seen = |name, value: &dyn Display, state| SeenItem { name, value: value.to_string(), state };
    let server = properties.server.as_ref();
    let mut all: Vec<SeenItem> =
        server.map(|server| seen(SERVER, &server.address, self::server(server, read))).into_iter().collect();
    all.push(seen(ROLE, &properties.role, role(properties, read)));
    let id = properties.customer_id.as_ref();
    all.extend(id.map(|id| seen(EXTERNAL_ID, id, external_id(properties, id, read))));
    all.push(seen(INSTANCE, &properties.instance_arn, instance(properties, read)));
    all.push(seen(AGENT_EVENTS, &properties.agent_event_stream, stream(read)));
    all.push(seen(SEARCH_ENDPOINT, &properties.search_endpoint, domain(properties, read)));
    // Its name was looked up when the properties were read.
    all.push(seen(TIME_ZONE, &properties.time_zone, Verification::Verified));
    all
}

/// A role of the same name with another path is another role.
fn role(properties: &HandoverProperties, read: &Observation) -> Verification {
    const GONE: &str = "the role does not exist";
    Verification::judged(&read.role, GONE, |role| match role.max_session_seconds {
        _ if role.arn != properties.role.to_string() => Verification::wrong(GONE),
        seconds if seconds < SESSION_SECONDS => Verification::wrong(format!(
            "its sessions last {seconds} seconds at most, and eMite needs {SESSION_SECONDS}"
        )),
        _ => Verification::Verified,
    })
}

fn external_id(properties: &HandoverProperties, id: &str, read: &Observation) -> Verification {
    const GONE: &str = "the role that asks for it does not exist";
    Verification::judged(&read.role, GONE, |role| {
        if role.arn != properties.role.to_string() {
            Verification::wrong(GONE)
        } else if takes_external_id(&role.trust, id) {
            Verification::Verified
        } else {
            Verification::wrong("the trust policy of the role does not ask for it")
        }
    })
}

/// The instance, and that it streams to where it should.
fn instance(properties: &HandoverProperties, read: &Observation) -> Verification {
    let status = Verification::judged(&read.instance, "the instance does not exist", |instance| {
        if instance.is_active() {
            Verification::Verified
        } else {
            Verification::wrong(format!("the instance is {}, not ACTIVE", instance.status))
        }
    });
    match status {
        // What it streams is no question then.
        Verification::Wrong(_) => status,
        status => {
            let agent_events = Target::KinesisStream(properties.agent_event_stream.clone());
            let agent_events = streams_to(properties, ResourceType::AgentEvents, &read.agent_events, &agent_events);
            let records = ResourceType::ContactTraceRecords;
            let contact_records =
                streams_to(properties, records, &read.contact_records, &properties.contact_record_target);
            Verification::of([status, agent_events, contact_records])
        }
    }
}

fn streams_to(
    properties: &HandoverProperties,
    resource_type: ResourceType,
    read: &Look<Option<Association>>,
    target: &Target,
) -> Verification {
    let source = properties.source(resource_type);
    Verification::judged(read, &format!("its {source} stream nowhere"), |live| {
        if live.target == *target {
            Verification::Verified
        } else {
            Verification::wrong(format!("its {source} stream to {}", live.target))
        }
    })
}

fn stream(read: &Observation) -> Verification {
    Verification::judged(&read.stream, "the stream does not exist", |stream| {
        if stream.is_usable() {
            Verification::Verified
        } else {
            Verification::wrong(format!("the stream is {}, not ACTIVE", stream.status))
        }
    })
}

fn domain(properties: &HandoverProperties, read: &Observation) -> Verification {
    const GONE: &str = "the search domain does not exist";
    Verification::judged(&read.domain, GONE, |domain| match &domain.endpoint {
        _ if domain.deleted => Verification::wrong(GONE),
        Some(endpoint) if properties.search_endpoint == format!("https://{endpoint}") => Verification::Verified,
        Some(endpoint) => Verification::wrong(format!("the search domain answers at https://{endpoint}")),
        None => Verification::wrong("the search domain has no public endpoint"),
    })
}

fn server(server: &HandedServer, read: &Observation) -> Verification {
    Verification::judged(&read.server, "the server does not exist", |machine| match &machine.public_address {
        _ if machine.state.as_str() != "running" => {
            Verification::wrong(format!("the server is {}, not running", machine.state.as_str()))
        }
        Some(address) if *address == server.address.to_string() => Verification::Verified,
        Some(address) => Verification::wrong(format!("the server has the address {address}")),
        None => Verification::wrong("the server has no public address"),
    })
}
