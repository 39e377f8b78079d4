//! Owns business hours: when agents work, as an admin writes it.
//!
//! `Mon-Fri 08:00-18:00;Sat 09:00-13:00`. Each part is laid onto the calendar of the time zone day by day, so a clock
//! that is put forward or back shifts nothing; stretches that touch are one. There are no holidays.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MINUTES_OF_A_DAY: u16 = 24 * 60;
/// How far back a stretch is followed: more than a week, so that only a contact centre that never closes reaches it.
const DAYS_BACK: i64 = 8;

/// When agents work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusinessHours(Vec<Opening>);

/// Some days of the week, and the hours of each.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Opening {
    /// Which days, from Monday.
    days: [bool; 7],
    /// Minutes from midnight.
    from: u16,
    /// Minutes from the same midnight: more than a day's when it is over midnight.
    to: u16,
}

/// Every part that is no business hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; write it like Mon-Fri 08:00-18:00;Sat 09:00-13:00", .0.join(", "))]
pub struct BadHours(pub Vec<String>);

impl FromStr for BusinessHours {
    type Err = BadHours;

    fn from_str(text: &str) -> Result<Self, BadHours> {
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        for part in text.split(';').map(str::trim) {
            match Opening::parse(part) {
                Ok(part) => parts.push(part),
                Err(_) if part.is_empty() => problems.push("one part is empty".to_owned()),
                Err(problem) => problems.push(format!("the part '{part}' {problem}")),
            }
        }
        if problems.is_empty() { Ok(Self(parts)) } else { Err(BadHours(problems)) }
    }
}

impl BusinessHours {
    /// How long it has been open at `at` without a break, at most about eight days; none if it is closed.
    pub fn open_for(&self, zone: &TimeZone, at: Timestamp) -> Option<SignedDuration> {
        let today = zone.to_datetime(at).date();
        let mut stretches: Vec<_> = (0..=DAYS_BACK)
            .filter_map(|days| today.checked_sub(SignedDuration::from_hours(24 * days)).ok())
            .flat_map(|date| self.0.iter().filter_map(move |part| part.on(date)))
            .filter_map(|(from, to)| Some((opening(zone, from)?, closing(zone, to)?)))
            .filter(|(from, _)| *from <= at)
            .collect();
        stretches.sort();
        let (from, to) = stretches.into_iter().reduce(
            |(from, to), (next, end)| {
                if next <= to { (from, to.max(end)) } else { (next, end) }
            },
        )?;
        (at < to).then(|| at.duration_since(from))
    }
}

impl Opening {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(days), Some(hours), None) = (words.next(), words.next(), words.next()) else {
            return Err("is not days, a space, and hours".to_owned());
        };
        let days = week(days)?;
        let (from, to) = hours.split_once('-').ok_or_else(|| format!("has '{hours}', not a time from-to"))?;
        let (from, to) = (time(from)?, time(to)?);
        if from == MINUTES_OF_A_DAY {
            return Err("starts at 24:00, write 00:00 of the next day".to_owned());
        }
        if from == to {
            return Err("starts and ends at the same time, write 00:00-24:00 for a whole day".to_owned());
        }
        Ok(Self { days, from, to: if to < from { to + MINUTES_OF_A_DAY } else { to } })
    }

    /// When it starts and ends on `date`, on the clock on the wall.
    fn on(&self, date: Date) -> Option<(DateTime, DateTime)> {
        let midnight = date.at(0, 0, 0, 0);
        let clock = |minutes: u16| midnight.checked_add(SignedDuration::from_mins(minutes.into())).ok();
        let open = self.days[usize::from(weekday(date).unsigned_abs())];
        if open { Some((clock(self.from)?, clock(self.to)?)) } else { None }
    }
}

/// The day of the week from Monday, which is 0.
fn weekday(date: Date) -> i8 {
    Weekday::to_monday_zero_offset(date.weekday())
}

/// The days that `text` names: `Mon`, `Mon-Fri`, `Sat-Mon`, `Mon,Wed`.
fn week(text: &str) -> Result<[bool; 7], String> {
    let day = |name: &str| {
        DAYS.iter().position(|day| *day == name).ok_or_else(|| format!("has '{name}', not one of {}", DAYS.join(" ")))
    };
    let mut week = [false; 7];
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (day(first)?, day(last)?);
        for step in 0..=(last + 7 - first) % 7 {
            week[(first + step) % 7] = true;
        }
    }
    Ok(week)
}

