//! Owns the fault matrix: every call that a step makes, broken in every way, once and for good. Which calls there are is
//! not written here: a clean run of each scenario shows them, so that a new call is covered from its first day.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use emite_connect_tests::faults::{Fault, Plan};
use futures::StreamExt;
use tokio::sync::Semaphore;

use crate::scenario::{Before, Clean, Link, Scenario, Stage, Step, check_physical_id, expect_success};
use crate::world::{AMPLE, Answer, Event, RESERVE, World};

/// What CloudFormation does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The same event again, as Lambda does when an answer got lost, or an operator who continues.
    Rerun,
    /// Back to before.
    RollBack,
}

/// How long the function has to work. A call that works again after one attempt of 5 s in silence, that is denied (which
/// is waited out, with looks for stale reads in between) or that fails after all attempts gets the time that this takes;
/// one that would need longer than any deadline gets little, so that the deadline is what it meets.
fn patience(plan: &Plan) -> Duration {
    let comes_to_an_end = plan.times == 1 || matches!(plan.fault, Fault::Denied | Fault::Internal);
    Duration::from_secs(if comes_to_an_end { 25 } else { 3 })
}

/// By how much [`patience`] grows from one attempt at a cell to the next: on a busy machine the little time may be over
/// before the call to break is even made.
pub(crate) const ATTEMPTS: [u32; 3] = [1, 3, 9];

pub(crate) const NEVER_CAME: &str = "the fault never came: the calls differ from those of the clean run";

/// What is answered to `event` with what `plan` breaks, if that came to be called in the time.
pub(crate) async fn broken(world: &World, event: &Event, plan: &Plan, factor: u32) -> Result<Option<Answer>, String> {
    let moment = Instant::now();
    let answer = world.try_send(event, RESERVE + factor * patience(plan)).await?;
    let came = world.calls_since(moment).iter().any(|call| call.fault == Some(plan.fault));
    Ok(came.then_some(answer))
}

/// One cell: one scenario with one plan of faults.
async fn cell(scenario: Scenario, clean: &Clean, plan: &Plan, then: Then) -> Result<(), String> {
    for factor in ATTEMPTS {
        let stage = scenario.stage().await?;
        stage.world.proxy.plan([plan.clone()].into_iter().chain(scenario.nature()));
        if let Some(answer) = broken(&stage.world, &stage.event, plan, factor).await? {
            stage.world.proxy.plan(scenario.nature());
            return stage.conclude(scenario, clean, plan, then, &answer).await;
        }
    }
    Err(NEVER_CAME.to_owned())
}

impl Stage {
    /// Judges the answer, then does what CloudFormation does, down to the end of the stack.
    async fn conclude(
        self,
        scenario: Scenario,
        clean: &Clean,
        plan: &Plan,
        then: Then,
        answer: &Answer,
    ) -> Result<(), String> {
        check_physical_id(&answer.physical_id, &self, scenario)?;
        judge(scenario.step, plan, answer)?;
        if answer.success {
            self.compare_with_clean(clean, answer, "after the step").await?;
        }
        if !answer.success && then == Then::RollBack {
            self.roll_back(scenario, &answer.physical_id).await?;
        } else {
            let again = expect_success("the rerun", self.world.try_send(&self.event, AMPLE).await)?;
            self.compare_with_clean(clean, &again, "after the rerun").await?;
            self.take_away(scenario, &again.physical_id).await?;
        }
        self.world.try_end().await
    }
}

/// What a fault may come to. A call that fails once must not be noticed; a refused one names its fix.
fn judge(step: Step, plan: &Plan, answer: &Answer) -> Result<(), String> {
    if plan.times == 1 && !answer.success {
        return Err(format!("a passing fault was not survived: {}", answer.reason));
    }
    // A Delete whose stack may not be looked at does what the ledger says.
    let may_be_denied = plan.action == STACK && step == Step::Delete;
    if plan.fault == Fault::Denied && plan.times > 1 && plan.nth == 1 && answer.success && !may_be_denied {
        return Err("SUCCESS although the action is denied".to_owned());
    }
    let late = plan.fault != Fault::Denied && answer.reason.contains("time was up");
    if !answer.success && !late && !answer.reason.contains(&plan.action) {
        return Err(format!("the reason does not name {}: {}", plan.action, answer.reason));
    }
    Ok(())
}

