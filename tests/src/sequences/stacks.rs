//! Owns CloudFormation's part of a sequence: what it shows, which requests it sends, and which of them take back others.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};

use super::oracle::{Oracle, Outcome};
use super::{Cloud, Config, Ending, Repair, Response, Sequence, State, Step, Stream};
use crate::faults::ShownStack;

/// The two custom resources of a stack, as the template names them.
const STREAMING: &str = "Streaming";
const ORIGIN: &str = "Origin";

#[derive(Clone, Debug)]
struct Resource {
    properties: Value,
    physical_id: String,
}

#[derive(Debug)]
struct Stack {
    number: usize,
    generation: u32,
    status: &'static str,
    config: Option<Config>,
    resources: BTreeMap<&'static str, Resource>,
    /// The resources that a response is awaited for, and how that shows.
    awaited: BTreeMap<&'static str, &'static str>,
}

/// One request of CloudFormation.
#[derive(Clone, Debug)]
struct Asked {
    name: &'static str,
    request_type: &'static str,
    properties: Value,
    old: Option<Value>,
    physical_id: Option<String>,
}

/// Runs a sequence, and compares what comes of it with the oracle.
///
/// # Panics
///
/// If something else comes of it, or if CloudFormation gets stuck.
pub async fn play<C: Cloud>(sequence: &Sequence, cloud: &mut C) {
    let mut oracle = Oracle::new(sequence);
    let mut stacks = [0, 1].map(|number| Stack {
        number,
        generation: 0,
        status: "",
        config: None,
        resources: BTreeMap::new(),
        awaited: BTreeMap::new(),
    });
    let before = sequence.before.origins.iter().enumerate();
    let mut listed_by_others: BTreeSet<(usize, u8)> =
        before.flat_map(|(instance, origins)| origins.iter().map(move |origin| (instance, *origin))).collect();
    for (at, step) in sequence.steps.iter().enumerate() {
        if !is_possible(step, &oracle) {
            continue;
        }
        let outcome = match step {
            Step::Deploy { stack, config, ending, repaired } => {
                let repair = repair_of(&stacks[*stack], *repaired);
                deploy(sequence, cloud, &mut stacks[*stack], config, *ending, repair).await
            }
            Step::Delete { stack, repaired } => {
                let repair = repair_of(&stacks[*stack], *repaired);
                delete(cloud, &mut stacks[*stack], repair).await;
                Outcome::Done
            }
            Step::Repair { stack } => {
                cloud.settled().await;
                if let Some(repair) = repair_of(&stacks[*stack], true) {
                    cloud.repair(repair).await;
                }
                Outcome::Done
            }
            _ => {
                cloud.settled().await;
                note(&mut listed_by_others, step, &cloud.state().await);
                cloud.person(step).await;
                Outcome::Done
            }
        };
        let at_step = |problem| format!("step {at} of {sequence:?}: {problem}");
        oracle.step(step, outcome).map_err(at_step).unwrap();
        // What nobody waits for may go on into the next step.
        let may_go_on = matches!(step, Step::Deploy { ending: Ending::Cancelled, .. }) && at % 2 == 0;
        if !may_go_on {
            cloud.settled().await;
            oracle.see(&cloud.state().await).map_err(at_step).unwrap();
        }
    }
    cloud.settled().await;
    let left = cloud.state().await;
    oracle.see(&left).map_err(|problem| format!("the end of {sequence:?}: {problem}")).unwrap();
    // Whatever the oracle says: nothing of a stack is left, unless they replaced each other's, and no third party's origin is lost.
    let is_own = |live: &Option<Stream>| matches!(live, Some(Stream::Own { .. }));
    assert!(sequence.is_shared() || !left.live.iter().any(is_own), "{left:?} at the end of {sequence:?}");
    for (instance, origin) in listed_by_others {
        assert!(left.origins[instance].contains(&origin), "{left:?} at the end of {sequence:?}");
    }
    if sequence.is_left_alone() {
        assert_eq!(left, sequence.before, "the end of {sequence:?}");
    }
}

