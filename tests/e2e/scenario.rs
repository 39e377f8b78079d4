//! Owns the scenarios that the fault matrix and its relatives go through: one kind of thing, one step of its life, one
//! state of the instance before; each in a world of its own, with what a clean run of it comes to.

use emite_connect_tests::faults::{Fault, Plan};
use emite_connect_tests::instance::InstanceState;
use serde_json::Value;

use crate::world::{AMPLE, Answer, Event, Targets, World};

/// What is managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    AgentEvents,
    ContactRecords,
    /// Contact records between a data stream and a delivery stream, where Connect refuses to change the storage type of an
    /// association: it has to be ended and another one made.
    ContactRecordsAnew,
    Origin,
}

/// What CloudFormation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    Update,
    Delete,
}

/// What was there before the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Foreign,
    Equal,
}

/// One row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) link: Link,
    pub(crate) step: Step,
    pub(crate) before: Before,
}

/// A scenario in its world, about to take its step.
pub(crate) struct Stage {
    pub(crate) scenario: Scenario,
    pub(crate) world: World,
    /// Before the stack.
    pub(crate) before: InstanceState,
    /// Before the step.
    pub(crate) created: InstanceState,
    /// The Create that made the resource, or makes it.
    pub(crate) create: Event,
    /// The step.
    pub(crate) event: Event,
    pub(crate) physical_id: String,
}

/// What a step comes to when nothing breaks.
#[derive(Debug)]
pub(crate) struct Clean {
    pub(crate) calls: Vec<String>,
    state: InstanceState,
    data: Value,
}

const ORIGIN: &str = "https://emite.example.com";
const ORIGIN_RENAMED: &str = "https://emite-new.example.com";
const FOREIGN_ORIGIN: &str = "https://other.example.com";

impl Scenario {
    /// The properties at first, and after an update.
    fn properties(self, world: &World, targets: &Targets) -> [Value; 2] {
        let on_existing = if self.before == Before::Nothing { "Fail" } else { "Replace" };
        match self.link {
            Link::AgentEvents => [&targets.stream, &targets.stream_renamed]
                .map(|target| world.streaming("AGENT_EVENTS", target, on_existing)),
            Link::ContactRecords => [&targets.firehose, &targets.firehose_renamed]
                .map(|target| world.streaming("CONTACT_TRACE_RECORDS", target, on_existing)),
            Link::ContactRecordsAnew => [&targets.firehose, &targets.stream]
                .map(|target| world.streaming("CONTACT_TRACE_RECORDS", target, on_existing)),
            Link::Origin => [ORIGIN, ORIGIN_RENAMED].map(|origin| world.origin(origin)),
        }
    }

