//! Owns plans: what would mend what the checks found, as reports and repair tell it.
//!
//! The JSON form of [`PlannedChange`] is a contract. It says what a change is about and what it means for others; the
//! [`Change`] itself, with what was seen, never leaves the process that looked.

use serde::{Deserialize, Serialize};

use crate::change::{Change, Consent};
use crate::checks::{CHECKS, Check};
use crate::finding::{Finding, Status};
use crate::report::Report;
use crate::snapshot::Snapshot;
use crate::spec::Spec;
use crate::words::bounded;

/// A change, told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedChange {
    /// `<check>/<resource>/<action>`.
    pub id: String,
    /// The check whose finding it mends.
    pub check: String,
    /// What is done, such as `associate`.
    pub action: String,
    /// What it is done to, as in the finding.
    pub resource: String,
    /// What was seen; none if there was nothing.
    pub from: Option<String>,
    /// What it will be.
    pub to: Option<String>,
    /// It replaces what somebody else set up, so that it has to be asked for.
    pub replaces_foreign: bool,
    /// Somebody who gets or may do something now will not any more.
    pub interrupts: bool,
    /// The IAM actions with which it is applied.
    pub iam: Vec<String>,
}

/// What would mend a finding of `check`, told.
pub(crate) fn planned(check: &Check, spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<PlannedChange> {
    change(check, spec, snapshot, finding).map(|change| told(&change, finding))
}

fn change(check: &Check, spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let seen = finding.status != Status::Unobservable;
    seen.then(|| (check.mend)(spec, snapshot, finding)).flatten()
}

/// The changes that would mend what `report`, judged of this snapshot, found by the named checks (all, if none is
/// named), each once, in the order of the chain. Pure.
pub fn plan(spec: &Spec, snapshot: &Snapshot, report: &Report, checks: &[String]) -> Vec<(PlannedChange, Change)> {
    let mut plan: Vec<(PlannedChange, Change)> = Vec::new();
    for check in CHECKS.iter().filter(|check| checks.is_empty() || checks.iter().any(|name| name == check.name)) {
        for finding in report.findings.iter().filter(|finding| finding.check == check.name) {
            let Some(change) = change(check, spec, snapshot, finding) else { continue };
            if !plan.iter().any(|(_, planned)| *planned == change) {
                plan.push((told(&change, finding), change));
            }
        }
    }
    plan
}

fn told(change: &Change, finding: &Finding) -> PlannedChange {
    let (from, to) = match change {
        Change::StreamTo { from, to, .. } => (from.as_ref().map(|from| from.target.to_string()), to.to_string()),
        Change::SetRetention { from, to, .. } => (Some(format!("{from} hours")), format!("{to} hours")),
        Change::SetSession { from, to, .. } => (Some(format!("{from} seconds")), format!("{to} seconds")),
        Change::SetBoundary { from, to, .. } => (from.clone(), to.to_string()),
        Change::AttachProfile { from, to, .. } => (from.as_ref().map(|from| from.arn.clone()), to.to_string()),
        Change::AllowOrigin { place } => (None, place.origin.to_string()),
        // Documents are told as people read them, not as they are written.
        _ => (Some(finding.observed.clone()), finding.expected.clone()),
    };
    // One change mends what several findings tell of the access policy.
    let resource = match change {
        Change::AdmitToDomain { .. } => finding.resource.split('#').next().unwrap_or_default(),
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
    use serde_json::{Value, json};

    use super::*;
    use crate::arn::Arn;
    use crate::checks::fixtures::{Break, healthy, healthy_of, self_hosted, server_of, spec};
    use crate::links::data_streaming::{Association, Target};
    use crate::links::emite_server::{Address, Profile};
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
                role(snapshot).inline.insert(crate::links::emite_role::POLICY.to_owned(), merged(seen, statements));
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
            let report = Report::judge(&spec, &snapshot);
            let planned = plan(&spec, &snapshot, &report, &[]);
            assert!(!planned.is_empty(), "{name}: {:#?}", report.findings);
            assert!(report.findings.iter().any(|finding| finding.repair.is_some()), "{name}");
            for (_, change) in &planned {
                mend(&mut snapshot, change);
            }
            let report = Report::judge(&spec, &snapshot);
            assert_eq!(report.status, Overall::Healthy, "{name}: {:#?}", report.findings);
            assert_eq!(plan(&spec, &snapshot, &report, &[]), [], "{name}");
        }
    }

    #[test]
    fn a_plan_is_told_in_the_form_that_others_read() {
        let told: Vec<_> = mendable()
            .map(|(spec, name, break_it)| {
                let mut snapshot = healthy_of(&spec);
                break_it(&mut snapshot);
                let report = Report::judge(&spec, &snapshot);
                let planned = plan(&spec, &snapshot, &report, &[]);
                json!({"broken": name, "planned": planned.into_iter().map(|(told, _)| told).collect::<Vec<_>>()})
            })
            .collect();
        insta::assert_json_snapshot!(told);
    }

    #[test]
    fn only_what_is_asked_for_is_planned_each_change_once() {
        let mut snapshot = healthy();
        domain(&mut snapshot).access_policy = Value::Null;
        role(&mut snapshot).max_session_seconds = 3600;
        let report = Report::judge(&spec(), &snapshot);
        let actions = |checks: &[&str]| {
            let checks: Vec<_> = checks.iter().map(|check| (*check).to_owned()).collect();
            let planned = plan(&spec(), &snapshot, &report, &checks);
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
            let report = Report::judge(&spec(), &snapshot);
            assert!(!report.findings.is_empty(), "{name}");
            assert_eq!(plan(&spec(), &snapshot, &report, &[]), [], "{name}");
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
            let report = Report::judge(&self_hosted(), &snapshot);
            assert!(!report.findings.is_empty(), "{name}");
            assert_eq!(plan(&self_hosted(), &snapshot, &report, &[]), [], "{name}");
        }
        let mut denied = healthy();
        domain(&mut denied).access_policy["Statement"].as_array_mut().unwrap().push(deny.clone());
        role(&mut denied).trust["Statement"].as_array_mut().unwrap().push(deny.clone());
        role(&mut denied).inline.insert("theirs".into(), json!({"Statement": [deny]}));
        let report = Report::judge(&spec(), &denied);
        assert_eq!(report.findings.len(), 4, "{:#?}", report.findings);
        assert_eq!(plan(&spec(), &denied, &report, &[]), []);
    }
}
