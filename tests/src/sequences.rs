//! Owns random sequences of what may happen to two stacks on the same Connect instances: deployments that succeed, fail late
//! or are cancelled, people who change things in between, and repairs.
//!
//! [`stacks`] plays CloudFormation; what must come of each step is in [`oracle`]. Neither knows how the function works, nor
//! where it runs: that is a [`Cloud`], which a test brings along.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;

use fastrand::Rng;
use serde_json::Value;

use crate::faults::ShownStack;

pub mod oracle;
pub mod stacks;

/// How many stacks and how many instances there are.
pub const TWO: usize = 2;

/// A stream that an instance can stream to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// A third party's, by number.
    Theirs(u8),
    /// A stack's own. An update may replace it by another one.
    Own {
        /// Whose.
        stack: usize,
        /// Counts them.
        number: u32,
    },
}

/// How many streams third parties have.
pub const THEIRS: u8 = 3;

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Theirs(number) => write!(f, "theirs-{number}"),
            Self::Own { stack, number } => write!(f, "own-{stack}-{number}"),
        }
    }
}

impl Stream {
    /// The stream of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if let Some(number) = name.strip_prefix("theirs-") {
            return number.parse().ok().map(Self::Theirs);
        }
        let (stack, number) = name.strip_prefix("own-")?.split_once('-')?;
        Some(Self::Own { stack: stack.parse().ok()?, number: number.parse().ok()? })
    }

    /// Its ARN, where names begin like this. A stack's own takes contact records as a delivery stream.
    #[must_use]
    pub fn arn(self, sequence: &Sequence, arn_of: impl Fn(&str, &str) -> String, prefix: &str) -> String {
        match self {
            Self::Own { .. } if sequence.contact_records => {
                arn_of("firehose", &format!("deliverystream/{prefix}{self}"))
            }
            _ => arn_of("kinesis", &format!("stream/{prefix}{self}")),
        }
    }
}

/// What a stack is deployed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The instance, by number.
    pub instance: usize,
    /// Where that streams to.
    pub target: Stream,
    /// Whether streaming of others may be replaced.
    pub replace: bool,
    /// The origin to approve, by number.
    pub origin: Option<u8>,
}

/// How a deployment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should, unless the function refuses.
    Well,
    /// Another resource fails after the function has answered.
    Late,
    /// Another resource fails while the function works: CloudFormation does not wait for it, and takes back what it asked for.
    Cancelled,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A stack is created, or updated if it is there.
    Deploy {
        /// Which.
        stack: usize,
        /// With what.
        config: Config,
        /// How that ends.
        ending: Ending,
        /// Whether a repair runs at the same time.
        repaired: bool,
    },
    /// A stack is deleted.
    Delete {
        /// Which.
        stack: usize,
        /// Whether a repair runs at the same time.
        repaired: bool,
    },
    /// What is not as deployed is repaired, even where a third party has taken over.
    Repair {
        /// Of which stack.
        stack: usize,
    },
    /// A person sets the streaming of an instance.
    Stream {
        /// Which.
        instance: usize,
        /// Nowhere if none.
        to: Option<Stream>,
    },
    /// A person deletes a third party's stream.
    DeleteStream(Stream),
    /// A person approves an origin, or removes it.
    Origin {
        /// Of which instance.
        instance: usize,
        /// Which.
        origin: u8,
        /// Whether it is listed then.
        listed: bool,
    },
    /// A person deletes an instance.
    DeleteInstance(usize),
}

/// What anybody can see.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct State {
    /// Where each instance streams to.
    pub live: [Option<Stream>; TWO],
    /// Which origins each instance lists.
    pub origins: [BTreeSet<u8>; TWO],
}

/// A whole sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Which of all: the seed that it is made from.
    pub seed: u64,
    /// Contact records, which go to delivery streams and need time to drain, or agent events.
    pub contact_records: bool,
    /// What is there before.
    pub before: State,
    /// What happens.
    pub steps: Vec<Step>,
}

