//! Owns what Preflight asks AWS. Every look is taken, whatever the others found; one that fails is a problem of its own,
//! because unknown is not good.

use emite_aws::connect;
use emite_aws::error::AwsError;
use emite_aws::keys::streaming_key;
use emite_core::arn::Arn;
use emite_core::links::Life;
use emite_core::links::data_streaming::{Claim, ResourceType, Source, Target};
use serde_json::Value;

use super::findings::Findings;
use super::problem::Problem;
use super::values::{DELIVERY_ROLE_SUFFIX, Thing, Wanted};
use super::{existing, log_policies, server};
use crate::request::Object;
use crate::services::{Failure, Services};

/// What an update starts from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    /// The properties until now.
    pub(super) old: &'a Object,
    /// The image that the server was made of, if there is one.
    pub(super) image: &'a str,
}

impl<'a> Before<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.old.get(name).and_then(|value| value.as_str()).unwrap_or_default()
    }

    /// The name that a thing has had which the stack made.
    fn made(&self, [made, existing]: [&str; 2]) -> Option<&'a str> {
        self.text(existing).is_empty().then(|| self.text(made)).filter(|name| !name.is_empty())
    }
}

const AGENT_EVENT_STREAM: [&str; 2] = ["AgentEventStreamName", "ExistingAgentEventStreamName"];
const DELIVERY_STREAM: [&str; 2] = ["DeliveryStreamName", "ExistingDeliveryStreamName"];
const DOMAIN: [&str; 2] = ["DomainName", "ExistingDomainName"];
const ROLE: [&str; 2] = ["RoleName", "ExistingRoleName"];

/// Takes every look that `wanted` allows; `before` is what an update starts from.
pub(super) async fn all(services: &Services, wanted: &Wanted, before: Option<Before<'_>>) -> (Findings, Vec<Problem>) {
    // The name of what the stack makes and has not made yet.
    let new = |parameters, thing: &Option<Thing>| {
        let had = before.and_then(|before| before.made(parameters));
        thing.as_ref().and_then(Thing::made).filter(|name| had != Some(*name)).map(str::to_owned)
    };
    let stream = new(AGENT_EVENT_STREAM, &wanted.agent_event_stream);
    let delivery = new(DELIVERY_STREAM, &wanted.delivery_stream);
    let domain_name = new(DOMAIN, &wanted.domain);
    let delivery_role = delivery.as_ref().map(|name| format!("{name}{DELIVERY_ROLE_SUFFIX}"));
    let makes_domain = wanted.domain.as_ref().is_some_and(|domain| domain.made().is_some());
    let upgrades = makes_domain
        && domain_name.is_none()
        && before.map(|before| before.text("SearchEngineVersion")) != wanted.engine.as_deref();
    let needs_log_policy = makes_domain && wanted.domain_logs;
    let had_log_policy =
        before.is_some_and(|before| before.made(DOMAIN).is_some() && before.text("DomainLogs") != "Disabled");
    let server = wanted.server.as_ref();
    let server_before = before.and_then(|before| server::Before::of(before.old, before.image));
    let mut known = Findings::default();
    let ((findings, on_instance), names, roles, engine, log_policies, buckets, keys, topic, existing, server) = tokio::join!(
        instance(services, wanted),
        async {
            tokio::join!(
                agent_event_stream(services, stream),
                delivery_stream(services, delivery),
                domain(services, domain_name)
            )
        },
        async {
            tokio::join!(
                role(services, "RoleName", "ExistingRoleName", new(ROLE, &wanted.role)),
                role(services, "DeliveryStreamName", "ExistingDeliveryStreamName", delivery_role)
            )
        },
        async {
            if !makes_domain {
                return (None, None, None);
            }
            let upgrade = async { if upgrades { upgrade(services, wanted).await } else { None } };
            tokio::join!(engine(services, wanted), domain_instances(services, wanted), upgrade)
        },
        async { if needs_log_policy && !had_log_policy { log_policies::obstacle(services).await } else { None } },
        async { tokio::join!(bucket(services, wanted.bucket.as_deref()), bucket_encryption(services, wanted)) },
        async {
            tokio::join!(
                key(services, "BackupBucketKeyArn", wanted.bucket_key.as_ref(), false),
                key(services, "AgentEventKeyArn", wanted.agent_event_key.as_ref(), true)
            )
        },
        topic(services, wanted.topic.as_ref()),
        existing::all(services, wanted, &mut known),
        async {
            match server {
                Some(server) => server::all(services, server, server_before.as_ref()).await,
                None => Default::default(),
            }
        },
    );
    let single = [
        names.0,
        names.1,
        names.2,
        roles.0,
        roles.1,
        engine.0,
        engine.1,
        engine.2,
        log_policies,
        buckets.0,
        buckets.1,
        keys.0,
        keys.1,
        topic,
    ];
    let (server_image_id, of_server) = server;
    let findings = Findings {
        search_endpoint: known.search_endpoint,
        emite_role_arn: known.emite_role_arn,
        delivery_role_arn: known.delivery_role_arn,
        failed_prefix: known.failed_prefix,
        server_image_id,
        ..findings
    }
    .with_names(wanted, &services.home);
    let taken_over = before.into_iter().flat_map(|before| taken_over(before, wanted));
    let problems = on_instance.into_iter().chain(single.into_iter().flatten());
    (findings, problems.chain(existing).chain(of_server).chain(taken_over).collect())
}

