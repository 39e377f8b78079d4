//! Owns the expected result of each step of a sequence, one step at a time and without failures.
//!
//! Where it is open whether a request that nobody waited for had any effect, the oracle goes on with each possibility.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, Ending, Sequence, State, Step, Stream, THEIRS, TWO};

/// How a deployment came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked for.
    Done,
    /// All that it did was taken back.
    RolledBack,
}

/// What a stack remembers of the streaming of an instance.
#[derive(Clone, Debug, Default, PartialEq)]
struct Streaming {
    held: bool,
    previous: Vec<Stream>,
    ours: BTreeSet<Stream>,
    accepted: Vec<Stream>,
    /// It ended the streaming itself, and left nothing in its place.
    ended: bool,
}

/// What a stack remembers of an origin.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Listing {
    held: bool,
    added: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Memory {
    streaming: [Option<Streaming>; TWO],
    origins: BTreeMap<(usize, u8), Listing>,
}

/// One possibility.
#[derive(Clone, Debug, PartialEq)]
struct World {
    state: State,
    streams: BTreeSet<Stream>,
    gone: [bool; TWO],
    deployed: [Option<Config>; TWO],
    memory: [Memory; TWO],
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Oracle {
    worlds: Vec<World>,
}

impl Oracle {
    /// Before the first step of a sequence.
    #[must_use]
    pub fn new(sequence: &Sequence) -> Self {
        let world = World {
            state: sequence.before.clone(),
            streams: (0..THEIRS).map(Stream::Theirs).collect(),
            gone: [false; TWO],
            deployed: [None, None],
            memory: [Memory::default(), Memory::default()],
        };
        Self { worlds: vec![world] }
    }

    /// What a stack is deployed with.
    #[must_use]
    pub fn deployed(&self, stack: usize) -> Option<&Config> {
        self.worlds[0].deployed[stack].as_ref()
    }

    /// Whether the instance exists.
    #[must_use]
    pub fn has_instance(&self, instance: usize) -> bool {
        !self.worlds[0].gone[instance]
    }

    /// Whether the stream exists.
    #[must_use]
    pub fn has_stream(&self, stream: Stream) -> bool {
        self.worlds[0].streams.contains(&stream)
    }

    /// Goes on by a step that came out like this. Says what was expected instead, if that cannot be.
    pub fn step(&mut self, step: &Step, outcome: Outcome) -> Result<(), String> {
        let possible: Vec<(World, Outcome)> = self.worlds.iter().flat_map(|world| world.after(step)).collect();
        let matching = possible.iter().filter(|(_, expected)| *expected == outcome);
        let mut worlds: Vec<World> = Vec::new();
        for (world, _) in matching {
            if !worlds.contains(world) {
                worlds.push(world.clone());
            }
        }
        if worlds.is_empty() {
            return Err(format!("{outcome:?} is not what comes of {step:?}"));
        }
        self.worlds = worlds;
        Ok(())
    }

    /// Goes on where this is to be seen. Says what was expected instead, if that cannot be.
    pub fn see(&mut self, state: &State) -> Result<(), String> {
        let expected: Vec<State> = self.worlds.iter().map(|world| world.state.clone()).collect();
        self.worlds.retain(|world| world.state == *state);
        if self.worlds.is_empty() {
            return Err(format!("{state:?} is to be seen instead of one of {expected:?}"));
        }
        Ok(())
    }
}

impl World {
    fn after(&self, step: &Step) -> Vec<(Self, Outcome)> {
        let done = |world: Self| vec![(world, Outcome::Done)];
        let mut after = self.clone();
        match step {
            Step::Deploy { stack, config, ending, repaired } => {
                self.beside_repair(*stack, *repaired, |world| world.deploy(*stack, config, *ending))
            }
            Step::Delete { stack, repaired } => self.beside_repair(*stack, *repaired, |world| {
                let mut after = world.clone();
                after.delete(*stack);
                done(after)
            }),
            Step::Repair { stack } => {
                after.repair(*stack, after.deployed[*stack].clone().as_ref());
                done(after)
            }
            Step::Stream { instance, to } => {
                after.state.live[*instance] = *to;
                done(after)
            }
            Step::DeleteStream(stream) => {
                after.streams.remove(stream);
                done(after)
            }
            Step::Origin { instance, origin, listed: true } => {
                after.state.origins[*instance].insert(*origin);
                done(after)
            }
            Step::Origin { instance, origin, listed: false } => {
                after.state.origins[*instance].remove(origin);
                done(after)
            }
            Step::DeleteInstance(instance) => {
                after.gone[*instance] = true;
                after.state.live[*instance] = None;
                after.state.origins[*instance].clear();
                done(after)
            }
        }
    }

