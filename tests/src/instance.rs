//! Owns what tests do to a Connect instance of the stand-in, and see of it: exactly what a deployment must leave as it
//! found it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::local_aws::{LocalAws, percent_encoded};

/// A Connect instance of the stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Instance {
    /// The id.
    pub id: String,
    /// The ARN.
    pub arn: String,
}

/// What can be seen of an instance: exactly what a deployment must leave as it found it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct InstanceState {
    /// The storage configs of each streaming resource type, with their association ids.
    pub streaming: BTreeMap<String, Vec<Value>>,
    /// The approved origins, sorted.
    pub origins: Vec<String>,
}

impl InstanceState {
    /// The ARN that a resource type streams to, if any.
    #[must_use]
    pub fn target(&self, resource_type: &str) -> Option<String> {
        let config = self.streaming.get(resource_type)?.first()?;
        let arn = config["KinesisFirehoseConfig"]["FirehoseArn"].as_str();
        arn.or_else(|| config["KinesisStreamConfig"]["StreamArn"].as_str()).map(str::to_owned)
    }

    /// The same without association ids, which a removed and re-made association cannot keep.
    #[must_use]
    pub fn without_ids(mut self) -> Self {
        for config in self.streaming.values_mut().flatten() {
            if let Some(config) = config.as_object_mut() {
                config.remove("AssociationId");
            }
        }
        self
    }
}

impl LocalAws {
    /// A new instance of its own for one test.
    pub async fn new_instance(&self) -> Instance {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let alias = format!("e2e-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.new_instance_with(&json!({ "alias": alias, "status": "ACTIVE" })).await
    }

    /// A new instance as described (`alias`, `status`, …).
    pub async fn new_instance_with(&self, description: &Value) -> Instance {
        let answer = self.control("POST", "instances", description).await;
        serde_json::from_value(answer).expect("id and arn of the new instance")
    }

    /// What the instance is like now.
    pub async fn instance_state(&self, instance: &Instance) -> InstanceState {
        let mut state = InstanceState::default();
        for resource_type in ["CONTACT_TRACE_RECORDS", "AGENT_EVENTS"] {
            state.streaming.insert(resource_type.to_owned(), self.storage_configs(instance, resource_type).await);
        }
        state.origins = self.origins(instance).await;
        state
    }

    /// The storage configs of one resource type.
    pub async fn storage_configs(&self, instance: &Instance, resource_type: &str) -> Vec<Value> {
        let target = format!("/instance/{}/storage-configs?resourceType={resource_type}", instance.id);
        let answer = self.connect_call("GET", &target, &Value::Null).await;
        answer["StorageConfigs"].as_array().cloned().unwrap_or_default()
    }

    /// The approved origins, sorted.
    pub async fn origins(&self, instance: &Instance) -> Vec<String> {
        let first = format!("/instance/{}/approved-origins", instance.id);
        let mut origins = Vec::new();
        let mut target = first.clone();
        loop {
            let answer = self.connect_call("GET", &target, &Value::Null).await;
            let page = answer["Origins"].as_array().cloned().unwrap_or_default();
            origins.extend(page.iter().filter_map(|origin| origin.as_str().map(str::to_owned)));
            let Some(token) = answer["NextToken"].as_str() else { break };
            target = format!("{first}?nextToken={token}");
        }
        origins.sort();
        origins
    }

    /// Streams a resource type to a target, as somebody else would have.
    pub async fn stream_to(&self, instance: &Instance, resource_type: &str, target: &str) {
        let input = json!({ "ResourceType": resource_type, "StorageConfig": storage_config(target) });
        self.connect_call("PUT", &format!("/instance/{}/storage-config", instance.id), &input).await;
    }

    /// Streams a resource type nowhere, as by accident.
    pub async fn stop_streaming(&self, instance: &Instance, resource_type: &str) {
        for config in self.storage_configs(instance, resource_type).await {
            let id = config["AssociationId"].as_str().expect("an association has an id");
            let target = format!("/instance/{}/storage-config/{id}?resourceType={resource_type}", instance.id);
            self.connect_call("DELETE", &target, &Value::Null).await;
        }
    }

    /// Takes an origin off the list, as by accident.
    pub async fn disapprove(&self, instance: &Instance, origin: &str) {
        let target = format!("/instance/{}/approved-origin?origin={}", instance.id, percent_encoded(origin));
        self.connect_call("DELETE", &target, &Value::Null).await;
    }

    /// Approves an origin, as somebody else would have.
    pub async fn approve(&self, instance: &Instance, origin: &str) {
        self.connect_call("PUT", &format!("/instance/{}/approved-origin", instance.id), &json!({ "Origin": origin }))
            .await;
    }
}

/// The storage config that streams to that ARN, as Connect takes it.
#[must_use]
pub fn storage_config(target: &str) -> Value {
    if target.contains(":firehose:") {
        json!({ "StorageType": "KINESIS_FIREHOSE", "KinesisFirehoseConfig": { "FirehoseArn": target } })
    } else {
        json!({ "StorageType": "KINESIS_STREAM", "KinesisStreamConfig": { "StreamArn": target } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_without_ids_differs_only_by_them() {
        let config = |id: &str| json!([{ "AssociationId": id, "StorageType": "KINESIS_STREAM" }]);
        let state = |id: &str| InstanceState {
            streaming: BTreeMap::from([("AGENT_EVENTS".to_owned(), config(id).as_array().unwrap().clone())]),
            origins: vec!["https://x.example".to_owned()],
        };
        assert_ne!(state("a"), state("b"));
        assert_eq!(state("a").without_ids(), state("b").without_ids());
    }

    #[test]
    fn a_target_is_found_in_either_kind_of_config() {
        for arn in ["arn:aws:kinesis:r:1:stream/s", "arn:aws:firehose:r:1:deliverystream/d"] {
            let streaming = BTreeMap::from([("X".to_owned(), vec![storage_config(arn)])]);
            let state = InstanceState { streaming, origins: Vec::new() };
            assert_eq!(state.target("X").as_deref(), Some(arn));
            assert_eq!(state.target("Y"), None);
        }
    }
}
