//! Owns what Preflight answers with: the names, ARNs and addresses that the rest of the stack refers to.

use emite_core::arn::Home;
use emite_core::layout;
use serde::{Deserialize, Serialize};

use super::chain::{ChainResource, delivery_role_name};
use super::values::Parameters;
use crate::response::Data;

/// What Preflight finds out for the rest of the stack. A resource has the same names here whether the stack creates it or it exists
/// already, so that the template need not distinguish them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attributes {
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

impl Attributes {
    /// With what follows from the names alone.
    pub(super) fn with_names(self, parameters: &Parameters, home: &Home) -> Self {
        let arn = |service: &str, kind: &str, name: Option<&str>| {
            name.map(|name| home.arn(service, format!("{kind}/{name}")).to_string()).unwrap_or_default()
        };
        let role = |known: String, name: Option<&str>| {
            let role = |name| home.iam_arn(format!("role/{name}")).to_string();
            if known.is_empty() { name.map(role).unwrap_or_default() } else { known }
        };
        let delivery = parameters.delivery_stream.as_ref();
        let created_delivery = delivery.and_then(ChainResource::created);
        let failed_prefix = match created_delivery {
            Some(name) => layout::folder(name, layout::FAILED),
            None => self.failed_prefix,
        };
        let delivery_role = created_delivery.map(delivery_role_name);
        let emite_role = parameters.role.as_ref().and_then(ChainResource::created);
        Self {
            agent_event_stream_arn: arn(
                "kinesis",
                "stream",
                parameters.agent_event_stream.as_ref().map(ChainResource::name),
            ),
            contact_record_stream_arn: arn("kinesis", "stream", parameters.contact_record_stream.as_deref()),
            delivery_stream_arn: arn("firehose", "deliverystream", delivery.map(ChainResource::name)),
            delivery_role_arn: role(self.delivery_role_arn, delivery_role.as_deref()),
            domain_arn: arn("es", "domain", parameters.domain.as_ref().map(ChainResource::name)),
            emite_role_arn: role(self.emite_role_arn, emite_role),
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
