//! Owns the calls of Amazon OpenSearch Service, which are authorised as `es:…` for Elasticsearch as well.

use aws_sdk_opensearch::Client;
use aws_sdk_opensearch::types::{DomainProcessingStatusType as Processing, DomainStatus, OptionState};
use emite_core::snapshot::Domain;
use serde_json::Value;

use crate::convert::{count, timestamp};
use crate::error::{AwsError, if_there};

/// The domain (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_DescribeDomain.html>). The call
/// is authorised as `es:DescribeDomain`, for Elasticsearch as well.
pub async fn domain(opensearch: &Client, name: &str) -> Result<Option<Domain>, AwsError> {
    const ACTION: &str = "es:DescribeDomain";
    let answer = opensearch.describe_domain().domain_name(name).send().await;
    let Some(answer) = if_there(answer.map_err(AwsError::of(ACTION)))? else { return Ok(None) };
    let Some(domain) = answer.domain_status else {
        return Err(AwsError::unusable(ACTION, "the answer has no domain".to_owned()));
    };
    let processing = is_changing(&domain);
    let requires_credentials = requires_credentials(&domain);
    let forbids_explicit_index = forbids_explicit_index(&domain);
    let access_policy = parsed(ACTION, domain.access_policies.as_deref())?;
    let required = domain
        .service_software_options
        .filter(|software| software.update_available == Some(true) && software.optional_deployment == Some(false));
    let change = domain.change_progress_details.as_ref();
    Ok(Some(Domain {
        change_status: change.and_then(|change| Some(change.config_change_status.as_ref()?.as_str().to_owned())),
        change_began: change.and_then(|change| timestamp(change.start_time.as_ref()?)),
        engine: domain.engine_version.unwrap_or_default(),
        endpoint: domain.endpoint.filter(|endpoint| !endpoint.is_empty()),
        vpc: domain.vpc_options.and_then(|options| options.vpc_id),
        requires_credentials,
        forbids_explicit_index,
        deleted: domain.deleted.unwrap_or_default(),
        processing,
        processing_status: domain.domain_processing_status.map(|status| status.as_str().to_owned()),
        instance_count: domain.cluster_config.and_then(|cluster| cluster.instance_count).map_or(0, count),
        volume_gib: domain.ebs_options.and_then(|storage| storage.volume_size).map(count),
        access_policy,
        required_update_at: required.and_then(|software| timestamp(&software.automated_update_date?)),
    }))
}

/// The access policy that was last asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// What the next change replaces; null if there is none.
    pub document: Value,
    /// Whether it is in force yet.
    pub is_in_force: bool,
}

/// The access policy that was last asked for. Needs `es:DescribeDomainConfig`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_DescribeDomainConfig.html>).
pub async fn access_policy(opensearch: &Client, domain: &str) -> Result<AccessPolicy, AwsError> {
    const ACTION: &str = "es:DescribeDomainConfig";
    let answer = opensearch.describe_domain_config().domain_name(domain).send().await.map_err(AwsError::of(ACTION))?;
    let policies = answer.domain_config.and_then(|config| config.access_policies);
    let is_in_force = policies
        .as_ref()
        .and_then(|policies| policies.status.as_ref())
        .is_none_or(|status| status.state == OptionState::Active);
    let document = parsed(ACTION, policies.as_ref().map(|policies| policies.options.as_str()))?;
    Ok(AccessPolicy { document, is_in_force })
}

/// The text of an access policy, parsed; `action` is the call that returned it.
fn parsed(action: &'static str, text: Option<&str>) -> Result<Value, AwsError> {
    let unusable = |_| AwsError::unusable(action, "the access policy is not JSON".to_owned());
    text.filter(|text| !text.is_empty()).map_or(Ok(Value::Null), |text| serde_json::from_str(text).map_err(unusable))
}

/// Sets the access policy; nothing else of the domain changes, and it goes on serving. Needs `es:UpdateDomainConfig`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_UpdateDomainConfig.html>).
pub(crate) async fn set_access_policy(opensearch: &Client, domain: &str, policy: String) -> Result<(), AwsError> {
    let answer = opensearch.update_domain_config().domain_name(domain).access_policies(policy).send().await;
    answer.map(drop).map_err(AwsError::of("es:UpdateDomainConfig"))
}

