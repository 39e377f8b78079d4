//! Owns the pauses between tries: they grow while the domain takes nothing, and are spread at random so that several runs
//! do not come back at once (<https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>).

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// How long the domain may take nothing before the run stops.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The pauses since the domain last took something.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
    since: Option<Instant>,
}

impl Backoff {
    /// It took something: patience starts over, and pauses get shorter step by step.
    pub(crate) fn progress(&mut self) {
        self.since = None;
        self.tries = self.tries.saturating_sub(1);
    }

    /// Waits before another try, unless `end` or the end of patience comes first; then it says which.
    pub(crate) async fn pause(&mut self, end: Instant) -> Result<(), GaveUp> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let pause = pause(self.tries, RandomState::new().hash_one(self.tries));
        self.tries += 1;
        if now + pause > since + PATIENCE {
            return Err(GaveUp::OutOfPatience);
        }
        if now + pause > end {
            return Err(GaveUp::OutOfTime);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Why there is no other try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// The run ends.
    OutOfTime,
    /// The domain took nothing for too long.
    OutOfPatience,
}

/// Anything from nothing to a limit that doubles with each try.
fn pause(tries: u32, random: u64) -> Duration {
    let limit = FIRST.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST);
    let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random % (milliseconds + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pause_is_spread_over_all_of_a_growing_limit(tries in 0..100_u32, random: u64) {
            let limit = [500, 1000, 2000, 4000, 8000, 15_000][tries.min(5) as usize];
            prop_assert!(pause(tries, random) <= Duration::from_millis(limit));
            prop_assert_eq!(pause(tries, limit), Duration::from_millis(limit));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_unless_something_is_taken() {
        let (began, end) = (Instant::now(), Instant::now() + Duration::from_secs(3600));
        let mut backoff = Backoff::default();
        while backoff.pause(end).await.is_ok() {}
        let waited = began.elapsed();
        assert!(waited <= PATIENCE && waited > PATIENCE - LONGEST, "{waited:?}");
        backoff.progress();
        assert_eq!(backoff.pause(end).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_outlasts_the_run() {
        let mut backoff = Backoff::default();
        let end = Instant::now() + Duration::from_secs(2);
        let outcome = loop {
            if let Err(gave_up) = backoff.pause(end).await {
                break gave_up;
            }
        };
        assert_eq!(outcome, GaveUp::OutOfTime);
        assert!(Instant::now() <= end);
    }
}
