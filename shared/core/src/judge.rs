//! Owns judging a snapshot: the report, and the changes that would repair what it found.
//!
//! Pure, so a repair judges the state before and after in the same way.

use crate::attribution::attribute;
use crate::change::{Change, Consent, PlannedChange};
use crate::checks::{CHECKS, Check, Verdict};
use crate::finding::{Finding, Status as FindingStatus};
use crate::report::{CheckOutcome, CheckResult, Report, Status, VERSION};
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::bounded;

/// What a snapshot comes to.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What is wrong, and what each check came to.
    pub report: Report,
    /// What would repair each finding that a repair can, in the order of the chain.
    changes: Vec<(PlannedChange, Change)>,
}

impl Judgement {
    /// The changes that would repair what the named checks found (all, if none is named), each once, in the order of the chain.
    pub fn plan(&self, checks: &[String]) -> Vec<(PlannedChange, Change)> {
        let mut plan: Vec<(PlannedChange, Change)> = Vec::new();
        for (planned, change) in &self.changes {
            let asked_for = checks.is_empty() || checks.contains(&planned.check);
            if asked_for && !plan.iter().any(|(_, known)| known == change) {
                plan.push((planned.clone(), change.clone()));
            }
        }
        plan
    }
}

/// Judges what a run observed.
pub fn judge(spec: &Spec, snapshot: &Snapshot) -> Judgement {
    let (mut findings, mut checks, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    let duration_ms = u64::try_from(snapshot.took.as_millis()).unwrap_or(u64::MAX);
    for check in CHECKS {
        let (outcome, found) = match (check.judge)(spec, snapshot) {
            Ok(Verdict::NotApplicable) => (CheckResult::NotApplicable, Vec::new()),
            Ok(Verdict::Judged(found)) => (CheckResult::of(&found), found),
            Err(unseen) => {
                let resource = (check.resource)(spec);
                (CheckResult::Unobservable, vec![Finding::unobservable(check.name, &resource, &unseen)])
            }
        };
        checks.push(CheckOutcome { name: check.name.to_owned(), outcome, duration_ms });
        for finding in found {
            let change = repair(check, spec, snapshot, &finding);
            let planned = change.as_ref().map(|change| planned(change, &finding, &(check.resource)(spec)));
            changes.extend(planned.clone().zip(change));
            findings.push(Finding { repair: planned, ..finding });
        }
    }
    let findings = attribute(findings);
    let report = Report {
        version: VERSION,
        integration: spec.integration.clone(),
        stack_id: spec.stack_id.clone(),
        instance_arn: spec.instance_arn.clone(),
        checked_at: snapshot.taken_at,
        status: Status::of(&findings),
        findings,
        checks,
    };
    Judgement { report, changes }
}

/// The change that would repair a finding of `check`, if one would.
fn repair(check: &Check, spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let observable = finding.status != FindingStatus::Unobservable;
    observable.then(|| (check.repair)(spec, snapshot, finding)).flatten()
}

/// The change, as reports and repair describe it; `whole` is the resource without the part.
fn planned(change: &Change, finding: &Finding, whole: &str) -> PlannedChange {
    let (from, to) = match change {
        Change::StreamTo { from, to, .. } => (from.as_ref().map(|from| from.target.to_string()), to.to_string()),
        Change::SetRetention { from, to, .. } => (Some(format!("{from} hours")), format!("{to} hours")),
        Change::SetSession { from, to, .. } => (Some(format!("{from} seconds")), format!("{to} seconds")),
        Change::SetBoundary { from, to, .. } => (from.clone(), to.to_string()),
        Change::AttachProfile { from, to, .. } => (from.as_ref().map(|from| from.arn.clone()), to.to_string()),
        Change::AllowOrigin { place } => (None, place.origin.to_string()),
        // For documents, the finding's sentences are clearer than the text of the policy.
        _ => (Some(finding.observed.clone()), finding.expected.clone()),
    };
    // One change repairs what several findings say about the access policy.
    let resource = match change {
        Change::AdmitToDomain { .. } => whole,
        _ => &finding.resource,
    };
    PlannedChange {
        id: format!("{}/{resource}/{}", finding.check, change.action()),
        check: finding.check.clone(),
        action: change.action().to_owned(),
        resource: resource.to_owned(),
        from: from.map(bounded),
        to: Some(bounded(to)),
        replaces_foreign: change.consent() != Consent::Safe,
        interrupts: change.interrupts(),
        iam: change.iam().into_iter().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::arn::Arn;
    use crate::fixtures::{BROKEN, Break, healthy, healthy_of, self_hosted, server_of, spec, unseen, whole};
    use crate::links::data_streaming::{Association, Target};
    use crate::links::emite_server::{Address, Profile};
    use crate::look::Cause;
    use crate::policy::merge::merged;
    use crate::report::Status as Overall;
    use crate::snapshot::{Domain, Role};

    fn role(snapshot: &mut Snapshot) -> &mut Role {
        snapshot.emite_role.as_mut().unwrap().as_mut().unwrap()
    }

    fn domain(snapshot: &mut Snapshot) -> &mut Domain {
        snapshot.domain.as_mut().unwrap().as_mut().unwrap()
    }

    fn elsewhere() -> Arn {
        "arn:aws:kinesis:ap-southeast-2:111122223333:stream/data-lake".parse().unwrap()
    }

    /// Each way to break something that a repair mends.
    const MENDABLE: &[(&str, Break)] = &[
        ("agent events go nowhere", |snapshot| snapshot.agent_event_streaming = Ok(None)),
        ("agent events go elsewhere", |snapshot| {
            let target = Target::KinesisStream(elsewhere());
            snapshot.agent_event_streaming = Ok(Some(Association { id: "a1".into(), target }));
        }),
        ("contact records go nowhere", |snapshot| snapshot.contact_record_streaming = Ok(None)),
        ("contact records go elsewhere", |snapshot| {
            let target = Target::KinesisStream(elsewhere());
            snapshot.contact_record_streaming = Ok(Some(Association { id: "c1".into(), target }));
        }),
        ("eMite is no approved origin", |snapshot| snapshot.approved_origins = Ok(Vec::new())),
        ("the retention is too short", |snapshot| {
            let mut stream = snapshot.agent_event_stream.clone().unwrap().unwrap();
            stream.retention_hours = 12;
            snapshot.agent_event_stream = Ok(Some(stream));
        }),
        ("nobody is admitted to the domain", |snapshot| domain(snapshot).access_policy = Value::Null),
        ("one server is not admitted", |snapshot| {
            let policy = &mut domain(snapshot).access_policy;
            policy["Statement"][0]["Condition"]["IpAddress"]["aws:SourceIp"] = json!(["203.0.113.10"]);
        }),
        ("this account is not admitted", |snapshot| {
            domain(snapshot).access_policy["Statement"].as_array_mut().unwrap().truncate(1);
        }),
        ("nobody may assume the role", |snapshot| {
            role(snapshot).trust = json!({"Version": "2012-10-17", "Statement": []})
        }),
        ("the role is trusted without the external id", |snapshot| {
            role(snapshot).trust["Statement"][0].as_object_mut().unwrap().remove("Condition");
        }),
        ("somebody else may assume the role", |snapshot| {
            role(snapshot).trust["Statement"][0]["Principal"] = json!({"AWS": ["444455556666", "999999999999"]});
        }),
        ("sessions are too short", |snapshot| role(snapshot).max_session_seconds = 3600),
        ("the role's policy is gone", |snapshot| role(snapshot).inline.clear()),
        ("the role's policy lacks something", |snapshot| {
            role(snapshot).inline.values_mut().for_each(|policy| {
                policy["Statement"].as_array_mut().unwrap().remove(0);
            });
        }),
        ("the role has no boundary", |snapshot| role(snapshot).boundary = None),
        ("the role has another boundary", |snapshot| {
            role(snapshot).boundary = Some("arn:aws:iam::111122223333:policy/other".into());
        }),
    ];

    /// The same of a stack with the eMite server in its account.
    const MENDABLE_SERVER: &[(&str, Break)] = &[
        ("the server has no instance profile", |snapshot| server_of(snapshot).profile = Ok(None)),
        ("the server has another instance profile", |snapshot| {
            let arn = "arn:aws:iam::111122223333:instance-profile/other".into();
            server_of(snapshot).profile = Ok(Some(Profile { association_id: "iip-assoc-1".into(), arn }));
        }),
        ("the address is free", |snapshot| server_of(snapshot).address = Ok(Some(Address::default()))),
        ("another server has the address", |snapshot| {
            let holder = Some("i-0000000000000000b".into());
            server_of(snapshot).address = Ok(Some(Address { holder, ..Address::default() }));
        }),
        ("the server has another address", |snapshot| {
            let instead = ["203.0.113.99".to_owned()].into();
            server_of(snapshot).address = Ok(Some(Address { holder: None, instead }));
        }),
        ("the server may not assume the role", |snapshot| {
            role(snapshot).trust["Statement"][0]["Principal"] = json!({"Service": "lambda.amazonaws.com"});
        }),
    ];

    /// All of these with the spec that they are of.
    fn mendable() -> impl Iterator<Item = (Spec, &'static str, Break)> {
        let hosted = MENDABLE.iter().map(|(name, break_it)| (spec(), *name, *break_it));
        hosted.chain(MENDABLE_SERVER.iter().map(|(name, break_it)| (self_hosted(), *name, *break_it)))
    }

    /// What is there once `change` worked.
    fn mend(snapshot: &mut Snapshot, change: &Change) {
        let association = |to: &Target| Ok(Some(Association { id: "new".into(), target: to.clone() }));
        match change {
            Change::StreamTo { to: to @ Target::KinesisFirehose(_), .. } => {
                snapshot.contact_record_streaming = association(to)
            }
            Change::StreamTo { to, .. } => snapshot.agent_event_streaming = association(to),
            Change::AllowOrigin { place } => snapshot.approved_origins = Ok(vec![place.origin.to_string()]),
            Change::SetRetention { to, .. } => {
                snapshot.agent_event_stream.as_mut().unwrap().as_mut().unwrap().retention_hours = *to;
            }
            Change::AdmitToDomain { seen, statements, .. } => domain(snapshot).access_policy = merged(seen, statements),
            Change::SetTrust { seen, admission, .. } => role(snapshot).trust = admission.merged_into(seen),
            Change::SetSession { to, .. } => role(snapshot).max_session_seconds = *to,
            Change::SetRolePolicy { seen, statements, .. } => {
                role(snapshot).inline.insert(crate::policies::emite_role::POLICY.to_owned(), merged(seen, statements));
            }
            Change::SetBoundary { to, .. } => role(snapshot).boundary = Some(to.to_string()),
            Change::AttachProfile { to, .. } => {
                let profile = Profile { association_id: "new".into(), arn: to.to_string() };
                server_of(snapshot).profile = Ok(Some(profile));
            }
            Change::AssociateAddress { instance, .. } => {
                let address = Address { holder: Some(instance.clone()), ..Address::default() };
                server_of(snapshot).address = Ok(Some(address));
            }
            Change::RestoreStreaming { .. } | Change::StopStreaming { .. } | Change::RemoveOrigin { .. } => {
                panic!("never a repair: {change:?}")
            }
        }
    }

    #[test]
    fn once_its_plan_is_applied_nothing_is_wrong_and_nothing_is_left_to_do() {
        for (spec, name, break_it) in mendable() {
            let mut snapshot = healthy_of(&spec);
            break_it(&mut snapshot);
            let judgement = judge(&spec, &snapshot);
            let planned = judgement.plan(&[]);
            assert!(!planned.is_empty(), "{name}: {:#?}", judgement.report.findings);
            assert!(judgement.report.findings.iter().any(|finding| finding.repair.is_some()), "{name}");
            for (_, change) in &planned {
                mend(&mut snapshot, change);
            }
            let judgement = judge(&spec, &snapshot);
            assert_eq!(judgement.report.status, Overall::Healthy, "{name}: {:#?}", judgement.report.findings);
            assert_eq!(judgement.plan(&[]), [], "{name}");
        }
    }

    #[test]
    fn a_plan_has_the_form_that_others_read() {
        #[derive(serde::Serialize)]
        struct Plan {
            broken: &'static str,
            planned: Vec<PlannedChange>,
        }
        let plans: Vec<_> = mendable()
            .map(|(spec, broken, break_it)| {
                let mut snapshot = healthy_of(&spec);
                break_it(&mut snapshot);
                let plan = judge(&spec, &snapshot).plan(&[]);
                Plan { broken, planned: plan.into_iter().map(|(planned, _)| planned).collect() }
            })
            .collect();
        insta::assert_json_snapshot!(plans);
    }

    #[test]
    fn only_what_is_asked_for_is_planned_each_change_once() {
        let mut snapshot = healthy();
        domain(&mut snapshot).access_policy = Value::Null;
        role(&mut snapshot).max_session_seconds = 3600;
        let judgement = judge(&spec(), &snapshot);
        let actions = |checks: &[&str]| {
            let checks: Vec<_> = checks.iter().map(|check| (*check).to_owned()).collect();
            let planned = judgement.plan(&checks);
            planned.into_iter().map(|(told, _)| told.action).collect::<Vec<_>>()
        };
        assert_eq!(actions(&[]), ["merge-access-policy", "set-session"]);
        assert_eq!(actions(&["emite-role"]), ["set-session"]);
        assert_eq!(actions(&["alert-path"]), Vec::<String>::new());
    }

    #[test]
    fn what_a_repair_would_not_mend_is_left_to_people() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": ["es:*", "sts:AssumeRole", "kinesis:*"], "Resource": "*"});
        let by_hand: &[(&str, Break)] = &[
            ("storage of another kind", |snapshot| {
                let target = Target::Other("S3".into());
                snapshot.agent_event_streaming = Ok(Some(Association { id: "a1".into(), target }));
            }),
            ("the stream is gone, too", |snapshot| {
                snapshot.agent_event_streaming = Ok(None);
                snapshot.agent_event_stream = Ok(None);
            }),
            ("the role is gone", |snapshot| snapshot.emite_role = Ok(None)),
            ("the domain is open to everybody", |snapshot| {
                let policy = &mut domain(snapshot).access_policy;
                policy["Statement"][0].as_object_mut().unwrap().remove("Condition");
            }),
        ];
        for (name, break_it) in by_hand {
            let mut snapshot = healthy();
            break_it(&mut snapshot);
            let judgement = judge(&spec(), &snapshot);
            assert!(!judgement.report.findings.is_empty(), "{name}");
            assert_eq!(judgement.plan(&[]), [], "{name}");
        }
        let by_hand: &[(&str, Break)] = &[
            ("the server is gone", |snapshot| snapshot.server = Ok(None)),
            ("the server is stopped", |snapshot| server_of(snapshot).state = "stopped".into()),
            ("the address was released", |snapshot| server_of(snapshot).address = Ok(None)),
            ("Remote Desktop is open", |snapshot| {
                server_of(snapshot).groups.as_mut().unwrap()[0].rules[0].ports = Some(0..=65_535)
            }),
            ("the web is closed", |snapshot| server_of(snapshot).groups = Ok(Vec::new())),
            ("no token is asked for", |snapshot| server_of(snapshot).metadata_guarded = false),
        ];
        for (name, break_it) in by_hand {
            let mut snapshot = healthy_of(&self_hosted());
            break_it(&mut snapshot);
            let judgement = judge(&self_hosted(), &snapshot);
            assert!(!judgement.report.findings.is_empty(), "{name}");
            assert_eq!(judgement.plan(&[]), [], "{name}");
        }
        let mut denied = healthy();
        domain(&mut denied).access_policy["Statement"].as_array_mut().unwrap().push(deny.clone());
        role(&mut denied).trust["Statement"].as_array_mut().unwrap().push(deny.clone());
        role(&mut denied).inline.insert("theirs".into(), json!({"Statement": [deny]}));
        let judgement = judge(&spec(), &denied);
        assert_eq!(judgement.report.findings.len(), 4, "{:#?}", judgement.report.findings);
        assert_eq!(judgement.plan(&[]), []);
    }

    #[test]
    fn a_healthy_stack_is_healthy_and_every_check_is_listed() {
        let report = judge(&spec(), &healthy()).report;
        assert_eq!((report.status, report.findings.len(), report.open_findings()), (Overall::Healthy, 0, 0));
        let names: Vec<_> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, CHECKS.iter().map(|check| check.name).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_seen_is_unknown_and_hides_nothing() {
        let mut snapshot = healthy();
        snapshot.emite_role = Err(unseen(Cause::Denied));
        let blind = judge(&spec(), &snapshot).report;
        assert_eq!((blind.status, blind.unobservable()), (Overall::Unknown, BTreeSet::from(["emite-role"])));
        snapshot.agent_event_streaming = Ok(None);
        let broken = judge(&spec(), &snapshot).report;
        assert_eq!(broken.status, Overall::Failing);
        assert!(broken.findings.iter().any(|finding| finding.check == "data-streaming"));
    }

    #[test]
    fn a_run_that_sees_nothing_at_all_is_unknown_not_healthy() {
        let blind = || unseen(Cause::TimedOut);
        let mut snapshot = healthy_of(&whole());
        snapshot.instance = Err(blind());
        snapshot.agent_event_streaming = Err(blind());
        snapshot.contact_record_streaming = Err(blind());
        snapshot.approved_origins = Err(blind());
        snapshot.agent_event_stream = Err(blind());
        snapshot.contact_record_stream = Err(blind());
        snapshot.delivery_stream = Err(blind());
        snapshot.failed_records = Err(blind());
        snapshot.domain = Err(blind());
        snapshot.emite_role = Err(blind());
        snapshot.server = Err(blind());
        snapshot.subscriptions = Err(blind());
        snapshot.dead_letters = Err(blind());
        snapshot.first_read = Err(blind());
        snapshot.watched_since = Err(blind());
        snapshot.metrics.0.values_mut().for_each(|look| *look = Err(blind()));
        let report = judge(&whole(), &snapshot).report;
        assert_eq!(report.status, Overall::Unknown);
        let seen: Vec<_> = report.checks.iter().filter(|check| check.outcome != CheckResult::Unobservable).collect();
        assert!(seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn the_json_form_comes_back_as_it_was() {
        let mut snapshot = healthy();
        snapshot.contact_record_streaming = Ok(None);
        let report = judge(&spec(), &snapshot).report;
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert!(text.starts_with(r#"{"version":1,"integration":"example-contact-centre","stackId":"arn:"#), "{text}");
    }

    #[test]
    fn report_of_a_stack_with_everything_broken_and_huge_documents_fits_into_an_event() {
        // EventBridge takes 256 KiB for an entry, and one day's report goes into the answer of a repair twice.
        const MOST: usize = 256 * 1024 / 2;
        let long = |number: usize| format!("arn:aws:iam::{number:012}:role/{}\u{7}", "é".repeat(500));
        let statements = |action: &str| {
            let one = |number| {
                json!({"Sid": long(number), "Effect": "Allow", "Principal": {"AWS": long(number)},
                "Action": action, "Resource": "*", "Condition": {"StringEquals": {"sts:ExternalId": long(number)}}})
            };
            json!({"Version": "2012-10-17", "Statement": (0..200).map(one).collect::<Vec<_>>()})
        };
        let spec = whole();
        let mut snapshot = healthy_of(&spec);
        BROKEN.iter().for_each(|(_, break_it)| break_it(&mut snapshot));
        let healthy = healthy_of(&spec);
        (snapshot.domain, snapshot.emite_role, snapshot.server) = (healthy.domain, healthy.emite_role, healthy.server);
        domain(&mut snapshot).access_policy = statements("es:ESHttpGet");
        let role = role(&mut snapshot);
        (role.trust, role.boundary) = (statements("sts:AssumeRole"), Some(long(7)));
        role.inline.clear();
        role.attached = (0..200).map(long).collect();
        let judgement = judge(&spec, &snapshot);
        assert!(judgement.report.findings.len() > 10);
        let text = serde_json::to_string(&judgement.report).unwrap();
        assert!(text.len() < MOST, "{} bytes", text.len());
        let values = |finding: &Finding| serde_json::to_string(&finding.values).unwrap();
        assert!(judgement.report.findings.iter().all(|finding| !values(finding).contains("\\u0007")));
    }
}
