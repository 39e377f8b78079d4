//! Owns the check `emite-role`: only eMite can assume the role, and can read with it what it needs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{Check, Explains, Part, Verdict, no_metrics, seen, unread_events_lost};
use super::iterator_age;
use crate::change::Change;
use crate::command::{AwsCli, Command};
use crate::diff;
use crate::finding::{Finding, Severity, Status, texts, values};
use crate::look::Look;
use crate::policies::emite_role::{self, SESSION_SECONDS};
use crate::policies::trust::{ASSUME, Admission, allowing, external_ids};
use crate::policy::merge::merged;
use crate::policy::{self, Decision, Effect, Scope, Statement, shown};
use crate::snapshot::{Role, Snapshot};
use crate::spec::{Emite, Existing, Spec};

/// The check.
pub(super) const CHECK: Check = Check {
    name: "emite-role",
    resource: |spec| spec.emite_role.to_string(),
    metrics: no_metrics,
    judge,
    repair,
    parts: &[TRUST_OTHERS, TRUST, SESSION, ATTACHED, POLICY, BOUNDARY, ROLE],
    unseen: "the eMite role cannot be checked",
    explains: &[Explains::of(&[ROLE, TRUST, TRUST_OTHERS, POLICY, ATTACHED], &[iterator_age::CHECK.all()])],
};

const ROLE: Part = part("", "the eMite role is not usable");
/// The trust policy does not admit who needs the role.
const TRUST: Part = part("trust", "eMite cannot use its role");
/// The trust policy admits others.
const TRUST_OTHERS: Part = Part {
    suffix: TRUST.name,
    status: Some(Status::Unexpected),
    ..part("trust-others", "others can use the eMite role")
};
const SESSION: Part = part("session", "sessions of the eMite role are too short");
const CHANGED: &str = "permissions of the eMite role have changed";
/// The policies lack something.
const POLICY: Part =
    Part { commands: |spec| vec![Command::shows(iam(spec, "list-role-policies"))], ..part("policy", CHANGED) };
/// There are more policies than the stack's own.
const ATTACHED: Part = Part {
    suffix: POLICY.name,
    status: Some(Status::Unexpected),
    commands: POLICY.commands,
    ..part("managed-policies", CHANGED)
};
const BOUNDARY: Part = part("boundary", "the limit of the eMite role has changed");

const fn part(name: &'static str, title: &'static str) -> Part {
    Part {
        commands: |spec| vec![Command::shows(iam(spec, "get-role"))],
        loss: unread_events_lost,
        ..Part::new(name, title)
    }
}

fn iam(spec: &Spec, operation: &str) -> AwsCli {
    AwsCli::new(spec, "iam", operation).option("--role-name", spec.emite_role_name())
}

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(role) = seen(&snapshot.emite_role)? else { return Ok(Some(missing(spec)).into()) };
    // The boundary before the policy, so that a repair never widens a role that nothing holds.
    let found = [trust(spec, role), session(spec, role), boundary(spec, role), policies(spec, role)];
    Ok(found.into_iter().flatten().collect::<Vec<_>>().into())
}

/// Only what is enough: a statement that denies, say, is for a person to judge.
fn repair(spec: &Spec, snapshot: &Snapshot, finding: &Finding) -> Option<Change> {
    let role = snapshot.emite_role.as_ref().ok()?.as_ref()?;
    if TRUST.is_of(finding) || TRUST_OTHERS.is_of(finding) {
        let merged = Admission::of(spec).merged_into(&role.trust);
        let left = trust(spec, &Role { trust: merged, ..role.clone() });
        if left.is_none() { diff::role_trust(spec, role) } else { None }
    } else if POLICY.is_of(finding) {
        let mut repaired = role.clone();
        let policy = repaired.inline.entry(emite_role::POLICY.to_owned()).or_default();
        *policy = merged(policy, &emite_role::statements(spec));
        let is_left = policies(spec, &repaired).is_some_and(|left| POLICY.is_of(&left));
        if is_left { None } else { diff::role_permissions(spec, role) }
    } else if SESSION.is_of(finding) {
        diff::role_session(spec, role)
    } else if BOUNDARY.is_of(finding) {
        diff::role_boundary(spec, role)
    } else {
        None
    }
}

