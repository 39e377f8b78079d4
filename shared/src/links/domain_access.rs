//! Owns the access policy of the search domain as a link: whom it has to admit, beside all whom it admits already.

use aws_sdk_opensearch::Client;
use aws_sdk_opensearch::types::{DomainProcessingStatusType as Processing, OptionState};
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
/// While another change is in progress AWS refuses this one with a `ValidationException`, the code of every other invalid
/// request. Whether that is why is read from the domain, not from the message.
pub(crate) async fn set_policy(opensearch: &Client, domain: &str, policy: &str) -> Result<(), ApplyError> {
    let update = async || {
        let answer = opensearch.update_domain_config().domain_name(domain).access_policies(policy).send().await;
        answer.map(drop).map_err(AwsError::of("es:UpdateDomainConfig"))
    };
    let refused = match update().await {
        Err(error) if error.is_invalid_request() => error,
        written => return Ok(written?),
    };
    match is_changing(opensearch, domain).await {
        Ok(true) => Err(ApplyError::InProgress("the search domain")),
        // The other change may have ended since.
        Ok(false) => Ok(update().await?),
        Err(_) => Err(refused.into()),
    }
}

/// Whether AWS is carrying out a change of the domain. Needs `es:DescribeDomain`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_DescribeDomain.html>).
async fn is_changing(opensearch: &Client, domain: &str) -> Result<bool, AwsError> {
    let answer = opensearch.describe_domain().domain_name(domain).send().await;
    let status = answer.map_err(AwsError::of("es:DescribeDomain"))?.domain_status;
    Ok(status.is_some_and(|status| {
        let idle = [Processing::Active, Processing::Deleting, Processing::Isolated];
        let named = status.domain_processing_status.is_some_and(|status| !idle.contains(&status));
        named || status.processing == Some(true) || status.upgrade_processing == Some(true)
    }))
}
