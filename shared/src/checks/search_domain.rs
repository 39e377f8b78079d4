//! Owns the check `search-domain`: whether the domain that contact records are delivered to works, and will go on doing so.
//!
//! It can have several problems at once, so each part is judged for itself and has a key of its own. A part that cannot be
//! seen hides no other. Metrics that are absent say nothing. Yellow is normal on one node and is not asked for.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Check, Verdict, seen, together};
use crate::finding::{Finding, Severity, Status};
use crate::metrics::{MetricQuery, Point, Stat};
use crate::snapshot::{Domain, Look, Snapshot};
use crate::spec::Spec;
use crate::words::{bounded, in_words};

const NAME: &str = "search-domain";

/// The check.
pub(super) const CHECK: Check = Check { name: NAME, resource: |spec| spec.domain.to_string(), metrics, judge };

/// An older datapoint says nothing about now.
const FRESH: SignedDuration = SignedDuration::from_mins(30);
/// Free storage below which it is critical, in percent, unless the stack warns only later.
const CRITICAL_PERCENT: f64 = 10.0;
/// The time left to act below which it is critical.
const CRITICAL_FORECAST: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Forecasts further off are guesses.
const FARTHEST_FORECAST: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The shortest time from which a trend can be told.
const SHORTEST_TREND: SignedDuration = SignedDuration::from_hours(6);
/// How long AWS keeps automated snapshots.
const SNAPSHOTS_KEPT: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How early the end of support is told as something to act on.
const SUPPORT_NOTICE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How early an update is told that AWS installs by itself.
const UPDATE_NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

const PUT_ASIDE: &str = "Contact records that the domain does not take wait in Firehose for some minutes and are then put aside in the bucket. Nothing is lost as long as the bucket takes them, but eMite does not show them.";
const STILL_TAKEN: &str = "The domain still takes contact records. Should it stop, they wait in Firehose for some minutes and are then put aside in the bucket; nothing is lost as long as the bucket takes them.";

/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-cloudwatchmetrics.html>
fn metrics(spec: &Spec) -> Vec<MetricQuery> {
    let query = |(id, name, stat)| MetricQuery {
        id,
        namespace: "AWS/ES",
        name,
        dimensions: vec![("DomainName", spec.domain_name().to_owned()), ("ClientId", spec.domain.account.clone())],
        stat,
    };
    [
        ("domain_red", "ClusterStatus.red", Stat::Maximum),
        ("domain_writes_blocked", "ClusterIndexWritesBlocked", Stat::Maximum),
        ("domain_free_storage", "FreeStorageSpace", Stat::Minimum),
        ("domain_jvm", "JVMMemoryPressure", Stat::Maximum),
        ("domain_cpu", "CPUUtilization", Stat::Average),
        ("domain_snapshot_failure", "AutomatedSnapshotFailure", Stat::Maximum),
        ("domain_kms_error", "KMSKeyError", Stat::Maximum),
        ("domain_kms_inaccessible", "KMSKeyInaccessible", Stat::Maximum),
        ("domain_nodes", "Nodes", Stat::Minimum),
    ]
    .map(query)
    .to_vec()
}

/// What one part of the check comes to.
type Part = Look<Option<Finding>>;

const PARTS: &[fn(&Spec, &Snapshot) -> Part] =
    &[isolated, red, writes_blocked, storage, memory, cpu, snapshots, key, nodes, engine, update];

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    if let Ok(domain) = &snapshot.domain
        && domain.as_ref().is_none_or(is_going)
    {
        return Ok(Some(missing(spec, domain.is_some())).into());
    }
    together(&CHECK, spec, PARTS.iter().map(|part| part(spec, snapshot).map(Vec::from_iter)))
}

/// The domain, for parts that cannot do without. [`judge`] has reported one that is gone.
fn live(snapshot: &Snapshot) -> Look<Option<&Domain>> {
    Ok(seen(&snapshot.domain)?.as_ref())
}

fn is_going(domain: &Domain) -> bool {
    domain.deleted || domain.processing_status.as_deref() == Some("Deleting")
}

