//! Owns checking resources that exist already and that the stack is to use as they are: that they are what the guide asks for, and
//! what the rest of the stack has to know of them. What only differs from the guide in a way that works is left to the health
//! check.

use emite_aws::error::AwsError;
use emite_aws::{firehose, iam, kinesis, opensearch};
use emite_core::arn::Home;
use emite_core::layout::failed_prefix;
use emite_core::problems::Problems;
use emite_core::snapshot::{DeliveryStream, Destination, Domain};

use super::chain::ChainResource;
use super::problem::Problem;
use super::readers::has_types;
use super::values::Parameters;
use crate::provider::Provider;

/// What the rest of the stack has to know of existing resources; empty for those that the stack creates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ExistingAttributes {
    pub(super) search_endpoint: String,
    pub(super) emite_role_arn: String,
    pub(super) delivery_role_arn: String,
    pub(super) failed_prefix: String,
}

/// What the rest of the stack has to know of an existing delivery stream.
#[derive(Default)]
struct DeliveryAttributes {
    role_arn: String,
    failed_prefix: String,
}

/// Checks everything that has to exist.
pub(super) async fn check(provider: &Provider, parameters: &Parameters) -> Result<ExistingAttributes, Vec<Problem>> {
    let (domain, agent_events, records, delivery, role) = tokio::join!(
        domain(provider, parameters),
        agent_event_stream(provider, parameters),
        contact_record_stream(provider, parameters),
        delivery_stream(provider, parameters),
        role(provider, parameters),
    );
    let mut problems = Problems::default();
    problems.extend(agent_events.into_iter().chain(records));
    let search_endpoint = problems.keep_all(domain).unwrap_or_default();
    let emite_role_arn = problems.keep(role).unwrap_or_default();
    let delivery = problems.keep_all(delivery).unwrap_or_default();
    problems.finish(Some(ExistingAttributes {
        search_endpoint,
        emite_role_arn,
        delivery_role_arn: delivery.role_arn,
        failed_prefix: delivery.failed_prefix,
    }))
}

/// The resource of this name; a problem if there is none.
fn there<T>(parameter: &str, what: &str, name: &str, found: Result<Option<T>, AwsError>) -> Result<T, Problem> {
    found.map_err(|error| Problem::unverified(parameter, &error))?.ok_or_else(|| {
        Problem::new(format!(
            "{parameter}: {what} '{name}' does not exist in this account and region. Correct it, or leave it empty: the stack then makes one."
        ))
    })
}

/// The name of an existing resource; none if the stack creates it.
fn existing(resource: Option<&ChainResource>) -> Option<&str> {
    resource.and_then(ChainResource::existing)
}

/// Problems that nothing but the resource itself is the reason of.
fn problems(texts: Vec<String>) -> Vec<Problem> {
    texts.into_iter().map(Problem::new).collect()
}

/// The endpoint of the domain.
async fn domain(provider: &Provider, parameters: &Parameters) -> Result<String, Vec<Problem>> {
    const PARAMETER: &str = "ExistingDomainName";
    let Some(name) = existing(parameters.domain.as_ref()) else { return Ok(String::new()) };
    let found = opensearch::domain(provider.aws.opensearch(), name).await;
    let domain = there(PARAMETER, "the search domain", name, found).map_err(|problem| vec![problem])?;
    let unfit = unfit(parameters, name, &domain);
    match domain.endpoint {
        _ if !unfit.is_empty() => Err(problems(unfit)),
        Some(endpoint) => Ok(endpoint),
        None => Err(vec![Problem::new(format!(
            "{PARAMETER}: the search domain '{name}' has no address yet. Wait until it is active, then try again."
        ))]),
    }
}

/// Why contact records cannot go to a domain. Pure.
fn unfit(parameters: &Parameters, name: &str, domain: &Domain) -> Vec<String> {
    const PARAMETER: &str = "ExistingDomainName";
    let mut problems = Vec::new();
    if domain.deleted {
        problems.push(format!("{PARAMETER}: the search domain '{name}' is being deleted. Name another one."));
    }
    if domain.vpc.is_some() {
        problems.push(format!(
            "{PARAMETER}: the search domain '{name}' is inside a VPC, where eMite cannot reach it. Name one with public access, or leave it empty."
        ));
    }
    if domain.requires_credentials {
        problems.push(format!(
            "{PARAMETER}: the search domain '{name}' has fine-grained access control, which asks everybody for credentials; eMite comes by its address alone. Name another domain, or leave it empty."
        ));
    }
    let (engine, chosen) = (domain.engine.as_str(), parameters.engine.as_deref().unwrap_or_default());
    if has_types(engine) != has_types(chosen) {
        let (has, instead) =
            if has_types(engine) { ("has", "Elasticsearch_6.8") } else { ("has no", "OpenSearch_1.3") };
        problems.push(format!(
            "SearchEngineVersion is {chosen}, and the search domain '{name}' runs {engine}, which {has} document types. Set SearchEngineVersion to {instead}; the domain stays as it is."
        ));
    }
    if domain.forbids_explicit_index {
        problems.push(format!(
            "{PARAMETER}: the search domain '{name}' forbids what Firehose does (rest.action.multi.allow_explicit_index is false). Set that advanced option to true."
        ));
    }
    problems
}