/// Which origins are there without a stack, after a person's step.
fn note(listed_by_others: &mut BTreeSet<(usize, u8)>, step: &Step, state: &State) {
    match step {
        Step::Origin { instance, origin, listed: true } if !state.origins[*instance].contains(origin) => {
            listed_by_others.insert((*instance, *origin));
        }
        Step::Origin { instance, origin, listed: false } => {
            listed_by_others.remove(&(*instance, *origin));
        }
        Step::DeleteInstance(gone) => listed_by_others.retain(|(instance, _)| instance != gone),
        _ => {}
    }
}

fn is_possible(step: &Step, oracle: &Oracle) -> bool {
    match step {
        Step::Deploy { stack, config, .. } => {
            let missing = matches!(config.target, Stream::Theirs(_)) && !oracle.has_stream(config.target);
            // CloudFormation does nothing for an update that changes nothing; Preflight refuses a stream that is not there.
            oracle.deployed(*stack) != Some(config) && oracle.has_instance(config.instance) && !missing
        }
        Step::Delete { stack, .. } | Step::Repair { stack } => oracle.deployed(*stack).is_some(),
        Step::Stream { instance, to } => oracle.has_instance(*instance) && to.is_none_or(|to| oracle.has_stream(to)),
        Step::DeleteStream(stream) => oracle.has_stream(*stream),
        Step::Origin { instance, .. } | Step::DeleteInstance(instance) => oracle.has_instance(*instance),
    }
}

fn repair_of(stack: &Stack, repaired: bool) -> Option<Repair> {
    let config = stack.config.clone().filter(|_| repaired)?;
    Some(Repair { stack: (stack.number, stack.generation), config })
}

