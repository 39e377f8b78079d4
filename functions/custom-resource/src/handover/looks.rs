//! Owns looking at what is handed over, everything at once. What could not be looked at is neither as it should be nor
//! wrong.

use std::fmt::Display;
use std::time::Duration;

use emite_aws::connect;
use emite_aws::error::AwsError;
use emite_aws::iam;
use emite_core::handover::{AGENT_EVENTS, EXTERNAL_ID, INSTANCE, ROLE, SEARCH_ENDPOINT, SERVER, TIME_ZONE};
use emite_core::links::data_streaming::{ResourceType, Source, Target};
use emite_core::look::{Cause, Unseen};
use emite_core::policies::emite_role::SESSION_SECONDS;
use emite_core::policies::trust;

use super::wanted::{Server, Wanted};
use crate::services::Services;

/// An item, and what a look at it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) state: State,
}

/// What a look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is as it is handed over.
    Verified,
    /// It is not, and how.
    Wrong(String),
    /// Nobody knows.
    Unseen(Unseen),
}

impl State {
    fn wrong(what: impl Display) -> Self {
        Self::Wrong(what.to_string())
    }

    /// What was found wrong; otherwise what could not be looked at.
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

impl From<AwsError> for State {
    fn from(error: AwsError) -> Self {
        tracing::warn!(%error, "could not look");
        Self::Unseen(error.into())
    }
}

/// How long what is wrong may take to come right: AWS shows a change of seconds ago not everywhere at once.
const SETTLING: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_secs(2);

/// All items, looked at again while they may just be late, or the permissions to look.
pub(super) async fn settled(services: &Services, wanted: &Wanted) -> Vec<Seen> {
    let started = tokio::time::Instant::now();
    loop {
        let seen = all(services, wanted).await;
        let denied = |seen: &Seen| matches!(&seen.state, State::Unseen(unseen) if unseen.cause == Cause::Denied);
        let patience = if seen.iter().any(denied) {
            services.permission_grace
        } else if seen.iter().any(|seen| matches!(seen.state, State::Wrong(_))) {
            SETTLING
        } else {
            return seen;
        };
        if started.elapsed() + PAUSE > patience {
            return seen;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The guide's list, in its order.
async fn all(services: &Services, wanted: &Wanted) -> Vec<Seen> {
    let ((role, external_id), instance, stream, domain, server) = tokio::join!(
        Box::pin(role(services, wanted)),
        Box::pin(instance(services, wanted)),
        Box::pin(stream(services, wanted)),
        Box::pin(domain(services, wanted)),
        async {
            match &wanted.server {
                Some(server) => Some((server.address.to_string(), Box::pin(self::server(services, server)).await)),
                None => None,
            }
        },
    );
    let seen = |name, value: &dyn Display, state| Seen { name, value: value.to_string(), state };
    let mut all: Vec<Seen> = server.into_iter().map(|(address, state)| seen(SERVER, &address, state)).collect();
    all.push(seen(ROLE, &wanted.role, role));
    all.extend(wanted.customer_id.iter().map(|id| seen(EXTERNAL_ID, id, external_id.clone())));
    all.push(seen(INSTANCE, &wanted.instance_arn, instance));
    all.push(seen(AGENT_EVENTS, &wanted.agent_event_stream, stream));
    all.push(seen(SEARCH_ENDPOINT, &wanted.search_endpoint, domain));
    // Its name was looked up when the properties were read.
    all.push(seen(TIME_ZONE, &wanted.time_zone, State::Verified));
    all
}

/// The role, and whether it asks for the external id. Needs `iam:GetRole`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>).
async fn role(services: &Services, wanted: &Wanted) -> (State, State) {
    const ACTION: &str = "iam:GetRole";
    let gone = || (State::wrong("the role does not exist"), State::wrong("the role that asks for it does not exist"));
    let name = wanted.role.name();
    let answer = services.aws.iam().get_role().role_name(name).send().await.map_err(AwsError::of(ACTION));
    let role = match answer {
        Ok(answer) => answer.role,
        Err(error) if error.is_not_found() => None,
        Err(error) => {
            let unseen = State::from(error);
            return (unseen.clone(), unseen);
        }
    };
    let Some(role) = role else { return gone() };
    if role.arn != wanted.role.to_string() {
        return gone();
    }
    // Left out of the answer when it is the default.
    let seconds = role.max_session_duration.unwrap_or(3600);
    let state = if seconds >= i32::try_from(SESSION_SECONDS).unwrap_or(i32::MAX) {
        State::Verified
    } else {
        State::wrong(format!("its sessions last {seconds} seconds at most, and eMite needs {SESSION_SECONDS}"))
    };
    let id = wanted.customer_id.as_deref().unwrap_or_default();
    let trust = iam::document(ACTION, role.assume_role_policy_document.as_deref().unwrap_or_default());
    let external_id = match trust {
        Ok(trust) if trust::takes_external_id(&trust, id) => State::Verified,
        Ok(_) => State::wrong("the trust policy of the role does not ask for it"),
        Err(error) => error.into(),
    };
    (state, external_id)
}

/// The instance, and that it streams to where it should.
async fn instance(services: &Services, wanted: &Wanted) -> State {
    let (status, events, records) = tokio::join!(
        status(services, wanted),
        streaming(
            services,
            wanted,
            ResourceType::AgentEvents,
            Target::KinesisStream(wanted.agent_event_stream.clone())
        ),
        streaming(services, wanted, ResourceType::ContactTraceRecords, wanted.contact_record_target.clone()),
    );
    match status {
        // What it streams is no question then.
        State::Wrong(_) => status,
        status => State::of([status, events, records]),
    }
}

/// Needs `connect:DescribeInstance`
/// (<https://docs.aws.amazon.com/connect/latest/APIReference/API_DescribeInstance.html>).
async fn status(services: &Services, wanted: &Wanted) -> State {
    let request = services.aws.connect().describe_instance().instance_id(wanted.instance.as_str());
    let instance = match request.send().await.map_err(AwsError::of("connect:DescribeInstance")) {
        Ok(answer) => answer.instance,
        Err(error) if error.is_not_found() => None,
        Err(error) => return error.into(),
    };
    let Some(instance) = instance else { return State::wrong("the instance does not exist") };
    match instance.instance_status.as_ref().map_or("unknown", |status| status.as_str()) {
        "ACTIVE" => State::Verified,
        other => State::wrong(format!("the instance is {other}, not ACTIVE")),
    }
}

/// Needs `connect:ListInstanceStorageConfigs`.
async fn streaming(services: &Services, wanted: &Wanted, resource_type: ResourceType, target: Target) -> State {
    let source = Source { instance: wanted.instance.clone(), resource_type };
    match connect::association(services.aws.connect(), &source).await {
        Ok(Some(live)) if live.target == target => State::Verified,
        Ok(Some(live)) => State::wrong(format!("its {source} stream to {}", live.target)),
        Ok(None) => State::wrong(format!("its {source} stream nowhere")),
        Err(error) if error.is_not_found() => State::wrong("the instance does not exist"),
        Err(error) => error.into(),
    }
}

/// Needs `kinesis:DescribeStreamSummary`
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html>).
async fn stream(services: &Services, wanted: &Wanted) -> State {
    let name = wanted.agent_event_stream.resource.trim_start_matches("stream/");
    let request = services.aws.kinesis().describe_stream_summary().stream_name(name);
    let stream = match request.send().await.map_err(AwsError::of("kinesis:DescribeStreamSummary")) {
        Ok(answer) => answer.stream_description_summary,
        Err(error) if error.is_not_found() => None,
        Err(error) => return error.into(),
    };
    match stream.as_ref().map(|stream| stream.stream_status.as_str()) {
        // It is written to and read from while its shards or its key change.
        Some("ACTIVE" | "UPDATING") => State::Verified,
        Some(other) => State::wrong(format!("the stream is {other}, not ACTIVE")),
        None => State::wrong("the stream does not exist"),
    }
}

/// Needs `es:DescribeDomain`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_DescribeDomain.html>).
async fn domain(services: &Services, wanted: &Wanted) -> State {
    let name = wanted.domain.resource.trim_start_matches("domain/");
    let answer = services.aws.opensearch().describe_domain().domain_name(name).send().await;
    let domain = match answer.map_err(AwsError::of("es:DescribeDomain")) {
        Ok(answer) => answer.domain_status.filter(|domain| domain.deleted != Some(true)),
        Err(error) if error.is_not_found() => None,
        Err(error) => return error.into(),
    };
    let Some(domain) = domain else { return State::wrong("the search domain does not exist") };
    match domain.endpoint {
        Some(endpoint) if wanted.search_endpoint == format!("https://{endpoint}") => State::Verified,
        Some(endpoint) => State::wrong(format!("the search domain answers at https://{endpoint}")),
        None => State::wrong("the search domain has no public endpoint"),
    }
}

/// Needs `ec2:DescribeInstances`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
async fn server(services: &Services, server: &Server) -> State {
    let answer = services.aws.ec2().describe_instances().instance_ids(&server.id).send().await;
    let reservations = match answer.map_err(AwsError::of("ec2:DescribeInstances")) {
        Ok(answer) => answer.reservations.unwrap_or_default(),
        Err(error) if error.code == "InvalidInstanceID.NotFound" => Vec::new(),
        Err(error) => return error.into(),
    };
    let mut instances = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    let Some(instance) = instances.next() else { return State::wrong("the server does not exist") };
    let state = instance.state.and_then(|state| state.name).map_or("unknown".to_owned(), |name| name.to_string());
    if state != "running" {
        return State::wrong(format!("the server is {state}, not running"));
    }
    match instance.public_ip_address {
        Some(address) if address == server.address.to_string() => State::Verified,
        Some(address) => State::wrong(format!("the server has the address {address}")),
        None => State::wrong("the server has no public address"),
    }
}
