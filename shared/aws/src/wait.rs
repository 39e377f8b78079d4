//! Owns waiting: until AWS shows a change, permits a request, or no other request interferes.
//!
//! Hardly any service documents how soon a write shows. A write that AWS accepted has worked in any case, so the caller
//! decides what it means if it does not show in time.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The pauses before each further read of what shows within seconds: 3 s in all.
pub const BRIEFLY: &[Duration] = &millis([200, 400, 800, 1600]);
/// The pauses before an answer that did not arrive is sent again: 1.4 s in all.
pub const FOR_AN_ANSWER: &[Duration] = &millis([200, 400, 800]);
/// The pauses before work starts over after another request interfered: 3 s in all.
pub const UNTIL_UNDISTURBED: &[Duration] = &millis([200, 800, 2000]);
/// For Amazon Connect, which allows two calls a second: 4.5 s in all.
pub const FOR_CONNECT: &[Duration] = &millis([300, 600, 1200, 2400]);
/// Before an entry of the ledger that another invocation wrote meanwhile is changed anew: 4.4 s in all.
pub const FOR_THE_LEDGER: &[Duration] = &millis([20, 50, 100, 200, 400, 800, 1200, 1600]);
/// For all that a repair changed: 7 s in all.
pub const FOR_A_REPAIR: &[Duration] = &millis([1000, 2000, 4000]);
/// For a change that takes its time, such as a domain's access policy: a minute in all.
pub const FOR_A_MINUTE: &[Duration] = &millis([1000, 2000, 4000, 8000, 15_000, 30_000]);

/// Reads until the result is `enough`, or `pauses` are used up. Returns the last result.
pub async fn until<T>(pauses: &[Duration], read: impl AsyncFn() -> T, enough: impl Fn(&T) -> bool) -> T {
    with_pauses(pauses.iter().copied(), read, |seen, _| enough(seen)).await
}

/// The same, where no further read may begin after `latest`.
pub async fn until_or_late<T>(
    pauses: &[Duration],
    latest: Instant,
    read: impl AsyncFn() -> T,
    enough: impl Fn(&T) -> bool,
) -> T {
    with_pauses(pauses.iter().copied(), read, |seen, pause| enough(seen) || Instant::now() + pause > latest).await
}

/// Like [`until`], but each pause is half of the one given and up to as much again, at random, so that several processes do
/// not retry at the same moment.
pub async fn until_spread<T>(pauses: &[Duration], read: impl AsyncFn() -> T, enough: impl Fn(&T) -> bool) -> T {
    let spread = pauses.iter().map(|pause| {
        let most = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
        *pause / 2 + Duration::from_millis(RandomState::new().hash_one(most) % most)
    });
    with_pauses(spread, read, |seen, _| enough(seen)).await
}

/// Reads, and again after each of `pauses`, until it `ends`; that is given the pause that would come next.
async fn with_pauses<T>(
    pauses: impl Iterator<Item = Duration>,
    read: impl AsyncFn() -> T,
    ends: impl Fn(&T, Duration) -> bool,
) -> T {
    let mut seen = read().await;
    for pause in pauses {
        if ends(&seen, pause) {
            break;
        }
        sleep(pause).await;
        seen = read().await;
    }
    seen
}

/// Reads again after each `pause`, for at most as long in all as `patience` gives the last result. Returns the last
/// result.
pub async fn patiently<T>(pause: Duration, read: impl AsyncFn() -> T, patience: impl Fn(&T) -> Duration) -> T {
    let started = Instant::now();
    loop {
        let seen = read().await;
        if started.elapsed() + pause > patience(&seen) {
            return seen;
        }
        sleep(pause).await;
    }
}

const fn millis<const N: usize>(pauses: [u64; N]) -> [Duration; N] {
    let mut durations = [Duration::ZERO; N];
    let mut index = 0;
    while index < N {
        durations[index] = Duration::from_millis(pauses[index]);
        index += 1;
    }
    durations
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reads_end_when_it_is_enough_or_the_pauses_are_used_up() {
        for (enough, reads) in [(1, 1), (3, 3), (9, 5)] {
            let count = Cell::new(0);
            let read = async || count.replace(count.get() + 1) + 1;
            assert_eq!(until(BRIEFLY, read, |read| *read >= enough).await, reads);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_read_begins_after_the_latest_moment() {
        let begun = Instant::now();
        let latest = begun + Duration::from_secs(2);
        let read = async || begun.elapsed();
        assert_eq!(until_or_late(FOR_A_REPAIR, latest, read, |_| false).await, Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn spread_pauses_are_between_half_and_one_and_a_half_of_those_given() {
        let begun = Instant::now();
        until_spread(BRIEFLY, async || (), |()| false).await;
        assert!((Duration::from_millis(1500)..Duration::from_millis(4500)).contains(&begun.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_depends_on_what_was_read() {
        let begun = Instant::now();
        let read = async || begun.elapsed();
        let patience = |read: &Duration| Duration::from_secs(if read.as_secs() < 4 { 60 } else { 0 });
        assert_eq!(patiently(Duration::from_secs(3), read, patience).await, Duration::from_secs(6));
    }
}