fn is_isolated(domain: &Domain) -> bool {
    domain.processing_status.as_deref() == Some("Isolated")
}

/// The newest point, if it is fresh.
fn newest(snapshot: &Snapshot, id: &str) -> Look<Option<Point>> {
    let last = snapshot.metrics.get(id)?.last();
    Ok(last.filter(|(at, _)| snapshot.since(*at) <= FRESH))
}

fn is_on(snapshot: &Snapshot, id: &str) -> Look<bool> {
    Ok(newest(snapshot, id)?.is_some_and(|(_, value)| value >= 1.0))
}

/// The newest `count` points, if there are as many and none is older than `oldest`.
fn latest<'a>(snapshot: &'a Snapshot, id: &str, count: usize, oldest: SignedDuration) -> Look<Option<&'a [Point]>> {
    let points = snapshot.metrics.get(id)?.since(snapshot.taken_at - oldest);
    Ok(points.len().checked_sub(count).and_then(|from| points.get(from..)))
}

/// A finding about the part of the domain behind the `#`; about the domain itself if `part` is empty.
fn about(spec: &Spec, part: &str, status: Status, severity: Severity) -> Finding {
    let hash = if part.is_empty() { "" } else { "#" };
    Finding {
        check: NAME.to_owned(),
        status,
        severity,
        resource: format!("{}{hash}{part}", spec.domain),
        summary: String::new(),
        expected: String::new(),
        observed: String::new(),
        impact: PUT_ASIDE.to_owned(),
        data_loss_at: None,
        caused_by: None,
        remedy: String::new(),
        repair: None,
    }
}

fn missing(spec: &Spec, going: bool) -> Finding {
    let name = spec.domain_name();
    Finding {
        summary: if going {
            format!("The search domain {name} is being deleted.")
        } else {
            format!("The search domain {name} does not exist.")
        },
        expected: format!("a search domain named {name}"),
        observed: if going { "a domain that is being deleted" } else { "no such domain" }.to_owned(),
        impact: format!("{PUT_ASIDE} What the domain held is gone unless there is a snapshot."),
        remedy: "Make the domain again with a new stack or from a snapshot, and tell eMite its new address. The contact records of the time between wait in the bucket.".to_owned(),
        ..about(spec, "", Status::Missing, Severity::Critical)
    }
}

fn isolated(spec: &Spec, snapshot: &Snapshot) -> Part {
    let isolated = live(snapshot)?.is_some_and(is_isolated);
    Ok(isolated.then(|| Finding {
        summary: "AWS has isolated the search domain: nobody can read or write it, and AWS will delete it.".to_owned(),
        expected: "status Active".to_owned(),
        observed: "status Isolated".to_owned(),
        remedy: "Open a case with AWS Support now, and ask what the domain needs to be taken back.".to_owned(),
        ..about(spec, "status", Status::Unhealthy, Severity::Critical)
    }))
}

fn red(spec: &Spec, snapshot: &Snapshot) -> Part {
    let domain = snapshot.domain.as_ref().ok().and_then(Option::as_ref);
    if !is_on(snapshot, "domain_red")? || domain.is_some_and(is_isolated) {
        return Ok(None);
    }
    let since = snapshot.metrics.get("domain_red")?.holds_since(|value| value >= 1.0);
    let lasting = since.map(|since| format!(" for at least {}", in_words(snapshot.since(since)))).unwrap_or_default();
    let change = if domain.is_some_and(|domain| domain.processing) {
        "; AWS is carrying out a change of the domain"
    } else {
        ""
    };
    Ok(Some(Finding {
        summary: "The search domain is red: some of its data is not available, and writing to it may fail.".to_owned(),
        expected: "status green or yellow".to_owned(),
        observed: format!("status red{lasting}{change}"),
        remedy: "Find the red indices with GET _cat/indices?health=red. Delete those that can be spared or restore them from an automated snapshot; check free storage and nodes first.".to_owned(),
        ..about(spec, "status", Status::Unhealthy, Severity::Critical)
    }))
}

