//! Owns what can be said of the parameters without asking AWS. Pure.

use emite_core::arn::{Arn, Home, InstanceId};
use emite_core::business_hours::BusinessHours;
use emite_core::links::approved_origin::Origin;
use emite_core::links::data_streaming::Target;
use emite_core::problems::Problems;

use super::chain::{
    AGENT_EVENT_STREAM, ChainResource, DELIVERY_ROLE_SUFFIX, DELIVERY_STREAM, DOMAIN, NameParameters, ROLE,
    delivery_role_name,
};
use super::problem::Problem;
use super::ranges::ranges;
use super::readers::{
    Hosting, connect_instance, domain_logs, domain_name, has_types, hosting, index, on_existing, rotation, topic,
};
use super::server_parameters::{self, ServerParameters};
use crate::parameters::{bucket_name, customer_id, given, kms_key, name, time_zone};
use crate::properties::Properties;
use crate::request::Object;

/// The parameters. `None` if invalid, so that everything else can still be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) instance: Option<InstanceId>,
    pub(super) replace: bool,
    pub(super) agent_event_stream: Option<ChainResource>,
    pub(super) delivery_stream: Option<ChainResource>,
    pub(super) domain: Option<ChainResource>,
    pub(super) role: Option<ChainResource>,
    /// The existing stream that contact records go through; none: they go to the delivery stream directly.
    pub(super) contact_record_stream: Option<String>,
    pub(super) index: Option<String>,
    /// Empty where the engine has no types.
    pub(super) document_type: Option<String>,
    pub(super) rotation: Option<String>,
    pub(super) engine: Option<String>,
    pub(super) domain_instance_type: Option<String>,
    /// Whether a domain that the stack makes writes its error log.
    pub(super) domain_logs: bool,
    pub(super) bucket: Option<String>,
    pub(super) bucket_key: Option<Arn>,
    pub(super) agent_event_key: Option<Arn>,
    pub(super) topic: Option<Arn>,
    /// The server, where it is in this account.
    pub(super) server: Option<ServerParameters>,
    /// What this stack's streams will be: where records go to already if an earlier stack of the same names did it.
    pub(super) agent_event_target: Option<Target>,
    pub(super) contact_record_target: Option<Target>,
}

impl Parameters {
    /// Reads the parameters, with all that is wrong with them.
    pub(super) fn read(properties: &Object, home: &Home) -> (Self, Problems<Problem>) {
        let mut read = Properties::new(properties);
        let text = |text: &str| Ok::<_, &str>(text.to_owned());
        let mut parameters = Self {
            instance: read.parsed("ConnectInstanceArn", |text| connect_instance(text, home)),
            replace: read.parsed("OnExistingStreaming", on_existing).unwrap_or(false),
            engine: read.parsed("SearchEngineVersion", text),
            domain_instance_type: read.parsed("DomainInstanceType", text),
            // A template from before this property always logs.
            domain_logs: given(&mut read, "DomainLogs", domain_logs).unwrap_or(true),
            index: read.parsed("ContactIndexName", index),
            rotation: read.parsed("IndexRotation", rotation),
            bucket: given(&mut read, "BackupBucketName", bucket_name),
            bucket_key: given(&mut read, "BackupBucketKeyArn", |text| kms_key(text, home)),
            agent_event_key: given(&mut read, "AgentEventKeyArn", |text| kms_key(text, home)),
            topic: given(&mut read, "AlertTopicArn", |text| topic(text, home)),
            ..Self::default()
        };
        let document_type = read.optional("ContactTypeName").to_owned();
        let typed = parameters.engine.as_deref().is_none_or(has_types);
        parameters.document_type = Some(if typed { document_type } else { String::new() });
        parameters.names(&mut read, home);
        let hosting = read.parsed("HostingMode", hosting).unwrap_or(Hosting::EmiteHosted);
        parameters.server = server_parameters::read(&mut read, hosting);
        emite(&mut read, hosting);
        addresses(&mut read, hosting);
        read.parsed("TimeZone", time_zone);
        given(&mut read, "EmiteUrl", str::parse::<Origin>);
        given(&mut read, "BusinessHours", str::parse::<BusinessHours>);
        let mut problems = Problems::default();
        problems.extend(read.problems().into_iter().map(|text| Problem::new(format!("{text}."))));
        (parameters, problems)
    }

