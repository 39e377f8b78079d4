//! Owns attribution: which finding explains which, so that alerts are about causes and not about each consequence.
//!
//! Each check says what follows from it, by part and not by check alone: a lost association of contact records explains why
//! nothing is delivered, and nothing about agents. What could not be observed explains nothing and is explained by nothing.

use jiff::Timestamp;

use crate::checks::{self, CHECKS, Consequence, Explains};
use crate::finding::{Finding, Severity, Status};

/// Whether `row` of the check `cause` explains the one by the other.
fn applies(row: &Explains, cause: &Finding, consequence: &Finding) -> bool {
    let part = consequence.part();
    let is_meant = |one: &Consequence| one.check == consequence.check && one.part.is_none_or(|named| named == part);
    (row.parts.is_empty() || row.parts.iter().any(|part| part.is_of(cause)))
        && cause.severity >= row.from
        && row.consequences.iter().any(is_meant)
}

/// Names the root cause of each finding that another one explains. The consequence keeps what it says; its severity and
/// its date of loss are lifted onto the root, because alerts are about the root.
pub fn attribute(mut findings: Vec<Finding>) -> Vec<Finding> {
    let roots: Vec<Option<usize>> = (0..findings.len()).map(|index| root(&findings, index)).collect();
    let lifts: Vec<(usize, Severity, Option<Timestamp>)> = roots
        .iter()
        .zip(&findings)
        .filter_map(|(root, finding)| root.map(|root| (root, finding.severity, finding.data_loss_at)))
        .collect();
    let keys: Vec<Option<String>> =
        roots.iter().map(|root| root.and_then(|root| findings.get(root)).map(Finding::key)).collect();
    for (finding, key) in findings.iter_mut().zip(keys) {
        finding.caused_by = key;
    }
    for (root, severity, data_loss_at) in lifts {
        if let Some(root) = findings.get_mut(root) {
            root.severity = root.severity.max(severity);
            root.data_loss_at = [root.data_loss_at, data_loss_at].into_iter().flatten().min();
        }
    }
    findings
}

/// The finding that explains this one and is explained by none; the first along the chain, if there are several.
fn root(findings: &[Finding], index: usize) -> Option<usize> {
    let mut causes: Vec<usize> = Vec::new();
    let mut next = vec![index];
    while let Some(consequence) = next.pop() {
        for cause in direct_causes(findings, consequence) {
            if cause != index && !causes.contains(&cause) {
                causes.push(cause);
                next.push(cause);
            }
        }
    }
    let roots = causes.into_iter().filter(|cause| direct_causes(findings, *cause).next().is_none());
    roots.min_by_key(|cause| (findings.get(*cause).map(place), *cause))
}

/// Where in the chain the check of a finding stands.
fn place(finding: &Finding) -> usize {
    CHECKS.iter().position(|check| check.name == finding.check).unwrap_or(CHECKS.len())
}

