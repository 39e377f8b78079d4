//! Owns what Preflight answers with: the names, ARNs and addresses that the rest of the stack refers to.

use emite_core::arn::Home;
use serde::{Deserialize, Serialize};

use super::values::{DELIVERY_ROLE_SUFFIX, Thing, Wanted};
use crate::answer::Data;

/// What Preflight finds out for the rest of the stack. Things have the same names here whether the stack makes them or they
/// exist already, so that the template need not tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Findings {
    pub(super) instance_id: String,
    /// Empty for an instance that has none.
    pub(super) instance_alias: String,
    /// Empty for an instance from before October 2018 that was never moved to a service-linked role.
    pub(super) service_role_arn: String,
    /// The image of the eMite server, chosen once; empty where eMite hosts it.
    pub(super) server_image_id: String,
    pub(super) agent_event_stream_arn: String,
    /// Empty if contact records go to the delivery stream directly.
    pub(super) contact_record_stream_arn: String,
    pub(super) delivery_stream_arn: String,
    pub(super) delivery_role_arn: String,
    pub(super) domain_arn: String,
    /// The address of an existing domain; empty for one that is still to be made.
    pub(super) search_endpoint: String,
    pub(super) emite_role_arn: String,
    /// What the keys of failed records begin with, before Firehose's name of the error.
    pub(super) failed_prefix: String,
}

impl Findings {
    /// With what follows from the names alone.
    pub(super) fn with_names(self, wanted: &Wanted, home: &Home) -> Self {
        let own = |service: &str, kind: &str, name: Option<&str>| {
            name.map(|name| home.arn(service, format!("{kind}/{name}")).to_string()).unwrap_or_default()
        };
        let role = |known: String, name: Option<String>| {
            let role = |name| home.iam_arn(format!("role/{name}")).to_string();
            if known.is_empty() { name.map(role).unwrap_or_default() } else { known }
        };
        let delivery = wanted.delivery_stream.as_ref();
        let made = |thing: &Option<Thing>| thing.as_ref().and_then(Thing::made).map(str::to_owned);
        let failed_prefix = match delivery.and_then(Thing::made) {
            Some(name) => format!("emite-connect/{name}/failed/"),
            None => self.failed_prefix,
        };
        let delivery_role = made(&wanted.delivery_stream).map(|name| format!("{name}{DELIVERY_ROLE_SUFFIX}"));
        Self {
            agent_event_stream_arn: own("kinesis", "stream", wanted.agent_event_stream.as_ref().map(Thing::name)),
            contact_record_stream_arn: own("kinesis", "stream", wanted.contact_record_stream.as_deref()),
            delivery_stream_arn: own("firehose", "deliverystream", delivery.map(Thing::name)),
            delivery_role_arn: role(self.delivery_role_arn, delivery_role),
            domain_arn: own("es", "domain", wanted.domain.as_ref().map(Thing::name)),
            emite_role_arn: role(self.emite_role_arn, made(&wanted.role)),
            failed_prefix,
            ..self
        }
    }

    pub(super) fn data(&self) -> Data {
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        Data::from([
            ("InstanceId", self.instance_id.clone()),
            ("InstanceAlias", self.instance_alias.clone()),
            ("ServiceRoleArn", self.service_role_arn.clone()),
            ("ServerImageId", self.server_image_id.clone()),
            ("AgentEventStreamArn", self.agent_event_stream_arn.clone()),
            ("AgentEventStreamName", name(&self.agent_event_stream_arn)),
            ("ContactRecordStreamArn", self.contact_record_stream_arn.clone()),
            ("DeliveryStreamArn", self.delivery_stream_arn.clone()),
            ("DeliveryStreamName", name(&self.delivery_stream_arn)),
            ("DeliveryRoleArn", self.delivery_role_arn.clone()),
            ("DomainArn", self.domain_arn.clone()),
            ("DomainName", name(&self.domain_arn)),
            ("SearchEndpoint", self.search_endpoint.clone()),
            ("EmiteRoleArn", self.emite_role_arn.clone()),
            ("FailedPrefix", self.failed_prefix.clone()),
        ])
    }
}