    fn names(&mut self, read: &mut Properties<'_>, home: &Home) {
        let stream = |text: &str| name(text, 1, 128, "_.-");
        let role = |text: &str| name(text, 1, 64, "_+=,.@-");
        self.agent_event_stream = resource(read, AGENT_EVENT_STREAM, stream, stream);
        let created_delivery = |text: &str| name(text, 1, 64 - DELIVERY_ROLE_SUFFIX.len(), "_.-");
        let existing_delivery = |text: &str| name(text, 1, 64, "_.-");
        self.delivery_stream = resource(read, DELIVERY_STREAM, created_delivery, existing_delivery);
        self.role = resource(read, ROLE, role, role);
        self.domain = resource(read, DOMAIN, domain_name, domain_name);
        self.contact_record_stream = given(read, "ExistingContactRecordStreamName", stream);
        self.conflicts(read);
        let kinesis = |name: &str| Target::KinesisStream(home.arn("kinesis", format!("stream/{name}")));
        self.agent_event_target = self.agent_event_stream.as_ref().map(|stream| kinesis(stream.name()));
        self.contact_record_target = match (&self.contact_record_stream, &self.delivery_stream) {
            (Some(stream), _) => Some(kinesis(stream)),
            (None, Some(delivery)) => {
                let resource = format!("deliverystream/{}", delivery.name());
                Some(Target::KinesisFirehose(home.arn("firehose", resource)))
            }
            (None, None) => None,
        };
    }

    /// What only two parameters together show to be wrong.
    fn conflicts(&self, read: &mut Properties<'_>) {
        let existing = |one: &Option<ChainResource>| one.as_ref().is_some_and(|one| one.existing().is_some());
        let created_delivery = self.delivery_stream.as_ref().and_then(ChainResource::created);
        let delivery_role = created_delivery.map(delivery_role_name);
        if self.role.as_ref().is_some_and(|role| Some(role.name()) == delivery_role.as_deref()) {
            let parameter = if existing(&self.role) { "ExistingRoleName" } else { "RoleName" };
            read.problem(parameter, format!("is also the name of the delivery stream's role (DeliveryStreamName and '{DELIVERY_ROLE_SUFFIX}'). Choose another {parameter}"));
        }
        if existing(&self.delivery_stream) && !existing(&self.domain) {
            read.problem("ExistingDeliveryStreamName", "needs ExistingDomainName, the domain that it delivers to");
        }
        if existing(&self.delivery_stream) && self.bucket.is_none() {
            read.problem(
                "ExistingDeliveryStreamName",
                "needs BackupBucketName, the bucket that it puts failed records into",
            );
        }
        let agent_events = self.agent_event_stream.as_ref().map(ChainResource::name);
        if self
            .contact_record_stream
            .as_deref()
            .is_some_and(|stream| Some(stream) == agent_events && !existing(&self.agent_event_stream))
        {
            read.problem("ExistingContactRecordStreamName", "is also AgentEventStreamName. Choose another AgentEventStreamName, or name the stream in ExistingAgentEventStreamName too");
        }
    }
}

/// The resource that the second parameter names, if it does, or the first.
fn resource(
    read: &mut Properties<'_>,
    parameters: NameParameters,
    created: impl FnOnce(&str) -> Result<String, String>,
    existing: impl FnOnce(&str) -> Result<String, String>,
) -> Option<ChainResource> {
    if !read.optional(parameters.existing).is_empty() {
        // A name that is not used need not be well-formed, but the property is known.
        read.optional(parameters.created);
        return read.parsed(parameters.existing, existing).map(ChainResource::Existing);
    }
    read.parsed(parameters.created, created).map(ChainResource::Created)
}

