//! Owns looking at the search domain.

use super::{count, if_there, timestamp};
use crate::error::AwsError;
use crate::links::domain_access;
use crate::snapshot::Domain;
use crate::spec::Spec;

/// The domain (<https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_DescribeDomain.html>). The call is
/// authorised as `es:DescribeDomain`, for Elasticsearch as well.
pub(super) async fn domain(opensearch: &aws_sdk_opensearch::Client, spec: &Spec) -> Result<Option<Domain>, AwsError> {
    const ACTION: &str = "es:DescribeDomain";
    let answer = opensearch.describe_domain().domain_name(spec.domain_name()).send().await;
    let Some(answer) = if_there(answer.map_err(AwsError::of(ACTION)))? else { return Ok(None) };
    let Some(domain) = answer.domain_status else {
        return Err(AwsError::unusable(ACTION, "the answer has no domain".to_owned()));
    };
    let processing = domain_access::is_changing(&domain);
    let access_policy = domain_access::parsed(domain.access_policies.as_deref())?;
    let required = domain
        .service_software_options
        .filter(|software| software.update_available == Some(true) && software.optional_deployment == Some(false));
    let change = domain.change_progress_details.as_ref();
    Ok(Some(Domain {
        change_status: change.and_then(|change| Some(change.config_change_status.as_ref()?.as_str().to_owned())),
        change_began: change.and_then(|change| timestamp(change.start_time.as_ref()?)),
        engine: domain.engine_version.unwrap_or_default(),
        deleted: domain.deleted.unwrap_or_default(),
        processing,
        processing_status: domain.domain_processing_status.map(|status| status.as_str().to_owned()),
        instance_count: domain.cluster_config.and_then(|cluster| cluster.instance_count).map_or(0, count),
        volume_gib: domain.ebs_options.and_then(|storage| storage.volume_size).map(count),
        access_policy,
        required_update_at: required.and_then(|software| timestamp(&software.automated_update_date?)),
    }))
}
