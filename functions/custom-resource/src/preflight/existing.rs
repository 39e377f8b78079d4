//! Owns what Preflight says of things that are there already and that the stack is to use as they are: that they are what the
//! guide asks for, and what the rest of the stack has to know of them. What only differs from the guide in a way that works is
//! left to the health check.

use aws_sdk_firehose::types::DeliveryStreamDescription;
use aws_sdk_opensearch::types::DomainStatus;
use emite_aws::error::AwsError;
use emite_aws::firehose::destination_of;
use emite_core::failed_object::prefix_of;

use super::findings::Findings;
use super::problem::Problem;
use super::values::{Wanted, has_types};
use crate::services::Services;

/// What there is of this name; a problem if there is nothing.
fn there<T>(parameter: &str, what: &str, name: &str, found: Result<T, AwsError>) -> Result<T, Problem> {
    found.map_err(|error| match error.is_not_found() {
        true => Problem::new(format!(
            "{parameter}: {what} '{name}' does not exist in this account and region. Correct it, or leave it empty: the stack then makes one."
        )),
        false => Problem::unseen(parameter, &error),
    })
}

/// Looks at everything that is to be there; what the rest of the stack has to know of it goes into `findings`.
pub(super) async fn all(services: &Services, wanted: &Wanted, findings: &mut Findings) -> Vec<Problem> {
    let (domain, agent_events, records, delivery, role) = tokio::join!(
        domain(services, wanted),
        agent_event_stream(services, wanted),
        contact_record_stream(services, wanted),
        delivery_stream(services, wanted),
        role(services, wanted),
    );
    let mut problems: Vec<Problem> = agent_events.into_iter().chain(records).collect();
    let mut take = |found: Option<Result<String, Vec<Problem>>>, into: &mut String| match found {
        Some(Ok(text)) => *into = text,
        Some(Err(found)) => problems.extend(found),
        None => {}
    };
    take(domain, &mut findings.search_endpoint);
    take(role, &mut findings.emite_role_arn);
    match delivery {
        Some(Ok(known)) => {
            findings.delivery_role_arn = known.role;
            findings.failed_prefix = known.failed_prefix;
        }
        Some(Err(found)) => problems.extend(found),
        None => {}
    }
    problems
}

/// The endpoint of the domain.
async fn domain(services: &Services, wanted: &Wanted) -> Option<Result<String, Vec<Problem>>> {
    const PARAMETER: &str = "ExistingDomainName";
    let name = wanted.domain.as_ref()?.existing()?;
    let found = services.aws.opensearch().describe_domain().domain_name(name).send().await;
    let found = there(PARAMETER, "the search domain", name, found.map_err(AwsError::of("es:DescribeDomain")));
    let status = match found {
        Ok(found) => found.domain_status?,
        Err(problem) => return Some(Err(vec![problem])),
    };
    let problems = unfit(wanted, name, &status);
    let endpoint = status.endpoint.filter(|endpoint| !endpoint.is_empty());
    Some(match endpoint {
        _ if !problems.is_empty() => Err(problems.into_iter().map(Problem::new).collect()),
        Some(endpoint) => Ok(endpoint),
        None => Err(vec![Problem::new(format!(
            "{PARAMETER}: the search domain '{name}' has no address yet. Wait until it is active, then try again."
        ))]),
    })
}

/// Why contact records cannot go to a domain. Pure.
fn unfit(wanted: &Wanted, name: &str, status: &DomainStatus) -> Vec<String> {
    const PARAMETER: &str = "ExistingDomainName";
    let mut problems = Vec::new();
    if status.deleted == Some(true) {
        problems.push(format!("{PARAMETER}: the search domain '{name}' is being deleted. Name another one."));
    }
    if status.vpc_options.as_ref().is_some_and(|options| options.vpc_id.is_some()) {
        problems.push(format!(
            "{PARAMETER}: the search domain '{name}' is inside a VPC, where eMite cannot reach it. Name one with public access, or leave it empty."
        ));
    }
    let guarded = status.advanced_security_options.as_ref();
    if guarded.is_some_and(|guarded| guarded.enabled == Some(true) && guarded.anonymous_auth_enabled != Some(true)) {
        problems.push(format!(
            "{PARAMETER}: the search domain '{name}' has fine-grained access control, which asks everybody for credentials; eMite comes by its address alone. Name another domain, or leave it empty."
        ));
    }
    let engine = status.engine_version.as_deref().unwrap_or_default();
    let chosen = wanted.engine.as_deref().unwrap_or_default();
    if has_types(engine) != has_types(chosen) {
        let instead = if has_types(engine) { "Elasticsearch_6.8" } else { "OpenSearch_1.3" };
        problems.push(format!(
            "SearchEngineVersion is {chosen}, and the search domain '{name}' runs {engine}, which {} document types. Set SearchEngineVersion to {instead}; the domain stays as it is.",
            if has_types(engine) { "has" } else { "has no" }
        ));
    }
    let explicit =
        status.advanced_options.as_ref().and_then(|options| options.get("rest.action.multi.allow_explicit_index"));
    if explicit.is_some_and(|explicit| explicit == "false") {
        problems.push(format!(
            "{PARAMETER}: the search domain '{name}' forbids what Firehose does (rest.action.multi.allow_explicit_index is false). Set that advanced option to true."
        ));
    }
    problems
}

