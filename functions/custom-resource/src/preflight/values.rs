//! Owns what can be said of the parameters without asking AWS. Pure.

use std::net::Ipv4Addr;

use emite_connect::arn::{Arn, Home, InstanceId};
use emite_connect::business_hours::BusinessHours;
use emite_connect::links::approved_origin::Origin;
use emite_connect::links::data_streaming::Target;
use ipnet::Ipv4Net;

use super::Problem;
use crate::data_streaming::{at_home, instance};
use crate::properties::Properties;
use crate::request::Object;

/// The parameters. What is wrong is none here, so that everything else can still be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) instance: Option<InstanceId>,
    pub(super) replace: bool,
    pub(super) agent_event_stream: Option<String>,
    pub(super) delivery_stream: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) role: Option<String>,
    pub(super) engine: Option<String>,
    pub(super) domain_instance_type: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) bucket_key: Option<Arn>,
    pub(super) agent_event_key: Option<Arn>,
    pub(super) topic: Option<Arn>,
    /// What this stack's own streams will be: where records go to already if an earlier stack of the same names did it.
    pub(super) agent_event_target: Option<Target>,
    pub(super) contact_record_target: Option<Target>,
}

/// What goes with the delivery stream's name to make that of its role, as the guide's console does.
pub(super) const DELIVERY_ROLE_SUFFIX: &str = "-role";

impl Wanted {
    /// Reads the parameters, with all that is wrong with them.
    pub(super) fn read(properties: &Object, home: &Home) -> (Self, Vec<Problem>) {
        let mut read = Properties::new(properties);
        let text = |text: &str| Ok::<_, &str>(text.to_owned());
        let mut wanted = Self {
            instance: read.parsed("ConnectInstanceArn", |text| connect_instance(text, home)),
            replace: read.parsed("OnExistingStreaming", on_existing).unwrap_or(false),
            engine: read.parsed("SearchEngineVersion", text),
            domain_instance_type: read.parsed("DomainInstanceType", text),
            bucket: given(&mut read, "BackupBucketName", bucket_name),
            bucket_key: given(&mut read, "BackupBucketKeyArn", |text| key(text, home)),
            agent_event_key: given(&mut read, "AgentEventKeyArn", |text| key(text, home)),
            topic: given(&mut read, "AlertTopicArn", |text| topic(text, home)),
            ..Self::default()
        };
        wanted.names(&mut read, home);
        emite(&mut read);
        addresses(&mut read);
        read.parsed("TimeZone", time_zone);
        given(&mut read, "EmiteUrl", str::parse::<Origin>);
        given(&mut read, "BusinessHours", str::parse::<BusinessHours>);
        (wanted, read.problems().into_iter().map(|text| Problem::new(format!("{text}."))).collect())
    }

    fn names(&mut self, read: &mut Properties<'_>, home: &Home) {
        self.agent_event_stream = read.parsed("AgentEventStreamName", |text| name(text, 1, 128, "_.-"));
        self.delivery_stream =
            read.parsed("DeliveryStreamName", |text| name(text, 1, 64 - DELIVERY_ROLE_SUFFIX.len(), "_.-"));
        self.role = read.parsed("RoleName", |text| name(text, 1, 64, "_+=,.@-"));
        self.domain = read.parsed("DomainName", domain_name);
        let same = self
            .role
            .as_ref()
            .zip(self.delivery_stream.as_ref())
            .is_some_and(|(role, stream)| *role == format!("{stream}{DELIVERY_ROLE_SUFFIX}"));
        if same {
            read.problem("RoleName", format!("is also the name of the delivery stream's role (DeliveryStreamName and '{DELIVERY_ROLE_SUFFIX}'). Choose another RoleName"));
        }
        self.agent_event_target = self
            .agent_event_stream
            .as_ref()
            .map(|name| Target::KinesisStream(home.arn("kinesis", format!("stream/{name}"))));
        self.contact_record_target = self
            .delivery_stream
            .as_ref()
            .map(|name| Target::KinesisFirehose(home.arn("firehose", format!("deliverystream/{name}"))));
    }
}

/// `name` read by `parse`, if the template gives it.
pub(crate) fn given<'a, T, E: ToString>(
    read: &mut Properties<'a>,
    name: &'static str,
    parse: impl FnOnce(&'a str) -> Result<T, E>,
) -> Option<T> {
    if read.optional(name).is_empty() { None } else { read.parsed(name, parse) }
}

fn connect_instance(text: &str, home: &Home) -> Result<InstanceId, String> {
    instance(text, home).map_err(|what| {
        format!("{what}. Copy the instance ARN from the Amazon Connect console of this account and region")
    })
}

fn on_existing(text: &str) -> Result<bool, &'static str> {
    match text {
        "Fail" => Ok(false),
        "Replace" => Ok(true),
        _ => Err("must be Fail or Replace"),
    }
}

