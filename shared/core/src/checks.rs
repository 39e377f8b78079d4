//! Owns the registry of health checks. Each check is a pure judge in a file of its own, named like the check, together
//! with its parts, their titles and commands, and what follows from them. To add one, add that file and one line of
//! [`CHECKS`].

mod agent_event_flow;
mod agent_event_stream;
pub mod alert_path;
mod approved_origins;
mod check;
mod connect_instance;
mod contact_record_stream;
mod data_streaming;
mod delivery_stream;
mod domain_access;
mod emite_role;
mod emite_server;
mod failed_records;
mod firehose_delivery;
pub mod health_check;
mod iterator_age;
mod queries;
mod search_domain;
mod stream_throttling;

use crate::finding::{Status, Subject};
use crate::metrics::MetricQuery;
use crate::spec::Spec;

pub use check::{Check, Consequence, Explains, Part, Verdict};

/// All checks, in the order in which reports list them: from Connect to eMite, then the delivery of alerts.
pub const CHECKS: &[Check] = &[
    connect_instance::CHECK,
    data_streaming::CHECK,
    approved_origins::CHECK,
    agent_event_stream::CHECK,
    iterator_age::CHECK,
    stream_throttling::CHECK,
    agent_event_flow::CHECK,
    contact_record_stream::CHECK,
    delivery_stream::CHECK,
    firehose_delivery::CHECK,
    failed_records::CHECK,
    search_domain::CHECK,
    domain_access::CHECK,
    emite_role::CHECK,
    emite_server::CHECK,
    alert_path::CHECK,
];

/// The metrics that all checks of this stack need, each once.
pub fn metrics(spec: &Spec) -> Vec<MetricQuery> {
    let mut queries: Vec<MetricQuery> = Vec::new();
    for query in CHECKS.iter().flat_map(|check| (check.metrics)(spec)) {
        if !queries.iter().any(|known| known.id == query.id) {
            queries.push(query);
        }
    }
    queries
}

/// The check of that name; [`health_check::CHECK`], which no report lists, is one, too.
pub fn find(name: &str) -> Option<&'static Check> {
    CHECKS.iter().chain([&health_check::CHECK]).find(|check| check.name == name)
}

