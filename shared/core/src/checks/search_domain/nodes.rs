//! Owns whether all nodes of the domain are there, and a copy of all data on another one.

use jiff::SignedDuration;

use super::super::check::Part;
use super::change::excuses;
use super::part::{FRESH, Found, STILL_TAKEN, about, latest, live, measured, metric, shows};
use crate::finding::{Finding, Severity, Status, values};
use crate::metrics::{MetricQuery, Stat};
use crate::snapshot::Snapshot;
use crate::spec::Spec;

pub(super) const NODES: Part =
    measured("nodes", "the search domain lacks a node", |spec| shows(spec, nodes_metric(spec)));
pub(super) const REPLICAS: Part =
    measured("replicas", "data of the search domain has no copy", |spec| shows(spec, yellow_metric(spec)));

pub(super) fn nodes_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_nodes", "Nodes", Stat::Minimum)
}

pub(super) fn yellow_metric(spec: &Spec) -> MetricQuery {
    metric(spec, "domain_yellow", "ClusterStatus.yellow", Stat::Maximum)
}

pub(super) fn nodes(spec: &Spec, snapshot: &Snapshot) -> Found {
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
            values: values([("instanceCount", set.into()), ("expectedInstanceCount", spec.domain_instances.into())]),
            ..about(spec, &NODES, Status::Incorrect, Severity::Warning)
        }));
    }
    let there = snapshot.metrics.get("domain_nodes")?.min_since(snapshot.taken_at - FRESH);
    let Some(there) = there.filter(|there| *there < f64::from(set) && !excuses(domain, snapshot)) else {
        return Ok(None);
    };
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
        values: values([("nodes", there.into()), ("instanceCount", set.into())]),
        ..about(spec, &NODES, Status::Unhealthy, Severity::Warning)
    }))
}

/// A domain with one node has nowhere to put copies, so it is yellow all its life, and is not asked.
pub(super) fn replicas(spec: &Spec, snapshot: &Snapshot) -> Found {
    if spec.domain_instances <= 1 {
        return Ok(None);
    }
    // Six periods are 30 minutes; metrics come up to 15 minutes late.
    let points = latest(snapshot, "domain_yellow", 6, SignedDuration::from_mins(45))?;
    if !points.is_some_and(|points| points.iter().all(|(_, yellow)| *yellow >= 1.0)) {
        return Ok(None);
    }
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    if domain.instance_count == 1 || excuses(domain, snapshot) {
        return Ok(None);
    }
    Ok(Some(Finding {
        summary: "Some data of the search domain has had no copy on another node for half an hour.".to_owned(),
        expected: "status green".to_owned(),
        observed: "status yellow for at least 30 min".to_owned(),
        impact: format!("Should a node fail now, the data that is only on it would not be available. {STILL_TAKEN}"),
        remedy: "Look at the nodes and the free storage of the domain: a copy needs a node that is there and has room. GET _cat/indices?health=yellow lists the indices; one that asks for as many replicas as there are nodes, or more, stays yellow until it asks for fewer.".to_owned(),
        values: values([("clusterStatus", "yellow".into()), ("instanceCount", domain.instance_count.into())]),
        ..about(spec, &REPLICAS, Status::Unhealthy, Severity::Warning)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{days, flat, healthy, noon, put, said, series, severity, spec, unseen, with_domain};
    use super::super::{CHECK, metrics};
    use super::*;
    use crate::look::Cause;
    use crate::snapshot::Domain;

    fn three() -> Spec {
        Spec { domain_instances: 3, ..spec() }
    }

    /// Three nodes of three, and what `domain_yellow` shows.
    fn yellow(values: &[f64], change: impl Fn(&mut Domain)) -> Snapshot {
        let mut snapshot = with_domain(|domain| {
            domain.instance_count = 3;
            change(domain);
        });
        put(&mut snapshot, "domain_nodes", flat(3.0));
        snapshot.metrics.0.insert("domain_yellow", Ok(series(values)));
        snapshot
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
        let day_old = |age| {
            let mut snapshot = changing.clone();
            snapshot.domain.as_mut().unwrap().as_mut().unwrap().change_began = Some(noon() - age);
            severity(&snapshot)
        };
        assert_eq!(day_old(days(1)), None);
        assert_eq!(day_old(days(2)), Some(Severity::Warning));
        let asked = Spec { domain_instances: 3, ..spec() };
        let fewer = nodes(&asked, &gone).unwrap();
        insta::assert_snapshot!(format!("{}\n{}", said(&gone), serde_json::to_string_pretty(&fewer).unwrap()));
    }

    #[test]
    fn data_without_a_copy_is_told_after_half_an_hour() {
        let told = |values: &[f64]| super::super::fixtures::findings(&CHECK, &three(), &yellow(values, |_| {}));
        insta::assert_json_snapshot!(told(&[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]));
        assert_eq!(told(&[1.0; 5]), []);
        assert_eq!(told(&[1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]), []);
        assert_eq!(told(&[]), []);
    }

    #[test]
    fn a_change_excuses_missing_copies_for_a_day() {
        let told = |began| {
            let snapshot = yellow(&[1.0; 6], |domain| (domain.processing, domain.change_began) = (true, began));
            replicas(&three(), &snapshot).unwrap().is_some()
        };
        assert!(!told(None));
        assert!(!told(Some(noon() - days(1))));
        assert!(told(Some(noon() - days(2))));
    }

    #[test]
    fn one_node_is_never_asked_for_copies_and_never_told() {
        let asks = |spec: &Spec| metrics(spec).iter().any(|query| query.id == "domain_yellow");
        assert!(!asks(&spec()) && asks(&three()));
        assert_eq!(replicas(&spec(), &healthy()), Ok(None));
        assert_eq!(replicas(&spec(), &yellow(&[1.0; 6], |_| {})), Ok(None));
        assert_eq!(replicas(&three(), &yellow(&[1.0; 6], |domain| domain.instance_count = 1)), Ok(None));
    }

    #[test]
    fn copies_that_cannot_be_seen_are_unobservable() {
        let mut snapshot = yellow(&[], |_| {});
        snapshot.metrics.0.insert("domain_yellow", Err(unseen(Cause::Throttled)));
        assert_eq!((CHECK.judge)(&three(), &snapshot), Err(unseen(Cause::Throttled)));
    }
}
