//! Owns the check `connect-instance`: the Amazon Connect instance exists and is active. Everything else hangs on it.

use super::check::{Check, Explains, Part, Verdict, no_metrics, no_repair, seen};
use super::{agent_event_flow, approved_origins, data_streaming};
use crate::command::{Command, connect};
use crate::finding::{Finding, Severity, Status, values};
use crate::look::Look;
use crate::policy::shown;
use crate::snapshot::Snapshot;
use crate::spec::Spec;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "connect-instance",
    resource: |spec| spec.instance_arn.to_string(),
    metrics: no_metrics,
    judge,
    repair: no_repair,
    parts: &[INSTANCE],
    unseen: "Amazon Connect cannot be checked",
    explains: &[Explains::any(&[
        data_streaming::CHECK.all(),
        approved_origins::CHECK.all(),
        agent_event_flow::CHECK.all(),
    ])],
};

const INSTANCE: Part = Part {
    commands: |spec| vec![Command::shows(connect(spec, "describe-instance"))],
    ..Part::new("", "the Amazon Connect instance is not usable")
};

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let finding = match seen(&snapshot.instance)? {
        None => Some(missing(spec)),
        Some(instance) if !instance.is_active() => Some(inactive(spec, &instance.status)),
        Some(_) => None,
    };
    Ok(finding.into())
}

fn missing(spec: &Spec) -> Finding {
    Finding {
        summary: "The Amazon Connect instance does not exist.".to_owned(),
        expected: format!("the instance {} exists and is active", spec.integration),
        observed: "Amazon Connect knows no instance with this ID".to_owned(),
        impact: "No calls are taken and nothing reaches eMite: no agent events, no contact records, no live figures."
            .to_owned(),
        remedy:
            "If the instance was deleted by mistake, ask AWS Support at once. If another one takes its place, set up \
                 the integration for that one and then delete this stack."
                .to_owned(),
        values: values([("instanceAlias", spec.integration.as_str().into())]),
        ..CHECK.finding(spec, &INSTANCE, Status::Missing, Severity::Critical)
    }
}

fn inactive(spec: &Spec, status: &str) -> Finding {
    Finding {
        summary: "The Amazon Connect instance is not active.".to_owned(),
        expected: "status ACTIVE".to_owned(),
        observed: format!("status {}", shown([status])),
        impact: "No calls are taken, and nothing reaches eMite, until the instance is active.".to_owned(),
        remedy: "Open the instance in the Amazon Connect console and see what it says. If its status does not change \
                 within the hour, ask AWS Support."
            .to_owned(),
        values: values([("instanceStatus", status.into()), ("expectedInstanceStatus", "ACTIVE".into())]),
        ..CHECK.finding(spec, &INSTANCE, Status::Unhealthy, Severity::Critical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{healthy, is_unobservable_without, only, spec};

    #[test]
    fn an_instance_that_is_gone_stops_everything() {
        let mut snapshot = healthy();
        snapshot.instance = Ok(None);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn an_instance_that_is_not_active_stops_everything() {
        let mut snapshot = healthy();
        snapshot.instance.as_mut().unwrap().as_mut().unwrap().status = "CREATION_FAILED".into();
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
    }

    #[test]
    fn an_instance_that_cannot_be_seen_is_neither() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.instance = Err(unseen));
    }
}
