//! Owns as much of AWS as the custom resources for Amazon Connect use, in memory: storage configs and approved origins, the
//! ledger, which streams exist, and what CloudFormation shows. Random sequences run on it by the thousand; a test compares
//! it with the local AWS.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::faults::ShownStack;
use crate::http::{Reply, Request};
use crate::stack::percent_decoded;

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryAws {
    /// The Connect instances by id.
    pub instances: BTreeMap<String, MemoryInstance>,
    /// The ARNs of all data streams and delivery streams.
    pub streams: BTreeSet<String>,
    /// What CloudFormation shows, by the stack's ARN.
    pub stacks: BTreeMap<String, ShownStack>,
    /// Whether Connect refuses to point an association from a data stream to a delivery stream. It is not documented.
    pub refuse_storage_type_change: bool,
    ledgers: BTreeMap<(String, String, String), Value>,
    associations_made: u32,
}

/// A Connect instance.
#[derive(Debug, Default)]
pub struct MemoryInstance {
    /// Id and storage config of the association of each resource type.
    pub streaming: BTreeMap<String, (String, Value)>,
    /// The approved origins.
    pub origins: Vec<String>,
}

/// Status, code and message of an error.
type Refusal = (u16, &'static str, String);
type Outcome = Result<Value, Refusal>;

impl MemoryAws {
    /// Carries a request out.
    ///
    /// # Panics
    ///
    /// If it is one that the custom resources never send.
    pub fn reply(&mut self, request: &Request) -> Reply {
        let input = || serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let outcome = match request.header("x-amz-target").and_then(|target| target.split('.').nth(1)) {
            Some("GetItem") => Ok(self.get_item(&input())),
            Some("PutItem") => self.put_item(&input()),
            Some("DescribeStream") => self.describe(&input()["StreamName"], "kinesis", "stream"),
            Some("DescribeDeliveryStream") => {
                self.describe(&input()["DeliveryStreamName"], "firehose", "deliverystream")
            }
            Some(target) => panic!("{target} is not expected"),
            None if request.path().starts_with("/instance/") => self.connect(request, &input()),
            None => return self.cloudformation(request),
        };
        match outcome {
            Ok(value) => Reply::new(200, value.to_string()).with("content-type", "application/json"),
            Err((status, code, message)) => {
                let body = json!({ "__type": code, "message": message }).to_string();
                Reply::new(status, body).with("content-type", "application/json").with("x-amzn-errortype", code)
            }
        }
    }

    /// Where an instance streams a resource type to, if anywhere.
    #[must_use]
    pub fn target(&self, instance: &str, resource_type: &str) -> Option<String> {
        let (_, config) = self.instances.get(instance)?.streaming.get(resource_type)?;
        target_of(config).map(str::to_owned)
    }

    fn get_item(&self, input: &Value) -> Value {
        match self.ledgers.get(&item_key(&input["TableName"], &input["Key"])) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        }
    }

    fn put_item(&mut self, input: &Value) -> Outcome {
        let key = item_key(&input["TableName"], &input["Item"]);
        let standing = self.ledgers.get(&key);
        let holds = match input["ConditionExpression"].as_str() {
            Some("attribute_not_exists(pk)") => standing.is_none(),
            Some("version = :replaced") => {
                let replaced = &input["ExpressionAttributeValues"][":replaced"];
                standing.is_some_and(|item| item["version"] == *replaced)
            }
            other => panic!("the condition {other:?} is not expected"),
        };
        if !holds {
            return Err((400, "ConditionalCheckFailedException", "The conditional request failed".to_owned()));
        }
        self.ledgers.insert(key, input["Item"].clone());
        Ok(json!({}))
    }

    fn describe(&self, name: &Value, service: &str, kind: &str) -> Outcome {
        let name = name.as_str().unwrap_or_default();
        let suffix = format!(":{kind}/{name}");
        let found = self.streams.iter().find(|arn| arn.split(':').nth(2) == Some(service) && arn.ends_with(&suffix));
        let Some(arn) = found else {
            return Err((400, "ResourceNotFoundException", format!("{kind} {name} not found")));
        };
        Ok(json!({
            "StreamDescription": {
                "StreamName": name, "StreamARN": arn, "StreamStatus": "ACTIVE", "Shards": [], "HasMoreShards": false,
                "RetentionPeriodHours": 24, "StreamCreationTimestamp": 0, "EnhancedMonitoring": [],
            },
            "DeliveryStreamDescription": {
                "DeliveryStreamName": name, "DeliveryStreamARN": arn, "DeliveryStreamStatus": "ACTIVE",
                "DeliveryStreamType": "DirectPut", "VersionId": "1", "Destinations": [], "HasMoreDestinations": false,
            },
        }))
    }

    fn connect(&mut self, request: &Request, input: &Value) -> Outcome {
        let query = |name: &str| {
            let pairs = request.target.split_once('?').map_or("", |(_, query)| query);
            let value = pairs.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map(percent_decoded).unwrap_or_default()
        };
        let labels: Vec<&str> = request.path().trim_matches('/').split('/').collect();
        let id = labels.get(1).copied().unwrap_or_default();
        let Some(instance) = self.instances.get_mut(id) else { return Err(not_found(&format!("instance {id}"))) };
        match (request.method.as_str(), labels.get(2).copied(), labels.get(3).copied()) {
            ("GET", None, None) => {
                Ok(json!({ "Instance": { "Id": id, "InstanceAlias": "memory", "InstanceStatus": "ACTIVE" } }))
            }
            ("GET", Some("approved-origins"), None) => Ok(json!({ "Origins": instance.origins })),
            ("PUT", Some("approved-origin"), None) => {
                let origin = input["Origin"].as_str().unwrap_or_default().to_owned();
                if instance.origins.contains(&origin) {
                    return Err((409, "ResourceConflictException", "The origin is approved already.".to_owned()));
                }
                instance.origins.push(origin);
                Ok(json!({}))
            }
            ("DELETE", Some("approved-origin"), None) => {
                let origin = query("origin");
                let at = instance.origins.iter().position(|listed| *listed == origin);
                instance.origins.remove(at.ok_or_else(|| not_found("origin"))?);
                Ok(json!({}))
            }
            ("GET", Some("storage-configs"), None) => {
                let shown = instance.streaming.get(&query("resourceType")).map(|(id, config)| {
                    let mut config = config.clone();
                    config["AssociationId"] = json!(id);
                    config
                });
                Ok(json!({ "StorageConfigs": Vec::from_iter(shown) }))
            }
            ("PUT", Some("storage-config"), None) => {
                let resource_type = input["ResourceType"].as_str().unwrap_or_default();
                if instance.streaming.contains_key(resource_type) {
                    return Err((409, "ResourceConflictException", "There is a storage config already.".to_owned()));
                }
                existing(&self.streams, &input["StorageConfig"])?;
                self.associations_made += 1;
                let association = format!("association-{}", self.associations_made);
                let config = (association.clone(), input["StorageConfig"].clone());
                instance.streaming.insert(resource_type.to_owned(), config);
                Ok(json!({ "AssociationId": association }))
            }
            ("POST", Some("storage-config"), Some(association)) => {
                let config = associated(instance, &query("resourceType"), association)?;
                let changes_type = config["StorageType"] != input["StorageConfig"]["StorageType"];
                if changes_type && self.refuse_storage_type_change {
                    let message = "The storage type of a storage config cannot be changed.";
                    return Err((400, "InvalidParameterException", message.to_owned()));
                }
                existing(&self.streams, &input["StorageConfig"])?;
                *config = input["StorageConfig"].clone();
                Ok(json!({}))
            }
            ("DELETE", Some("storage-config"), Some(association)) => {
                associated(instance, &query("resourceType"), association)?;
                instance.streaming.remove(&query("resourceType"));
                Ok(json!({}))
            }
            _ => panic!("{} {} is not expected", request.method, request.target),
        }
    }

    fn cloudformation(&self, request: &Request) -> Reply {
        let body = String::from_utf8_lossy(&request.body);
        let named = body.split('&').find_map(|pair| pair.strip_prefix("StackName=")).unwrap_or_default();
        let shown = self.stacks.get(&percent_decoded(named)).and_then(|stack| stack.reply(request));
        shown.unwrap_or_else(|| panic!("{body} is not expected"))
    }
}

fn item_key(table: &Value, item: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(table), text(&item["pk"]["S"]), text(&item["sk"]["S"]))
}

fn target_of(config: &Value) -> Option<&str> {
    let firehose = config["KinesisFirehoseConfig"]["FirehoseArn"].as_str();
    firehose.or_else(|| config["KinesisStreamConfig"]["StreamArn"].as_str())
}

fn existing(streams: &BTreeSet<String>, config: &Value) -> Result<(), Refusal> {
    match target_of(config) {
        Some(arn) if streams.contains(arn) => Ok(()),
        _ => Err((400, "InvalidRequestException", "The storage does not exist.".to_owned())),
    }
}

fn associated<'a>(instance: &'a mut MemoryInstance, resource_type: &str, id: &str) -> Result<&'a mut Value, Refusal> {
    match instance.streaming.get_mut(resource_type) {
        Some((standing, config)) if standing == id => Ok(config),
        _ => Err(not_found("storage config")),
    }
}

fn not_found(what: &str) -> Refusal {
    (404, "ResourceNotFoundException", format!("There is no such {what}."))
}