/// What an update must not do with the things that the stack made.
fn taken_over(before: Before<'_>, wanted: &Wanted) -> Vec<Problem> {
    let things = [
        (AGENT_EVENT_STREAM, &wanted.agent_event_stream, "stream"),
        (DELIVERY_STREAM, &wanted.delivery_stream, "Firehose stream"),
        (ROLE, &wanted.role, "role"),
    ];
    let own = things.into_iter().filter_map(|(parameters, thing, what)| {
        let name = before.made(parameters).filter(|made| thing.as_ref().and_then(Thing::existing) == Some(*made))?;
        let [_, existing] = parameters;
        Some(Problem::new(format!(
            "{existing}: the {what} '{name}' was made by this stack, which would delete it once it is not its own any more. Leave {existing} empty."
        )))
    });
    let had = before.made(DELIVERY_STREAM);
    let keeps = wanted.delivery_stream.as_ref().and_then(Thing::made).is_some_and(|made| had == Some(made));
    let reads_elsewhere =
        before.text("ExistingContactRecordStreamName") != wanted.contact_record_stream.as_deref().unwrap_or_default();
    let source = (keeps && reads_elsewhere).then(|| {
        Problem::new(
            "ExistingContactRecordStreamName: a Firehose stream cannot change where it reads from. Give DeliveryStreamName another name in the same update: a new Firehose stream is then made, and the old one deleted after DrainSeconds.",
        )
    });
    // It goes with the update that names another one.
    let passed_on = before.made(AGENT_EVENT_STREAM).filter(|made| {
        let kept = wanted.agent_event_stream.as_ref().and_then(Thing::made) == Some(*made);
        !kept && wanted.contact_record_stream.as_deref() == Some(*made)
    });
    let passed_on = passed_on.map(|name| {
        Problem::new(format!(
            "ExistingContactRecordStreamName: the stream '{name}' was made by this stack for agent events, and is deleted once it is not used for them any more. Name another stream."
        ))
    });
    own.chain(source).chain(passed_on).collect()
}

