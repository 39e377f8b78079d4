//! Owns the clock: the one place that reads it. Whatever judges, decides or renders is given the time.
#![allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// How long until `epoch_ms`; nothing if it is past.
pub fn until_epoch_ms(epoch_ms: u64) -> Duration {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(epoch_ms);
    deadline.duration_since(SystemTime::now()).unwrap_or_default()
}

/// When a tombstone written now may be forgotten.
pub fn in_a_week() -> Timestamp {
    now() + Duration::from_secs(7 * 24 * 3600)
}