fn cannot_read(spec: &Spec) -> String {
    let hours = spec.agent_event_retention_hours;
    format!("eMite cannot read. Agent events that it has not read after {hours} hours are lost.")
}

fn missing(spec: &Spec) -> Finding {
    Finding {
        summary: "The role with which eMite reads does not exist.".to_owned(),
        expected: format!("the role {} exists", spec.emite_role_name()),
        observed: "IAM knows no role of this name".to_owned(),
        impact: cannot_read(spec),
        remedy:
            "Find out who deleted the role, and ask whoever deployed the stack to bring it back under the same name."
                .to_owned(),
        values: values([
            ("roleName", spec.emite_role_name().into()),
            ("retentionHours", spec.agent_event_retention_hours.into()),
        ]),
        ..CHECK.finding(spec, &ROLE, Status::Missing, Severity::Critical)
    }
}

fn trust(spec: &Spec, role: &Role) -> Option<Finding> {
    let statements = policy::statements(&role.trust);
    let open = |action: &&str| !policy::open_to_anybody(&statements, |one| one.covers_action(action)).is_empty();
    let admission = Admission::of(spec);
    let (part, status, severity, summary, impact) = if !admission.is_given(&statements) {
        let summary = match admission.server {
            false => "The role with which eMite reads does not admit eMite.",
            true => "The role with which eMite reads does not admit all that need it.",
        };
        (TRUST, Status::Incorrect, Severity::Critical, summary, cannot_read(spec))
    } else if ASSUME.iter().any(open) {
        let impact = "Anybody with an AWS account can read agent events and Amazon Connect's figures.".to_owned();
        let summary = "The role with which eMite reads admits anybody.";
        (TRUST_OTHERS, Status::Unexpected, Severity::Critical, summary, impact)
    } else if !admission.strangers(&statements).is_empty() {
        let impact = "Somebody other than eMite can read agent events and Amazon Connect's figures.".to_owned();
        let summary = "The role with which eMite reads admits others too.";
        (TRUST_OTHERS, Status::Unexpected, Severity::Warning, summary, impact)
    } else if !admission.is_guarded(&statements) {
        let impact = "Another customer of eMite could have eMite read your data as if it were theirs.".to_owned();
        let summary = "The role with which eMite reads admits eMite without your customer ID.";
        (TRUST_OTHERS, Status::Unexpected, Severity::Warning, summary, impact)
    } else {
        return None;
    };
    Some(Finding {
        summary: summary.to_owned(),
        expected: format!("only {} admitted", wanted(&admission)),
        observed: admissions(&statements),
        impact,
        remedy:
            "In the IAM console, open the role, then Trust relationships, and change the policy to what is expected."
                .to_owned(),
        values: trust_values(&admission, &statements),
        ..CHECK.finding(spec, &part, status, severity)
    })
}

fn trust_values(admission: &Admission, statements: &[Statement]) -> BTreeMap<String, Value> {
    let named = |statement: &'_ Statement| match &statement.principals {
        Scope::Only(named) => named.iter().map(|principal| principal.id.clone()).collect(),
        Scope::Except(_) => Vec::new(),
    };
    let allowed: Vec<&Statement> = allowing(statements).collect();
    let emite = admission.emite.as_ref();
    values([
        ("expectedPrincipal", emite.map(|emite| emite.principal.to_string()).into()),
        ("expectedExternalId", emite.map(|emite| emite.customer_id.as_str()).into()),
        ("expectedService", admission.server.then_some("ec2.amazonaws.com").into()),
        ("principals", texts(allowed.iter().flat_map(|statement| named(statement)))),
        ("externalIds", texts(allowed.iter().flat_map(|statement| external_ids(statement)))),
        ("denies", statements.iter().any(|statement| statement.effect == Effect::Deny).into()),
    ])
}

/// Who shall be admitted, in words.
fn wanted(admission: &Admission) -> String {
    let server = "EC2 for the eMite server";
    match &admission.emite {
        None => format!("{server} is"),
        Some(Emite { principal, customer_id }) => {
            let emite = format!("{principal}, with the external ID {customer_id},");
            if admission.server { format!("{emite} and {server} are") } else { format!("{emite} is") }
        }
    }
}

