//! Owns checking that the names of what the stack is about to create are free.

use emite_aws::error::AwsError;
use emite_aws::{firehose, iam, kinesis, opensearch};

use super::chain::{
    AGENT_EVENT_STREAM, ChainResource, DELIVERY_STREAM, DOMAIN, NameParameters, ROLE, delivery_role_name,
};
use super::previous::Previous;
use super::problem::Problem;
use super::values::Parameters;
use crate::provider::Provider;

pub(super) async fn check(
    provider: &Provider,
    parameters: &Parameters,
    previous: Option<Previous<'_>>,
) -> Vec<Problem> {
    let aws = &provider.aws;
    let delivery = new(previous, DELIVERY_STREAM, parameters.delivery_stream.as_ref());
    let delivery_role = delivery.map(delivery_role_name);
    let role = async |name: &str| Ok(iam::described_if_there(aws.iam(), name).await?.is_some());
    let (stream, delivery, domain, role, delivery_role) = tokio::join!(
        taken(
            AGENT_EVENT_STREAM,
            "the data stream",
            new(previous, AGENT_EVENT_STREAM, parameters.agent_event_stream.as_ref()),
            async |name| Ok(kinesis::data_stream(aws.kinesis(), name).await?.is_some())
        ),
        taken(DELIVERY_STREAM, "the delivery stream", delivery, async |name| {
            Ok(firehose::delivery_stream(aws.firehose(), name).await?.is_some())
        }),
        taken(DOMAIN, "the search domain", new(previous, DOMAIN, parameters.domain.as_ref()), async |name| {
            Ok(opensearch::domain(aws.opensearch(), name).await?.is_some())
        }),
        taken(ROLE, "the role", new(previous, ROLE, parameters.role.as_ref()), role),
        taken(DELIVERY_STREAM, "the role", delivery_role.as_deref(), role),
    );
    [stream, delivery, domain, role, delivery_role].into_iter().flatten().collect()
}

/// The name of a resource that the stack creates and has not created yet.
pub(super) fn new<'a>(
    previous: Option<Previous<'_>>,
    parameters: NameParameters,
    resource: Option<&'a ChainResource>,
) -> Option<&'a str> {
    let had = previous.and_then(|previous| previous.created(parameters));
    resource.and_then(ChainResource::created).filter(|name| had != Some(*name))
}

/// A name that only one resource of the account can have.
async fn taken(
    parameters: NameParameters,
    what: &str,
    name: Option<&str>,
    exists: impl AsyncFnOnce(&str) -> Result<bool, AwsError>,
) -> Option<Problem> {
    let NameParameters { created, existing } = parameters;
    let name = name?;
    match exists(name).await {
        Ok(true) => Some(Problem::new(format!(
            "{created}: {what} '{name}' exists already, perhaps kept by an earlier stack. Set {existing} to use it as it is, choose another {created}, or delete that one if nobody needs it."
        ))),
        Ok(false) => None,
        Err(error) => Some(Problem::unverified(created, &error)),
    }
}