async fn deploy<C: Cloud>(
    sequence: &Sequence,
    cloud: &mut C,
    stack: &mut Stack,
    new: &Config,
    ending: Ending,
    repair: Option<Repair>,
) -> Outcome {
    let old = stack.config.clone();
    if old.is_none() {
        stack.generation += 1;
        cloud.new_stack(stack.number, stack.generation).await;
    }
    let is_own = |stream: Stream| matches!(stream, Stream::Own { .. });
    if is_own(new.target) && old.as_ref().is_none_or(|old| old.target != new.target) {
        cloud.set_stream(new.target, true).await;
    }
    let before = stack.resources.clone();
    let wanted = resources(sequence, cloud, new);
    let asked: Vec<Asked> = wanted.iter().filter_map(|(name, properties)| change(&before, name, properties)).collect();
    let update = old.is_some();
    stack.show(cloud, if update { "UPDATE_IN_PROGRESS" } else { "CREATE_IN_PROGRESS" }, new);
    let work = ask_all(cloud, stack, &asked, new, ending == Ending::Cancelled);
    let (responses, ()) = futures::join!(work, run(cloud, repair));
    let all_well = asked.iter().all(|asked| responses.get(asked.name).is_some_and(|response| response.success));
    if ending == Ending::Well && all_well {
        stack.settle(&asked, &responses);
        stack.config = Some(new.clone());
        if let Some(old) = old {
            stack.show(cloud, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", new);
            let left = stack.left_behind(&before, |name| wanted.contains_key(name));
            stack.resources.retain(|name, _| wanted.contains_key(name));
            must_succeed(cloud, stack, &left, new).await;
            if is_own(old.target) && old.target != new.target {
                cloud.set_stream(old.target, false).await;
            }
        }
        stack.show(cloud, if update { "UPDATE_COMPLETE" } else { "CREATE_COMPLETE" }, new);
        return Outcome::Done;
    }
    // All back. What never answered has the name that CloudFormation knows, or makes up.
    stack.settle(&asked, &responses);
    match old {
        None => {
            stack.show(cloud, "ROLLBACK_IN_PROGRESS", new);
            remove_all(cloud, stack, new).await;
            stack.show(cloud, "ROLLBACK_COMPLETE", new);
        }
        Some(old) => {
            stack.show(cloud, "UPDATE_ROLLBACK_IN_PROGRESS", &old);
            let back: Vec<Asked> = asked
                .iter()
                .filter_map(|asked| {
                    let resource = &stack.resources[asked.name];
                    Some(Asked {
                        name: asked.name,
                        request_type: "Update",
                        properties: asked.old.clone()?,
                        old: Some(asked.properties.clone()),
                        physical_id: Some(resource.physical_id.clone()),
                    })
                })
                .collect();
            let replaced = stack.resources.clone();
            let responses = must_succeed(cloud, stack, &back, &old).await;
            stack.settle(&back, &responses);
            stack.show(cloud, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", &old);
            let left = stack.left_behind(&replaced, |name| before.contains_key(name));
            stack.resources.retain(|name, _| before.contains_key(name));
            must_succeed(cloud, stack, &left, &old).await;
            if is_own(new.target) && old.target != new.target {
                cloud.set_stream(new.target, false).await;
            }
            stack.show(cloud, "UPDATE_ROLLBACK_COMPLETE", &old);
        }
    }
    Outcome::RolledBack
}

async fn delete<C: Cloud>(cloud: &mut C, stack: &mut Stack, repair: Option<Repair>) {
    let Some(config) = stack.config.clone() else { return };
    stack.show(cloud, "DELETE_IN_PROGRESS", &config);
    futures::join!(remove_all(cloud, stack, &config), run(cloud, repair));
    stack.show(cloud, "DELETE_COMPLETE", &config);
}

async fn remove_all<C: Cloud>(cloud: &C, stack: &mut Stack, config: &Config) {
    let left: Vec<Asked> = stack.resources.iter().map(|(name, resource)| removal(name, resource)).collect();
    must_succeed(cloud, stack, &left, config).await;
    if let Stream::Own { .. } = config.target {
        cloud.set_stream(config.target, false).await;
    }
    stack.resources.clear();
    stack.config = None;
}

async fn run<C: Cloud>(cloud: &C, repair: Option<Repair>) {
    if let Some(repair) = repair {
        cloud.repair(repair).await;
    }
}

/// What a stack's resources are when it is deployed with that.
fn resources<C: Cloud>(sequence: &Sequence, cloud: &C, config: &Config) -> BTreeMap<&'static str, Value> {
    let instance = cloud.instance_arn(config.instance);
    let streaming = json!({
        "InstanceArn": instance,
        "ResourceType": sequence.resource_type(),
        "TargetArn": cloud.stream_arn(config.target),
        "OnExisting": if config.replace { "Replace" } else { "Fail" },
        "DrainSeconds": cloud.drain_seconds(),
    });
    let origin = config.origin.map(|origin| json!({ "InstanceArn": instance, "Origin": origin_url(origin) }));
    [(STREAMING, Some(streaming)), (ORIGIN, origin)]
        .into_iter()
        .filter_map(|(name, properties)| Some((name, properties?)))
        .collect()
}

/// The origin of that number.
#[must_use]
pub fn origin_url(origin: u8) -> String {
    format!("https://emite-{origin}.example.com")
}

fn change(before: &BTreeMap<&'static str, Resource>, name: &'static str, properties: &Value) -> Option<Asked> {
    let properties = properties.clone();
    match before.get(name) {
        None => Some(Asked { name, request_type: "Create", properties, old: None, physical_id: None }),
        Some(standing) if standing.properties == properties => None,
        Some(standing) => Some(Asked {
            name,
            request_type: "Update",
            properties,
            old: Some(standing.properties.clone()),
            physical_id: Some(standing.physical_id.clone()),
        }),
    }
}

fn removal(name: &'static str, resource: &Resource) -> Asked {
    Asked {
        name,
        request_type: "Delete",
        properties: resource.properties.clone(),
        old: None,
        physical_id: Some(resource.physical_id.clone()),
    }
}

async fn must_succeed<C: Cloud>(
    cloud: &C,
    stack: &mut Stack,
    asked: &[Asked],
    config: &Config,
) -> BTreeMap<&'static str, Response> {
    let responses = ask_all(cloud, stack, asked, config, false).await;
    for (name, response) in &responses {
        let status = stack.status;
        assert!(response.success, "stack {} is stuck in {status}: {name}: {}", stack.number, response.reason);
    }
    responses
}