fn writes_blocked(spec: &Spec, snapshot: &Snapshot) -> Part {
    Ok(is_on(snapshot, "domain_writes_blocked")?.then(|| Finding {
        summary: "The search domain takes no writes.".to_owned(),
        expected: "writes are taken".to_owned(),
        observed: "writes are blocked".to_owned(),
        remedy: "Most often its storage or memory has run out: delete old indices or give it more storage. AWS lifts the block when there is room; an index may have to be set writable again.".to_owned(),
        ..about(spec, "writes-blocked", Status::Unhealthy, Severity::Critical)
    }))
}

fn storage(spec: &Spec, snapshot: &Snapshot) -> Part {
    let Some((_, free)) = newest(snapshot, "domain_free_storage")? else { return Ok(None) };
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    let volume = domain.volume_gib.filter(|gib| *gib > 0).map(|gib| f64::from(gib) * 1024.0);
    let percent = volume.map(|volume| free / volume * 100.0);
    // While AWS moves the data to other nodes, storage is no trend.
    let full = if domain.processing { None } else { forecast(snapshot)? };
    let limit = f64::from(spec.thresholds.free_storage_percent);
    let below = |limit: f64| percent.is_some_and(|percent| percent < limit);
    let soon = full.is_some_and(|at| at.duration_since(snapshot.taken_at) < CRITICAL_FORECAST);
    let severity = match (below(CRITICAL_PERCENT.min(limit)) || soon, below(limit)) {
        (true, _) => Severity::Critical,
        (false, true) => Severity::Warning,
        (false, false) => return Ok(None),
    };
    let left = full.map(|at| in_words(at.duration_since(snapshot.taken_at)));
    let share = percent.map(|percent| format!(" ({percent:.0} %)")).unwrap_or_default();
    let trend = match &left {
        Some(left) => format!("; at the pace of the last day it is full in {left}"),
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
        ..about(spec, "storage", Status::Unhealthy, severity)
    }))
}

/// When storage runs out, if it shrinks: the line that fits the points of the window best.
fn forecast(snapshot: &Snapshot) -> Look<Option<Timestamp>> {
    let points = snapshot.metrics.get("domain_free_storage")?.points();
    let (Some((first, _)), Some((last, free))) = (points.first(), points.last()) else { return Ok(None) };
    if last.duration_since(*first) < SHORTEST_TREND {
        return Ok(None);
    }
    let hours = |at: &Timestamp| at.duration_since(*first).as_secs_f64() / 3600.0;
    let number = points.iter().map(|_| 1.0).sum::<f64>();
    let mean_hour = points.iter().map(|(at, _)| hours(at)).sum::<f64>() / number;
    let mean_free = points.iter().map(|(_, free)| free).sum::<f64>() / number;
    let spread = points.iter().map(|(at, _)| (hours(at) - mean_hour).powi(2)).sum::<f64>();
    let common = points.iter().map(|(at, free)| (hours(at) - mean_hour) * (free - mean_free)).sum::<f64>();
    let per_hour = common / spread;
    let left = free.max(0.0) / -per_hour;
    // Whatever does not shrink, and whatever is not a number, is not within the farthest forecast.
    let near = per_hour < 0.0 && left <= FARTHEST_FORECAST.as_secs_f64() / 3600.0;
    Ok(near.then(|| snapshot.taken_at + SignedDuration::from_secs_f64((left * 60.0).round() * 60.0)))
}

fn memory(spec: &Spec, snapshot: &Snapshot) -> Part {
    let all_above = |points: &[Point], limit: f64| points.iter().all(|(_, percent)| *percent >= limit);
    let Some((_, now)) = newest(snapshot, "domain_jvm")? else { return Ok(None) };
    let critical = latest(snapshot, "domain_jvm", 3, FRESH)?.is_some_and(|points| all_above(points, 95.0));
    let lasting = latest(snapshot, "domain_jvm", 6, FRESH + FRESH)?.is_some_and(|points| all_above(points, 85.0));
    let severity = match (critical, lasting) {
        (true, _) => Severity::Critical,
        (false, true) => Severity::Warning,
        (false, false) => return Ok(None),
    };
    let finding = Finding {
        summary: "The search domain is short of memory.".to_owned(),
        expected: "memory pressure below 85 %".to_owned(),
        observed: format!("memory pressure {now:.0} %"),
        impact: format!("It answers slowly; from 92 % on it stops taking writes until it recovers. {PUT_ASIDE}"),
        remedy: "Choose a larger DomainInstanceType for the stack, or keep fewer indices.".to_owned(),
        ..about(spec, "memory", Status::Unhealthy, severity)
    };
    Ok(Some(finding))
}