/// Every plan for the calls of a clean run. Each call breaks once in every way. For good, each write does too, followed by
/// a rerun and by a rollback; of the reads of one action the first does, and later ones in the two ways that differ by then.
pub(crate) fn plans(calls: &[String]) -> Vec<(Plan, Then)> {
    let mut plans = Vec::new();
    for (action, nth) in numbered(calls) {
        let plan = |fault, times| Plan { action: action.to_owned(), nth, times, fault };
        let turns = [Then::Rerun, Then::RollBack].into_iter().cycle();
        for (fault, then) in Fault::ALL.into_iter().zip(turns) {
            plans.push((plan(fault, 1), then));
            let reads = is_read(action);
            // To the caller, a read whose answer is lost is one that was reset.
            let repeats =
                reads && (fault == Fault::Lost || nth > 1 && !matches!(fault, Fault::Internal | Fault::Denied));
            if !repeats {
                plans.push((plan(fault, usize::MAX), then));
            }
            if !reads && matches!(fault, Fault::Lost | Fault::Denied) {
                plans.push((plan(fault, usize::MAX), if then == Then::Rerun { Then::RollBack } else { Then::Rerun }));
            }
        }
    }
    plans
}

/// Each call, and which one of its action it is, from 1.
fn numbered(calls: &[String]) -> impl Iterator<Item = (&str, usize)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    calls.iter().map(move |action| {
        let nth = seen.entry(action).or_default();
        *nth += 1;
        (action.as_str(), *nth)
    })
}

/// For each write of a clean run, a plan with which nothing comes back of it, so that the process can be killed.
pub(crate) fn stuck_writes(calls: &[String]) -> impl Iterator<Item = Plan> {
    let writes = numbered(calls).filter(|(action, _)| !is_read(action));
    writes.map(|(action, nth)| Plan { action: action.to_owned(), nth, times: 1, fault: Fault::Stuck })
}

/// Whether the action leaves everything as it is.
pub(crate) fn is_read(action: &str) -> bool {
    [":Get", ":List", ":Describe"].iter().any(|verb| action.contains(verb))
}

/// Cells at a time, of all tests together: most of their time they wait.
pub(crate) static CELLS: Semaphore = Semaphore::const_new(40);

/// All that was there before, for one kind of streaming and for origins.
const EVERYTHING: &[Before] = &[Before::Nothing, Before::Foreign, Before::Equal];

/// For the other kind, which differs by its delivery stream only.
const FOREIGN: &[Before] = &[Before::Foreign];

/// What is wrong in the cells of `plans`, each problem with its cell's name.
pub(crate) async fn problems(
    plans: Vec<(Plan, Then)>,
    cell: impl AsyncFn(&Plan, Then) -> Result<(), String>,
) -> Vec<String> {
    let cell = &cell;
    let outcomes = futures::stream::iter(plans).map(|(plan, then)| async move {
        let _turn = CELLS.acquire().await.unwrap();
        let problem = cell(&plan, then).await.err()?;
        let Plan { action, nth, times, fault } = plan;
        Some(format!("{action} call {nth} {fault:?} x{}, {then:?}: {problem}", times.min(9)))
    });
    outcomes.buffer_unordered(64).filter_map(|problem| async { problem }).collect().await
}

async fn matrix(link: Link, step: Step, befores: &[Before], expected: &[&str]) {
    let mut all = Vec::new();
    let mut cells = 0;
    let mut called = BTreeSet::new();
    for &before in befores {
        let scenario = Scenario { link, step, before };
        let clean = scenario.clean_run().await.unwrap_or_else(|problem| panic!("{scenario:?}: {problem}"));
        called.extend(clean.calls.iter().cloned());
        let mut plans = plans(&clean.calls);
        // Who asks is found out in the same way, whatever was there before.
        plans.retain(|(plan, _)| before == Before::Nothing || !plan.action.starts_with("cloudformation:"));
        cells += plans.len();
        let problems = problems(plans, async |plan, then| cell(scenario, &clean, plan, then).await).await;
        all.extend(problems.into_iter().map(|problem| format!("{before:?}, {problem}")));
    }
    assert!(all.is_empty(), "{} of {cells} cells:\n{}", all.len(), all.join("\n"));
    assert!(cells > 0);
    let expected: BTreeSet<String> = expected.iter().map(|action| (*action).to_owned()).collect();
    assert_eq!(called, expected, "the calls of {link:?} {step:?}");
}