    fn resource_type(self) -> &'static str {
        if self.link == Link::Origin { "Custom::ConnectApprovedOrigin" } else { "Custom::ConnectDataStreaming" }
    }

    /// What holds besides the faults.
    pub(crate) fn nature(self) -> Option<Plan> {
        let fault = Fault::Refused("InvalidRequestException");
        (self.link == Link::ContactRecordsAnew).then(|| Plan {
            action: "connect:UpdateInstanceStorageConfig".to_owned(),
            nth: 1,
            times: usize::MAX,
            fault,
        })
    }

    /// What the scenario can change of its instance. The clean runs look at the rest too.
    async fn look(self, world: &World) -> InstanceState {
        let (aws, instance) = (world.aws, &world.instance);
        let mut state = InstanceState::default();
        match self.link {
            Link::Origin => state.origins = aws.origins(instance).await,
            link => {
                let kind = if link == Link::AgentEvents { "AGENT_EVENTS" } else { "CONTACT_TRACE_RECORDS" };
                state.streaming.insert(kind.to_owned(), aws.storage_configs(instance, kind).await);
            }
        }
        state
    }

    /// Whatever the scenario is not about was empty and has to be.
    async fn check_the_rest(self, world: &World) -> Result<(), String> {
        let (all, own) = (world.state().await, self.look(world).await);
        let others =
            all.streaming.iter().filter(|(kind, configs)| !own.streaming.contains_key(*kind) && !configs.is_empty());
        let rest = others.count() + if self.link == Link::Origin { 0 } else { all.origins.len() };
        if rest == 0 { Ok(()) } else { Err(format!("touched what it is not about: {all:?}")) }
    }

    async fn arrange(self, world: &World, targets: &Targets) {
        let (aws, instance) = (world.aws, &world.instance);
        match (self.link, self.before) {
            (_, Before::Nothing) => {}
            (Link::AgentEvents, Before::Foreign) => {
                aws.stream_to(instance, "AGENT_EVENTS", &targets.foreign_stream).await
            }
            (Link::AgentEvents, Before::Equal) => aws.stream_to(instance, "AGENT_EVENTS", &targets.stream).await,
            (Link::ContactRecords, Before::Foreign) => {
                aws.stream_to(instance, "CONTACT_TRACE_RECORDS", &targets.foreign_firehose).await
            }
            (Link::ContactRecords, Before::Equal) => {
                aws.stream_to(instance, "CONTACT_TRACE_RECORDS", &targets.firehose).await
            }
            (Link::ContactRecordsAnew, Before::Foreign) => {
                aws.stream_to(instance, "CONTACT_TRACE_RECORDS", &targets.foreign_stream).await
            }
            (Link::ContactRecordsAnew, Before::Equal) => {
                aws.stream_to(instance, "CONTACT_TRACE_RECORDS", &targets.firehose).await
            }
            (Link::Origin, Before::Foreign) => aws.approve(instance, FOREIGN_ORIGIN).await,
            (Link::Origin, Before::Equal) => aws.approve(instance, ORIGIN).await,
        }
    }

    /// Everything up to the step, with nothing broken.
    pub(crate) async fn stage(self) -> Result<Stage, String> {
        let targets = Targets::get().await;
        // Long enough for one more try on a busy machine.
        let world = World::with_environment(&[("PERMISSION_GRACE_SECONDS", "10")]).await;
        self.arrange(&world, targets).await;
        world.proxy.plan(self.nature());
        let before = self.look(&world).await;
        let [first, second] = self.properties(&world, targets);
        let create = Event::new("Create", self.resource_type(), &first);
        if self.step == Step::Create {
            return Ok(Stage {
                scenario: self,
                world,
                created: before.clone(),
                before,
                event: create.clone(),
                create,
                physical_id: String::new(),
            });
        }
        let made = expect_success("the Create before", world.try_send(&create, AMPLE).await)?;
        let event = match self.step {
            Step::Update => create.update(&second, &made.physical_id),
            _ => create.delete(&made.physical_id),
        };
        let created = self.look(&world).await;
        Ok(Stage { scenario: self, world, before, created, create, event, physical_id: made.physical_id })
    }

    pub(crate) async fn clean_run(self) -> Result<Clean, String> {
        let stage = self.stage().await?;
        let moment = std::time::Instant::now();
        let answer = expect_success("the clean step", stage.world.try_send(&stage.event, AMPLE).await)?;
        let calls = stage.world.calls_since(moment).into_iter().map(|call| call.action).collect();
        let state = self.look(&stage.world).await;
        self.check_the_rest(&stage.world).await?;
        let clean = Clean { calls, state: state.clone().without_ids(), data: comparable(&answer.data) };
        check_data(&answer, &state, self)?;
        check_physical_id(&answer.physical_id, &stage, self)?;
        stage.take_away(self, &answer.physical_id).await?;
        stage.world.try_end().await?;
        Ok(clean)
    }
}

/// Every combination.
pub(crate) fn every_scenario() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for link in [Link::AgentEvents, Link::ContactRecords, Link::Origin] {
        for step in [Step::Create, Step::Update, Step::Delete] {
            for before in [Before::Nothing, Before::Foreign, Before::Equal] {
                scenarios.push(Scenario { link, step, before });
            }
        }
    }
    scenarios
}

pub(crate) fn expect_success(what: &str, answer: Result<Answer, String>) -> Result<Answer, String> {
    let answer = answer.map_err(|objection| format!("{what}: {objection}"))?;
    if answer.success { Ok(answer) } else { Err(format!("{what}: FAILED: {}", answer.reason)) }
}