fn cpu(spec: &Spec, snapshot: &Snapshot) -> Part {
    // Nine periods are 45 minutes; metrics come up to 15 minutes late.
    let points = latest(snapshot, "domain_cpu", 9, SignedDuration::from_mins(60))?;
    let Some(points) = points.filter(|points| points.iter().all(|(_, percent)| *percent >= 80.0)) else {
        return Ok(None);
    };
    let least = points.iter().map(|(_, percent)| *percent).fold(100.0, f64::min);
    Ok(Some(Finding {
        summary: "The search domain has been computing at its limit for 45 minutes.".to_owned(),
        expected: "CPU below 80 %".to_owned(),
        observed: format!("CPU at {least:.0} % or more for 45 min"),
        impact: format!("eMite's reports get slow, and writes may be turned away. {STILL_TAKEN}"),
        remedy: "Choose a larger DomainInstanceType for the stack, or find the searches that take so much.".to_owned(),
        ..about(spec, "cpu", Status::Unhealthy, Severity::Warning)
    }))
}

fn snapshots(spec: &Spec, snapshot: &Snapshot) -> Part {
    if !is_on(snapshot, "domain_snapshot_failure")? {
        return Ok(None);
    }
    let since = snapshot.metrics.get("domain_snapshot_failure")?.holds_since(|value| value >= 1.0);
    let lasting = since.map(|since| format!(" for {}", in_words(snapshot.since(since)))).unwrap_or_default();
    Ok(Some(Finding {
        summary: "The automated backups of the search domain fail.".to_owned(),
        expected: "an automated snapshot each hour".to_owned(),
        observed: format!("automated snapshots fail{lasting}"),
        impact: format!(
            "Automated snapshots are kept for 14 days. When the last good one is gone, a broken index cannot be restored. {STILL_TAKEN}"
        ),
        data_loss_at: since.map(|since| since + SNAPSHOTS_KEPT),
        remedy: "Look whether the domain is red: snapshots fail while it is. Otherwise open a case with AWS Support."
            .to_owned(),
        ..about(spec, "snapshots", Status::Unhealthy, Severity::Warning)
    }))
}

fn key(spec: &Spec, snapshot: &Snapshot) -> Part {
    let error = is_on(snapshot, "domain_kms_error");
    let inaccessible = is_on(snapshot, "domain_kms_inaccessible");
    let (error, inaccessible) = match (error, inaccessible) {
        (Ok(true), other) | (other, Ok(true)) => (true, other.unwrap_or_default()),
        (error, inaccessible) => (error?, inaccessible?),
    };
    Ok((error || inaccessible).then(|| Finding {
        summary: "The search domain cannot use the key that it is encrypted with.".to_owned(),
        expected: "a key that the domain can use".to_owned(),
        observed: "AWS reports that the key is disabled, deleted or not accessible".to_owned(),
        impact: format!("A domain whose key stays lost cannot be recovered, nor can its automated snapshots. {PUT_ASIDE}"),
        remedy: "In the console of AWS Key Management Service, enable the key or cancel its deletion, and give the domain its grant back. Do it today.".to_owned(),
        ..about(spec, "key", Status::Unhealthy, Severity::Critical)
    }))
}