    /// What can come of `work` while a repair of what was deployed before may run ahead of it, or after it, or in vain.
    fn beside_repair(
        &self,
        stack: usize,
        repaired: bool,
        work: impl Fn(&Self) -> Vec<(Self, Outcome)>,
    ) -> Vec<(Self, Outcome)> {
        let mut all = work(self);
        let before = self.deployed[stack].as_ref();
        if repaired && before.is_some() {
            let mut ahead = self.clone();
            ahead.repair(stack, before);
            let later = all.clone().into_iter().filter(|(_, outcome)| *outcome == Outcome::RolledBack);
            let later: Vec<_> = later
                .map(|(mut world, outcome)| {
                    world.repair(stack, before);
                    (world, outcome)
                })
                .collect();
            all.extend(work(&ahead));
            all.extend(later);
        }
        all
    }

    fn deploy(&self, stack: usize, new: &Config, ending: Ending) -> Vec<(Self, Outcome)> {
        let mut start = self.clone();
        if let Stream::Own { .. } = new.target {
            start.streams.insert(new.target);
        }
        let old = start.deployed[stack].clone();
        let streams = old
            .as_ref()
            .is_none_or(|old| (old.instance, old.target, old.replace) != (new.instance, new.target, new.replace));
        let place = |config: &Config| config.origin.map(|origin| (config.instance, origin));
        let lists = place(new).filter(|_| old.as_ref().and_then(place) != place(new));
        let ran: &[(bool, bool)] = match ending {
            Ending::Cancelled => &[(false, false), (false, true), (true, false), (true, true)],
            Ending::Well | Ending::Late => &[(true, true)],
        };
        let one = |&(streaming, origin): &(bool, bool)| {
            let mut world = start.clone();
            let mut good = ending == Ending::Well;
            if streams && streaming {
                good &= world.stream(stack, new, false);
            }
            if let Some(place) = lists.filter(|_| origin) {
                good &= world.list(stack, place, false);
            }
            match (&old, good) {
                (None, true) => {}
                (None, false) => {
                    world.deployed[stack] = Some(new.clone());
                    world.delete(stack);
                }
                (Some(old), true) => {
                    if old.instance != new.instance {
                        world.stop(stack, old.instance);
                    }
                    if let Some(left) = place(old).filter(|_| place(old) != place(new)) {
                        world.unlist(stack, left);
                    }
                    world.forget(old.target, new.target);
                }
                (Some(old), false) => {
                    if streams {
                        world.stream(stack, old, true);
                    }
                    if streams && old.instance != new.instance {
                        world.stop(stack, new.instance);
                    }
                    if let Some(back) = place(old).filter(|_| lists.is_some()) {
                        world.list(stack, back, true);
                    }
                    if let Some(left) = lists {
                        world.unlist(stack, left);
                    }
                    world.forget(new.target, old.target);
                }
            }
            if good {
                world.deployed[stack] = Some(new.clone());
            }
            (world, if good { Outcome::Done } else { Outcome::RolledBack })
        };
        ran.iter().map(one).collect()
    }

    fn delete(&mut self, stack: usize) {
        let Some(config) = self.deployed[stack].take() else { return };
        if let Some(origin) = config.origin {
            self.unlist(stack, (config.instance, origin));
        }
        self.stop(stack, config.instance);
        self.streams.retain(|stream| !matches!(stream, Stream::Own { stack: of, .. } if *of == stack));
        self.memory[stack] = Memory::default();
    }

