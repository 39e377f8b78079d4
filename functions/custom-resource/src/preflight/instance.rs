//! Owns checking the Amazon Connect instance, and what it streams to today.

use emite_aws::connect;
use emite_aws::keys::streaming_key;
use emite_core::arn::InstanceId;
use emite_core::links::Life;
use emite_core::links::data_streaming::{Claim, ResourceType, Source, Target};
use emite_core::snapshot::Instance;

use super::problem::Problem;
use super::values::Parameters;
use crate::provider::{Provider, RequestFailure};

/// What the rest of the stack has to know of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InstanceAttributes {
    pub(super) id: String,
    pub(super) alias: String,
    pub(super) service_role_arn: String,
}

pub(super) async fn check(provider: &Provider, parameters: &Parameters) -> Result<InstanceAttributes, Vec<Problem>> {
    let Some(id) = &parameters.instance else { return Ok(InstanceAttributes::default()) };
    let instance = active(provider, id).await.map_err(|problem| vec![problem])?;
    let source = |resource_type| Source { instance: id.clone(), resource_type };
    let (events, records) = (source(ResourceType::AgentEvents), source(ResourceType::ContactTraceRecords));
    let (events, records) = tokio::join!(
        streaming(provider, parameters, &events, parameters.agent_event_target.as_ref()),
        streaming(provider, parameters, &records, parameters.contact_record_target.as_ref())
    );
    let problems: Vec<Problem> = events.into_iter().chain(records).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(InstanceAttributes {
        id: id.to_string(),
        // An instance of a directory of its own may have none.
        alias: instance.alias.filter(|alias| !alias.is_empty()).unwrap_or_else(|| id.to_string()),
        service_role_arn: instance.service_role.unwrap_or_default(),
    })
}

/// The instance, if it can be used.
async fn active(provider: &Provider, id: &InstanceId) -> Result<Instance, Problem> {
    const PARAMETER: &str = "ConnectInstanceArn";
    let found = connect::instance(provider.aws.connect(), id).await;
    let Some(instance) = found.map_err(|error| Problem::unverified(PARAMETER, &error))? else {
        return Err(Problem::new(format!(
            "{PARAMETER} names instance {id}, which does not exist in this account and region. Copy the ARN from the Amazon Connect console."
        )));
    };
    if instance.is_active() {
        return Ok(instance);
    }
    Err(Problem::new(format!(
        "{PARAMETER} names an instance that is {}, not ACTIVE. Wait until it is, or name another one.",
        instance.status
    )))
}

/// What would be in the way of streaming `source` to `target`.
async fn streaming(
    provider: &Provider,
    parameters: &Parameters,
    source: &Source,
    target: Option<&Target>,
) -> Option<Problem> {
    const PARAMETER: &str = "OnExistingStreaming";
    let live = match connect::association(provider.aws.connect(), source).await {
        Ok(live) => live?,
        Err(error) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    let claim = match provider.ledger.read_claim::<Claim>(&streaming_key(source)).await {
        Ok(entry) => entry.map(|entry| entry.value).filter(|claim| claim.life != Life::Released),
        Err(error) => {
            let failure = RequestFailure::from(error);
            let text = format!("{PARAMETER} could not be checked: {failure}.");
            return Some(Problem { text, denied: failure.is_denied() });
        }
    };
    let ours = claim.is_some_and(|claim| claim.set_by_us(&live.target)) || target == Some(&live.target);
    match &live.target {
        Target::Other(_) => Some(Problem::new(format!(
            "{PARAMETER}: the {source} go to {}, which could not be put back later. Remove that in the Amazon Connect console first.",
            live.target
        ))),
        existing if !ours && !parameters.replace => {
            let keep = keeping(existing, source.resource_type);
            Some(Problem::new(format!(
                "{PARAMETER} is Fail, and the {source} already stream to {existing}. {keep}Choose Replace to take that over (it is put back when the stack is deleted), or end it first."
            )))
        }
        _ => None,
    }
}

/// How to have the stack use the existing target.
fn keeping(existing: &Target, resource_type: ResourceType) -> String {
    let (parameter, arn) = match (existing, resource_type) {
        (Target::KinesisStream(arn), ResourceType::AgentEvents) => ("ExistingAgentEventStreamName", arn),
        (Target::KinesisStream(arn), ResourceType::ContactTraceRecords) => ("ExistingContactRecordStreamName", arn),
        (Target::KinesisFirehose(arn), _) => ("ExistingDeliveryStreamName", arn),
        (Target::Other(_), _) => return String::new(),
    };
    format!("To keep it, set {parameter} to {}. ", arn.name())
}