fn nodes(spec: &Spec, snapshot: &Snapshot) -> Part {
    let Some(domain) = live(snapshot)?.filter(|domain| domain.instance_count > 0) else { return Ok(None) };
    let set = domain.instance_count;
    if set < spec.domain_instances {
        return Ok(Some(Finding {
            summary: "The search domain has fewer nodes than the stack was asked for.".to_owned(),
            expected: format!("{} nodes", spec.domain_instances),
            observed: format!("{set} nodes"),
            impact: format!("It has less room and less power than planned. {STILL_TAKEN}"),
            remedy: format!(
                "Set the domain to {} data nodes again, or lower DomainInstanceCount of the stack.",
                spec.domain_instances
            ),
            ..about(spec, "nodes", Status::Incorrect, Severity::Warning)
        }));
    }
    let there = snapshot.metrics.get("domain_nodes")?.min_since(snapshot.taken_at - FRESH);
    let Some(there) = there.filter(|there| *there < f64::from(set) && !domain.processing) else { return Ok(None) };
    Ok(Some(Finding {
        summary: "A node of the search domain was not there within the last half hour.".to_owned(),
        expected: format!("{set} nodes"),
        observed: format!("only {there:.0} of {set} within the last half hour"),
        impact: format!(
            "While a node is missing, the domain may be slow, or miss data that has no copy on another. {STILL_TAKEN}"
        ),
        remedy:
            "Nothing yet: AWS replaces a failed node by itself. If it lasts for an hour, open a case with AWS Support."
                .to_owned(),
        ..about(spec, "nodes", Status::Unhealthy, Severity::Warning)
    }))
}

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

fn engine(spec: &Spec, snapshot: &Snapshot) -> Part {
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    let Some((standard, extended)) = support(&domain.engine) else { return Ok(None) };
    let midnight = |day: Date| day.to_zoned(TimeZone::UTC).map(|there| there.timestamp()).ok();
    let (Some(standard_end), Some(extended_end)) = (midnight(standard), midnight(extended)) else { return Ok(None) };
    let now = snapshot.taken_at;
    let name = domain.engine.replace('_', " ");
    let expected = "a version that AWS supports".to_owned();
    let observed = format!("{name}: standard support until {standard}, extended support until {extended}");
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
            ..about(spec, "engine", Status::Incorrect, Severity::Warning)
        }));
    }
    Ok((now >= standard_end).then(|| Finding {
        summary: format!("AWS charges extra for {name}, the engine of the search domain: its standard support has ended on {standard}."),
        expected,
        observed,
        impact: format!("An extra charge for each hour of each node. {STILL_TAKEN}"),
        remedy,
        ..about(spec, "engine", Status::Incorrect, Severity::Info)
    }))
}