impl Sequence {
    /// The sequence of that seed. Cancelled deployments, repairs and the deletion of instances only `with_all`.
    #[must_use]
    pub fn new(seed: u64, with_all: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let stream = |rng: &mut Rng| Stream::Theirs(rng.u8(..THEIRS));
        let mut before = State::default();
        for instance in 0..TWO {
            before.live[instance] = rng.bool().then(|| stream(&mut rng));
            before.origins[instance] = (0..2).filter(|_| rng.u8(..3) == 0).collect();
        }
        let contact_records = rng.bool();
        let mut deployed: [Option<Config>; TWO] = [None, None];
        let mut steps = Vec::new();
        let mut own = 0;
        for _ in 0..rng.usize(3..9) {
            let stack = rng.usize(..TWO);
            let step = match (rng.u8(..20), &deployed[stack]) {
                (0..12, config) => {
                    own += 1;
                    let config = config_after(&mut rng, config.as_ref(), stack, own);
                    let ending = match rng.u8(..6) {
                        0 | 1 => Ending::Late,
                        2 | 3 if with_all => Ending::Cancelled,
                        _ => Ending::Well,
                    };
                    let repaired = with_all && rng.u8(..6) == 0;
                    Step::Deploy { stack, config, ending, repaired }
                }
                (12, Some(_)) => Step::Delete { stack, repaired: with_all && rng.u8(..4) == 0 },
                (13 | 14, Some(_)) if with_all => Step::Repair { stack },
                (15 | 16, _) => {
                    let to = rng.bool().then(|| stream(&mut rng));
                    Step::Stream { instance: rng.usize(..TWO), to }
                }
                (17, _) => Step::DeleteStream(stream(&mut rng)),
                (18, _) if with_all && rng.u8(..4) == 0 => Step::DeleteInstance(rng.usize(..TWO)),
                _ => Step::Origin { instance: rng.usize(..TWO), origin: rng.u8(..2), listed: rng.bool() },
            };
            match &step {
                // It may be refused; then the next deployment creates the stack after all.
                Step::Deploy { stack, config, ending: Ending::Well, .. } => deployed[*stack] = Some(config.clone()),
                Step::Delete { stack, .. } => deployed[*stack] = None,
                _ => {}
            }
            steps.push(step);
        }
        let mut last = [0, 1];
        rng.shuffle(&mut last);
        steps.extend(last.map(|stack| Step::Delete { stack, repaired: false }));
        Self { seed, contact_records, before, steps }
    }

    /// The resource type that streams.
    #[must_use]
    pub const fn resource_type(&self) -> &'static str {
        if self.contact_records { "CONTACT_TRACE_RECORDS" } else { "AGENT_EVENTS" }
    }

    /// Whether both stacks are deployed to the same instance, perhaps one after the other.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let of = |which: usize| -> BTreeSet<usize> {
            let instance = |step: &Step| match step {
                Step::Deploy { stack, config, .. } if *stack == which => Some(config.instance),
                _ => None,
            };
            self.steps.iter().filter_map(instance).collect()
        };
        !of(0).is_disjoint(&of(1))
    }

    /// Whether only one stack changes anything: then all must be as before in the end, whatever any oracle says.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        let one = |step: &Step| match step {
            Step::Deploy { stack, .. } | Step::Repair { stack } => Some(*stack),
            Step::Delete { .. } => None,
            _ => Some(TWO),
        };
        let touched: BTreeSet<usize> = self.steps.iter().filter_map(one).collect();
        touched.len() <= 1 && !touched.contains(&TWO)
    }
}

/// A new stack's configuration, or the next one of a stack: most likely different in one thing only.
fn config_after(rng: &mut Rng, config: Option<&Config>, stack: usize, own: u32) -> Config {
    let target = |rng: &mut Rng| match rng.u8(..3) {
        0 => Stream::Theirs(rng.u8(..THEIRS)),
        _ => Stream::Own { stack, number: own },
    };
    let origin = |rng: &mut Rng| rng.bool().then(|| rng.u8(..2));
    match config {
        None => Config {
            instance: usize::from(rng.u8(..4) == 0),
            target: target(rng),
            replace: rng.bool(),
            origin: origin(rng),
        },
        Some(config) => match rng.u8(..5) {
            0 | 1 => Config { target: target(rng), ..config.clone() },
            2 => Config { instance: 1 - config.instance, ..config.clone() },
            3 => Config { origin: origin(rng), ..config.clone() },
            _ => Config { replace: !config.replace, target: target(rng), ..config.clone() },
        },
    }
}

/// What the function answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whether with SUCCESS.
    pub success: bool,
    /// The note, or the reason of a failure.
    pub reason: String,
    /// What it calls the resource.
    pub physical_id: String,
}

/// A repair of what a stack wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Which stack, and which of all that were created in its place.
    pub stack: (usize, u32),
    /// What that was deployed with.
    pub config: Config,
}

/// Where stacks and functions run.
pub trait Cloud {
    /// The ARN of an instance.
    fn instance_arn(&self, instance: usize) -> String;

    /// The ARN of a stream.
    fn stream_arn(&self, stream: Stream) -> String;

    /// How long records need to drain, in seconds.
    fn drain_seconds(&self) -> &'static str;

    /// Makes that stack ready: its function and an empty ledger. `generation` counts those that were created in its place.
    fn new_stack(&mut self, stack: usize, generation: u32) -> impl Future<Output = ()>;

    /// What CloudFormation shows of the stack from now on.
    fn show(&self, stack: usize, shown: ShownStack);

    /// Sends an event of the stack to its function: with its id, and where the answer goes. The response, once it comes.
    fn respond(&self, stack: usize, event: Value) -> impl Future<Output = Response>;

    /// Makes a stream, or deletes it.
    fn set_stream(&self, stream: Stream, exists: bool) -> impl Future<Output = ()>;

    /// Lets a person do what the step says.
    fn person(&self, step: &Step) -> impl Future<Output = ()>;

    /// Repairs, perhaps in vain.
    fn repair(&self, repair: Repair) -> impl Future<Output = ()>;

    /// Waits a while, in which another resource fails.
    fn meanwhile(&self) -> impl Future<Output = ()>;

    /// Waits until nothing is running.
    fn settled(&self) -> impl Future<Output = ()>;

    /// What is to be seen.
    fn state(&self) -> impl Future<Output = State>;
}