async fn agent_event_stream(services: &Services, wanted: &Wanted) -> Option<Problem> {
    const PARAMETER: &str = "ExistingAgentEventStreamName";
    const MANAGED_KEY: &str = "alias/aws/kinesis";
    let name = wanted.agent_event_stream.as_ref()?.existing()?;
    let key = match data_stream(services, PARAMETER, name).await {
        Ok(key) => key?,
        Err(problem) => return Some(problem),
    };
    if key.ends_with(MANAGED_KEY) {
        return Some(Problem::new(format!(
            "{PARAMETER}: the stream '{name}' is encrypted with {MANAGED_KEY}, which Amazon Connect cannot use. Switch its encryption off, or use the key of the Amazon Connect instance."
        )));
    }
    wanted.agent_event_key.is_none().then(|| {
        Problem::new(format!(
            "AgentEventKeyArn is empty, and the stream '{name}' is encrypted with {key}. Give the ARN of that key, so that eMite may read."
        ))
    })
}

async fn contact_record_stream(services: &Services, wanted: &Wanted) -> Option<Problem> {
    const PARAMETER: &str = "ExistingContactRecordStreamName";
    data_stream(services, PARAMETER, wanted.contact_record_stream.as_deref()?).await.err()
}

/// The key that a Kinesis stream is encrypted with, if it is, as Kinesis names it.
async fn data_stream(services: &Services, parameter: &str, name: &str) -> Result<Option<String>, Problem> {
    let found = services.aws.kinesis().describe_stream_summary().stream_name(name).send().await;
    let found = found.map_err(AwsError::of("kinesis:DescribeStreamSummary"));
    let found = there(parameter, "the data stream", name, found)?;
    let Some(stream) = found.stream_description_summary else {
        return Err(Problem::new(format!("{parameter}: AWS tells nothing of the stream '{name}'. Try again.")));
    };
    let status = stream.stream_status.as_str();
    if !matches!(status, "ACTIVE" | "UPDATING") {
        return Err(Problem::new(format!(
            "{parameter}: the data stream '{name}' is {status}. Wait until it is active, or name another one."
        )));
    }
    let encrypted = stream.encryption_type.is_some_and(|encryption| encryption.as_str() != "NONE");
    Ok(stream.key_id.filter(|_| encrypted))
}

/// What is known of a delivery stream that is there.
struct Known {
    role: String,
    failed_prefix: String,
}

async fn delivery_stream(services: &Services, wanted: &Wanted) -> Option<Result<Known, Vec<Problem>>> {
    const PARAMETER: &str = "ExistingDeliveryStreamName";
    let name = wanted.delivery_stream.as_ref()?.existing()?;
    let found = services.aws.firehose().describe_delivery_stream().delivery_stream_name(name).send().await;
    let found = found.map_err(AwsError::of("firehose:DescribeDeliveryStream"));
    let description = match there(PARAMETER, "the Firehose stream", name, found) {
        Ok(found) => found.delivery_stream_description?,
        Err(problem) => return Some(Err(vec![problem])),
    };
    let status = description.delivery_stream_status.as_str();
    if status != "ACTIVE" {
        return Some(Err(vec![Problem::new(format!(
            "{PARAMETER}: the Firehose stream '{name}' is {status}, not ACTIVE. Wait until it is, or name another one."
        ))]));
    }
    Some(fit(services, wanted, name, description).map_err(|texts| texts.into_iter().map(Problem::new).collect()))
}