/// Sends requests side by side, and returns the responses; those that are there by then, if another resource fails meanwhile.
async fn ask_all<C: Cloud>(
    cloud: &C,
    stack: &mut Stack,
    asked: &[Asked],
    config: &Config,
    cancelled: bool,
) -> BTreeMap<&'static str, Response> {
    for asked in asked.iter().filter(|asked| asked.request_type != "Delete") {
        let awaited = if asked.request_type == "Create" { "CREATE_IN_PROGRESS" } else { "UPDATE_IN_PROGRESS" };
        stack.awaited.insert(asked.name, awaited);
    }
    stack.show(cloud, stack.status, config);
    let number = stack.number;
    let mut waiting: FuturesUnordered<_> =
        asked.iter().map(|asked| async move { (asked.name, cloud.respond(number, asked.event()).await) }).collect();
    let mut responses = BTreeMap::new();
    {
        let all = async {
            while let Some((name, response)) = waiting.next().await {
                responses.insert(name, response);
            }
        };
        let until = async {
            if !cancelled {
                std::future::pending::<()>().await;
            }
            cloud.meanwhile().await;
        };
        futures::pin_mut!(all, until);
        futures::future::select(all, until).await;
    }
    stack.awaited.clear();
    stack.show(cloud, stack.status, config);
    responses
}

impl Asked {
    fn event(&self) -> Value {
        let kind = if self.name == STREAMING { "ConnectDataStreaming" } else { "ConnectApprovedOrigin" };
        let mut event = json!({
            "RequestType": self.request_type,
            "ResourceType": format!("Custom::{kind}"),
            "LogicalResourceId": self.name,
            "ResourceProperties": self.properties,
        });
        if let Some(old) = &self.old {
            event["OldResourceProperties"] = old.clone();
        }
        if let Some(physical_id) = &self.physical_id {
            event["PhysicalResourceId"] = json!(physical_id);
        }
        event
    }
}

impl Stack {
    /// The Deletes of what was there `before` and has to go: it was replaced, or is not to `stay`.
    fn left_behind(&self, before: &BTreeMap<&'static str, Resource>, stay: impl Fn(&str) -> bool) -> Vec<Asked> {
        let gone = |(name, resource): &(&&'static str, &Resource)| {
            let now = self.resources.get(*name).filter(|_| stay(name));
            now.is_none_or(|now| now.physical_id != resource.physical_id)
        };
        before.iter().filter(gone).map(|(name, resource)| removal(name, resource)).collect()
    }

    /// Notes what came of requests: the name in the response; what CloudFormation knew, or makes up, where there is none.
    fn settle(&mut self, asked: &[Asked], responses: &BTreeMap<&'static str, Response>) {
        for asked in asked {
            let response = responses.get(asked.name).map(|response| response.physical_id.clone());
            let known = response.or_else(|| asked.physical_id.clone());
            let physical_id = known.unwrap_or_else(|| format!("stack-{}-{}-1A2B3C", self.number, asked.name));
            self.resources.insert(asked.name, Resource { properties: asked.properties.clone(), physical_id });
        }
    }

    fn show<C: Cloud>(&mut self, cloud: &C, status: &'static str, config: &Config) {
        self.status = status;
        let kind = |name: &str| match name {
            STREAMING => "Custom::ConnectDataStreaming",
            _ => "Custom::ConnectApprovedOrigin",
        };
        let mut resources: Vec<[String; 4]> = Vec::new();
        for name in [STREAMING, ORIGIN] {
            let known = self.resources.get(name);
            let status = self.awaited.get(name).copied().or(known.map(|_| "UPDATE_COMPLETE"));
            if let Some(status) = status {
                let physical_id = known.map(|resource| resource.physical_id.clone()).unwrap_or_default();
                resources.push([name.to_owned(), kind(name).to_owned(), status.to_owned(), physical_id]);
            }
        }
        let arn = cloud.stream_arn(config.target);
        let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
        let own = if arn.contains(":firehose:") { "DeliveryStream" } else { "AgentEventStream" };
        let mut parameters = vec![
            ("EmiteUrl".to_owned(), config.origin.map(origin_url).unwrap_or_default()),
            ("ConnectInstanceArn".to_owned(), cloud.instance_arn(config.instance)),
        ];
        match config.target {
            Stream::Own { .. } => {
                resources.push([own.to_owned(), "AWS::Kinesis::Stream".to_owned(), "CREATE_COMPLETE".to_owned(), name]);
            }
            Stream::Theirs(_) => {
                for parameter in ["ExistingAgentEventStreamName", "ExistingContactRecordStreamName"] {
                    parameters.push((parameter.to_owned(), name.clone()));
                }
            }
        }
        cloud.show(self.number, ShownStack { status: status.to_owned(), parameters, resources });
    }
}