/// Who at eMite may assume the role.
fn emite(read: &mut Properties<'_>) {
    let account = read.parsed("EmiteAccountId", |text| {
        let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Ok(text) } else { Err("must be the 12 digits of eMite's AWS account; eMite sends them to you") }
    });
    read.parsed("CustomerId", |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        let well_formed = (2..=1224).contains(&text.len()) && text.bytes().all(allowed);
        if well_formed { Ok(()) } else { Err("must have 2 to 1224 characters of letters, digits and _+=,.@:/- (it becomes the ExternalId); eMite sends it to you") }
    });
    given(read, "EmitePrincipalArn", |text| {
        let arn: Arn = text.parse().map_err(|error: emite_connect::arn::NotAnArn| error.to_string())?;
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
fn addresses(read: &mut Properties<'_>) {
    let texts = read.list("EmiteServerCidrs");
    if texts.is_empty() {
        read.problem("EmiteServerCidrs", "is empty. Give the addresses that eMite sends you, such as 203.0.113.10/32");
    }
    for text in texts {
        if let Err(problem) = public_range(text) {
            let shown: String = text.chars().take(50).collect();
            read.problem("EmiteServerCidrs", format!("has '{shown}', which {problem}"));
        }
    }
}

fn public_range(text: &str) -> Result<(), &'static str> {
    const WIDEST: u8 = 24;
    let network: Ipv4Net = match text.parse() {
        Ok(network) => network,
        Err(_) => text
            .parse::<Ipv4Addr>()
            .map(Ipv4Net::from)
            .map_err(|_| "is not an IPv4 address or range such as 203.0.113.10/32")?,
    };
    if network.prefix_len() < WIDEST {
        return Err(
            "is wider than /24: it would open the contact records to more than eMite. Give single addresses, or ranges of /24 to /32",
        );
    }
    if network.network() != network.addr() {
        return Err("has address bits set behind its prefix. Write the first address of the range");
    }
    let ip = network.addr();
    if ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_unspecified()
        || ip.is_broadcast()
    {
        return Err("is not a public address: the search domain sees eMite's public one");
    }
    Ok(())
}

fn name(text: &str, shortest: usize, longest: usize, marks: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || marks.as_bytes().contains(&byte);
    if (shortest..=longest).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("must have {shortest} to {longest} characters of letters, digits and {marks}"))
}

fn domain_name(text: &str) -> Result<String, String> {
    let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    match name(text, 3, 28, "-") {
        Ok(name) if starts_well && lower => Ok(name),
        _ => {
            Err("must have 3 to 28 characters of lower-case letters, digits and -, and start with a letter".to_owned())
        }
    }
}

pub(crate) fn bucket_name(text: &str) -> Result<String, String> {
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    match name(text, 3, 63, ".-") {
        Ok(name) if lower => Ok(name),
        _ => Err("must be the name of a bucket: 3 to 63 characters of lower-case letters, digits, . and -".to_owned()),
    }
}

/// The zone's exact IANA name: eMite reads it literally.
pub(crate) fn time_zone(text: &str) -> Result<(), String> {
    let known = jiff::tz::TimeZone::get(text).ok();
    match known.as_ref().and_then(|zone| zone.iana_name()) {
        Some(name) if name == text => Ok(()),
        Some(name) => Err(format!("must be spelt {name}")),
        None => {
            Err("is not a time zone of the IANA database. Take a name such as Europe/Dublin or Australia/Sydney"
                .to_owned())
        }
    }
}

pub(crate) fn key(text: &str, home: &Home) -> Result<Arn, String> {
    let arn = at_home(text, home)?;
    let named = arn.service == "kms" && arn.resource.starts_with("key/");
    if named {
        Ok(arn)
    } else {
        Err("must be the ARN of a KMS key (not of an alias): arn:aws:kms:region:account:key/id".to_owned())
    }
}

fn topic(text: &str, home: &Home) -> Result<Arn, String> {
    let arn = at_home(text, home)?;
    if arn.service != "sns" || arn.resource.contains(':') {
        return Err("must be the ARN of an SNS topic: arn:aws:sns:region:account:name".to_owned());
    }
    if arn.resource.ends_with(".fifo") {
        return Err("is a FIFO topic, which cannot send email. Give a standard topic".to_owned());
    }
    Ok(arn)
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
            "SearchEngineVersion": "Elasticsearch_6.8", "DomainInstanceType": "m5.large.search", "BackupBucketName": "", "BackupBucketKeyArn": "", "RoleName": "emite-role",
            "ServiceToken": "arn:aws:lambda:…", "ServiceTimeout": "600",
        })
    }

    fn problems(changes: &[(&str, Value)]) -> String {
        let mut properties = good();
        for (name, value) in changes {
            properties[*name] = value.clone();
        }
        let (_, problems) = Wanted::read(properties.as_object().unwrap(), &home());
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
            ("Surprise", json!("x")),
        ];
        let told: Vec<String> = wrong.iter().map(|(name, value)| problems(&[(*name, value.clone())])).collect();
        for ((name, _), text) in wrong.iter().zip(&told) {
            assert!(text.starts_with(name) && !text.contains('\n'), "{name}: {text}");
        }
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = problems(&[
            ("TimeZone", json!("Mars")),
            ("DomainName", json!("X")),
            ("EmiteServerCidrs", json!(["0.0.0.0/0", "10.0.0.1"])),
        ]);
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn one_address_needs_no_prefix() {
        assert_eq!(problems(&[("EmiteServerCidrs", json!("203.0.113.10, 203.0.113.11/32"))]), "");
    }
}
