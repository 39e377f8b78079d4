//! Owns the simulations: random reports in random order, and invocations that interleave and die.

use emite_core::finding::Severity;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::fixtures::{finding, minutes, noon, report, scene};
use crate::message::MessageState;
use crate::outbox::LEASE;

fn health(minute: i64, is_bad: bool) -> Input {
    let bad = is_bad.then(|| finding("iterator-age", Severity::Warning, "stream"));
    Input::Health(Box::new(report(minutes(minute), bad.into_iter().collect())))
}

/// The messages that are sent when these runs (minute, bad) are delivered in this order.
fn told(deliveries: &[(i64, bool)]) -> Vec<MessageState> {
    let mut state = State { deployed: true, ..State::default() };
    let mut told = Vec::new();
    for (minute, is_bad) in deliveries {
        let now = noon() + minutes(*minute);
        state = step(state, &health(*minute, *is_bad), now, &scene()).unwrap();
        for waiting in state.outbox.claim("me", now) {
            told.push(waiting.message.state);
            state.outbox.mark(waiting.id, "me", now);
        }
    }
    told
}

/// The deliveries that come after everything older.
fn in_order(deliveries: &[(i64, bool)]) -> Vec<(i64, bool)> {
    let mut newest = i64::MIN;
    let mut kept = deliveries.to_vec();
    kept.retain(|(minute, _)| {
        let is_newer = *minute > newest;
        newest = newest.max(*minute);
        is_newer
    });
    kept
}

/// Whether two of these minutes are 0.8 intervals apart.
fn are_two(minutes: &[i64]) -> bool {
    minutes.last().zip(minutes.first()).is_some_and(|(last, first)| last - first >= 4)
}

prop_compose! {
    /// Runs a few minutes apart, each bad while one break lasts; some lost, some repeated, some late.
    fn one_break()(gaps in prop::collection::vec(1_i64..8, 4..24))(
        order in prop::collection::vec((0..gaps.len(), -2_i64..3), 0..40),
        from in 0..gaps.len(),
        to in 0..gaps.len(),
        gaps in Just(gaps),
    ) -> Vec<(i64, bool)> {
        let minutes: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let arrival = |(run, late): (usize, i64)| (i64::try_from(run).unwrap() + late, run);
        let mut order: Vec<(i64, usize)> = order.into_iter().map(arrival).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, run)| (minutes[run], (from..to).contains(&run))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_break_that_is_seen_twice_is_told_once_and_over_when_good_twice(deliveries in one_break()) {
        let seen = in_order(&deliveries);
        let bad: Vec<i64> = seen.iter().filter(|(_, bad)| *bad).map(|(minute, _)| *minute).collect();
        let is_after = |minute: &i64| bad.last().is_some_and(|last| minute > last);
        let good: Vec<i64> = seen.iter().map(|(minute, _)| *minute).filter(is_after).collect();
        let expected = match (are_two(&bad), are_two(&good)) {
            (false, _) => vec![],
            (true, false) => vec![MessageState::Opened],
            (true, true) => vec![MessageState::Opened, MessageState::Resolved],
        };
        prop_assert_eq!(told(&deliveries), expected, "{:?}", seen);
    }

    #[test]
    fn whatever_comes_each_opened_is_followed_by_its_resolved(
        runs in prop::collection::vec((0_i64..120, any::<bool>()), 0..60)
    ) {
        for (position, news) in told(&runs).into_iter().enumerate() {
            prop_assert_eq!(news, if position % 2 == 0 { MessageState::Opened } else { MessageState::Resolved });
        }
    }

    #[test]
    fn however_invocations_interleave_and_die_nothing_is_lost_and_only_a_death_repeats(
        picks in prop::collection::vec((0_usize..2, 0_u8..12), 10..70)
    ) {
        let mut world = World::default();
        let mut running: [Option<Invocation>; 2] = [None, None];
        for (who, fate) in picks {
            world.now += SignedDuration::from_secs(1);
            let invocation = running[who].take().unwrap_or_else(|| world.starts());
            running[who] = if fate == 0 { world.kill(&invocation) } else { invocation.advance(&mut world) };
        }
        for invocation in running.into_iter().flatten() {
            world.finish(invocation);
        }
        world.now += LEASE;
        let last = world.starts();
        world.finish(last);
        let (_, state) = world.entry.unwrap();
        prop_assert!(state.outbox.waiting().is_empty());
        for id in 1..=state.outbox.last() {
            let times = world.published.iter().filter(|published| **published == id).count();
            let deaths = world.died_before_mark.iter().filter(|died| **died == id).count();
            prop_assert!(times >= 1, "message {} is lost", id);
            prop_assert!(times <= 1 + deaths, "message {} was sent {} times", id, times);
        }
    }
}