    /// A stream of the stack's own is deleted when another one is in its place.
    fn forget(&mut self, stream: Stream, instead: Stream) {
        if matches!(stream, Stream::Own { .. }) && stream != instead {
            self.streams.remove(&stream);
        }
    }

    /// Whether the instance may be said to stream as configured. `back`: on the way back to what was, which must not fail.
    fn stream(&mut self, stack: usize, config: &Config, back: bool) -> bool {
        let &Config { instance, target, replace, .. } = config;
        if self.gone[instance] {
            return back;
        }
        let live = self.state.live[instance];
        let memory = &mut self.memory[stack].streaming[instance];
        let mut claim = memory.clone().filter(|claim| claim.held).unwrap_or_else(|| Streaming {
            held: true,
            previous: live.into_iter().collect(),
            ..Streaming::default()
        });
        let accept = |claim: &mut Streaming| {
            claim.accepted.retain(|accepted| *accepted != target);
            claim.accepted.push(target);
            claim.accepted = claim.accepted.split_off(claim.accepted.len().saturating_sub(2));
            claim.ended = false;
        };
        if live == Some(target) {
            accept(&mut claim);
            *memory = Some(claim);
            return true;
        }
        let theirs = live.filter(|live| !claim.ours.contains(live));
        if theirs.is_some() && !replace {
            return back;
        }
        if let Some(theirs) = theirs {
            claim.previous.retain(|previous| *previous != theirs);
            claim.previous.push(theirs);
        }
        let exists = self.streams.contains(&target);
        if exists {
            claim.ours.insert(target);
            accept(&mut claim);
            self.state.live[instance] = Some(target);
        } else if back && live.is_some_and(|live| claim.ours.contains(&live)) {
            claim.ended = true;
            self.state.live[instance] = None;
        }
        *memory = Some(claim);
        exists || back
    }

    /// The stack lets the streaming of the instance go: whoever had it before has it again.
    fn stop(&mut self, stack: usize, instance: usize) {
        let Some(claim) = &mut self.memory[stack].streaming[instance] else { return };
        let live = self.state.live[instance];
        let ours = live.map_or(claim.ended, |live| claim.ours.contains(&live));
        let held = std::mem::replace(&mut claim.held, false);
        if !held || !ours || self.gone[instance] {
            return;
        }
        let stands = |previous: &Stream| live == Some(*previous) || self.streams.contains(previous);
        self.state.live[instance] = claim.previous.iter().rev().copied().find(stands);
    }

    fn list(&mut self, stack: usize, place: (usize, u8), back: bool) -> bool {
        let (instance, origin) = place;
        if self.gone[instance] {
            return back;
        }
        let added = self.state.origins[instance].insert(origin);
        let claim = self.memory[stack].origins.entry(place).or_insert(Listing { held: false, added });
        if !claim.held {
            *claim = Listing { held: true, added };
        }
        true
    }

    fn unlist(&mut self, stack: usize, place: (usize, u8)) {
        let (instance, origin) = place;
        let memory = &mut self.memory[stack];
        let Some(claim) = memory.origins.get_mut(&place) else { return };
        let taken_over = memory.streaming[instance].as_ref().is_some_and(|streaming| {
            let known = |live: Stream| {
                let given_back = !streaming.held && streaming.previous.contains(&live);
                streaming.ours.contains(&live) || streaming.accepted.contains(&live) || given_back
            };
            !streaming.accepted.is_empty() && self.state.live[instance].is_some_and(|live| !known(live))
        });
        if claim.held && claim.added && !taken_over {
            self.state.origins[instance].remove(&origin);
        }
        claim.held = false;
    }

    fn repair(&mut self, stack: usize, config: Option<&Config>) {
        let Some(config) = config else { return };
        if self.gone[config.instance] {
            return;
        }
        if self.state.live[config.instance] != Some(config.target) && self.streams.contains(&config.target) {
            self.stream(stack, &Config { replace: true, ..config.clone() }, false);
        }
        if let Some(origin) = config.origin {
            self.list(stack, (config.instance, origin), false);
        }
    }
}