/// Who is admitted, in words.
fn admissions(statements: &[Statement]) -> String {
    let mut told = Vec::new();
    let mut deleted = false;
    for statement in allowing(statements) {
        let ids = external_ids(statement);
        let with = if ids.is_empty() {
            "without an external ID".to_owned()
        } else {
            format!("with the external ID {}", shown(ids))
        };
        match &statement.principals {
            Scope::Only(named) => {
                deleted |= named.iter().any(|principal| principal.is_deleted());
                told.push(format!("{} {with}", shown(named.iter().map(|principal| principal.id.as_str()))));
            }
            Scope::Except(_) => told.push(format!("everybody but a few {with}")),
        }
    }
    let mut text =
        if told.is_empty() { "nobody is admitted".to_owned() } else { format!("admitted: {}", told.join("; ")) };
    if statements.iter().any(|statement| statement.effect == Effect::Deny) {
        text.insert_str(0, "there is a statement that denies; ");
    }
    if deleted {
        text.insert_str(0, "a principal that was admitted has been deleted in its account, IAM shows its old ID; ");
    }
    text.chars().take(600).collect()
}

fn session(spec: &Spec, role: &Role) -> Option<Finding> {
    (role.max_session_seconds < SESSION_SECONDS).then(|| Finding {
        summary: "eMite's sessions end too soon.".to_owned(),
        expected: "sessions of up to 12 hours (43200 seconds)".to_owned(),
        observed: format!("sessions of up to {} seconds", role.max_session_seconds),
        impact: "eMite starts anew more often and reads the same agent events again and again.".to_owned(),
        remedy: "In the IAM console, open the role, choose Edit, and set the maximum session duration to 12 hours."
            .to_owned(),
        values: values([
            ("maxSessionSeconds", role.max_session_seconds.into()),
            ("expectedMaxSessionSeconds", SESSION_SECONDS.into()),
        ]),
        ..CHECK.finding(spec, &SESSION, Status::Incorrect, Severity::Warning)
    })
}

/// The actions that eMite needs, each with the resources of which one must be allowed, and whether agent events need it.
fn needs(spec: &Spec) -> Vec<(&'static str, Vec<String>, bool)> {
    let stream = spec.agent_event_stream.to_string();
    let instance = spec.instance_arn.to_string();
    let inside = |kind: &str| format!("{instance}/{kind}/*");
    let reads = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"];
    let mut needs: Vec<_> = reads.into_iter().map(|action| (action, vec![stream.clone()], true)).collect();
    if let Some(key) = &spec.agent_event_key {
        needs.push(("kms:Decrypt", vec![key.to_string()], true));
    }
    if spec.server.as_ref().is_some_and(|server| server.rdp_from.is_empty()) {
        needs.extend(emite_role::SESSIONS.iter().map(|action| (*action, vec!["*".to_owned()], false)));
    }
    needs.extend([
        ("connect:DescribeInstance", vec![instance.clone()], false),
        ("connect:ListUsers", vec![instance.clone()], false),
        ("connect:ListQueues", vec![instance.clone(), inside("queue")], false),
        ("connect:GetCurrentMetricData", vec![inside("queue")], false),
        ("connect:GetMetricData", vec![inside("queue")], false),
        ("connect:GetCurrentUserData", vec![instance.clone(), inside("queue"), inside("agent")], false),
    ]);
    needs
}

