//! Owns checking the account, everything at once. Every check runs, whatever the others found; one that fails is a problem of its
//! own, because unknown is not good.

use emite_core::problems::Problems;

use super::attributes::Attributes;
use super::previous::Previous;
use super::problem::Problem;
use super::values::Parameters;
use super::{adoption, bucket, domain, existing, instance, keys, log_policies, names, server, topic};
use crate::provider::Provider;

/// Runs every check that `parameters` allow; `previous` is what an update starts from.
pub(super) async fn check(
    provider: &Provider,
    parameters: &Parameters,
    previous: Option<Previous<'_>>,
) -> Result<Attributes, Vec<Problem>> {
    let (instance, names, domain, log_policy, bucket, keys, topic, existing, server) = tokio::join!(
        instance::check(provider, parameters),
        names::check(provider, parameters, previous),
        domain::check(provider, parameters, previous),
        log_policies::check(provider, parameters, previous),
        bucket::check(provider, parameters),
        keys::check(provider, parameters),
        topic::check(provider, parameters.topic.as_ref()),
        existing::check(provider, parameters),
        server::check(provider, parameters.server.as_ref(), previous),
    );
    let mut problems = Problems::default();
    let instance = problems.keep_all(instance).unwrap_or_default();
    problems.extend(names.into_iter().chain(domain).chain(log_policy).chain(bucket).chain(keys).chain(topic));
    let existing = problems.keep_all(existing).unwrap_or_default();
    let server_image_id = problems.keep_all(server).unwrap_or_default();
    problems.extend(previous.into_iter().flat_map(|previous| adoption::problems(previous, parameters)));
    let attributes = Attributes {
        instance_id: instance.id,
        instance_alias: instance.alias,
        service_role_arn: instance.service_role_arn,
        server_image_id,
        search_endpoint: existing.search_endpoint,
        emite_role_arn: existing.emite_role_arn,
        delivery_role_arn: existing.delivery_role_arn,
        failed_prefix: existing.failed_prefix,
        ..Attributes::default()
    };
    problems.finish(Some(attributes.with_names(parameters, &provider.home)))
}