fn comparable(data: &Value) -> Value {
    let mut data = data.clone();
    if let Some(data) = data.as_object_mut() {
        data.remove("AssociationId");
    }
    data
}

fn check_data(answer: &Answer, state: &InstanceState, scenario: Scenario) -> Result<(), String> {
    if scenario.link == Link::Origin || scenario.step == Step::Delete {
        return Ok(());
    }
    let live = state.streaming.values().flatten().find_map(|config| config["AssociationId"].as_str());
    let told = answer.data["AssociationId"].as_str();
    if live.is_some() && live == told { Ok(()) } else { Err(format!("AssociationId {told:?}, live {live:?}")) }
}

pub(crate) fn check_physical_id(id: &str, stage: &Stage, scenario: Scenario) -> Result<(), String> {
    let instance = &stage.world.instance.id;
    let expected = match (scenario.link, scenario.step) {
        (Link::AgentEvents, _) => format!("{instance}|data-streaming|AGENT_EVENTS"),
        (Link::ContactRecords | Link::ContactRecordsAnew, _) => {
            format!("{instance}|data-streaming|CONTACT_TRACE_RECORDS")
        }
        (Link::Origin, Step::Update) => format!("{instance}|approved-origin|{ORIGIN_RENAMED}"),
        (Link::Origin, _) => format!("{instance}|approved-origin|{ORIGIN}"),
    };
    if id == expected { Ok(()) } else { Err(format!("PhysicalResourceId {id:?} instead of {expected:?}")) }
}

impl Stage {
    /// Deletes whatever CloudFormation would delete now, and compares with what was there before the stack.
    pub(crate) async fn take_away(&self, scenario: Scenario, physical_id: &str) -> Result<(), String> {
        if scenario.step == Step::Update && physical_id != self.physical_id {
            let cleanup = self.create.delete(&self.physical_id);
            expect_success("the Delete of the replaced one", self.world.try_send(&cleanup, AMPLE).await)?;
        }
        let delete = if scenario.step == Step::Delete { self.event.clone() } else { self.event.delete(physical_id) };
        expect_success("the Delete afterwards", self.world.try_send(&delete, AMPLE).await)?;
        self.compare_with_before().await
    }

    pub(crate) async fn compare_with_before(&self) -> Result<(), String> {
        let after = self.scenario.look(&self.world).await;
        // An association that was made anew has another id.
        let anew = self.scenario.link == Link::ContactRecordsAnew;
        let same = after == self.before || anew && after.clone().without_ids() == self.before.clone().without_ids();
        if same { Ok(()) } else { Err(format!("left behind: {after:?}, before: {:?}", self.before)) }
    }
}

impl Stage {
    pub(crate) async fn compare_with_clean(&self, clean: &Clean, answer: &Answer, when: &str) -> Result<(), String> {
        let state = self.scenario.look(&self.world).await.without_ids();
        if state != clean.state {
            return Err(format!("{when}: {state:?}, in the clean run {:?}", clean.state));
        }
        let data = comparable(&answer.data);
        if data == clean.data { Ok(()) } else { Err(format!("{when}: Data {data}, in the clean run {}", clean.data)) }
    }

    pub(crate) async fn roll_back(&self, scenario: Scenario, failed_id: &str) -> Result<(), String> {
        if scenario.step == Step::Update {
            let properties = &self.create.0["ResourceProperties"];
            let back = self.event.update(properties, &self.physical_id);
            let back = expect_success("the rollback", self.world.try_send(&back, AMPLE).await)?;
            if failed_id != self.physical_id {
                let cleanup = self.event.delete(failed_id);
                expect_success("the Delete of what failed", self.world.try_send(&cleanup, AMPLE).await)?;
            }
            let state = self.scenario.look(&self.world).await;
            if state.clone().without_ids() != self.created.clone().without_ids() {
                return Err(format!("rolled back to {state:?}, before the update {:?}", self.created));
            }
            let delete = self.create.delete(&back.physical_id);
            expect_success("the Delete afterwards", self.world.try_send(&delete, AMPLE).await)?;
        } else {
            let delete = self.create.delete(failed_id);
            expect_success("the Delete after the failed Create", self.world.try_send(&delete, AMPLE).await)?;
        }
        self.compare_with_before().await
    }
}