/// What the role's policies lack, or else managed policies that it should not have. One of those may allow what no policy
/// of the role's own does, so then only what is denied counts as lacking.
fn policies(spec: &Spec, role: &Role) -> Option<Finding> {
    let statements: Vec<Statement> = role.inline.values().flat_map(policy::statements).collect();
    let lacks = |(action, resources, _): &(&str, Vec<String>, bool)| {
        let said: Vec<_> = resources.iter().map(|resource| policy::decide(&statements, action, resource)).collect();
        !said.contains(&Decision::Allowed) && (role.attached.is_empty() || !said.contains(&Decision::Unsaid))
    };
    let lacking: Vec<_> = needs(spec).into_iter().filter(lacks).collect();
    if lacking.is_empty() {
        return attached(spec, role);
    }
    let events = lacking.iter().any(|(_, _, events)| *events);
    let actions: Vec<_> = lacking.iter().map(|(action, ..)| *action).collect();
    let (severity, impact) = if events {
        (Severity::Critical, cannot_read(spec))
    } else {
        let sessions = actions.iter().any(|action| emite_role::SESSIONS.contains(action));
        let impact = match sessions {
            true => {
                "Session Manager does not reach the eMite server, or eMite cannot show some of Amazon Connect's figures. No records are lost."
            }
            false => "eMite cannot show some of Amazon Connect's figures or names. No records are lost.",
        };
        (Severity::Warning, impact.to_owned())
    };
    Some(Finding {
        summary: "The role with which eMite reads does not allow all that eMite needs.".to_owned(),
        expected: "it may read the agent event stream, and users, queues and figures of the Amazon Connect instance"
            .to_owned(),
        observed: format!("not allowed: {}", actions.join(", ")),
        impact,
        remedy: "In the IAM console, open the role, then Permissions, and allow these actions in its policy again."
            .to_owned(),
        values: values([("deniedActions", texts(&actions))]),
        ..CHECK.finding(spec, &POLICY, Status::Incorrect, severity)
    })
}

fn attached(spec: &Spec, role: &Role) -> Option<Finding> {
    let others = !role.attached.is_empty() && !spec.found(Existing::EmiteRole);
    others.then(|| Finding {
        summary: "The role with which eMite reads has more policies than the stack gave it.".to_owned(),
        expected: "no managed policy is attached".to_owned(),
        observed: format!("attached: {}", shown(role.attached.iter().map(String::as_str))),
        impact: "eMite may be allowed more than it needs, within the permissions boundary.".to_owned(),
        remedy: "If nobody needs it, detach it in the IAM console.".to_owned(),
        values: values([("attachedPolicies", texts(&role.attached))]),
        ..CHECK.finding(spec, &ATTACHED, Status::Unexpected, Severity::Info)
    })
}

