//! Owns the access policy of the search domain as a link: whom it has to admit, beside all whom it admits already.

use aws_sdk_opensearch::Client;
use aws_sdk_opensearch::types::{DomainProcessingStatusType as Processing, DomainStatus, OptionState};
use serde_json::{Value, json};

use crate::change::{ApplyError, Change};
use crate::error::AwsError;
use crate::policy::merge::merged;
use crate::spec::Spec;

/// All that can be done with a domain by HTTP: what `es:ESHttp*` stands for.
pub const ACTIONS: [&str; 6] =
    ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPatch", "es:ESHttpPost", "es:ESHttpPut"];

/// What has to change so that the policy admits eMite's servers and this account. Pure.
pub fn diff(spec: &Spec, live: &Value) -> Option<Change> {
    let statements = statements(spec);
    let domain = spec.domain_name().to_owned();
    (merged(live, &statements) != *live).then(|| Change::AdmitToDomain { domain, seen: live.clone(), statements })
}

/// The statements as the template deploys them.
pub fn statements(spec: &Spec) -> Vec<Value> {
    let everything = format!("{}/*", spec.domain);
    let servers: Vec<String> = spec.emite_servers.iter().map(ToString::to_string).collect();
    vec![
        json!({
            "Sid": "EmiteServers", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ACTIONS, "Resource": everything,
            "Condition": {"IpAddress": {"aws:SourceIp": servers}},
        }),
        json!({
            "Sid": "ThisAccount", "Effect": "Allow", "Principal": {"AWS": root(spec)}, "Action": ACTIONS,
            "Resource": everything,
        }),
    ]
}

/// This account as a principal.
pub fn root(spec: &Spec) -> String {
    format!("arn:{}:iam::{}:root", spec.home.partition, spec.home.account)
}

/// The access policy that was last asked for, which the next change replaces; null if there is none. And whether it is in
/// force yet. Needs `es:DescribeDomainConfig`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_DescribeDomainConfig.html>).
pub(crate) async fn policy(opensearch: &Client, domain: &str) -> Result<(Value, bool), AwsError> {
    let answer = opensearch.describe_domain_config().domain_name(domain).send().await;
    let answer = answer.map_err(AwsError::of("es:DescribeDomainConfig"))?;
    let policies = answer.domain_config.and_then(|config| config.access_policies);
    let in_force = policies
        .as_ref()
        .and_then(|policies| policies.status.as_ref())
        .is_none_or(|status| status.state == OptionState::Active);
    Ok((parsed(policies.as_ref().map(|policies| policies.options.as_str()))?, in_force))
}

/// The text of an access policy, parsed.
pub(crate) fn parsed(text: Option<&str>) -> Result<Value, AwsError> {
    let unusable = |_| AwsError::unusable("es:DescribeDomain", "the access policy is not JSON".to_owned());
    text.filter(|text| !text.is_empty()).map_or(Ok(Value::Null), |text| serde_json::from_str(text).map_err(unusable))
}

/// Sets the access policy. Needs `es:UpdateDomainConfig`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_UpdateDomainConfig.html>) and `es:DescribeDomain`; nothing
/// else of the domain changes, and it goes on serving.
///
/// While another change to the domain is in progress, AWS rejects this one with a `ValidationException`, the code of every other
/// invalid request. Whether that is the reason is read from the domain, not from the message.
pub(crate) async fn set_policy(opensearch: &Client, domain: &str, policy: String) -> Result<(), ApplyError> {
    let answer = opensearch.update_domain_config().domain_name(domain).access_policies(policy).send().await;
    match answer.map_err(AwsError::of("es:UpdateDomainConfig")) {
        Err(error) if error.is_invalid_request() => {
            let described = opensearch.describe_domain().domain_name(domain).send().await;
            let status = described.ok().and_then(|answer| answer.domain_status);
            let busy = status.as_ref().is_some_and(is_changing);
            Err(if busy { ApplyError::InProgress("the search domain") } else { error.into() })
        }
        written => Ok(written.map(drop)?),
    }
}

/// Whether AWS is carrying out a change to the domain. One that is being deleted or is isolated accepts no change at all.
pub(crate) fn is_changing(status: &DomainStatus) -> bool {
    let flagged = status.processing == Some(true) || status.upgrade_processing == Some(true);
    match &status.domain_processing_status {
        Some(Processing::Deleting | Processing::Isolated) => false,
        Some(Processing::Active) | None => flagged,
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_opensearch::types::ClusterConfig;

    use super::*;

    #[test]
    fn domain_is_changing_by_its_status_or_its_flags() {
        use Processing::{Active, Deleting, Isolated, Modifying, Upgrading};
        for (named, flagged, changing) in [
            (Some(Active), false, false),
            (Some(Active), true, true),
            (Some(Modifying), false, true),
            (Some(Upgrading), false, true),
            (Some(Deleting), true, false),
            (Some(Isolated), true, false),
            (None, true, true),
            (None, false, false),
        ] {
            let status = DomainStatus::builder().set_domain_processing_status(named.clone()).processing(flagged);
            let cluster = ClusterConfig::builder().build();
            let status = status.domain_id("d").domain_name("d").arn("d").cluster_config(cluster).build().unwrap();
            assert_eq!(is_changing(&status), changing, "{named:?} {flagged}");
        }
    }
}