fn update(spec: &Spec, snapshot: &Snapshot) -> Part {
    let Some(at) = live(snapshot)?.and_then(|domain| domain.required_update_at) else { return Ok(None) };
    if at > snapshot.taken_at + UPDATE_NOTICE {
        return Ok(None);
    }
    let day = at.to_zoned(spec.time_zone.clone()).date();
    let past = at < snapshot.taken_at;
    Ok(Some(Finding {
        summary: if past {
            format!("A required update of the search domain should have been installed on {day} and is not.")
        } else {
            format!("AWS installs a required update of the search domain on {day}.")
        },
        expected: "no required update that waits".to_owned(),
        observed: format!("a required update, due {day}"),
        impact: if past {
            format!("AWS isolates domains that go without required updates for long. {STILL_TAKEN}")
        } else {
            format!("The domain may be slower while it is installed. {STILL_TAKEN}")
        },
        remedy: if past {
            "Choose 'Update' under 'Service software' of the domain in the console; mend what it complains of first."
        } else {
            "None needed. To choose the time yourself, start it under 'Service software' of the domain in the console."
        }
        .to_owned(),
        ..about(spec, "update", Status::Incorrect, if past { Severity::Warning } else { Severity::Info })
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::{
        findings, flat, healthy, is_unobservable_without, noon, only, put, series, spec, unseen,
    };
    use super::*;
    use crate::metrics::Series;
    use crate::snapshot::Cause;

    fn with_domain(change: impl Fn(&mut Domain)) -> Snapshot {
        let mut snapshot = healthy();
        change(snapshot.domain.as_mut().unwrap().as_mut().unwrap());
        snapshot
    }

    fn with(id: &'static str, series: Series) -> Snapshot {
        let mut snapshot = healthy();
        put(&mut snapshot, id, series);
        snapshot
    }

    /// The window from one value to another, in a straight line.
    fn line(from: f64, to: f64) -> Series {
        series(&(0..288_u32).map(|step| from + (to - from) * f64::from(step) / 287.0).collect::<Vec<_>>())
    }

    fn said(snapshot: &Snapshot) -> String {
        serde_json::to_string_pretty(&only(&CHECK, &spec(), snapshot)).unwrap()
    }

    fn severity(snapshot: &Snapshot) -> Option<Severity> {
        findings(&CHECK, &spec(), snapshot).first().map(|finding| finding.severity)
    }

    #[test]
    fn a_domain_that_is_gone_is_told_and_nothing_else_about_it() {
        let mut snapshot = with("domain_red", flat(1.0));
        snapshot.domain = Ok(None);
        let deleting = with_domain(|domain| domain.deleted = true);
        insta::assert_snapshot!([snapshot, deleting].iter().map(said).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_red_or_isolated_domain_is_critical() {
        let mut both = with_domain(|domain| domain.processing_status = Some("Isolated".into()));
        put(&mut both, "domain_red", flat(1.0));
        let mut changing = with_domain(|domain| domain.processing = true);
        put(&mut changing, "domain_red", series(&[0.0, 1.0, 1.0]));
        insta::assert_snapshot!([both, changing].iter().map(said).collect::<Vec<_>>().join("\n"));
        assert_eq!(severity(&with("domain_red", series(&[1.0, 0.0]))), None);
    }

    #[test]
    fn blocked_writes_are_critical() {
        insta::assert_snapshot!(said(&with("domain_writes_blocked", series(&[0.0, 1.0]))));
    }

    #[test]
    fn storage_is_told_with_what_is_left_and_until_when() {
        let low = with("domain_free_storage", flat(10_240.0));
        let falling = with("domain_free_storage", line(40_960.0, 20_480.0));
        insta::assert_snapshot!([low, falling].iter().map(said).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn storage_is_critical_when_little_is_left_or_little_time() {
        for (series, expected) in [
            (flat(13_000.0), None),
            (flat(12_000.0), Some(Severity::Warning)),
            (flat(5_000.0), Some(Severity::Critical)),
            (flat(0.0), Some(Severity::Critical)),
            (line(40_960.0, 40_000.0), None),
            (line(30_000.0, 40_000.0), None),
            (line(40_960.0, 30_000.0), Some(Severity::Critical)),
            (series(&[40_000.0, 20_000.0]), None),
            (Series::default(), None),
        ] {
            assert_eq!(severity(&with("domain_free_storage", series.clone())), expected, "{:?}", series.last());
        }
        let mut moving = with("domain_free_storage", line(40_960.0, 30_000.0));
        moving.domain.as_mut().unwrap().as_mut().unwrap().processing = true;
        assert_eq!(severity(&moving), None);
    }

    #[test]
    fn the_forecast_follows_the_line() {
        let snapshot = with("domain_free_storage", line(20_000.0, 10_000.0));
        let left = forecast(&snapshot).unwrap().unwrap().duration_since(noon());
        assert_eq!(in_words(left), "24 h");
    }

    #[test]
    fn memory_is_a_warning_while_high_and_critical_near_the_end() {
        let high = with("domain_jvm", series(&[90.0; 7]));
        let full = with("domain_jvm", series(&[50.0, 96.0, 97.0, 98.0]));
        insta::assert_snapshot!([high, full].iter().map(said).collect::<Vec<_>>().join("\n"));
        assert_eq!(severity(&with("domain_jvm", series(&[90.0; 5]))), None);
        assert_eq!(severity(&with("domain_jvm", series(&[98.0, 97.0, 50.0]))), None);
    }

    #[test]
    fn a_busy_processor_is_told_after_three_quarters_of_an_hour() {
        insta::assert_snapshot!(said(&with("domain_cpu", series(&[85.0; 9]))));
        assert_eq!(severity(&with("domain_cpu", series(&[85.0; 8]))), None);
        let mut breath = [85.0; 12];
        breath[8] = 40.0;
        assert_eq!(severity(&with("domain_cpu", series(&breath))), None);
    }

    #[test]
    fn failing_backups_are_told_with_the_day_when_the_last_good_one_goes() {
        insta::assert_snapshot!(said(&with("domain_snapshot_failure", series(&[0.0, 1.0, 1.0]))));
    }

    #[test]
    fn a_lost_key_is_critical_whichever_metric_tells_it() {
        insta::assert_snapshot!(said(&with("domain_kms_error", series(&[1.0]))));
        let mut snapshot = with("domain_kms_inaccessible", series(&[1.0]));
        assert_eq!(severity(&snapshot), Some(Severity::Critical));
        snapshot.metrics.0.insert("domain_kms_error", Err(unseen(Cause::Failed)));
        assert_eq!(severity(&snapshot), Some(Severity::Critical));
    }

    #[test]
    fn nodes_are_counted_against_the_domain_and_the_stack() {
        let gone = {
            let mut snapshot = with_domain(|domain| domain.instance_count = 2);
            put(&mut snapshot, "domain_nodes", series(&[2.0, 1.0, 2.0]));
            snapshot
        };
        let mut changing = gone.clone();
        changing.domain.as_mut().unwrap().as_mut().unwrap().processing = true;
        assert_eq!(severity(&changing), None);
        let asked = Spec { domain_instances: 3, ..spec() };
        let fewer = only(&CHECK, &asked, &gone);
        insta::assert_snapshot!(format!("{}\n{}", said(&gone), serde_json::to_string_pretty(&fewer).unwrap()));
    }

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
    fn a_required_update_is_told_before_and_after_its_day() {
        let due = |days: i64| {
            let at = noon() + SignedDuration::from_hours(24 * days);
            with_domain(|domain| domain.required_update_at = Some(at))
        };
        insta::assert_snapshot!([due(7), due(-3)].iter().map(said).collect::<Vec<_>>().join("\n"));
        assert_eq!(severity(&due(15)), None);
    }

    #[test]
    fn absent_and_old_metrics_say_nothing() {
        let mut snapshot = healthy();
        for query in metrics(&spec()) {
            put(&mut snapshot, query.id, Series::default());
        }
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
        for id in ["domain_red", "domain_writes_blocked", "domain_snapshot_failure", "domain_kms_error", "domain_jvm"] {
            put(&mut snapshot, id, Series::new(vec![(noon() - SignedDuration::from_mins(31), 99.0)]));
        }
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn each_look_that_fails_is_told() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.domain = Err(unseen));
        for query in metrics(&spec()) {
            is_unobservable_without(&CHECK, |snapshot, unseen| {
                snapshot.metrics.0.insert(query.id, Err(unseen));
            });
        }
    }

    #[test]
    fn a_look_that_fails_hides_no_other() {
        let mut blind = with("domain_red", flat(1.0));
        blind.domain = Err(unseen(Cause::Denied));
        let mut without_metrics = with_domain(|domain| domain.processing_status = Some("Isolated".into()));
        for query in metrics(&spec()) {
            without_metrics.metrics.0.insert(query.id, Err(unseen(Cause::Throttled)));
        }
        for snapshot in [blind, without_metrics] {
            let found = findings(&CHECK, &spec(), &snapshot);
            let statuses: Vec<_> = found.iter().map(|finding| finding.status).collect();
            assert_eq!(statuses, [Status::Unhealthy, Status::Unobservable]);
        }
    }

    proptest! {
        #[test]
        fn no_values_make_it_panic_and_no_two_findings_share_a_key(
            values in proptest::collection::vec(proptest::num::f64::ANY, 0..100), processing in any::<bool>(),
            volume in proptest::option::of(any::<u32>()), count in any::<u32>(),
        ) {
            let mut snapshot = with_domain(|domain| {
                domain.processing = processing;
                domain.volume_gib = volume;
                domain.instance_count = count;
            });
            for query in metrics(&spec()) {
                put(&mut snapshot, query.id, series(&values));
            }
            let found = findings(&CHECK, &spec(), &snapshot);
            let keys: std::collections::BTreeSet<_> = found.iter().map(Finding::key).collect();
            prop_assert_eq!(keys.len(), found.len());
            prop_assert!(found.iter().all(|finding| finding.observed.chars().count() <= 600));
        }
    }
}
