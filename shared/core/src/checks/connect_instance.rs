//! Owns the check `connect-instance`: the Amazon Connect instance exists and is active. Everything else hangs on it.

use super::check::{Check, Verdict, by_hand, no_metrics, seen};
use crate::finding::{Finding, Severity, Status};
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
    mend: by_hand,
};

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let finding = match seen(&snapshot.instance)? {
        None => Some(missing(spec)),
        Some(instance) if instance.status != "ACTIVE" => Some(inactive(spec, &instance.status)),
        Some(_) => None,
    };
    Ok(finding.into())
}

fn missing(spec: &Spec) -> Finding {
    Finding {
        check: CHECK.name.to_owned(),
        status: Status::Missing,
        severity: Severity::Critical,
        resource: spec.instance_arn.to_string(),
        summary: "The Amazon Connect instance does not exist.".to_owned(),
        expected: format!("the instance {} exists and is active", spec.integration),
        observed: "Amazon Connect knows no instance with this ID".to_owned(),
        impact: "No calls are taken and nothing reaches eMite: no agent events, no contact records, no live figures."
            .to_owned(),
        data_loss_at: None,
        caused_by: None,
        remedy:
            "If the instance was deleted by mistake, ask AWS Support at once. If another one takes its place, set up \
                 the integration for that one and then delete this stack."
                .to_owned(),
        repair: None,
    }
}

fn inactive(spec: &Spec, status: &str) -> Finding {
    Finding {
        check: CHECK.name.to_owned(),
        status: Status::Unhealthy,
        severity: Severity::Critical,
        resource: spec.instance_arn.to_string(),
        summary: "The Amazon Connect instance is not active.".to_owned(),
        expected: "status ACTIVE".to_owned(),
        observed: format!("status {}", shown([status])),
        impact: "No calls are taken, and nothing reaches eMite, until the instance is active.".to_owned(),
        data_loss_at: None,
        caused_by: None,
        remedy: "Open the instance in the Amazon Connect console and see what it says. If its status does not change \
                 within the hour, ask AWS Support."
            .to_owned(),
        repair: None,
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