/// Whether a delivery stream does what the parameters say, and what else is to be known of it.
fn fit(
    services: &Services,
    wanted: &Wanted,
    name: &str,
    description: DeliveryStreamDescription,
) -> Result<Known, Vec<String>> {
    const PARAMETER: &str = "ExistingDeliveryStreamName";
    let home = &services.home;
    let source = description.source.and_then(|source| source.kinesis_stream_source_description);
    let source = source.and_then(|source| source.kinesis_stream_arn).unwrap_or_default();
    let destination = description.destinations.into_iter().next().and_then(destination_of);
    let Some(live) = destination else {
        return Err(vec![format!(
            "{PARAMETER}: the Firehose stream '{name}' does not deliver to a search domain. Name one that does, or leave it empty."
        )]);
    };
    let domain = wanted.domain.as_ref().map(|domain| home.arn("es", format!("domain/{}", domain.name())).to_string());
    let records = wanted.contact_record_stream.as_ref();
    let records = records.map(|stream| home.arn("kinesis", format!("stream/{stream}")).to_string());
    let bucket = wanted.bucket.as_ref().map(|bucket| format!("arn:{}:s3:::{bucket}", home.partition));
    let last = |arn: &str| arn.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    let told = [
        ("ExistingDomainName", "delivers to the domain", domain, live.domain_arn.clone()),
        ("ContactIndexName", "writes to the index", wanted.index.clone(), live.index.clone()),
        ("IndexRotation", "rotates its index by", wanted.rotation.clone(), live.rotation.clone()),
        // An engine without types takes none, whatever the stream has.
        (
            "ContactTypeName",
            "writes documents of the type",
            wanted.document_type.clone().filter(|one| !one.is_empty()),
            live.document_type.clone(),
        ),
        ("BackupBucketName", "puts failed records into the bucket", bucket, live.bucket_arn.clone()),
        (
            "ExistingContactRecordStreamName",
            "reads from the data stream",
            Some(records.unwrap_or_default()),
            Some(source),
        ),
    ];
    let problems: Vec<String> = told
        .into_iter()
        .filter_map(|(parameter, does, wanted, live)| {
            let (wanted, live) = (wanted?, live?);
            let shown = if live.is_empty() { "(none)".to_owned() } else { format!("'{}'", last(&live)) };
            (wanted != live).then(|| {
                format!("{parameter}: the Firehose stream '{name}' {does} {shown}. Set {parameter} to that, or name another stream.")
            })
        })
        .collect();
    // It goes into policies and settings.
    let plain = |prefix: &String| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.=()!'-".contains(&byte);
        prefix.len() <= 100 && prefix.bytes().all(allowed)
    };
    let Some(failed_prefix) = prefix_of(live.prefix.as_deref(), live.error_prefix.as_deref()).filter(plain) else {
        return Err(vec![format!(
            "{PARAMETER}: the error prefix of the Firehose stream '{name}' does not begin with plain text of at most 100 letters, digits and /_.=()!'- before !{{firehose:error-output-type}}, so failed records would not be found. Edit it in the Firehose console, for example to emite-connect/{name}/failed/!{{firehose:error-output-type}}/"
        )]);
    };
    match (problems.is_empty(), live.role_arn) {
        (true, Some(role)) => Ok(Known { role, failed_prefix }),
        (true, None) => Err(vec![format!("{PARAMETER}: AWS does not tell the role of '{name}'. Try again.")]),
        (false, _) => Err(problems),
    }
}

/// The ARN of the role, which may have a path.
async fn role(services: &Services, wanted: &Wanted) -> Option<Result<String, Vec<Problem>>> {
    const PARAMETER: &str = "ExistingRoleName";
    let name = wanted.role.as_ref()?.existing()?;
    let found = services.aws.iam().get_role().role_name(name).send().await.map_err(AwsError::of("iam:GetRole"));
    let found = there(PARAMETER, "the role", name, found).map_err(|problem| vec![problem]);
    Some(found.and_then(|found| found.role.map(|role| role.arn).ok_or_else(Vec::new)))
}

#[cfg(test)]
mod tests {
    use aws_sdk_opensearch::types::builders::DomainStatusBuilder;
    use aws_sdk_opensearch::types::{AdvancedSecurityOptions, ClusterConfig, VpcDerivedInfo};

    use super::*;

    fn problems(change: impl FnOnce(DomainStatusBuilder) -> DomainStatusBuilder) -> Vec<String> {
        let domain = DomainStatus::builder().domain_id("1/records").domain_name("records").arn("arn");
        let domain = domain.cluster_config(ClusterConfig::builder().build()).engine_version("Elasticsearch_6.3");
        let wanted = Wanted { engine: Some("Elasticsearch_6.8".into()), ..Wanted::default() };
        unfit(&wanted, "records", &change(domain).build().unwrap())
    }

    #[test]
    fn a_domain_that_emite_or_firehose_cannot_use_is_told_and_one_of_the_guide_is_not() {
        assert_eq!(problems(|domain| domain), Vec::<String>::new());
        let guarded =
            |anonymous| AdvancedSecurityOptions::builder().enabled(true).anonymous_auth_enabled(anonymous).build();
        assert_eq!(problems(|domain| domain.advanced_security_options(guarded(true))), Vec::<String>::new());
        for (words, told) in [
            ("being deleted", problems(|domain| domain.deleted(true))),
            ("inside a VPC", problems(|domain| domain.vpc_options(VpcDerivedInfo::builder().vpc_id("vpc-1").build()))),
            ("fine-grained", problems(|domain| domain.advanced_security_options(guarded(false)))),
            ("no document types", problems(|domain| domain.engine_version("OpenSearch_1.3"))),
            (
                "allow_explicit_index",
                problems(|domain| domain.advanced_options("rest.action.multi.allow_explicit_index", "false")),
            ),
        ] {
            assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
        }
    }
}