/// The instance, and what it streams to today.
async fn instance(services: &Services, wanted: &Wanted) -> (Findings, Vec<Problem>) {
    const PARAMETER: &str = "ConnectInstanceArn";
    let Some(id) = &wanted.instance else { return (Findings::default(), Vec::new()) };
    let described = services
        .aws
        .connect()
        .describe_instance()
        .instance_id(id.as_str())
        .send()
        .await
        .map_err(AwsError::of("connect:DescribeInstance"));
    let instance = match described {
        Ok(described) => described.instance,
        Err(error) if error.is_not_found() => None,
        Err(error) => return (Findings::default(), vec![Problem::unseen(PARAMETER, &error)]),
    };
    let Some(instance) = instance else {
        let text = format!(
            "{PARAMETER} names instance {id}, which does not exist in this account and region. Copy the ARN from the Amazon Connect console."
        );
        return (Findings::default(), vec![Problem::new(text)]);
    };
    let status = instance.instance_status.as_ref().map_or("unknown", |status| status.as_str());
    if status != "ACTIVE" {
        let text = format!(
            "{PARAMETER} names an instance that is {status}, not ACTIVE. Wait until it is, or name another one."
        );
        return (Findings::default(), vec![Problem::new(text)]);
    }
    let findings = Findings {
        instance_id: id.to_string(),
        // An instance of a directory of its own may have none.
        instance_alias: instance.instance_alias.filter(|alias| !alias.is_empty()).unwrap_or_else(|| id.to_string()),
        service_role_arn: instance.service_role.unwrap_or_default(),
        ..Findings::default()
    };
    let source = |resource_type| Source { instance: id.clone(), resource_type };
    let (events, records) = (source(ResourceType::AgentEvents), source(ResourceType::ContactTraceRecords));
    let (events, records) = tokio::join!(
        streaming(services, wanted, &events, wanted.agent_event_target.as_ref()),
        streaming(services, wanted, &records, wanted.contact_record_target.as_ref())
    );
    (findings, events.into_iter().chain(records).collect())
}