/// Who at eMite may assume the role. Where the server is in this account, no one has to.
fn emite(read: &mut Properties<'_>, hosting: Hosting) {
    const TOGETHER: [&str; 2] = ["EmiteAccountId", "CustomerId"];
    if hosting == Hosting::SelfHosted && TOGETHER.iter().all(|name| read.optional(name).is_empty()) {
        if !read.optional("EmitePrincipalArn").is_empty() {
            read.problem("EmitePrincipalArn", "narrows EmiteAccountId. Give that too, or leave it empty");
        }
        return;
    }
    let account = read.parsed("EmiteAccountId", |text| {
        let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Ok(text) } else { Err("must be the 12 digits of eMite's AWS account; eMite sends them to you") }
    });
    read.parsed("CustomerId", |text| {
        customer_id(text).map_err(|problem| format!("{problem} (it becomes the ExternalId); eMite sends it to you"))
    });
    given(read, "EmitePrincipalArn", |text| {
        let arn: Arn = text.parse().map_err(|error: emite_core::arn::NotAnArn| error.to_string())?;
        let person = arn.resource.starts_with("role/") || arn.resource.starts_with("user/");
        if arn.service != "iam" || !person {
            return Err("must be the ARN of a role or user: arn:aws:iam::account:role/name".to_owned());
        }
        match account {
            Some(account) if arn.account != account => Err(format!(
                "belongs to account '{}', not to EmiteAccountId {account}. Correct one of the two",
                arn.account
            )),
            _ => Ok(()),
        }
    });
}

