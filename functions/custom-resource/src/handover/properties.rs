//! Owns what a handover is about: its properties, read with all that is wrong with them. Pure.

use std::net::Ipv4Addr;

use emite_core::arn::{Arn, Home, InstanceId};
use emite_core::handover::TEXT;
use emite_core::layout;
use emite_core::links::data_streaming::{ResourceType, Source, Target};
use serde::{Deserialize, Serialize};

use crate::parameters::{at_home, bucket_name, customer_id, given, instance, kms_key, time_zone};
use crate::properties::Properties;
use crate::provider::RequestFailure;
use crate::request::Object;

/// What is handed over, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandoverProperties {
    pub(super) release: String,
    pub(super) instance_arn: Arn,
    pub(super) instance: InstanceId,
    pub(super) role: Arn,
    /// None if no one at eMite assumes the role.
    pub(super) customer_id: Option<String>,
    pub(super) agent_event_stream: Arn,
    /// Where contact records go on their way to the domain.
    pub(super) contact_record_target: Target,
    pub(super) domain: Arn,
    pub(super) search_endpoint: String,
    pub(super) time_zone: String,
    /// None if eMite hosts it.
    pub(super) server: Option<HandedServer>,
    pub(super) folder: Folder,
}

/// An eMite server in this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HandedServer {
    pub(super) id: String,
    pub(super) address: Ipv4Addr,
}

/// Where the documents are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Folder {
    pub(super) bucket: String,
    /// Ends with a slash.
    pub(super) prefix: String,
    /// The key that encrypts them; none: as the bucket does.
    pub(super) key: Option<String>,
}

impl Folder {
    /// The address of the readable text.
    pub(super) fn document_uri(&self) -> String {
        format!("s3://{}/{}{TEXT}", self.bucket, self.prefix)
    }
}

impl HandoverProperties {
    /// Its records of one type.
    pub(super) fn source(&self, resource_type: ResourceType) -> Source {
        Source { instance: self.instance.clone(), resource_type }
    }

    pub(super) fn read(properties: &Object, home: &Home) -> Result<Self, RequestFailure> {
        let mut read = Properties::new(properties);
        let instance_arn = read.parsed("InstanceArn", |text| at_home(text, home));
        let instance = instance_arn.as_ref().and_then(|arn| match instance(&arn.to_string(), home) {
            Ok(instance) => Some(instance),
            Err(problem) => {
                read.problem("InstanceArn", problem);
                None
            }
        });
        let role = read.parsed("RoleArn", |text| role(text, home));
        let customer_id = given(&mut read, "CustomerId", customer_id);
        let agent_event_stream = read.parsed("AgentEventStreamArn", |text| {
            let arn = at_home(text, home)?;
            Target::of(arn.clone(), ResourceType::AgentEvents).map(|_| arn).map_err(str::to_owned)
        });
        let contact_record_target = read.parsed("ContactRecordTargetArn", |text| {
            Target::of(at_home(text, home)?, ResourceType::ContactTraceRecords).map_err(str::to_owned)
        });
        let domain = read.parsed("DomainArn", |text| domain(text, home));
        let search_endpoint = read.parsed("SearchEndpoint", endpoint);
        let zone = read.parsed("TimeZone", |text| time_zone(text).map(|()| text.to_owned()));
        let server = server(&mut read);
        let bucket = read.parsed("Bucket", bucket_name);
        let prefix = read.parsed("Prefix", prefix);
        let key = given(&mut read, "BucketKeyArn", |text| kms_key(text, home));
        let release = read.parsed("Release", release);
        read.finish()?;
        let complete = || {
            Some(Self {
                release: release?,
                instance_arn: instance_arn?,
                instance: instance?,
                role: role?,
                customer_id,
                agent_event_stream: agent_event_stream?,
                contact_record_target: contact_record_target?,
                domain: domain?,
                search_endpoint: search_endpoint?,
                time_zone: zone?,
                server,
                folder: Folder { bucket: bucket?, prefix: prefix?, key: key.map(|arn| arn.to_string()) },
            })
        };
        complete().ok_or_else(|| RequestFailure::Refused("the properties are incomplete".to_owned()))
    }
}

fn role(text: &str, home: &Home) -> Result<Arn, String> {
    let arn: Arn = text.parse().map_err(|error: emite_core::arn::NotAnArn| error.to_string())?;
    let ours = home.iam_arn(arn.resource.clone());
    // A path may stand before the name.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@/-".contains(&byte);
    let named = arn
        .resource
        .strip_prefix("role/")
        .is_some_and(|name| !name.is_empty() && !name.ends_with('/') && name.bytes().all(allowed));
    if arn == ours && named { Ok(arn) } else { Err(format!("must be the ARN of a role of account {}", home.account)) }
}

fn domain(text: &str, home: &Home) -> Result<Arn, String> {
    let arn = at_home(text, home)?;
    let named = arn.resource.strip_prefix("domain/").is_some_and(|name| !name.is_empty() && !name.contains('/'));
    if arn.service == "es" && named {
        Ok(arn)
    } else {
        Err("must be the ARN of a search domain: arn:aws:es:region:account:domain/name".to_owned())
    }
}

fn endpoint(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("https://").unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    let fits = (1..=260).contains(&host.len()) && host.bytes().all(allowed);
    if fits { Ok(text.to_owned()) } else { Err("must be https:// and a host name, with nothing behind it") }
}

fn server(read: &mut Properties<'_>) -> Option<HandedServer> {
    let address = given(read, "ServerAddress", |text| {
        text.parse::<Ipv4Addr>().map_err(|_| "must be an IPv4 address such as 203.0.113.10")
    });
    let id = given(read, "ServerId", |text| {
        let hex = text.strip_prefix("i-").unwrap_or_default();
        let fits = (8..=17).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits { Ok(text.to_owned()) } else { Err("must be the id of an EC2 instance: i- and 8 to 17 digits") }
    });
    match (id, address) {
        (Some(id), Some(address)) => Some(HandedServer { id, address }),
        (Some(_), None) if read.optional("ServerAddress").is_empty() => {
            read.problem("ServerAddress", "is missing, though there is a ServerId");
            None
        }
        (None, Some(_)) if read.optional("ServerId").is_empty() => {
            read.problem("ServerId", "is missing, though there is a ServerAddress");
            None
        }
        _ => None,
    }
}

/// A folder of its own in the stack's part of the bucket.
fn prefix(text: &str) -> Result<String, &'static str> {
    let stream = layout::stream_of(text, layout::HANDOVER);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match stream {
        Some(name) if (1..=64).contains(&name.len()) && name.bytes().all(allowed) => Ok(text.to_owned()),
        _ => Err("must be emite-connect/, the name of the delivery stream, and /handover/"),
    }
}

fn release(text: &str) -> Result<String, &'static str> {
    let fits = text.len() <= 100 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("must have 1 to 100 printable characters, and no space") }
}