/// The minutes from midnight of `HH:MM`.
fn time(text: &str) -> Result<u16, String> {
    let impossible = || format!("has '{text}', not a time from 00:00 to 24:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(impossible)?;
    let number = |digits: &str| {
        let whole = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| whole)
    };
    match (number(hours), number(minutes)) {
        (Some(hours @ 0..24), Some(minutes @ 0..60)) => Ok(hours * 60 + minutes),
        (Some(24), Some(0)) => Ok(MINUTES_OF_A_DAY),
        _ => Err(impossible()),
    }
}

/// The first moment at which the clock shows `clock` or later.
fn opening(zone: &TimeZone, clock: DateTime) -> Option<Timestamp> {
    let moment = zone.to_ambiguous_timestamp(clock);
    let ambiguous = moment.is_ambiguous();
    let earlier = moment.earlier().ok()?;
    // A clock that is put forward never shows the time: what it jumps over begins and ends with the jump.
    if ambiguous && zone.to_datetime(earlier) != clock { jump(zone, earlier) } else { Some(earlier) }
}

/// The last moment at which the clock shows `clock`.
fn closing(zone: &TimeZone, clock: DateTime) -> Option<Timestamp> {
    let moment = zone.to_ambiguous_timestamp(clock);
    let earlier = moment.earlier().ok()?;
    let later = moment.later().ok()?;
    if zone.to_datetime(later) != clock { jump(zone, earlier) } else { Some(later) }
}

