//! Owns checking what a search domain that the stack creates is to be: its engine, its type of instance, and whether the one that
//! the stack has can be upgraded.

use emite_aws::opensearch;

use super::chain::{ChainResource, DOMAIN};
use super::names::new;
use super::previous::Previous;
use super::problem::Problem;
use super::values::Parameters;
use crate::provider::Provider;

pub(super) async fn check(
    provider: &Provider,
    parameters: &Parameters,
    previous: Option<Previous<'_>>,
) -> Vec<Problem> {
    if parameters.domain.as_ref().and_then(ChainResource::created).is_none() {
        return Vec::new();
    }
    let is_new = new(previous, DOMAIN, parameters.domain.as_ref()).is_some();
    let had = previous.map(|previous| previous.text("SearchEngineVersion"));
    let upgrades = !is_new && had != parameters.engine.as_deref();
    let (engine, instances, upgrade) =
        tokio::join!(engine(provider, parameters), instance_type(provider, parameters), async {
            if upgrades { upgrade(provider, parameters).await } else { None }
        },);
    [engine, instances, upgrade].into_iter().flatten().collect()
}

/// Whether the engine is offered here.
async fn engine(provider: &Provider, parameters: &Parameters) -> Option<Problem> {
    const PARAMETER: &str = "SearchEngineVersion";
    let engine = parameters.engine.as_ref()?;
    let offered = match opensearch::engines(provider.aws.opensearch()).await {
        Ok(offered) => offered,
        Err(error) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    (!offered.contains(engine)).then(|| {
        let (region, offered) = (&provider.home.region, offered.join(", "));
        Problem::new(format!("{PARAMETER} {engine} is not offered in {region}. Offered are: {offered}."))
    })
}

/// Whether the engine runs here on the chosen instances.
async fn instance_type(provider: &Provider, parameters: &Parameters) -> Option<Problem> {
    const PARAMETER: &str = "DomainInstanceType";
    let (engine, kind) = (parameters.engine.as_ref()?, parameters.domain_instance_type.as_ref()?);
    let offered = match opensearch::instance_types(provider.aws.opensearch(), engine).await {
        Ok(offered) => offered,
        Err(error) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    (!offered.contains(kind)).then(|| {
        let region = &provider.home.region;
        Problem::new(format!(
            "{PARAMETER} {kind} is not offered for {engine} in {region}. Choose another type or engine."
        ))
    })
}

/// Whether the domain of the stack can be upgraded to the engine that an update wants. An upgrade that AWS refuses, or that a
/// rollback would have to undo, leaves the stack stuck.
async fn upgrade(provider: &Provider, parameters: &Parameters) -> Option<Problem> {
    const PARAMETER: &str = "SearchEngineVersion";
    let (engine, domain) = (parameters.engine.as_ref()?, parameters.domain.as_ref()?.name());
    let upgrades = match opensearch::upgrades(provider.aws.opensearch(), domain).await {
        Ok(upgrades) => upgrades?,
        Err(error) => return Some(Problem::unverified(PARAMETER, &error)),
    };
    let targets: Vec<&str> = upgrades.iter().flat_map(|one| &one.to).map(String::as_str).collect();
    if targets.contains(&engine.as_str()) || upgrades.iter().any(|one| one.from.as_ref() == Some(engine)) {
        return None;
    }
    let shown = if targets.is_empty() { "none".to_owned() } else { targets.join(", ") };
    Some(Problem::new(format!(
        "{PARAMETER}: the domain '{domain}' cannot be upgraded to {engine} in one step. It can be to: {shown}."
    )))
}