#[tokio::test]
async fn creating_agent_event_streaming_survives_every_fault() {
    matrix(Link::AgentEvents, Step::Create, EVERYTHING, &[GET, PUT, STACK, RESOURCE, LIST, ASSOCIATE, UPDATE]).await;
}

#[tokio::test]
async fn updating_agent_event_streaming_survives_every_fault() {
    matrix(Link::AgentEvents, Step::Update, EVERYTHING, &[GET, PUT, STACK, RESOURCE, LIST, UPDATE]).await;
}

#[tokio::test]
async fn deleting_agent_event_streaming_survives_every_fault() {
    matrix(Link::AgentEvents, Step::Delete, EVERYTHING, &[GET, PUT, STACK, LIST, UPDATE, DISASSOCIATE]).await;
}

#[tokio::test]
async fn creating_contact_record_streaming_survives_every_fault() {
    matrix(Link::ContactRecords, Step::Create, FOREIGN, &[GET, PUT, STACK, RESOURCE, LIST, UPDATE]).await;
}

#[tokio::test]
async fn updating_contact_record_streaming_survives_every_fault() {
    matrix(Link::ContactRecords, Step::Update, FOREIGN, &[GET, PUT, STACK, RESOURCE, LIST, UPDATE]).await;
}

#[tokio::test]
async fn deleting_contact_record_streaming_survives_every_fault() {
    matrix(Link::ContactRecords, Step::Delete, FOREIGN, &[GET, PUT, STACK, LIST, UPDATE]).await;
}

#[tokio::test]
async fn replacing_another_storage_type_survives_every_fault() {
    let calls = [GET, PUT, STACK, RESOURCE, LIST, ASSOCIATE, UPDATE, DISASSOCIATE, FIREHOSE];
    matrix(Link::ContactRecordsAnew, Step::Create, FOREIGN, &calls).await;
}

#[tokio::test]
async fn updating_to_another_storage_type_survives_every_fault() {
    let calls = [GET, PUT, STACK, RESOURCE, LIST, ASSOCIATE, UPDATE, DISASSOCIATE, STREAM];
    matrix(Link::ContactRecordsAnew, Step::Update, FOREIGN, &calls).await;
}

#[tokio::test]
async fn putting_another_storage_type_back_survives_every_fault() {
    let calls = [GET, PUT, STACK, LIST, ASSOCIATE, UPDATE, DISASSOCIATE, STREAM];
    matrix(Link::ContactRecordsAnew, Step::Delete, FOREIGN, &calls).await;
}

#[tokio::test]
async fn creating_an_origin_survives_every_fault() {
    matrix(Link::Origin, Step::Create, EVERYTHING, &[GET, PUT, STACK, RESOURCE, ORIGINS, APPROVE]).await;
}

#[tokio::test]
async fn updating_an_origin_survives_every_fault() {
    matrix(Link::Origin, Step::Update, EVERYTHING, &[GET, PUT, STACK, RESOURCE, ORIGINS, APPROVE]).await;
}

#[tokio::test]
async fn deleting_an_origin_survives_every_fault() {
    matrix(Link::Origin, Step::Delete, EVERYTHING, &[GET, PUT, STACK, LIST, ORIGINS, WITHDRAW]).await;
}

const STACK: &str = "cloudformation:DescribeStacks";
const RESOURCE: &str = "cloudformation:DescribeStackResource";
const GET: &str = "dynamodb:GetItem";
const PUT: &str = "dynamodb:PutItem";
const STREAM: &str = "kinesis:DescribeStream";
const FIREHOSE: &str = "firehose:DescribeDeliveryStream";
const LIST: &str = "connect:ListInstanceStorageConfigs";
const ASSOCIATE: &str = "connect:AssociateInstanceStorageConfig";
const UPDATE: &str = "connect:UpdateInstanceStorageConfig";
const DISASSOCIATE: &str = "connect:DisassociateInstanceStorageConfig";
const ORIGINS: &str = "connect:ListApprovedOrigins";
const APPROVE: &str = "connect:AssociateApprovedOrigin";
const WITHDRAW: &str = "connect:DisassociateApprovedOrigin";
