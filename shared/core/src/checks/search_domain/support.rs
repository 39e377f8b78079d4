//! Owns whether AWS goes on supporting the domain as it is: its engine, and the updates that it requires.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::check::Part;
use super::part::{Found, STILL_TAKEN, about, live, part};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::snapshot::Snapshot;
use crate::spec::Spec;

pub(super) const ENGINE: Part = Part {
    loss: |moment, _| format!("AWS stops supporting the engine on {moment}."),
    ..part("engine", "the search engine is not supported for long")
};
pub(super) const UPDATE: Part = part("update", "the search domain needs an update");

/// How early the end of support is a warning.
const SUPPORT_NOTICE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How early an update is reported that AWS installs by itself.
const UPDATE_NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How long after its date AWS may take to install it.
const UPDATE_PATIENCE: SignedDuration = SignedDuration::from_hours(3 * 24);
/// AWS gives a date at the beginning of 1970 where there is none.
const NO_DATE: SignedDuration = SignedDuration::from_hours(24);

/// The ends of standard and extended support of an engine; none if it is not known
/// (<https://docs.aws.amazon.com/opensearch-service/latest/developerguide/what-is.html#choosing-version>).
fn support(engine: &str) -> Option<(Date, Date)> {
    let (name, version) = engine.split_once('_')?;
    let (major, minor) = version.split_once('.')?;
    let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    let year = |year| date(year, 11, 7);
    let (standard, extended) = match (name, version) {
        ("Elasticsearch", (1, 5) | (2, 3) | (5, 1..=5) | (6, 0..=7) | (7, 1..=8)) => (2025, 2027),
        ("Elasticsearch", (5, 6)) => (2025, 2028),
        ("Elasticsearch", (6, 8) | (7, 10)) => (2027, 2030),
        ("Elasticsearch", (7, 9)) => (2027, 2028),
        ("OpenSearch", (1, 0..=2) | (2, 3..=9)) => (2025, 2027),
        ("OpenSearch", (1, 3) | (2, 19)) => (2027, 2030),
        ("OpenSearch", (2, 11..=17)) => (2027, 2028),
        _ => return None,
    };
    Some((year(standard), year(extended)))
}

pub(super) fn engine(spec: &Spec, snapshot: &Snapshot) -> Found {
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    let Some((standard, extended)) = support(&domain.engine) else { return Ok(None) };
    let midnight = |day: Date| day.to_zoned(TimeZone::UTC).map(|there| there.timestamp()).ok();
    let (Some(standard_end), Some(extended_end)) = (midnight(standard), midnight(extended)) else { return Ok(None) };
    let now = snapshot.taken_at;
    let name = domain.engine.replace('_', " ");
    let expected = "a version that AWS supports".to_owned();
    let observed = format!("{name}: standard support until {standard}, extended support until {extended}");
    let values = values([
        ("engineVersion", domain.engine.as_str().into()),
        ("standardSupportEnds", standard.to_string().into()),
        ("extendedSupportEnds", extended.to_string().into()),
    ]);
    let remedy = "Ask eMite which version it works with, and upgrade the domain to it.".to_owned();
    if now >= extended_end - SUPPORT_NOTICE {
        let ends = if now >= extended_end { "has ended" } else { "ends" };
        return Ok(Some(Finding {
            summary: format!("AWS's support for {name}, the engine of the search domain, {ends} on {extended}."),
            expected,
            observed,
            impact: format!(
                "AWS no longer mends security and other faults of it, and may upgrade or stop the domain. {STILL_TAKEN}"
            ),
            data_loss_at: Some(extended_end),
            remedy,
            values,
            ..about(spec, &ENGINE, Status::Incorrect, Severity::Warning)
        }));
    }
    Ok((now >= standard_end).then(|| Finding {
        summary: format!("AWS charges extra for {name}, the engine of the search domain: its standard support has ended on {standard}."),
        expected,
        observed,
        impact: format!("An extra charge for each hour of each node. {STILL_TAKEN}"),
        remedy,
        values,
        ..about(spec, &ENGINE, Status::Incorrect, Severity::Info)
    }))
}

pub(super) fn update(spec: &Spec, snapshot: &Snapshot) -> Found {
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    let Some(at) = domain.required_update_at.filter(|at| *at > Timestamp::UNIX_EPOCH + NO_DATE) else {
        return Ok(None);
    };
    let now = snapshot.taken_at;
    if at > now + UPDATE_NOTICE {
        return Ok(None);
    }
    let day = at.to_zoned(spec.time_zone.clone()).date();
    let found = |severity| Finding {
        expected: "no required update that waits".to_owned(),
        observed: format!("a required update, due {day}"),
        values: values([("automatedUpdateAt", moment(Some(at)))]),
        ..about(spec, &UPDATE, Status::Incorrect, severity)
    };
    Ok(Some(if now < at + UPDATE_PATIENCE {
        Finding {
            summary: if now < at {
                format!("AWS installs a required update of the search domain on {day}.")
            } else {
                format!("AWS is about to install a required update of the search domain that was due on {day}.")
            },
            impact: format!("The domain may be slower while it is installed. {STILL_TAKEN}"),
            remedy: "None needed. To choose the time yourself, start it under 'Service software' of the domain in the console.".to_owned(),
            ..found(Severity::Info)
        }
    } else {
        Finding {
            summary: format!("A required update of the search domain is overdue: it was due on {day}."),
            impact: format!("AWS isolates domains that go without required updates for long. {STILL_TAKEN}"),
            remedy: "Choose 'Update' under 'Service software' of the domain in the console; mend what it complains of first.".to_owned(),
            ..found(Severity::Warning)
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{days, noon, said, severity, with_domain};
    use super::*;
    use crate::metrics::Series;

    #[test]
    fn the_end_of_support_is_told_in_time() {
        let at = |now: &str| {
            let mut snapshot = with_domain(|domain| domain.engine = "Elasticsearch_6.3".into());
            snapshot.taken_at = now.parse().unwrap();
            for series in snapshot.metrics.0.values_mut() {
                *series = Ok(Series::default());
            }
            snapshot
        };
        let times = ["2026-11-24T00:00:00Z", "2027-09-01T00:00:00Z", "2027-12-01T00:00:00Z"];
        insta::assert_snapshot!(times.map(|now| said(&at(now))).join("\n"));
        assert_eq!(severity(&at("2025-11-06T23:59:59Z")), None);
    }

    #[test]
    fn an_engine_that_is_not_known_is_not_judged() {
        for engine in ["OpenSearch_3.1", "Elasticsearch_9.9", "", "Elasticsearch", "OpenSearch_x.y", "_."] {
            assert_eq!(support(engine), None, "{engine}");
        }
        for engine in ["Elasticsearch_6.8", "Elasticsearch_7.10", "OpenSearch_1.3", "OpenSearch_2.19"] {
            assert_eq!(severity(&with_domain(|domain| domain.engine = engine.into())), None, "{engine}");
        }
    }

    #[test]
    fn a_required_update_is_told_before_its_day_and_is_overdue_three_days_after() {
        let at = |at: Timestamp| with_domain(|domain| domain.required_update_at = Some(at));
        let due = |ahead| at(noon() + days(ahead));
        insta::assert_snapshot!([due(7), due(-2), due(-3)].iter().map(said).collect::<Vec<_>>().join("\n"));
        assert_eq!(severity(&due(15)), None);
        for no_date in ["1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"] {
            assert_eq!(severity(&at(no_date.parse().unwrap())), None, "{no_date}");
        }
    }
}