/// When the clock is put forward next.
fn jump(zone: &TimeZone, before: Timestamp) -> Option<Timestamp> {
    zone.following(before).next().map(|transition| transition.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sydney() -> TimeZone {
        TimeZone::get("Australia/Sydney").unwrap()
    }

    fn hours(text: &str) -> BusinessHours {
        text.parse().unwrap()
    }

    /// How many minutes it has been open at a Sydney time, which is RFC 3339 with its offset.
    fn open(text: &str, at: &str) -> Option<i64> {
        hours(text).open_for(&sydney(), at.parse().unwrap()).map(|open| open.as_mins())
    }

    #[test]
    fn it_is_open_from_the_first_minute_to_before_the_last() {
        let week = "Mon-Fri 08:00-18:00;Sat 09:00-13:00";
        assert_eq!(open(week, "2026-11-24T07:59:59+11:00"), None);
        assert_eq!(open(week, "2026-11-24T08:00:00+11:00"), Some(0));
        assert_eq!(open(week, "2026-11-24T17:59:59+11:00"), Some(599));
        assert_eq!(open(week, "2026-11-24T18:00:00+11:00"), None);
        assert_eq!(open(week, "2026-11-28T10:00:00+11:00"), Some(60));
        assert_eq!(open(week, "2026-11-29T10:00:00+11:00"), None);
    }

    #[test]
    fn adjoining_and_overlapping_parts_are_one_stretch() {
        assert_eq!(open("Mon 08:00-12:00;Mon 12:00-18:00", "2026-11-23T13:00:00+11:00"), Some(300));
        assert_eq!(open("Mon 10:00-18:00;Mon 08:00-12:00", "2026-11-23T13:00:00+11:00"), Some(300));
        assert_eq!(open("Mon 08:00-12:00;Mon 12:01-18:00", "2026-11-23T13:00:00+11:00"), Some(59));
        assert_eq!(open("Mon 20:00-24:00;Tue 00:00-04:00", "2026-11-24T01:00:00+11:00"), Some(300));
    }

    #[test]
    fn a_night_belongs_to_the_day_that_it_began_on() {
        assert_eq!(open("Sun 22:00-06:00", "2026-11-23T05:00:00+11:00"), Some(420));
        assert_eq!(open("Sun 22:00-06:00", "2026-11-23T06:00:00+11:00"), None);
        assert_eq!(open("Sun 22:00-06:00", "2026-11-22T05:00:00+11:00"), None);
        assert_eq!(open("Sun 22:00-00:00", "2026-11-22T23:59:00+11:00"), Some(119));
    }

    #[test]
    fn days_may_wrap_around_the_week_and_be_listed() {
        assert_eq!(hours("Sat-Mon 08:00-10:00"), hours("Mon,Sat-Sun 08:00-10:00"));
        assert_eq!(open("Mon,Wed 08:00-10:00", "2026-11-25T09:00:00+11:00"), Some(60));
        assert_eq!(open("Mon,Wed 08:00-10:00", "2026-11-24T09:00:00+11:00"), None);
    }

    #[test]
    fn an_hour_that_the_clock_skips_is_not_counted() {
        // 2026-10-04, 02:00 becomes 03:00
        assert_eq!(open("Sat 22:00-06:00", "2026-10-04T05:00:00+11:00"), Some(6 * 60));
        assert_eq!(open("Sun 08:00-10:00", "2026-10-04T08:30:00+11:00"), Some(30));
        assert_eq!(open("Sun 02:30-04:00", "2026-10-04T03:15:00+11:00"), Some(15));
        assert_eq!(open("Sun 01:00-02:30", "2026-10-04T01:59:00+10:00"), Some(59));
        assert_eq!(open("Sun 01:00-02:30", "2026-10-04T03:00:00+11:00"), None);
        assert_eq!(open("Sun 02:10-02:50", "2026-10-04T03:10:00+11:00"), None);
        assert_eq!(open("Sun 00:00-02:30;Sun 02:30-06:00", "2026-10-04T04:00:00+11:00"), Some(3 * 60));
    }

    #[test]
    fn an_hour_that_the_clock_repeats_counts_twice() {
        // 2026-04-05, 03:00 becomes 02:00
        assert_eq!(open("Sat 22:00-06:00", "2026-04-05T05:00:00+10:00"), Some(8 * 60));
        assert_eq!(open("Sun 08:00-10:00", "2026-04-05T08:30:00+10:00"), Some(30));
        assert_eq!(open("Sun 02:30-04:00", "2026-04-05T02:45:00+10:00"), Some(75));
        assert_eq!(open("Sun 01:00-02:30", "2026-04-05T02:15:00+10:00"), Some(135));
        assert_eq!(open("Sun 01:00-02:30;Sun 02:30-06:00", "2026-04-05T04:00:00+10:00"), Some(4 * 60));
    }

    #[test]
    fn a_contact_centre_that_never_closes_has_been_open_for_more_than_a_week() {
        let open = open("Mon-Sun 00:00-24:00", "2026-11-24T12:00:00+11:00").unwrap();
        assert!(open > 7 * 24 * 60, "{open}");
    }

    #[test]
    fn every_bad_part_is_named_at_once_with_an_example() {
        let BadHours(problems) = "Mon-Fri 08:00-18:00;;Mo 08:00-18:00;Mon 8:00-18:00;Mon 08:00-24:30;Mon 25:00-26:00;\
             Mon 24:00-08:00;Mon 08:00-08:00;Mon;Mon, Wed 08:00-18:00;Mon- 08:00-18:00;Mon 08:00"
            .parse::<BusinessHours>()
            .unwrap_err();
        insta::assert_snapshot!(problems.join("\n"));
        let error = "Mon-Fri 18:00-08:00x".parse::<BusinessHours>().unwrap_err();
        insta::assert_snapshot!(error, @"the part 'Mon-Fri 18:00-08:00x' has '08:00x', not a time from 00:00 to 24:00; write it like Mon-Fri 08:00-18:00;Sat 09:00-13:00");
        assert!("".parse::<BusinessHours>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", likely in "[MonTueSaFri]{0,4}[-,]?[A-Z][a-z]{2} [0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}[; ]?") {
            let _ = text.parse::<BusinessHours>();
            let _ = likely.parse::<BusinessHours>();
        }

        #[test]
        fn no_moment_panics_and_no_stretch_is_negative(
            second in -377_705_023_201_i64..=253_402_207_200, first in 0_usize..7, last in 0_usize..7, from in 0_u16..1440, to in 0_u16..=1440,
            zone in proptest::sample::select(vec!["Australia/Sydney", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia", "UTC"]),
        ) {
            prop_assume!(from != to);
            let text = format!("{}-{} {:02}:{:02}-{:02}:{:02}", DAYS[first], DAYS[last], from / 60, from % 60, to / 60, to % 60);
            let zone = TimeZone::get(zone).unwrap();
            let near = [second, second.rem_euclid(4_000_000_000)];
            for at in near.map(|second| Timestamp::from_second(second).unwrap()).into_iter().chain([Timestamp::MIN, Timestamp::MAX]) {
                if let Some(open) = hours(&text).open_for(&zone, at) {
                    prop_assert!(!open.is_negative());
                }
            }
        }
    }
}