/// The part of its check that a finding is about; none if this version does not know the check.
pub fn part(subject: Subject<'_>) -> Option<&'static Part> {
    find(subject.check).and_then(|check| check.part(subject))
}

/// The title of a message about a finding.
pub fn title(subject: Subject<'_>) -> &'static str {
    match find(subject.check) {
        Some(check) => check.title(subject),
        None if subject.status == Status::Unobservable => "something cannot be checked",
        None => "something is not as it should be",
    }
}

/// What it means for a finding that records are lost from a moment on: a sentence with that moment, which is already in
/// words, that also depends on whether it has come.
pub fn loss(subject: Subject<'_>, moment: &str, has_come: bool) -> String {
    let sentence = part(subject).map_or(check::records_lost as fn(&str, bool) -> String, |part| part.loss);
    sentence(moment, has_come)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixtures;
    use crate::judge::judge;
    use crate::report::Status as Overall;

    #[test]
    fn every_check_passes_on_a_healthy_snapshot() {
        for spec in [fixtures::spec(), fixtures::whole()] {
            for check in CHECKS {
                let applicable = fixtures::is_applicable(check, &spec);
                let passed = if applicable { Verdict::Judged(Vec::new()) } else { Verdict::NotApplicable };
                assert_eq!((check.judge)(&spec, &fixtures::healthy_of(&spec)), Ok(passed), "{}", check.name);
            }
        }
    }

    #[test]
    fn every_check_finds_what_is_broken_and_no_other_check_claims_it() {
        let broken: Vec<_> = fixtures::BROKEN.iter().map(|(name, _)| *name).collect();
        assert_eq!(broken, CHECKS.iter().map(|check| check.name).collect::<Vec<_>>());
        for spec in [fixtures::spec(), fixtures::whole()] {
            let applicable = CHECKS.iter().map(|check| fixtures::is_applicable(check, &spec));
            for ((name, break_it), _) in fixtures::BROKEN.iter().zip(applicable).filter(|(_, applicable)| *applicable) {
                let mut snapshot = fixtures::healthy_of(&spec);
                break_it(&mut snapshot);
                let report = judge(&spec, &snapshot).report;
                report.findings.iter().for_each(fixtures::assert_identified);
                let roots = report.findings.iter().filter(|finding| finding.caused_by.is_none());
                let roots: BTreeSet<_> = roots.map(|finding| finding.check.as_str()).collect();
                assert_eq!(roots, BTreeSet::from([*name]), "{:#?}", report.findings);
                assert_ne!(report.status, Overall::Healthy, "{name}");
            }
        }
    }

    #[test]
    fn the_documents_describe_every_check() {
        let watching = include_str!("../../../docs/watching.md");
        let described: BTreeSet<_> = watching
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
            .filter(|name| name.contains('-') && !name.contains(' '))
            .collect();
        for check in CHECKS {
            assert!(described.contains(check.name), "docs/watching.md has no row for {}", check.name);
        }
    }

    #[test]
    fn names_are_unique_and_one_query_id_is_one_metric() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        for query in CHECKS.iter().flat_map(|check| (check.metrics)(&fixtures::spec())) {
            assert!(metrics(&fixtures::spec()).contains(&query), "two metrics are called {}", query.id);
        }
    }

    #[test]
    fn parts_of_a_check_have_names_of_their_own_and_titles_that_fit_a_subject() {
        for check in CHECKS.iter().chain([&health_check::CHECK]) {
            let names: BTreeSet<_> = check.parts.iter().map(|part| part.name).collect();
            assert_eq!(names.len(), check.parts.len(), "{}", check.name);
            for title in check.parts.iter().map(|part| part.title).chain([check.unseen]) {
                assert!(!title.is_empty() && title.len() <= 50, "{}: {title}", check.name);
            }
        }
    }

    #[test]
    fn titles_commands_and_losses_of_each_part() {
        let mut lines = Vec::new();
        for check in CHECKS.iter().chain([&health_check::CHECK]) {
            lines.push(format!("== {}: {}", check.name, check.unseen));
            for part in check.parts {
                lines.push(format!("{}#{}: {}", check.name, part.name, part.title));
                for command in (part.commands)(&fixtures::whole()) {
                    lines.push(format!("  {}\n    {}", command.does, command.line));
                }
                lines.extend([true, false].map(|has_come| format!("  {}", (part.loss)("Monday", has_come))));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn commands_name_the_region_and_nothing_from_a_report() {
        let spec = fixtures::whole();
        for part in CHECKS.iter().flat_map(|check| check.parts) {
            let commands = (part.commands)(&spec);
            assert!(!commands.is_empty(), "{}", part.name);
            assert!(commands.iter().all(|command| command.line.contains(" --region ap-southeast-2 ")), "{commands:?}");
        }
    }

    #[test]
    fn part_that_is_not_known_has_the_title_of_the_last_one() {
        let title =
            |check: &str, part: Option<&str>, resource: &str, status| title(Subject { check, status, part, resource });
        let (other, missing, blind) = (Status::Incorrect, Status::Missing, Status::Unobservable);
        assert_eq!(title("alert-path", None, "topic#email:x", other), "a subscription to alerts is not confirmed");
        assert_eq!(title("alert-path", None, "topic", missing), "nobody hears of alerts");
        assert_eq!(title("alert-path", Some("new"), "topic", missing), "a subscription to alerts is not confirmed");
        assert_eq!(title("emite-role", None, "role#iam:GetRole", blind), "the eMite role cannot be checked");
        assert_eq!(title("new-check", Some(""), "x", other), "something is not as it should be");
        assert_eq!(title("new-check", Some(""), "x", blind), "something cannot be checked");
    }

    #[test]
    fn a_run_asks_for_at_most_thirty_metrics_and_the_documents_count_them() {
        let count = metrics(&fixtures::spec()).len();
        assert!(count <= 30, "{count}");
        let row = format!("{count} metrics × 8,640 checks");
        assert!(
            include_str!("../../../docs/watching.md").contains(&row),
            "docs/watching.md works out the cost of another number: {row}"
        );
    }

    #[test]
    fn every_check_has_a_file_named_like_it() {
        let files: BTreeSet<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/checks"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().replace('_', "-"))
            .filter(|name| !["check", "queries", "health-check"].contains(&name.as_str()))
            .collect();
        let names: BTreeSet<String> = CHECKS.iter().map(|check| check.name.to_owned()).collect();
        assert_eq!(files, names);
    }
}
