//! Owns the check `search-domain`: whether the domain that contact records are delivered to works, and will go on doing so.
//!
//! It can have several problems at once, so each part is judged for itself and has a key of its own. A part that cannot be
//! seen hides no other. Metrics that are absent say nothing. Yellow is normal on one node and is not asked for there.

mod change;
#[cfg(test)]
mod fixtures;
mod load;
mod nodes;
mod part;
mod storage;
mod support;

use jiff::SignedDuration;

use super::check::{Check, Consequence, Explains, Part, Verdict, no_repair, together};
use super::{failed_records, firehose_delivery};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::look::Look;
use crate::metrics::{MetricQuery, Stat};
use crate::snapshot::{Domain, Snapshot};
use crate::spec::Spec;
use crate::words::in_words;
use part::{Found, NAME, PUT_ASIDE, STILL_TAKEN, about, is_on, live, measured, metric, shows};

/// The check.
pub(super) const CHECK: Check = Check {
    name: NAME,
    resource: |spec| spec.domain.to_string(),
    metrics,
    judge,
    repair: no_repair,
    parts: &[
        STATUS,
        WRITES_BLOCKED,
        storage::STORAGE,
        load::MEMORY,
        load::CPU,
        SNAPSHOTS,
        KEY,
        nodes::NODES,
        nodes::REPLICAS,
        change::CHANGE,
        support::ENGINE,
        support::UPDATE,
        DOMAIN,
    ],
    unseen: "the search domain cannot be checked",
    explains: &[
        Explains::of(
            &[DOMAIN, STATUS, WRITES_BLOCKED, KEY],
            &[firehose_delivery::CHECK.only(&firehose_delivery::OUTPUT), failed_records::CHECK.all()],
        ),
        // Storage that merely runs low rejects nothing yet, unless writes are blocked already.
        Explains {
            from: Severity::Critical,
            ..Explains::of(
                &[storage::STORAGE],
                &[firehose_delivery::CHECK.only(&firehose_delivery::OUTPUT), failed_records::CHECK.all()],
            )
        },
        Explains::of(&[storage::STORAGE], &[Consequence { check: NAME, part: Some(WRITES_BLOCKED.name) }]),
    ],
};

const DOMAIN: Part = part::part("", "the search domain is not usable");
const STATUS: Part =
    measured("status", "the search domain has lost access to data", |spec| shows(spec, red_metric(spec)));
const WRITES_BLOCKED: Part =
    measured("writes-blocked", "the search domain takes no records", |spec| shows(spec, writes_blocked_metric(spec)));
const SNAPSHOTS: Part = Part {
    loss: |moment, _| format!("The last good backup is deleted on {moment}."),
    ..measured("snapshots", "the search domain has no fresh snapshot", |spec| shows(spec, snapshots_metric(spec)))
};
const KEY: Part = part::part("key", "the search domain cannot use its key");

/// How long AWS keeps automated snapshots.
const SNAPSHOTS_KEPT: SignedDuration = SignedDuration::from_hours(14 * 24);

fn metrics(spec: &Spec) -> Vec<MetricQuery> {
    // With one node there is nowhere to put copies: yellow is all that it can be.
    let yellow = (spec.domain_instances > 1).then(|| nodes::yellow_metric(spec));
    [
        red_metric(spec),
        writes_blocked_metric(spec),
        storage::metric_of(spec),
        load::memory_metric(spec),
        load::cpu_metric(spec),
        snapshots_metric(spec),
        metric(spec, "domain_kms_error", "KMSKeyError", Stat::Maximum),
        metric(spec, "domain_kms_inaccessible", "KMSKeyInaccessible", Stat::Maximum),
        nodes::nodes_metric(spec),
    ]
    .into_iter()
    .chain(yellow)
    .collect()
}

fn red_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_red", "ClusterStatus.red", Stat::Maximum)
}

fn writes_blocked_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_writes_blocked", "ClusterIndexWritesBlocked", Stat::Maximum)
}

fn snapshots_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_snapshot_failure", "AutomatedSnapshotFailure", Stat::Maximum)
}

const JUDGES: &[fn(&Spec, &Snapshot) -> Found] = &[
    isolated,
    red,
    writes_blocked,
    storage::storage,
    load::memory,
    load::cpu,
    snapshots,
    key,
    nodes::nodes,
    nodes::replicas,
    change::change,
    support::engine,
    support::update,
];

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    if let Ok(domain) = &snapshot.domain
        && domain.as_ref().is_none_or(is_going)
    {
        return Ok(Some(missing(spec, domain.is_some())).into());
    }
    together(&CHECK, spec, JUDGES.iter().map(|judge| judge(spec, snapshot).map(Vec::from_iter)))
}

fn is_going(domain: &Domain) -> bool {
    domain.deleted || domain.processing_status.as_deref() == Some("Deleting")
}

fn is_isolated(domain: &Domain) -> bool {
    domain.processing_status.as_deref() == Some("Isolated")
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
        values: values([("domainName", name.into()), ("deleted", going.into())]),
        ..about(spec, &DOMAIN, Status::Missing, Severity::Critical)
    }
}