async fn agent_event_stream(provider: &Provider, parameters: &Parameters) -> Option<Problem> {
    const PARAMETER: &str = "ExistingAgentEventStreamName";
    const MANAGED_KEY: &str = "alias/aws/kinesis";
    let name = existing(parameters.agent_event_stream.as_ref())?;
    let key = match data_stream_key(provider, PARAMETER, name).await {
        Ok(key) => key?,
        Err(problem) => return Some(problem),
    };
    if key.ends_with(MANAGED_KEY) {
        return Some(Problem::new(format!(
            "{PARAMETER}: the stream '{name}' is encrypted with {MANAGED_KEY}, which Amazon Connect cannot use. Switch its encryption off, or use the key of the Amazon Connect instance."
        )));
    }
    parameters.agent_event_key.is_none().then(|| {
        Problem::new(format!(
            "AgentEventKeyArn is empty, and the stream '{name}' is encrypted with {key}. Give the ARN of that key, so that eMite may read."
        ))
    })
}

async fn contact_record_stream(provider: &Provider, parameters: &Parameters) -> Option<Problem> {
    const PARAMETER: &str = "ExistingContactRecordStreamName";
    data_stream_key(provider, PARAMETER, parameters.contact_record_stream.as_deref()?).await.err()
}

/// The key of a data stream that can be used, if it is encrypted, as Kinesis names it.
async fn data_stream_key(provider: &Provider, parameter: &str, name: &str) -> Result<Option<String>, Problem> {
    let found = kinesis::data_stream(provider.aws.kinesis(), name).await;
    let stream = there(parameter, "the data stream", name, found)?;
    if stream.is_usable() {
        return Ok(stream.key);
    }
    Err(Problem::new(format!(
        "{parameter}: the data stream '{name}' is {}. Wait until it is active, or name another one.",
        stream.status
    )))
}

async fn delivery_stream(provider: &Provider, parameters: &Parameters) -> Result<DeliveryAttributes, Vec<Problem>> {
    const PARAMETER: &str = "ExistingDeliveryStreamName";
    let Some(name) = existing(parameters.delivery_stream.as_ref()) else { return Ok(DeliveryAttributes::default()) };
    let found = firehose::delivery_stream(provider.aws.firehose(), name).await;
    let stream = there(PARAMETER, "the Firehose stream", name, found).map_err(|problem| vec![problem])?;
    let status = &stream.status;
    if !stream.is_active() {
        return Err(vec![Problem::new(format!(
            "{PARAMETER}: the Firehose stream '{name}' is {status}, not ACTIVE. Wait until it is, or name another one."
        ))]);
    }
    fit(&provider.home, parameters, name, stream).map_err(problems)
}

/// What else is to be known of a delivery stream that does what the parameters say.
fn fit(
    home: &Home,
    parameters: &Parameters,
    name: &str,
    stream: DeliveryStream,
) -> Result<DeliveryAttributes, Vec<String>> {
    const PARAMETER: &str = "ExistingDeliveryStreamName";
    let Some(live) = stream.destination else {
        return Err(vec![format!(
            "{PARAMETER}: the Firehose stream '{name}' does not deliver to a search domain. Name one that does, or leave it empty."
        )]);
    };
    let expected = expected(home, parameters, stream.source, &live);
    let problems: Vec<String> = expected.into_iter().filter_map(|one| one.problem(name)).collect();
    let Some(failed_prefix) =
        failed_prefix(live.prefix.as_deref(), live.error_prefix.as_deref()).filter(|it| plain(it))
    else {
        return Err(vec![format!(
            "{PARAMETER}: the error prefix of the Firehose stream '{name}' does not begin with plain text of at most 100 letters, digits and /_.=()!'- before !{{firehose:error-output-type}}, so failed records would not be found. Edit it in the Firehose console, for example to emite-connect/{name}/failed/!{{firehose:error-output-type}}/"
        )]);
    };
    match (problems.is_empty(), live.role_arn) {
        (true, Some(role_arn)) => Ok(DeliveryAttributes { role_arn, failed_prefix }),
        (true, None) => Err(vec![format!("{PARAMETER}: AWS does not tell the role of '{name}'. Try again.")]),
        (false, _) => Err(problems),
    }
}