/// Whether AWS is carrying out a change to the domain. One that is being deleted or is isolated accepts no change at
/// all.
fn is_changing(status: &DomainStatus) -> bool {
    let flagged = status.processing == Some(true) || status.upgrade_processing == Some(true);
    match &status.domain_processing_status {
        Some(Processing::Deleting | Processing::Isolated) => false,
        Some(Processing::Active) | None => flagged,
        Some(_) => true,
    }
}

/// Whether fine-grained access control asks every caller for credentials
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_AdvancedSecurityOptions.html>).
fn requires_credentials(status: &DomainStatus) -> bool {
    let security = status.advanced_security_options.as_ref();
    security.is_some_and(|security| security.enabled == Some(true) && security.anonymous_auth_enabled != Some(true))
}

/// Whether the domain takes no bulk request that names its index in the body
/// (<https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html#ac-advanced>).
fn forbids_explicit_index(status: &DomainStatus) -> bool {
    let explicit = status.advanced_options.as_ref().and_then(|all| all.get("rest.action.multi.allow_explicit_index"));
    explicit.is_some_and(|explicit| explicit == "false")
}

/// The versions of the engines that the region offers. Needs `es:ListVersions`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_ListVersions.html>).
pub async fn engines(opensearch: &Client) -> Result<Vec<String>, AwsError> {
    let pages = opensearch.list_versions().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = pages.map_err(AwsError::of("es:ListVersions"))?;
    Ok(pages.into_iter().flat_map(|page| page.versions.unwrap_or_default()).collect())
}

/// The types of instance that the region offers for an engine. Needs `es:ListInstanceTypeDetails`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_ListInstanceTypeDetails.html>).
pub async fn instance_types(opensearch: &Client, engine: &str) -> Result<Vec<String>, AwsError> {
    let request = opensearch.list_instance_type_details().engine_version(engine);
    let pages = request.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = pages.map_err(AwsError::of("es:ListInstanceTypeDetails"))?;
    let offers = pages.into_iter().flat_map(|page| page.instance_type_details.unwrap_or_default());
    Ok(offers.filter_map(|offer| Some(offer.instance_type?.as_str().to_owned())).collect())
}

/// An engine and what it can be upgraded to in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrades {
    /// The version that is upgraded.
    pub from: Option<String>,
    /// The versions that it can be upgraded to.
    pub to: Vec<String>,
}

/// The upgrades that a domain can have now; `None` if it does not exist. Needs `es:GetCompatibleVersions`
/// (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_GetCompatibleVersions.html>).
pub async fn upgrades(opensearch: &Client, domain: &str) -> Result<Option<Vec<Upgrades>>, AwsError> {
    let answer = opensearch.get_compatible_versions().domain_name(domain).send().await;
    let Some(answer) = if_there(answer.map_err(AwsError::of("es:GetCompatibleVersions")))? else { return Ok(None) };
    let compatible = answer.compatible_versions.unwrap_or_default().into_iter();
    let upgrades =
        compatible.map(|one| Upgrades { from: one.source_version, to: one.target_versions.unwrap_or_default() });
    Ok(Some(upgrades.collect()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_opensearch::types::builders::DomainStatusBuilder;
    use aws_sdk_opensearch::types::{AdvancedSecurityOptions, ClusterConfig};

    use super::*;

    fn status(change: impl FnOnce(DomainStatusBuilder) -> DomainStatusBuilder) -> DomainStatus {
        let status = DomainStatus::builder().domain_id("d").domain_name("d").arn("d");
        change(status.cluster_config(ClusterConfig::builder().build())).build().unwrap()
    }

    #[test]
    fn fine_grained_access_control_requires_credentials_unless_anonymous_access_is_on() {
        let security =
            |anonymous| AdvancedSecurityOptions::builder().enabled(true).anonymous_auth_enabled(anonymous).build();
        let required =
            |anonymous| requires_credentials(&status(|it| it.advanced_security_options(security(anonymous))));
        assert!(required(false) && !required(true) && !requires_credentials(&status(|it| it)));
    }

    #[test]
    fn explicit_index_is_forbidden_only_by_the_advanced_option() {
        let forbidden = |value: &str| {
            let option = "rest.action.multi.allow_explicit_index";
            forbids_explicit_index(&status(|it| it.advanced_options(option, value)))
        };
        assert!(forbidden("false") && !forbidden("true") && !forbids_explicit_index(&status(|it| it)));
    }

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
            let status = status(|it| it.set_domain_processing_status(named.clone()).processing(flagged));
            assert_eq!(is_changing(&status), changing, "{named:?} {flagged}");
        }
    }
}