fn isolated(spec: &Spec, snapshot: &Snapshot) -> Found {
    let isolated = live(snapshot)?.is_some_and(is_isolated);
    Ok(isolated.then(|| Finding {
        summary: "AWS has isolated the search domain: nobody can read or write it, and AWS will delete it.".to_owned(),
        expected: "status Active".to_owned(),
        observed: "status Isolated".to_owned(),
        remedy: "Open a case with AWS Support now, and ask what the domain needs to be taken back.".to_owned(),
        values: values([("processingStatus", "Isolated".into()), ("expectedProcessingStatus", "Active".into())]),
        ..about(spec, &STATUS, Status::Unhealthy, Severity::Critical)
    }))
}

fn red(spec: &Spec, snapshot: &Snapshot) -> Found {
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
        values: values([
            ("clusterStatus", "red".into()),
            ("redSince", moment(since)),
            ("processing", domain.map(|domain| domain.processing).into()),
        ]),
        ..about(spec, &STATUS, Status::Unhealthy, Severity::Critical)
    }))
}

fn writes_blocked(spec: &Spec, snapshot: &Snapshot) -> Found {
    Ok(is_on(snapshot, "domain_writes_blocked")?.then(|| Finding {
        summary: "The search domain takes no writes.".to_owned(),
        expected: "writes are taken".to_owned(),
        observed: "writes are blocked".to_owned(),
        remedy: "Most often its storage or memory has run out: delete old indices or give it more storage. AWS lifts the block when there is room; an index may have to be set writable again.".to_owned(),
        values: values([("clusterIndexWritesBlocked", true.into())]),
        ..about(spec, &WRITES_BLOCKED, Status::Unhealthy, Severity::Critical)
    }))
}

fn snapshots(spec: &Spec, snapshot: &Snapshot) -> Found {
    if !is_on(snapshot, "domain_snapshot_failure")? {
        return Ok(None);
    }
    let series = snapshot.metrics.get("domain_snapshot_failure")?;
    let since = series.holds_since(|value| value >= 1.0);
    // If the whole series shows the failure, it began earlier, at an unknown time.
    let began = since.filter(|since| series.points().first().is_some_and(|(first, _)| first < since));
    let least = if began.is_none() { "at least " } else { "" };
    let lasting = since.map(|since| format!(" for {least}{}", in_words(snapshot.since(since)))).unwrap_or_default();
    Ok(Some(Finding {
        summary: "The automated backups of the search domain fail.".to_owned(),
        expected: "an automated snapshot each hour".to_owned(),
        observed: format!("automated snapshots fail{lasting}"),
        impact: format!(
            "Automated snapshots are kept for 14 days. When the last good one is gone, a broken index cannot be restored. {STILL_TAKEN}"
        ),
        data_loss_at: began.map(|began| began + SNAPSHOTS_KEPT),
        remedy: "Look whether the domain is red: snapshots fail while it is. Otherwise open a case with AWS Support."
            .to_owned(),
        values: values([
            ("failingSince", moment(since)),
            ("beganBefore", since.map(|_| began.is_none()).into()),
            ("retentionHours", SNAPSHOTS_KEPT.as_hours().into()),
        ]),
        ..about(spec, &SNAPSHOTS, Status::Unhealthy, Severity::Warning)
    }))
}

fn key(spec: &Spec, snapshot: &Snapshot) -> Found {
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
        values: values([("kmsKeyError", error.into()), ("kmsKeyInaccessible", inaccessible.into())]),
        ..about(spec, &KEY, Status::Unhealthy, Severity::Critical)
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fixtures::{
        days, findings, flat, healthy, noon, put, said, series, severity, spec, unseen, with, with_domain,
    };
    use super::*;
    use crate::fixtures::is_unobservable_without;
    use crate::look::Cause;
    use crate::metrics::Series;

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
    fn failing_backups_are_told_with_the_day_when_the_last_good_one_goes() {
        insta::assert_snapshot!(said(&with("domain_snapshot_failure", series(&[0.0, 1.0, 1.0]))));
        assert_eq!(severity(&with("domain_snapshot_failure", series(&[1.0, 1.0, 0.0]))), None);
    }

    #[test]
    fn nobody_knows_when_the_last_good_backup_goes_if_they_have_failed_for_as_long_as_can_be_seen() {
        insta::assert_snapshot!(said(&with("domain_snapshot_failure", flat(1.0))));
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
            volume in proptest::option::of(any::<u32>()), count in any::<u32>(), age in 0..100_i64,
        ) {
            let mut snapshot = with_domain(|domain| {
                domain.processing = processing;
                domain.volume_gib = volume;
                domain.instance_count = count;
                domain.change_status = Some("ApplyingChanges".into());
                domain.change_began = Some(noon() - days(age));
            });
            let spec = Spec { domain_instances: 2, ..spec() };
            for query in metrics(&spec) {
                snapshot.metrics.0.insert(query.id, Ok(series(&values)));
            }
            let found = findings(&CHECK, &spec, &snapshot);
            let keys: std::collections::BTreeSet<_> = found.iter().map(Finding::key).collect();
            prop_assert_eq!(keys.len(), found.len());
            prop_assert!(found.iter().all(|finding| finding.observed.chars().count() <= 600));
        }
    }
}