/// What would be in the way of streaming `source` to `target`.
async fn streaming(services: &Services, wanted: &Wanted, source: &Source, target: Option<&Target>) -> Option<Problem> {
    const PARAMETER: &str = "OnExistingStreaming";
    let live = match connect::association(services.aws.connect(), source).await {
        Ok(live) => live?,
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let claim = match services.ledger.read::<Claim>(&streaming_key(source)).await {
        Ok(entry) => entry.map(|entry| entry.value).filter(|claim| claim.life != Life::Released),
        Err(error) => {
            let failure = Failure::from(error);
            return Some(Problem {
                text: format!("{PARAMETER} could not be checked: {failure}."),
                denied: failure.is_denied(),
            });
        }
    };
    let ours = claim.is_some_and(|claim| claim.set_by_us(&live.target)) || target == Some(&live.target);
    match &live.target {
        Target::Other(_) => Some(Problem::new(format!(
            "{PARAMETER}: the {source} go to {}, which could not be put back later. Remove that in the Amazon Connect console first.",
            live.target
        ))),
        existing if !ours && !wanted.replace => {
            let keep = keeping(existing, source.resource_type);
            Some(Problem::new(format!(
                "{PARAMETER} is Fail, and the {source} already stream to {existing}. {keep}Choose Replace to take that over (it is put back when the stack is deleted), or end it first."
            )))
        }
        _ => None,
    }
}

/// How to have the stack use what is there.
fn keeping(existing: &Target, resource_type: ResourceType) -> String {
    let (parameter, arn) = match (existing, resource_type) {
        (Target::KinesisStream(arn), ResourceType::AgentEvents) => ("ExistingAgentEventStreamName", arn),
        (Target::KinesisStream(arn), ResourceType::ContactTraceRecords) => ("ExistingContactRecordStreamName", arn),
        (Target::KinesisFirehose(arn), _) => ("ExistingDeliveryStreamName", arn),
        (Target::Other(_), _) => return String::new(),
    };
    format!("To keep it, set {parameter} to {}. ", arn.name())
}

/// A name that only one thing of the account can have. `existing` is the parameter with which that one is used as it is.
fn taken<T>(parameter: &str, existing: &str, what: &str, name: &str, found: Result<T, AwsError>) -> Option<Problem> {
    match found {
        Ok(_) => Some(Problem::new(format!(
            "{parameter}: {what} '{name}' exists already, perhaps kept by an earlier stack. Set {existing} to use it as it is, choose another {parameter}, or delete that one if nobody needs it."
        ))),
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(Problem::unseen(parameter, &error)),
    }
}

async fn role(services: &Services, parameter: &str, existing: &str, name: Option<String>) -> Option<Problem> {
    let name = name?;
    let found = services.aws.iam().get_role().role_name(&name).send().await;
    taken(parameter, existing, "the role", &name, found.map_err(AwsError::of("iam:GetRole")))
}

async fn agent_event_stream(services: &Services, name: Option<String>) -> Option<Problem> {
    let name = name?;
    let found = services.aws.kinesis().describe_stream_summary().stream_name(&name).send().await;
    taken(
        "AgentEventStreamName",
        "ExistingAgentEventStreamName",
        "the data stream",
        &name,
        found.map_err(AwsError::of("kinesis:DescribeStreamSummary")),
    )
}

async fn delivery_stream(services: &Services, name: Option<String>) -> Option<Problem> {
    let name = name?;
    let found = services.aws.firehose().describe_delivery_stream().delivery_stream_name(&name).send().await;
    taken(
        "DeliveryStreamName",
        "ExistingDeliveryStreamName",
        "the delivery stream",
        &name,
        found.map_err(AwsError::of("firehose:DescribeDeliveryStream")),
    )
}

async fn domain(services: &Services, name: Option<String>) -> Option<Problem> {
    let name = name?;
    let found = services.aws.opensearch().describe_domain().domain_name(&name).send().await;
    taken(
        "DomainName",
        "ExistingDomainName",
        "the search domain",
        &name,
        found.map_err(AwsError::of("es:DescribeDomain")),
    )
}

/// Whether the engine is offered here.
async fn engine(services: &Services, wanted: &Wanted) -> Option<Problem> {
    const PARAMETER: &str = "SearchEngineVersion";
    let engine = wanted.engine.as_ref()?;
    let pages = services.aws.opensearch().list_versions().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = match pages.map_err(AwsError::of("es:ListVersions")) {
        Ok(pages) => pages,
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let offered: Vec<&str> = pages.iter().flat_map(|page| page.versions()).map(String::as_str).collect();
    (!offered.contains(&engine.as_str())).then(|| {
        let (region, offered) = (&services.home.region, offered.join(", "));
        Problem::new(format!("{PARAMETER} {engine} is not offered in {region}. Offered are: {offered}."))
    })
}

/// Whether the engine runs here on the chosen instances.
async fn domain_instances(services: &Services, wanted: &Wanted) -> Option<Problem> {
    const PARAMETER: &str = "DomainInstanceType";
    let (engine, kind) = (wanted.engine.as_ref()?, wanted.domain_instance_type.as_ref()?);
    let request = services.aws.opensearch().list_instance_type_details().engine_version(engine);
    let pages = request.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = match pages.map_err(AwsError::of("es:ListInstanceTypeDetails")) {
        Ok(pages) => pages,
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let mut offered =
        pages.iter().flat_map(|page| page.instance_type_details()).filter_map(|offer| offer.instance_type());
    (!offered.any(|offer| offer.as_str() == kind)).then(|| {
        let region = &services.home.region;
        Problem::new(format!(
            "{PARAMETER} {kind} is not offered for {engine} in {region}. Choose another type or engine."
        ))
    })
}

/// Whether the domain that is there can be upgraded to the engine that an update wants. An upgrade that AWS refuses, or
/// that a rollback would have to undo, leaves the stack stuck.
async fn upgrade(services: &Services, wanted: &Wanted) -> Option<Problem> {
    const PARAMETER: &str = "SearchEngineVersion";
    let (engine, domain) = (wanted.engine.as_ref()?, wanted.domain.as_ref()?.name());
    let found = services.aws.opensearch().get_compatible_versions().domain_name(domain).send().await;
    let compatible = match found.map_err(AwsError::of("es:GetCompatibleVersions")) {
        Ok(found) => found.compatible_versions.unwrap_or_default(),
        Err(error) if error.is_not_found() => return None,
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let mut targets = compatible.iter().flat_map(|versions| versions.target_versions());
    if targets.clone().any(|target| target == engine)
        || compatible.iter().any(|from| from.source_version() == Some(engine))
    {
        return None;
    }
    let shown = match targets.next() {
        None => "none".to_owned(),
        Some(first) => targets.fold(first.clone(), |all, next| format!("{all}, {next}")),
    };
    Some(Problem::new(format!(
        "{PARAMETER}: the domain '{domain}' cannot be upgraded to {engine} in one step. It can be to: {shown}."
    )))
}

/// Whether an existing bucket is ours and in this region.
async fn bucket(services: &Services, name: Option<&str>) -> Option<Problem> {
    const PARAMETER: &str = "BackupBucketName";
    let name = name?;
    let (s3, home) = (services.aws.s3(), &services.home);
    let found = s3.get_bucket_location().bucket(name).expected_bucket_owner(&home.account).send().await;
    let elsewhere = |region: &str| {
        let here = &home.region;
        Problem::new(format!(
            "{PARAMETER} '{name}' is in {region}; Firehose needs one in {here}. Name another one, or leave it empty: the stack then makes a bucket."
        ))
    };
    match found.map_err(AwsError::of("s3:GetBucketLocation")) {
        // The API's names of the first two regions are from before regions had names.
        Ok(found) => match found.location_constraint.as_ref().map_or("", |constraint| constraint.as_str()) {
            "" if home.region == "us-east-1" => None,
            "EU" if home.region == "eu-west-1" => None,
            region if region == home.region => None,
            "" => Some(elsewhere("us-east-1")),
            region => Some(elsewhere(region)),
        },
        Err(error) if error.is_not_found() => Some(Problem::new(format!(
            "{PARAMETER} '{name}' does not exist. Correct it, or leave it empty: the stack then makes a bucket."
        ))),
        Err(error) if error.is_of_another_region() => Some(elsewhere("another region")),
        Err(error) if error.is_denied() => Some(Problem {
            text: format!(
                "{PARAMETER} '{name}' belongs to another account, or refuses this one: {error}. Name a bucket of this account, or leave it empty."
            ),
            denied: true,
        }),
        Err(error) => Some(Problem::unseen(PARAMETER, &error)),
    }
}

/// Whether what an existing bucket is encrypted with by default is known to us: Firehose's role has no right to use a
/// customer's key that it is not told of, and a delivery stream that cannot write there stops delivering altogether.
async fn bucket_encryption(services: &Services, wanted: &Wanted) -> Option<Problem> {
    const PARAMETER: &str = "BackupBucketKeyArn";
    let name = wanted.bucket.as_ref().filter(|_| wanted.bucket_key.is_none())?;
    let request = services.aws.s3().get_bucket_encryption().bucket(name).expected_bucket_owner(&services.home.account);
    let found = match request.send().await.map_err(AwsError::of("s3:GetEncryptionConfiguration")) {
        Ok(found) => found.server_side_encryption_configuration?,
        Err(error) if error.is_not_found() => return None,
        // The other look at the bucket tells where it is.
        Err(error) if error.is_of_another_region() => return None,
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let defaults = found.rules().iter().filter_map(|rule| rule.apply_server_side_encryption_by_default());
    let key = defaults.filter_map(|default| default.kms_master_key_id()).find(|key| !key.ends_with("alias/aws/s3"))?;
    Some(Problem::new(format!(
        "{PARAMETER}: the bucket '{name}' encrypts with the key {key}. Give the ARN of that key, so that Firehose may use it."
    )))
}

/// Whether a key can encrypt; `customer_managed`: whether Amazon Connect could use it, which it cannot with AWS's own.
async fn key(services: &Services, parameter: &str, arn: Option<&Arn>, customer_managed: bool) -> Option<Problem> {
    let arn = arn?;
    let found = services.aws.kms().describe_key().key_id(arn.to_string()).send().await;
    let key = match found.map_err(AwsError::of("kms:DescribeKey")) {
        Ok(found) => found.key_metadata?,
        Err(error) if error.is_not_found() => {
            return Some(Problem::new(format!(
                "{parameter}: the key {arn} does not exist. Correct it, or leave it empty."
            )));
        }
        Err(error) => return Some(Problem::unseen(parameter, &error)),
    };
    let state = key.key_state.as_ref().map_or("unknown", |state| state.as_str());
    if state != "Enabled" {
        return Some(Problem::new(format!("{parameter}: the key {arn} is {state}. Enable it, or name another one.")));
    }
    if key.key_spec.as_ref().is_some_and(|spec| spec.as_str() != "SYMMETRIC_DEFAULT") {
        return Some(Problem::new(format!(
            "{parameter}: the key {arn} is not a symmetric encryption key. Name one that is."
        )));
    }
    let managed_by_aws = key.key_manager.as_ref().is_some_and(|manager| manager.as_str() == "AWS");
    (customer_managed && managed_by_aws).then(|| {
        Problem::new(format!("{parameter}: the key {arn} is managed by AWS, and Amazon Connect cannot write with it. Name the customer managed key that the instance uses, or leave it empty."))
    })
}

/// Whether alarms may publish to a topic that was given.
async fn topic(services: &Services, arn: Option<&Arn>) -> Option<Problem> {
    const PARAMETER: &str = "AlertTopicArn";
    let arn = arn?;
    let found = services.aws.sns().get_topic_attributes().topic_arn(arn.to_string()).send().await;
    let attributes = match found.map_err(AwsError::of("sns:GetTopicAttributes")) {
        Ok(found) => found.attributes.unwrap_or_default(),
        Err(error) if error.is_not_found() => {
            return Some(Problem::new(format!(
                "{PARAMETER}: the topic {arn} does not exist. Correct it, or leave it empty: the stack then makes a topic."
            )));
        }
        Err(error) => return Some(Problem::unseen(PARAMETER, &error)),
    };
    let policy = attributes.get("Policy").and_then(|policy| serde_json::from_str(policy).ok()).unwrap_or(Value::Null);
    if !admits_alarms(&policy) {
        return Some(Problem::new(format!(
            "{PARAMETER}: the policy of {arn} does not let alarms publish. Add a statement that allows sns:Publish to the service cloudwatch.amazonaws.com with aws:SourceAccount {}.",
            services.home.account
        )));
    }
    let key = attributes.get("KmsMasterKeyId").is_some_and(|key| key.ends_with("alias/aws/sns"));
    key.then(|| Problem::new(format!("{PARAMETER}: {arn} is encrypted with alias/aws/sns, which alarms cannot use. Encrypt it with a key of your own that admits cloudwatch.amazonaws.com, or not at all.")))
}

/// Whether a topic's policy lets CloudWatch publish. The policy that SNS itself gives a new topic does, by admitting
/// everything that acts for the topic's own account.
fn admits_alarms(policy: &Value) -> bool {
    let one_or_many = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let names = |value: &Value, wanted: &[&str]| {
        one_or_many(value)
            .iter()
            .filter_map(Value::as_str)
            .any(|name| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
    };
    one_or_many(&policy["Statement"]).iter().any(|statement| {
        let principal = &statement["Principal"];
        let cloudwatch = names(&principal["Service"], &["cloudwatch.amazonaws.com"]);
        let everybody = names(principal, &["*"]) || names(&principal["AWS"], &["*"]);
        statement["Effect"] == "Allow"
            && (cloudwatch || everybody)
            && names(&statement["Action"], &["sns:Publish", "sns:*", "*"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alarms_are_admitted_by_a_statement_for_cloudwatch_or_by_the_policy_of_a_new_topic() {
        let statement = |principal: Value, action: Value| json!({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}]});
        assert!(admits_alarms(&statement(
            json!({"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"]}),
            json!("sns:Publish")
        )));
        assert!(admits_alarms(&statement(json!({"AWS": "*"}), json!(["SNS:GetTopicAttributes", "SNS:Publish"]))));
        assert!(!admits_alarms(&statement(json!({"Service": "events.amazonaws.com"}), json!("sns:Publish"))));
        assert!(!admits_alarms(&statement(json!({"AWS": "*"}), json!("sns:Subscribe"))));
        assert!(!admits_alarms(&json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish"}})));
        assert!(!admits_alarms(&Value::Null));
    }
}
