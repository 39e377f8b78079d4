//! Owns whether the domain has room for more records, and for how long.
//!
//! A trend counts only if the last hours bear out the day: an index that was restored, or nodes that were replaced, take
//! room once and not again.

use jiff::{SignedDuration, Timestamp};

use super::super::check::{Part, records_lost};
use super::change::excuses;
use super::part::{Found, PUT_ASIDE, about, live, measured, metric, newest, shows};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::look::Look;
use crate::metrics::{MetricQuery, Point, Stat};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::{bounded, in_words};

pub(super) const STORAGE: Part = Part {
    loss: |moment, has_come| match has_come {
        true => records_lost(moment, has_come),
        false => format!("The domain is full on {moment}, if it fills up as fast as in the last day."),
    },
    ..measured("storage", "the search domain is running out of space", |spec| shows(spec, metric_of(spec)))
};

pub(super) fn metric_of(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_free_storage", "FreeStorageSpace", Stat::Minimum)
}

/// Free storage below which it is critical, in percent, unless the stack warns only later.
const CRITICAL_PERCENT: f64 = 10.0;
/// The time left to act below which it is urgent.
const SOON: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Forecasts further off are guesses.
const FARTHEST_FORECAST: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The shortest time from which a trend can be told, and the newest part of the window that must bear it out.
const SHORTEST_TREND: SignedDuration = SignedDuration::from_hours(6);

pub(super) fn storage(spec: &Spec, snapshot: &Snapshot) -> Found {
    let Some((_, free)) = newest(snapshot, "domain_free_storage")? else { return Ok(None) };
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    let volume = domain.volume_gib.filter(|gib| *gib > 0).map(|gib| f64::from(gib) * 1024.0);
    let percent = volume.map(|volume| free / volume * 100.0);
    // While AWS moves the data to other nodes, storage is no trend.
    let full = if excuses(domain, snapshot) { None } else { forecast(snapshot)? };
    let limit = f64::from(spec.thresholds.free_storage_percent);
    let below = |limit: f64| percent.is_some_and(|percent| percent < limit);
    let soon = full.is_some_and(|at| at.duration_since(snapshot.taken_at) < SOON);
    let little = below(CRITICAL_PERCENT.min(limit));
    // A forecast is a guess: it makes little room urgent, and does not take the place of it.
    let severity = match (little || soon && below(CRITICAL_PERCENT.max(limit)), below(limit) || soon) {
        (true, _) => Severity::Critical,
        (false, true) => Severity::Warning,
        (false, false) => return Ok(None),
    };
    let left = full.map(|at| in_words(at.duration_since(snapshot.taken_at)));
    let share = percent.map(|percent| format!(" ({percent:.0} %)")).unwrap_or_default();
    let trend = match &left {
        Some(left) => format!("; if it goes on shrinking like that it is full in {left}"),
        None => "; no steady trend".to_owned(),
    };
    Ok(Some(Finding {
        summary: match &left {
            Some(left) => format!("The search domain will run out of storage in about {left}."),
            None => "The search domain is short of storage.".to_owned(),
        },
        expected: format!("at least {limit} % of the storage of each node free, for three days or more"),
        observed: bounded(format!("{:.1} GiB{share} free on the fullest node{trend}", free / 1024.0)),
        impact: format!("When it is full it takes no more writes. {PUT_ASIDE}"),
        data_loss_at: full,
        remedy: "Delete old indices, or raise DomainVolumeGiB of the stack.".to_owned(),
        values: values([
            ("freeStorageMiB", free.into()),
            ("freeStoragePercent", percent.into()),
            ("expectedFreeStoragePercent", limit.into()),
            ("fullAt", moment(full)),
        ]),
        ..about(spec, &STORAGE, Status::Unhealthy, severity)
    }))
}

/// When storage runs out, if it shrinks both over the window and over its last hours, at the slower of the two paces.
fn forecast(snapshot: &Snapshot) -> Look<Option<Timestamp>> {
    let series = snapshot.metrics.get("domain_free_storage")?;
    let (Some((first, _)), Some((last, free))) = (series.points().first(), series.last()) else { return Ok(None) };
    if last.duration_since(*first) < SHORTEST_TREND {
        return Ok(None);
    }
    let paces = (per_hour(series.points()), per_hour(series.since(last - SHORTEST_TREND)));
    let (Some(day), Some(hours)) = paces else { return Ok(None) };
    let left = free.max(0.0) / -day.max(hours);
    // Whatever is not a number is not within the farthest forecast.
    let near = day < 0.0 && hours < 0.0 && left <= FARTHEST_FORECAST.as_secs_f64() / 3600.0;
    Ok(near.then(|| snapshot.taken_at + SignedDuration::from_secs_f64((left * 60.0).round() * 60.0)))
}