fn boundary(spec: &Spec, role: &Role) -> Option<Finding> {
    let wanted = spec.role_boundary.as_ref()?.to_string();
    let (status, observed) = match role.boundary.as_deref() {
        Some(boundary) if boundary == wanted => return None,
        Some(boundary) => (Status::Incorrect, format!("the boundary is {}", shown([boundary]))),
        None => (Status::Missing, "the role has no boundary".to_owned()),
    };
    Some(Finding {
        summary: "The role with which eMite reads is not held within its permissions boundary.".to_owned(),
        expected: format!("the permissions boundary is {wanted}"),
        observed,
        impact: "Whoever adds a policy to the role can give eMite more than it should have.".to_owned(),
        remedy: "In the IAM console, open the role, then Permissions boundary, and set the expected one.".to_owned(),
        values: values([
            ("permissionsBoundary", role.boundary.as_deref().into()),
            ("expectedPermissionsBoundary", wanted.as_str().into()),
        ]),
        ..CHECK.finding(spec, &BOUNDARY, status, Severity::Warning)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{findings, healthy, healthy_of, is_unobservable_without, only, self_hosted, spec};

    fn with(change: impl FnOnce(&mut Role)) -> Snapshot {
        let mut snapshot = healthy();
        change(snapshot.emite_role.as_mut().unwrap().as_mut().unwrap());
        snapshot
    }

    fn trusting(statements: Value) -> Vec<Finding> {
        findings(&CHECK, &spec(), &with(|role| role.trust = json!({"Statement": statements})))
    }

    fn admits(principal: Value, condition: Value) -> Value {
        json!({"Effect": "Allow", "Principal": principal, "Action": "STS:assumerole", "Condition": condition})
    }

    fn id(id: &str) -> Value {
        json!({"StringEquals": {"sts:ExternalId": id}})
    }

    #[test]
    fn a_role_that_is_gone_stops_emite_reading() {
        let mut snapshot = healthy();
        snapshot.emite_role = Ok(None);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn trust_that_is_not_as_specified_is_told_by_what_is_wrong() {
        let emite = json!({"AWS": "444455556666"});
        let both = json!({"AWS": ["444455556666", "arn:aws:iam::999999999999:root"], "Service": "ec2.amazonaws.com"});
        let found: Vec<_> = [
            json!([]),
            Value::Null,
            admits(emite.clone(), id("customer-0002")),
            admits(json!({"AWS": "AROAEXAMPLEEXAMPLE1"}), id("customer-0001")),
            json!([admits(emite.clone(), id("customer-0001")), {"Effect": "Deny", "Principal": "*", "Action": "*"}]),
            admits(json!("*"), json!({})),
            admits(json!({"AWS": "*"}), id("customer-0001")),
            admits(both, id("customer-0001")),
            admits(emite, json!({})),
        ]
        .into_iter()
        .flat_map(trusting)
        .collect();
        assert_eq!(found.len(), 9);
        insta::assert_json_snapshot!(found);
    }

    #[test]
    fn trust_that_comes_to_the_same_is_as_specified() {
        let emite = json!({"AWS": ["444455556666"]});
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": {"StringNotEquals": {"sts:ExternalId": "customer-0001"}}});
        for statements in [admits(emite.clone(), id("customer-0001")), json!([admits(emite, json!({})), deny])] {
            assert_eq!(trusting(statements), []);
        }
    }

    #[test]
    fn sessions_that_are_too_short_are_told() {
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &with(|role| role.max_session_seconds = 3600)));
    }

    #[test]
    fn actions_that_are_not_allowed_are_named() {
        let mut spec = spec();
        spec.agent_event_key = Some("arn:aws:kms:ap-southeast-2:111122223333:key/1".parse().unwrap());
        let events = only(&CHECK, &spec, &healthy());
        let within = format!("{}/*", spec.instance_arn);
        let seed = json!({"Statement": {"Effect": "Allow", "Action": ["kinesis:*", "kms:*"], "Resource": "*"}});
        let inside = json!({"Statement": {"Effect": "Allow", "Action": "connect:*", "Resource": within}});
        let figures = with(|role| role.inline = [("a".to_owned(), seed), ("b".to_owned(), inside)].into());
        insta::assert_json_snapshot!([events, only(&CHECK, &spec, &figures)]);
        let garbage = with(|role| role.inline = [("a".to_owned(), Value::Null)].into());
        assert_eq!(only(&CHECK, &spec, &garbage).severity, Severity::Critical);
    }

    #[test]
    fn a_managed_policy_may_allow_what_is_lacking_unless_that_is_denied() {
        let snapshot = with(|role| {
            role.inline.clear();
            role.attached = ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into();
        });
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
        let deny = json!({"Statement": {"Effect": "Deny", "Action": "kinesis:Get*", "Resource": "*"}});
        let mut denied = snapshot;
        denied.emite_role.as_mut().unwrap().as_mut().unwrap().inline = [("a".to_owned(), deny)].into();
        assert_eq!(
            only(&CHECK, &spec(), &denied).observed,
            "not allowed: kinesis:GetShardIterator, kinesis:GetRecords"
        );
    }

    #[test]
    fn a_server_without_an_open_port_needs_session_manager() {
        let mut snapshot = healthy_of(&self_hosted());
        let by_hand = snapshot.emite_role.as_mut().unwrap().as_mut().unwrap();
        let policy = by_hand.inline.get_mut("emite-role-policy").unwrap();
        policy["Statement"].as_array_mut().unwrap().retain(|one| one["Sid"] != "AllowSessions");
        let told = only(&CHECK, &self_hosted(), &snapshot);
        assert!(told.observed.contains("ssmmessages:OpenDataChannel"), "{told:#?}");
        assert!(repair(&self_hosted(), &snapshot, &told).is_some());
    }

    #[test]
    fn a_role_that_was_there_keeps_what_else_it_has() {
        let found = Spec { existing: [Existing::EmiteRole].into(), role_boundary: None, ..spec() };
        let by_hand = with(|role| {
            role.attached = ["arn:aws:iam::111122223333:policy/emite-role-policy".to_owned()].into();
            role.boundary = None;
        });
        assert_eq!(findings(&CHECK, &found, &by_hand), []);
    }

    #[test]
    fn another_boundary_or_none_is_told() {
        let none = only(&CHECK, &spec(), &with(|role| role.boundary = None));
        let other = with(|role| role.boundary = Some("arn:aws:iam::111122223333:policy/other".into()));
        insta::assert_json_snapshot!([none, only(&CHECK, &spec(), &other)]);
    }

    #[test]
    fn a_role_that_cannot_be_seen_is_neither() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.emite_role = Err(unseen));
    }
}
