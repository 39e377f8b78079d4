//! Owns the titles of mails: what is wrong in a few words, by check and kind of finding.

use emite_core::finding::Status;

use crate::episodes::HEALTH_CHECK;

/// Which part of a resource a finding is about: what stands behind the last `#`.
pub(super) fn part(resource: &str) -> &str {
    resource.rsplit_once('#').map_or("", |(_, part)| part)
}

/// The title of a finding.
pub(super) fn of(check: &str, status: Status, resource: &str) -> &'static str {
    let part = part(resource);
    if status == Status::Unobservable {
        return unseen(check);
    }
    match (check, part) {
        ("connect-instance", _) => "the Amazon Connect instance is not usable",
        ("data-streaming", "CONTACT_TRACE_RECORDS") => "contact records are not sent to eMite",
        ("data-streaming", _) => "agent events are not sent to eMite",
        ("approved-origins", _) => "eMite is not an approved origin",
        ("agent-event-stream", "retention") => "agent events are kept too short",
        ("agent-event-stream", "shards") => "the agent event stream is too small",
        ("agent-event-stream", "encryption") => "agent event encryption is not as set up",
        ("agent-event-stream", _) => "the agent event stream is not usable",
        ("iterator-age", _) if status == Status::Missing => "eMite does not read agent events",
        ("iterator-age", _) => "eMite is late reading agent events",
        ("stream-throttling", "read") => "agent events are read too often",
        ("stream-throttling", _) => "the agent event stream is overloaded",
        ("agent-event-flow", _) => "agent events are not arriving",
        ("contact-record-stream", _) => "the contact record stream is not usable",
        ("delivery-stream", "destination") => "contact records go to another place",
        ("delivery-stream", _) => "the delivery stream is not usable",
        ("firehose-delivery", "input") => "contact records are not arriving",
        ("firehose-delivery", _) => "contact records are not delivered",
        ("failed-records", _) if resource.ends_with("/quarantine/") => "contact records are in quarantine",
        ("failed-records", _) => "contact records could not be stored",
        ("search-domain", part) => search_domain(part),
        ("domain-access", "public") => "the search domain is open to everybody",
        ("domain-access", "emite-servers") => "eMite cannot reach the search domain",
        ("domain-access", "this-account") => "this account cannot use the search domain",
        ("domain-access", _) => "access to the search domain has changed",
        ("emite-role", "trust") if status == Status::Unexpected => "others can use the eMite role",
        ("emite-role", part) => emite_role(part),
        ("emite-server", part) => emite_server(part),
        ("alert-path", "filter") => "nobody hears of the health check's own alarms",
        ("alert-path", "delivery") => "alerts could not be delivered",
        ("alert-path", _) if status == Status::Missing => "nobody hears of alerts",
        ("alert-path", _) if status == Status::Unhealthy => "some events were not handled",
        ("alert-path", _) => "a subscription to alerts is not confirmed",
        (HEALTH_CHECK, _) => "the health check itself failed",
        _ => "something is not as it should be",
    }
}

fn emite_role(part: &str) -> &'static str {
    match part {
        "trust" => "eMite cannot use its role",
        "session" => "sessions of the eMite role are too short",
        "policy" => "permissions of the eMite role have changed",
        "boundary" => "the limit of the eMite role has changed",
        _ => "the eMite role is not usable",
    }
}

fn emite_server(part: &str) -> &'static str {
    match part {
        "state" => "the eMite server is not running",
        "status" => "the eMite server has a fault",
        "address" => "the eMite server has lost its address",
        "profile" => "the eMite server does not have its role",
        "remote-desktop" => "the eMite server is open too wide",
        "web" => "the eMite server lets no browser in",
        "metadata" => "the eMite server's keys are poorly guarded",
        _ => "the eMite server is gone",
    }
}

fn search_domain(part: &str) -> &'static str {
    match part {
        "status" => "the search domain has lost access to data",
        "writes-blocked" => "the search domain takes no records",
        "storage" => "the search domain is running out of space",
        "memory" => "the search domain is short of memory",
        "cpu" => "the search domain is overloaded",
        "snapshots" => "the search domain has no fresh snapshot",
        "key" => "the search domain cannot use its key",
        "nodes" => "the search domain lacks a node",
        "replicas" => "data of the search domain has no copy",
        "change" => "a change of the search domain does not end",
        "engine" => "the search engine is not supported for long",
        "update" => "the search domain needs an update",
        _ => "the search domain is not usable",
    }
}

fn unseen(check: &str) -> &'static str {
    match check {
        "connect-instance" | "data-streaming" | "approved-origins" => "Amazon Connect cannot be checked",
        "agent-event-stream" | "iterator-age" | "stream-throttling" | "agent-event-flow" => {
            "the agent event stream cannot be checked"
        }
        "contact-record-stream" => "the contact record stream cannot be checked",
        "delivery-stream" | "firehose-delivery" => "the delivery stream cannot be checked",
        "failed-records" => "failed records cannot be checked",
        "search-domain" | "domain-access" => "the search domain cannot be checked",
        "emite-role" => "the eMite role cannot be checked",
        "emite-server" => "the eMite server cannot be checked",
        "alert-path" => "the way of the alerts cannot be checked",
        _ => "something cannot be checked",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The titles and commands of a part are chosen by its name, which the check gives it.
    #[test]
    fn every_part_that_has_a_title_of_its_own_is_one_that_its_check_finds() {
        let parts = [
            ("agent_event_stream", &["retention", "shards", "encryption"][..]),
            ("stream_throttling", &["read", "write"]),
            ("delivery_stream", &["destination"]),
            ("firehose_delivery", &["input"]),
            (
                "search_domain",
                &[
                    "status",
                    "writes-blocked",
                    "storage",
                    "memory",
                    "cpu",
                    "snapshots",
                    "key",
                    "nodes",
                    "replicas",
                    "change",
                    "engine",
                    "update",
                ],
            ),
            ("domain_access", &["public", "emite-servers", "this-account"]),
            ("emite_role", &["trust", "session", "policy", "boundary"]),
            ("emite_server", &["state", "status", "address", "profile", "remote-desktop", "web", "metadata"]),
            ("alert_path", &["filter", "delivery", "unconfirmed"]),
        ];
        for (check, parts) in parts {
            let file = format!("{}/../../shared/src/checks/{check}.rs", env!("CARGO_MANIFEST_DIR"));
            let mut judge = fs::read_to_string(&file).unwrap();
            for part in fs::read_dir(file.trim_end_matches(".rs")).into_iter().flatten() {
                let part = part.unwrap().path();
                if part.is_file() {
                    judge += &fs::read_to_string(part).unwrap();
                }
            }
            let other = of(&check.replace('_', "-"), Status::Incorrect, "x#no-such-part");
            for part in parts {
                assert!(
                    judge.contains(&format!("#{part}")) || judge.contains(&format!("\"{part}\"")),
                    "{check} finds no {part}"
                );
                let title = of(&check.replace('_', "-"), Status::Incorrect, &format!("x#{part}"));
                assert!(title != other || ["write", "unconfirmed"].contains(part), "{check}#{part} has no title");
            }
        }
    }
}
