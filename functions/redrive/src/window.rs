//! Owns the span of time that objects have to be written in. Pure.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// From when to when, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl Window {
    pub(crate) fn has(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }

    /// Whether nothing can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from > to)
    }
}

/// The first moment that `text` means: a day in UTC, or a time.
pub(crate) fn first(text: &str) -> Option<Timestamp> {
    day(text).or_else(|| text.parse().ok())
}

/// The last moment that `text` means.
pub(crate) fn last(text: &str) -> Option<Timestamp> {
    const DAY: SignedDuration = SignedDuration::from_nanos(24 * 3600 * 1_000_000_000 - 1);
    day(text).and_then(|day| day.checked_add(DAY).ok()).or_else(|| text.parse().ok())
}

/// The beginning of a day. A time would be read as its day, so the length distinguishes them.
fn day(text: &str) -> Option<Timestamp> {
    let day: Date = Some(text).filter(|text| text.len() == 10)?.parse().ok()?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_as_a_whole_and_a_time_to_the_moment() {
        let window = |from, to| Window { from: first(from), to: last(to) };
        let has = |window: Window, at: &str| window.has(at.parse().unwrap());
        let day = window("2026-11-24", "2026-11-24");
        assert!(has(day, "2026-11-24T00:00:00Z") && has(day, "2026-11-24T23:59:59.999Z"));
        assert!(!has(day, "2026-11-23T23:59:59Z") && !has(day, "2026-11-25T00:00:00Z"));
        let hour = window("2026-11-24T10:00:00+10:00", "2026-11-24T01:00:00Z");
        assert!(has(hour, "2026-11-24T00:00:00Z") && has(hour, "2026-11-24T01:00:00Z"));
        assert!(!has(hour, "2026-11-24T01:00:01Z"));
        assert!(has(Window::default(), "2026-11-24T00:00:00Z"));
        assert!(window("2026-11-25", "2026-11-24").is_empty() && !day.is_empty());
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in ["", "2026-13-01", "2026-11-24T", "24.11.2026", "yesterday", "2026-11-24T10:00:00"] {
            assert_eq!((first(text), last(text)), (None, None), "{text}");
        }
    }
}