/// Whether a prefix can go into policies and settings.
fn plain(prefix: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.=()!'-".contains(&byte);
    prefix.len() <= 100 && prefix.bytes().all(allowed)
}

/// A setting of a delivery stream that a parameter describes.
struct Setting {
    parameter: &'static str,
    /// The verb phrase that the value completes.
    does: &'static str,
    /// None: the parameter does not say.
    wanted: Option<String>,
    /// None: AWS does not say.
    live: Option<String>,
}

impl Setting {
    /// Why the parameter does not describe the stream.
    fn problem(self, name: &str) -> Option<String> {
        let Self { parameter, does, wanted, live } = self;
        let (wanted, live) = (wanted?, live?);
        let last = live.rsplit(['/', ':']).next().unwrap_or_default();
        let shown = if live.is_empty() { "(none)".to_owned() } else { format!("'{last}'") };
        (wanted != live).then(|| {
            format!("{parameter}: the Firehose stream '{name}' {does} {shown}. Set {parameter} to that, or name another stream.")
        })
    }
}

/// The settings of a delivery stream, in the order in which they are reported.
fn expected(home: &Home, parameters: &Parameters, source: Option<String>, live: &Destination) -> [Setting; 6] {
    let setting =
        |parameter, does, wanted, live: &Option<String>| Setting { parameter, does, wanted, live: live.clone() };
    let domain = parameters.domain.as_ref().map(|it| home.arn("es", format!("domain/{}", it.name())).to_string());
    let records = parameters.contact_record_stream.as_ref();
    let records = records.map(|stream| home.arn("kinesis", format!("stream/{stream}")).to_string());
    let bucket = parameters.bucket.as_ref().map(|bucket| format!("arn:{}:s3:::{bucket}", home.partition));
    // An engine without types takes none, whatever the stream has.
    let document_type = parameters.document_type.clone().filter(|one| !one.is_empty());
    [
        setting("ExistingDomainName", "delivers to the domain", domain, &live.domain_arn),
        setting("ContactIndexName", "writes to the index", parameters.index.clone(), &live.index),
        setting("IndexRotation", "rotates its index by", parameters.rotation.clone(), &live.rotation),
        setting("ContactTypeName", "writes documents of the type", document_type, &live.document_type),
        setting("BackupBucketName", "puts failed records into the bucket", bucket, &live.bucket_arn),
        // A stream without a source reads from none, which the parameter can say too.
        setting(
            "ExistingContactRecordStreamName",
            "reads from the data stream",
            Some(records.unwrap_or_default()),
            &Some(source.unwrap_or_default()),
        ),
    ]
}

/// The ARN of the role, which may have a path.
async fn role(provider: &Provider, parameters: &Parameters) -> Result<String, Problem> {
    const PARAMETER: &str = "ExistingRoleName";
    let Some(name) = existing(parameters.role.as_ref()) else { return Ok(String::new()) };
    let found = iam::described_if_there(provider.aws.iam(), name).await;
    there(PARAMETER, "the role", name, found).map(|role| role.arn)
}

#[cfg(test)]
mod tests {
    use emite_core::fixtures;

    use super::*;

    fn problems(change: impl FnOnce(&mut Domain)) -> Vec<String> {
        let mut domain = fixtures::healthy().domain.unwrap().unwrap();
        domain.engine = "Elasticsearch_6.3".into();
        change(&mut domain);
        let parameters = Parameters { engine: Some("Elasticsearch_6.8".into()), ..Parameters::default() };
        unfit(&parameters, "records", &domain)
    }

    #[test]
    fn domain_that_emite_or_firehose_cannot_use_is_refused_with_its_reason() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        for (words, found) in [
            ("being deleted", problems(|domain| domain.deleted = true)),
            ("inside a VPC", problems(|domain| domain.vpc = Some("vpc-1".into()))),
            ("fine-grained", problems(|domain| domain.requires_credentials = true)),
            ("no document types", problems(|domain| domain.engine = "OpenSearch_1.3".into())),
            ("allow_explicit_index", problems(|domain| domain.forbids_explicit_index = true)),
        ] {
            assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        }
    }
}