/// How much storage is gained in an hour: the median of the paces between any two points, which a single step does not
/// move. None if there are no two.
fn per_hour(points: &[Point]) -> Option<f64> {
    let mut paces: Vec<f64> = points
        .iter()
        .enumerate()
        .flat_map(|(index, (then, before))| {
            let later = points.iter().skip(index + 1);
            later.map(move |(at, free)| (free - before) / (at.duration_since(*then).as_secs_f64() / 3600.0))
        })
        .collect();
    let middle = paces.len() / 2;
    (middle < paces.len()).then(|| *paces.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{days, flat, noon, said, series, severity, with, with_domain};
    use super::*;
    use crate::metrics::Series;

    /// The window from one value to another, in a straight line.
    fn line(from: f64, to: f64) -> Series {
        series(&(0..288_u32).map(|step| from + (to - from) * f64::from(step) / 287.0).collect::<Vec<_>>())
    }

    /// The window at one value, and at another for its last `steps` periods.
    fn step(from: f64, to: f64, steps: usize) -> Series {
        let values: Vec<_> = (0..288).map(|index| if index < 288 - steps { from } else { to }).collect();
        series(&values)
    }

    /// A line over the window that is flat for its last 6 hours.
    fn ended(from: f64, to: f64) -> Series {
        let values: Vec<_> = (0..288_u32).map(|index| from + (to - from) * f64::from(index.min(214)) / 214.0).collect();
        series(&values)
    }

    #[test]
    fn storage_is_told_with_what_is_left_and_until_when() {
        let low = with("domain_free_storage", flat(10_240.0));
        let falling = with("domain_free_storage", line(40_960.0, 20_480.0));
        let both = with("domain_free_storage", line(30_720.0, 10_240.0));
        insta::assert_snapshot!([low, falling, both].iter().map(said).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn storage_is_critical_when_little_is_left_and_a_forecast_makes_that_urgent() {
        for (series, expected) in [
            (flat(13_000.0), None),
            (flat(12_000.0), Some(Severity::Warning)),
            (flat(5_000.0), Some(Severity::Critical)),
            (flat(0.0), Some(Severity::Critical)),
            (line(40_960.0, 40_000.0), None),
            (line(30_000.0, 40_000.0), None),
            (line(40_960.0, 30_000.0), Some(Severity::Warning)),
            (line(30_000.0, 12_000.0), Some(Severity::Critical)),
            (line(12_100.0, 12_000.0), Some(Severity::Warning)),
            (series(&[40_000.0, 20_000.0]), None),
            (Series::default(), None),
        ] {
            assert_eq!(severity(&with("domain_free_storage", series.clone())), expected, "{:?}", series.last());
        }
    }

    #[test]
    fn a_forecast_alone_is_no_more_than_a_warning_where_the_stack_warns_late() {
        let mut snapshot = with("domain_free_storage", line(15_000.0, 4_600.0));
        let late = |percent| {
            let mut spec = super::super::fixtures::spec();
            spec.thresholds.free_storage_percent = percent;
            spec
        };
        let severities =
            |spec: &Spec, snapshot: &Snapshot| storage(spec, snapshot).unwrap().map(|found| found.severity);
        assert_eq!(severities(&late(5), &snapshot), Some(Severity::Critical));
        snapshot.domain.as_mut().unwrap().as_mut().unwrap().volume_gib = Some(40);
        assert_eq!(severities(&late(5), &snapshot), Some(Severity::Warning));
        snapshot.domain.as_mut().unwrap().as_mut().unwrap().volume_gib = None;
        assert_eq!(severities(&late(25), &snapshot), Some(Severity::Warning));
    }

    #[test]
    fn a_step_is_no_trend_and_neither_is_one_that_has_ended() {
        for steps in [1, 12, 36, 71, 72, 73, 144, 200, 287] {
            let snapshot = with("domain_free_storage", step(40_000.0, 20_000.0, steps));
            assert_eq!((forecast(&snapshot), severity(&snapshot)), (Ok(None), None), "{steps}");
        }
        assert_eq!(forecast(&with("domain_free_storage", ended(40_000.0, 20_000.0))), Ok(None));
        let hours = |hours: f64| {
            let values: Vec<_> = (0..(hours * 12.0) as u32).map(|index| 40_000.0 - f64::from(index) * 50.0).collect();
            forecast(&with("domain_free_storage", series(&values))).unwrap()
        };
        assert_eq!(hours(6.0), None);
        assert!(hours(6.2).is_some());
    }

    #[test]
    fn of_two_paces_the_slower_one_is_told() {
        // 100 MiB in an hour for 18 hours, then ten times as much.
        let values =
            (0..288_u32).map(|index| 40_000.0 - f64::from(index + 9 * index.saturating_sub(215)) * 100.0 / 12.0);
        let snapshot = with("domain_free_storage", series(&values.collect::<Vec<_>>()));
        let left = forecast(&snapshot).unwrap().unwrap().duration_since(noon());
        assert!(left > SignedDuration::from_hours(5 * 24), "{left}");
    }

    #[test]
    fn a_change_excuses_the_forecast_for_a_day() {
        let falling = |began| {
            let mut snapshot = with_domain(|domain| (domain.processing, domain.change_began) = (true, began));
            super::super::fixtures::put(&mut snapshot, "domain_free_storage", line(40_960.0, 30_000.0));
            severity(&snapshot)
        };
        assert_eq!(falling(None), None);
        assert_eq!(falling(Some(noon() - days(1))), None);
        assert_eq!(falling(Some(noon() - days(2))), Some(Severity::Warning));
    }

    #[test]
    fn the_forecast_follows_the_line() {
        let snapshot = with("domain_free_storage", line(20_000.0, 10_000.0));
        let left = forecast(&snapshot).unwrap().unwrap().duration_since(noon());
        assert_eq!(in_words(left), "24 h");
    }
}