/// From where eMite reaches the search domain.
fn addresses(read: &mut Properties<'_>, hosting: Hosting) {
    if ranges(read, "EmiteServerCidrs").is_empty() && hosting == Hosting::EmiteHosted {
        read.problem("EmiteServerCidrs", "is empty. Give the addresses that eMite sends you, such as 203.0.113.10/32");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn home() -> Home {
        Home { partition: "aws".into(), region: "eu-west-2".into(), account: "111122223333".into() }
    }

    fn good() -> Value {
        json!({
            "ConnectInstanceArn": "arn:aws:connect:eu-west-2:111122223333:instance/1b2c3d4e-0000-4000-8000-000000000001",
            "EmiteAccountId": "444455556666", "CustomerId": "acme-01", "EmitePrincipalArn": "", "EmiteServerCidrs": ["203.0.113.10/32", "198.51.100.0/24"],
            "EmiteUrl": "https://emite.example.com", "TimeZone": "Europe/Dublin", "BusinessHours": "Mon-Fri 08:00-18:00", "AlertTopicArn": "", "OnExistingStreaming": "Fail",
            "AgentEventStreamName": "connect-agentevents", "AgentEventKeyArn": "", "DeliveryStreamName": "emite-ctrfirehose", "DomainName": "emite-kinesis-connect",
            "HostingMode": "EmiteHosted", "VpcId": "", "SubnetId": "", "ServerInstanceType": "r5.large", "ServerVolumeGiB": "100",
            "ServerImage": "Windows_Server-2022-English-Full-Base", "ServerAccess": "SessionManager", "OfficeCidrs": [""], "EmiteOfficeCidrs": ["60.241.25.74/32"], "KeyPairName": "",
            "ExistingDomainName": "", "ExistingAgentEventStreamName": "", "ExistingDeliveryStreamName": "", "ExistingContactRecordStreamName": "", "ExistingRoleName": "",
            "ContactIndexName": "emite-contacts", "ContactTypeName": "contacts", "IndexRotation": "OneMonth",
            "SearchEngineVersion": "Elasticsearch_6.8", "DomainInstanceType": "m5.large.search", "BackupBucketName": "", "BackupBucketKeyArn": "", "RoleName": "emite-role",
            "ServiceToken": "arn:aws:lambda:…", "ServiceTimeout": "600",
        })
    }

    fn problems(changes: &[(&str, Value)]) -> String {
        let mut properties = good();
        for (name, value) in changes {
            properties[*name] = value.clone();
        }
        let (_, problems) = Parameters::read(properties.as_object().unwrap(), &home());
        problems.into_iter().map(|problem| problem.text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_guides_values_are_accepted() {
        assert_eq!(problems(&[]), "");
    }

    #[test]
    fn each_wrong_value_is_told_with_its_parameter_and_what_to_do() {
        let wrong = [
            ("ConnectInstanceArn", json!("arn:aws:connect:eu-west-2:999999999999:instance/1b2c")),
            ("ConnectInstanceArn", json!("arn:aws:connect:us-east-1:111122223333:instance/1b2c")),
            ("ConnectInstanceArn", json!("arn:aws:kinesis:eu-west-2:111122223333:stream/x")),
            ("ConnectInstanceArn", json!("1b2c")),
            ("ConnectInstanceArn", json!(7)),
            ("EmiteAccountId", json!("44445555666")),
            ("CustomerId", json!("a")),
            ("CustomerId", json!("acme 01")),
            ("EmitePrincipalArn", json!("arn:aws:iam::444455556666:group/x")),
            ("EmitePrincipalArn", json!("arn:aws:iam::999999999999:role/x")),
            ("EmiteServerCidrs", json!([])),
            ("EmiteServerCidrs", json!("0.0.0.0/0")),
            ("EmiteServerCidrs", json!(["203.0.113.0/23"])),
            ("EmiteServerCidrs", json!(["203.0.113.10/24"])),
            ("EmiteServerCidrs", json!(["10.0.0.1/32"])),
            ("EmiteServerCidrs", json!(["somewhere"])),
            ("EmiteUrl", json!("https://*.example.com")),
            ("BusinessHours", json!("Mon-Fry 08:00-18:00")),
            ("TimeZone", json!("Europe/Atlantis")),
            ("TimeZone", json!("europe/dublin")),
            ("AlertTopicArn", json!("arn:aws:sns:eu-west-2:111122223333:alerts.fifo")),
            ("OnExistingStreaming", json!("Overwrite")),
            ("AgentEventStreamName", json!("agent events")),
            ("DeliveryStreamName", json!("x".repeat(60))),
            ("DomainName", json!("Emite")),
            ("RoleName", json!("emite-ctrfirehose-role")),
            ("BackupBucketName", json!("My_Bucket")),
            ("AgentEventKeyArn", json!("arn:aws:kms:eu-west-2:111122223333:alias/aws/kinesis")),
            ("HostingMode", json!("Hosted")),
            ("ContactIndexName", json!("Contacts")),
            ("IndexRotation", json!("OneYear")),
            ("ExistingDomainName", json!("arn:aws:es:eu-west-2:111122223333:domain/x")),
            ("ExistingRoleName", json!("emite-ctrfirehose-role")),
            ("ExistingAgentEventStreamName", json!("agent events")),
            ("ExistingContactRecordStreamName", json!("connect-agentevents")),
            ("Surprise", json!("x")),
        ];
        let refusals: Vec<String> = wrong.iter().map(|(name, value)| problems(&[(*name, value.clone())])).collect();
        for ((name, _), text) in wrong.iter().zip(&refusals) {
            assert!(text.starts_with(name) && !text.contains('\n'), "{name}: {text}");
        }
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let text = problems(&[
            ("TimeZone", json!("Mars")),
            ("DomainName", json!("X")),
            ("EmiteServerCidrs", json!(["0.0.0.0/0", "10.0.0.1"])),
        ]);
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    const NETWORK: [(&str, &str); 3] =
        [("HostingMode", "SelfHosted"), ("VpcId", "vpc-0a1b2c3d"), ("SubnetId", "subnet-0a1b2c3d")];

    fn self_hosted(changes: &[(&str, Value)]) -> String {
        let network = NETWORK.iter().map(|(name, value)| (*name, json!(value)));
        problems(&network.chain(changes.iter().cloned()).collect::<Vec<_>>())
    }

    #[test]
    fn self_hosted_server_needs_nothing_from_emite() {
        let nothing = [("EmiteAccountId", json!("")), ("CustomerId", json!("")), ("EmiteServerCidrs", json!([""]))];
        assert_eq!(self_hosted(&nothing), "");
        assert_eq!(self_hosted(&[]), "");
    }

    #[test]
    fn each_wrong_value_for_the_server_is_told_with_its_parameter_and_what_to_do() {
        let many = [
            "203.0.113.1/32",
            "203.0.113.2/32",
            "203.0.113.3/32",
            "203.0.113.4/32",
            "203.0.113.5/32",
            "203.0.113.6/32",
        ];
        let rdp = [("ServerAccess", json!("Rdp")), ("KeyPairName", json!("admins"))];
        let with = |more: &[(&'static str, Value)]| rdp.iter().cloned().chain(more.iter().cloned()).collect::<Vec<_>>();
        let wrong = [
            vec![("VpcId", json!(""))],
            vec![("VpcId", json!("10.0.0.0/16"))],
            vec![("SubnetId", json!(""))],
            vec![("SubnetId", json!("vpc-0a1b2c3d"))],
            vec![("CustomerId", json!(""))],
            vec![("EmiteAccountId", json!(""))],
            vec![("ServerVolumeGiB", json!("50"))],
            vec![("ServerImage", json!("Ubuntu"))],
            vec![("ServerAccess", json!("Ssh"))],
            vec![("ServerAccess", json!("Rdp"))],
            with(&[("OfficeCidrs", json!(["0.0.0.0/0"]))]),
            with(&[("OfficeCidrs", json!(many))]),
            with(&[("OfficeCidrs", json!(["203.0.113.1"]))]),
            with(&[("EmiteOfficeCidrs", json!([""]))]),
            with(&[("OfficeCidrs", json!(["60.241.25.74/32"]))]),
            with(&[("OfficeCidrs", json!(["203.0.113.1/32", ""]))]),
        ];
        let refusals: Vec<String> = wrong.iter().map(|changes| self_hosted(changes)).collect();
        assert!(refusals.iter().all(|text| !text.is_empty() && !text.contains('\n')), "{refusals:#?}");
        insta::assert_snapshot!(refusals.join("\n"));
        assert_eq!(self_hosted(&with(&[])), "");
    }

    #[test]
    fn an_existing_delivery_stream_needs_its_domain_and_its_bucket() {
        let alone = problems(&[("ExistingDeliveryStreamName", json!("ctr"))]);
        assert_eq!(alone.lines().count(), 2, "{alone}");
        let whole = [("ExistingDomainName", json!("records")), ("BackupBucketName", json!("syd-cloudbackup"))];
        let whole: Vec<_> = whole.into_iter().chain([("ExistingDeliveryStreamName", json!("ctr"))]).collect();
        assert_eq!(problems(&whole), "");
    }

    #[test]
    fn only_old_engines_have_types() {
        for (engine, typed) in [
            ("Elasticsearch_6.8", true),
            ("Elasticsearch_5.6", true),
            ("Elasticsearch_7.10", false),
            ("OpenSearch_1.3", false),
        ] {
            assert_eq!(has_types(engine), typed, "{engine}");
        }
    }

    #[test]
    fn single_address_may_leave_out_its_prefix() {
        assert_eq!(problems(&[("EmiteServerCidrs", json!("203.0.113.10, 203.0.113.11/32"))]), "");
    }
}