/// A ledger with conditional writes, and what was published.
#[derive(Debug)]
struct World {
    entry: Option<(u64, State)>,
    published: Vec<u64>,
    /// The messages that were published by an invocation that died before it marked them.
    died_before_mark: Vec<u64>,
    started: i64,
    now: Timestamp,
}

impl Default for World {
    fn default() -> Self {
        Self { entry: None, published: Vec::new(), died_before_mark: Vec::new(), started: 0, now: noon() }
    }
}

impl World {
    fn starts(&mut self) -> Invocation {
        self.started += 1;
        Invocation { number: self.started, by: format!("invocation {}", self.started), at: At::Read }
    }

    fn read(&self) -> (Option<u64>, State) {
        self.entry.clone().map_or((None, State::default()), |(version, state)| (Some(version), state))
    }

    /// Whether the write won.
    fn write(&mut self, replaces: Option<u64>, state: State) -> bool {
        let standing = self.entry.as_ref().map(|(version, _)| *version);
        if standing == replaces {
            self.entry = Some((replaces.unwrap_or(0) + 1, state));
        }
        standing == replaces
    }

    fn kill(&mut self, invocation: &Invocation) -> Option<Invocation> {
        if let At::Mark { published, .. } | At::WriteMark { published, .. } = &invocation.at {
            self.died_before_mark.push(*published);
        }
        None
    }

    fn finish(&mut self, invocation: Invocation) {
        let mut next = Some(invocation);
        while let Some(invocation) = next {
            next = invocation.advance(self);
        }
    }
}

/// An invocation of the function, one call of AWS at a time.
#[derive(Debug)]
struct Invocation {
    number: i64,
    by: String,
    at: At,
}

#[derive(Debug)]
enum At {
    Read,
    Write { replaces: Option<u64>, state: Box<State>, claimed: Vec<Waiting> },
    Publish { claimed: Vec<Waiting> },
    Mark { published: u64, claimed: Vec<Waiting> },
    WriteMark { published: u64, replaces: Option<u64>, state: Box<State>, claimed: Vec<Waiting> },
}

impl Invocation {
    /// A report in which one of three things is critical, another at each time: most open something or end something.
    fn input(&self) -> Input {
        let bad = finding("search-domain", Severity::Critical, &format!("domain#{}", self.number % 3));
        Input::Health(Box::new(report(minutes(10 * self.number), vec![bad])))
    }

    fn advance(mut self, world: &mut World) -> Option<Self> {
        self.at = match self.at {
            At::Read => {
                let (replaces, before) = world.read();
                let EpisodeDecision { state, claimed, refused } =
                    decide(before.clone(), &self.input(), world.now, &self.by, &scene());
                assert_eq!(refused, None);
                if state == before {
                    return None;
                }
                At::Write { replaces, state: Box::new(state), claimed }
            }
            At::Write { replaces, state, claimed } => {
                if world.write(replaces, *state) {
                    At::Publish { claimed }
                } else {
                    At::Read
                }
            }
            At::Publish { mut claimed } => {
                if claimed.is_empty() {
                    return None;
                }
                let published = claimed.remove(0).id;
                world.published.push(published);
                At::Mark { published, claimed }
            }
            At::Mark { published, claimed } => {
                let (replaces, mut state) = world.read();
                state.outbox.mark(published, &self.by, world.now);
                At::WriteMark { published, replaces, state: Box::new(state), claimed }
            }
            At::WriteMark { published, replaces, state, claimed } => {
                if world.write(replaces, *state) {
                    At::Publish { claimed }
                } else {
                    At::Mark { published, claimed }
                }
            }
        };
        Some(self)
    }
}