fn direct_causes(findings: &[Finding], index: usize) -> impl Iterator<Item = usize> {
    let consequence = findings.get(index).filter(|finding| finding.status != Status::Unobservable);
    findings.iter().enumerate().filter_map(move |(at, cause)| {
        let can = at != index && cause.severity > Severity::Info && cause.status != Status::Unobservable;
        let rows = checks::find(&cause.check).map_or(&[][..], |check| check.explains);
        let explains = |consequence| can && rows.iter().any(|row| applies(row, cause, consequence));
        consequence.is_some_and(explains).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::checks::Check;

    fn found(check: &str, part: &str, severity: Severity) -> Finding {
        let resource = if part.is_empty() { format!("arn:{check}") } else { format!("arn:{check}#{part}") };
        Finding::about(check, part, Status::Unhealthy, severity, resource)
    }

    fn warnings(findings: &[(&str, &str)]) -> Vec<Finding> {
        findings.iter().map(|(check, part)| found(check, part, Severity::Warning)).collect()
    }

    fn told(findings: Vec<Finding>) -> Vec<(String, Option<String>)> {
        attribute(findings).into_iter().map(|finding| (finding.key(), finding.caused_by)).collect()
    }

    fn cause_of(check: &str, part: &str, causes: &[(&str, &str)]) -> Option<String> {
        let mut findings = warnings(causes);
        findings.push(found(check, part, Severity::Warning));
        attribute(findings).pop().unwrap().caused_by
    }

    #[test]
    fn the_table_as_it_is_used() {
        let parts = [
            ("connect-instance", ""),
            ("data-streaming", "AGENT_EVENTS"),
            ("data-streaming", "CONTACT_TRACE_RECORDS"),
            ("approved-origins", "https://x"),
            ("agent-event-stream", ""),
            ("agent-event-stream", "retention"),
            ("agent-event-stream", "shards"),
            ("agent-event-stream", "encryption"),
            ("iterator-age", ""),
            ("stream-throttling", "write"),
            ("stream-throttling", "read"),
            ("agent-event-flow", ""),
            ("delivery-stream", ""),
            ("delivery-stream", "destination"),
            ("firehose-delivery", ""),
            ("firehose-delivery", "input"),
            ("failed-records", ""),
            ("search-domain", ""),
            ("search-domain", "status"),
            ("search-domain", "writes-blocked"),
            ("search-domain", "storage"),
            ("search-domain", "memory"),
            ("search-domain", "cpu"),
            ("search-domain", "snapshots"),
            ("search-domain", "key"),
            ("search-domain", "nodes"),
            ("search-domain", "replicas"),
            ("search-domain", "change"),
            ("search-domain", "engine"),
            ("search-domain", "update"),
            ("domain-access", "emite-servers"),
            ("domain-access", "this-account"),
            ("domain-access", "public"),
            ("emite-role", ""),
            ("emite-role", "trust"),
            ("emite-role", "session"),
            ("emite-role", "policy"),
            ("emite-role", "boundary"),
            ("emite-server", ""),
            ("emite-server", "state"),
            ("emite-server", "status"),
            ("emite-server", "address"),
            ("emite-server", "profile"),
            ("emite-server", "remote-desktop"),
            ("emite-server", "web"),
            ("emite-server", "metadata"),
            ("alert-path", ""),
        ];
        let mut lines = Vec::new();
        for cause in parts {
            let explained = parts.iter().filter(|(check, part)| cause_of(check, part, &[cause]).is_some());
            let explained: Vec<_> = explained.map(|(check, part)| format!("{check}#{part}")).collect();
            lines.push(format!("{}#{}: {}", cause.0, cause.1, explained.join(" ")));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_ultimate_cause_is_named_and_not_the_next_one() {
        let chain = warnings(&[("agent-event-flow", ""), ("data-streaming", "AGENT_EVENTS"), ("connect-instance", "")]);
        let root = Some("connect-instance|arn:connect-instance".to_owned());
        let causes: Vec<_> = told(chain).into_iter().map(|(_, cause)| cause).collect();
        assert_eq!(causes, [root.clone(), root, None]);
    }

    #[test]
    fn a_lost_association_of_contact_records_explains_nothing_about_agents() {
        let cause = [("data-streaming", "CONTACT_TRACE_RECORDS")];
        assert_eq!(cause_of("agent-event-flow", "", &cause), None);
        assert!(cause_of("firehose-delivery", "input", &cause).is_some());
    }

    #[test]
    fn of_two_causes_the_first_along_the_chain_is_named() {
        let causes = [("search-domain", "status"), ("delivery-stream", "")];
        assert_eq!(cause_of("firehose-delivery", "", &causes), Some("delivery-stream|arn:delivery-stream".into()));
        let both = warnings(&[("data-streaming", "AGENT_EVENTS"), ("agent-event-stream", "")]);
        assert!(attribute(both).iter().all(|finding| finding.caused_by.is_none()));
    }

    #[test]
    fn full_storage_explains_blocked_writes_and_all_that_follows() {
        let findings =
            warnings(&[("firehose-delivery", ""), ("search-domain", "writes-blocked"), ("search-domain", "storage")]);
        let root = Some("search-domain|arn:search-domain#storage".to_owned());
        let causes: Vec<_> = told(findings).into_iter().map(|(_, cause)| cause).collect();
        assert_eq!(causes, [root.clone(), root, None]);
    }

    #[test]
    fn storage_that_runs_low_does_not_explain_what_fails_already() {
        assert_eq!(cause_of("firehose-delivery", "", &[("search-domain", "storage")]), None);
        let critical = vec![
            found("search-domain", "storage", Severity::Critical),
            found("firehose-delivery", "", Severity::Warning),
        ];
        assert!(attribute(critical)[1].caused_by.is_some());
    }

    #[test]
    fn severity_and_loss_are_lifted_onto_the_root() {
        let mut findings =
            vec![found("agent-event-stream", "", Severity::Warning), found("iterator-age", "", Severity::Critical)];
        findings[0].data_loss_at = Some(Timestamp::from_second(200).unwrap());
        findings[1].data_loss_at = Some(Timestamp::from_second(100).unwrap());
        let attributed = attribute(findings);
        assert_eq!(
            (attributed[0].severity, attributed[0].data_loss_at),
            (Severity::Critical, attributed[1].data_loss_at)
        );
        assert_eq!(attributed[1].severity, Severity::Critical);
    }

    #[test]
    fn what_could_not_be_looked_at_neither_explains_nor_is_explained() {
        let mut blind = warnings(&[("connect-instance", ""), ("data-streaming", "AGENT_EVENTS")]);
        blind[0].status = Status::Unobservable;
        assert!(attribute(blind.clone()).iter().all(|finding| finding.caused_by.is_none()));
        blind[0].status = Status::Missing;
        blind[1].status = Status::Unobservable;
        assert!(attribute(blind).iter().all(|finding| finding.caused_by.is_none()));
    }

    #[test]
    fn what_is_only_worth_knowing_explains_nothing() {
        let findings =
            vec![found("connect-instance", "", Severity::Info), found("agent-event-flow", "", Severity::Warning)];
        assert_eq!(attribute(findings)[1].caused_by, None);
    }

    /// Every row, with the check whose findings are its causes.
    fn rows() -> Vec<(&'static Check, &'static Explains)> {
        CHECKS.iter().flat_map(|check| check.explains.iter().map(move |row| (check, row))).collect()
    }

    #[test]
    fn every_name_in_the_table_is_a_check() {
        let names = |check: &Check| check.parts.iter().map(|part| part.name).collect::<BTreeSet<_>>();
        for (cause, row) in rows() {
            assert!(row.parts.iter().all(|part| names(cause).contains(part.name)), "{}: {:?}", cause.name, row.parts);
            for one in row.consequences {
                let check = checks::find(one.check).unwrap();
                assert!(one.part.is_none_or(|part| names(check).contains(part)), "{}: {one:?}", cause.name);
            }
        }
    }

    #[test]
    fn the_table_has_no_cycle() {
        let leads = |(_, from): &(&Check, &Explains), (to, row): &(&Check, &Explains)| {
            let has = |name: &str| row.parts.iter().any(|part| part.name == name);
            let fits = |part: Option<&str>| part.is_none_or(|part| row.parts.is_empty() || has(part));
            from.consequences.iter().any(|one| one.check == to.name && fits(one.part))
        };
        let mut left = rows();
        while !left.is_empty() {
            let open: Vec<_> = left.iter().filter(|row| left.iter().any(|from| leads(from, row))).copied().collect();
            assert!(
                open.len() < left.len(),
                "a cycle among {:?}",
                open.iter().map(|(check, _)| check.name).collect::<Vec<_>>()
            );
            left = open;
        }
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        let parts = [
            "",
            "AGENT_EVENTS",
            "CONTACT_TRACE_RECORDS",
            "encryption",
            "storage",
            "status",
            "writes-blocked",
            "key",
            "this-account",
            "trust",
            "session",
            "destination",
        ];
        let statuses = [Status::Missing, Status::Incorrect, Status::Unhealthy, Status::Unobservable];
        let severities = [Severity::Info, Severity::Warning, Severity::Critical];
        let loss = proptest::option::of(0..1_000_000_i64);
        (0..CHECKS.len(), 0..parts.len(), 0..statuses.len(), 0..severities.len(), loss).prop_map(
            move |(check, part, status, severity, loss)| Finding {
                status: statuses[status],
                data_loss_at: loss.map(|second| Timestamp::from_second(second).unwrap()),
                ..found(CHECKS[check].name, parts[part], severities[severity])
            },
        )
    }

    proptest! {
        #[test]
        fn no_finding_is_dropped_and_roots_are_never_caused(findings in proptest::collection::vec(any_finding(), 0..25)) {
            let attributed = attribute(findings.clone());
            let keys = |findings: &[Finding]| findings.iter().map(Finding::key).collect::<Vec<_>>();
            prop_assert_eq!(keys(&attributed), keys(&findings));
            for finding in attributed.iter() {
                let Some(cause) = &finding.caused_by else { continue };
                prop_assert!(finding.status != Status::Unobservable);
                let roots: Vec<_> = attributed.iter().filter(|root| root.key() == *cause && root.caused_by.is_none()).collect();
                let lifted = |root: &&&Finding| {
                    root.severity >= finding.severity
                        && finding.data_loss_at.is_none_or(|at| root.data_loss_at.is_some_and(|root| root <= at))
                };
                prop_assert!(roots.iter().any(|root| lifted(&root)), "{:?}", finding);
            }
        }

        #[test]
        fn attributing_twice_changes_nothing(findings in proptest::collection::vec(any_finding(), 0..25)) {
            let once = attribute(findings);
            prop_assert_eq!(attribute(once.clone()), once);
        }
    }
}
