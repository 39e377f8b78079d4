//! Owns what the parts of the check `search-domain` share: how each is named, what it reads, and what every finding says.

use jiff::SignedDuration;

use super::super::check::{self, seen};
use crate::command::{AwsCli, Command, statistics};
use crate::finding::{Finding, Severity, Status};
use crate::look::Look;
use crate::metrics::{MetricQuery, Point, Stat};
use crate::snapshot::{Domain, Snapshot};
use crate::spec::Spec;

/// The name of the check.
pub(super) const NAME: &str = "search-domain";

/// An older datapoint says nothing about now.
pub(super) const FRESH: SignedDuration = SignedDuration::from_mins(30);

pub(super) const PUT_ASIDE: &str = "Contact records that the domain does not take wait in Firehose for some minutes and are then put aside in the bucket. Nothing is lost as long as the bucket takes them, but eMite does not show them.";
pub(super) const STILL_TAKEN: &str = "The domain still takes contact records. Should it stop, they wait in Firehose for some minutes and are then put aside in the bucket; nothing is lost as long as the bucket takes them.";

/// What one part of the check finds.
pub(super) type Found = Look<Option<Finding>>;

/// A part that the domain's description shows.
pub(super) const fn part(name: &'static str, title: &'static str) -> check::Part {
    check::Part { commands: describe, ..check::Part::new(name, title) }
}

/// A part that a metric shows.
pub(super) const fn measured(
    name: &'static str,
    title: &'static str,
    commands: fn(&Spec) -> Vec<Command>,
) -> check::Part {
    check::Part { commands, ..check::Part::new(name, title) }
}

fn describe(spec: &Spec) -> Vec<Command> {
    let describe = AwsCli::new(spec, "opensearch", "describe-domain");
    vec![Command::shows(describe.option("--domain-name", spec.domain_name()))]
}

/// Shows a metric of the domain.
pub(super) fn shows(spec: &Spec, query: MetricQuery) -> Vec<Command> {
    vec![Command::shows(statistics(spec, &query))]
}

/// A metric of the domain
/// (<https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-cloudwatchmetrics.html>).
pub(super) fn metric(spec: &Spec, id: &'static str, name: &'static str, stat: Stat) -> MetricQuery {
    let dimensions = vec![("DomainName", spec.domain_name().to_owned()), ("ClientId", spec.domain.account.clone())];
    MetricQuery { id, namespace: "AWS/ES", name, dimensions, stat }
}

/// A finding about one part of the domain.
pub(super) fn about(spec: &Spec, part: &check::Part, status: Status, severity: Severity) -> Finding {
    Finding { impact: PUT_ASIDE.to_owned(), ..part.finding(NAME, spec.domain.to_string(), status, severity) }
}

/// The domain, for parts that cannot do without. The check has reported one that is gone.
pub(super) fn live(snapshot: &Snapshot) -> Look<Option<&Domain>> {
    Ok(seen(&snapshot.domain)?.as_ref())
}

/// The newest point, if it is fresh.
pub(super) fn newest(snapshot: &Snapshot, id: &str) -> Look<Option<Point>> {
    let last = snapshot.metrics.get(id)?.last();
    Ok(last.filter(|(at, _)| snapshot.since(*at) <= FRESH))
}

pub(super) fn is_on(snapshot: &Snapshot, id: &str) -> Look<bool> {
    Ok(newest(snapshot, id)?.is_some_and(|(_, value)| value >= 1.0))
}

/// The newest `count` points, if there are as many and none is older than `oldest`.
pub(super) fn latest<'a>(
    snapshot: &'a Snapshot,
    id: &str,
    count: usize,
    oldest: SignedDuration,
) -> Look<Option<&'a [Point]>> {
    let points = snapshot.metrics.get(id)?.since(snapshot.taken_at - oldest);
    Ok(points.len().checked_sub(count).and_then(|from| points.get(from..)))
}
