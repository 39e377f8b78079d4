//! Owns the check `approved-origins`: eMite's address may show Amazon Connect's chat, if a stack asked for that.

use super::check::{Check, Part, Verdict, no_metrics, seen};
use crate::change::Change;
use crate::command::{Command, connect};
use crate::diff;
use crate::finding::{Finding, Severity, Status, texts, values};
use crate::links::approved_origin::{self, Origin, Place};
use crate::look::Look;
use crate::policy::shown;
use crate::snapshot::Snapshot;
use crate::spec::Spec;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "approved-origins",
    resource: |spec| spec.instance_arn.to_string(),
    metrics: no_metrics,
    judge,
    repair,
    parts: &[ORIGIN],
    unseen: "Amazon Connect cannot be checked",
    explains: &[],
};

/// Its findings say which origin behind the `#`.
const ORIGIN: Part = Part {
    commands: |spec| vec![Command::shows(connect(spec, "list-approved-origins"))],
    ..Part::new("origin", "eMite is not an approved origin")
};

fn judge(spec: &Spec, snapshot: &Snapshot) -> Look<Verdict> {
    let Some(origin) = &spec.emite_origin else { return Ok(Verdict::NotApplicable) };
    let listed = seen(&snapshot.approved_origins)?;
    let finding = approved_origin::find(listed, origin).is_none().then(|| missing(spec, origin, listed));
    Ok(finding.into())
}

fn repair(spec: &Spec, snapshot: &Snapshot, _: &Finding) -> Option<Change> {
    let listed = snapshot.approved_origins.as_ref().ok()?;
    let place = Place { instance: spec.instance.clone(), origin: spec.emite_origin.clone()? };
    diff::origin(&place, approved_origin::find(listed, &place.origin))
}

fn missing(spec: &Spec, origin: &Origin, listed: &[String]) -> Finding {
    let observed = if listed.is_empty() {
        "no origin is approved".to_owned()
    } else {
        format!("approved are only: {}", shown(listed.iter().map(String::as_str)))
    };
    Finding {
        resource: format!("{}#{origin}", spec.instance_arn),
        summary: "Amazon Connect does not approve eMite's web address.".to_owned(),
        expected: format!("{origin} is an approved origin"),
        observed,
        impact: "Agents cannot open eMite together with Amazon Connect's chat and contact panel. No records are lost."
            .to_owned(),
        remedy: format!(
            "In the Amazon Connect console, open the instance, then Approved origins, and add {origin} there."
        ),
        values: values([("origin", origin.to_string().into()), ("approvedOrigins", texts(listed))]),
        ..CHECK.finding(spec, &ORIGIN, Status::Missing, Severity::Warning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{findings, healthy, is_unobservable_without, only, spec, unseen};
    use crate::look::Cause;

    #[test]
    fn an_origin_that_is_not_listed_is_missing() {
        let mut snapshot = healthy();
        snapshot.approved_origins = Ok(vec!["https://crm.example.com".into()]);
        insta::assert_json_snapshot!(only(&CHECK, &spec(), &snapshot));
        snapshot.approved_origins = Ok(Vec::new());
        assert_eq!(only(&CHECK, &spec(), &snapshot).observed, "no origin is approved");
    }

    #[test]
    fn another_spelling_is_the_same_origin() {
        let mut snapshot = healthy();
        snapshot.approved_origins = Ok(vec!["no address".into(), "HTTPS://EMITE.example.com:443/".into()]);
        assert_eq!(findings(&CHECK, &spec(), &snapshot), []);
    }

    #[test]
    fn without_chat_there_is_nothing_to_look_at() {
        let mut spec = spec();
        spec.emite_origin = None;
        let mut snapshot = healthy();
        snapshot.approved_origins = Err(unseen(Cause::Denied));
        assert_eq!((CHECK.judge)(&spec, &snapshot), Ok(Verdict::NotApplicable));
    }

    #[test]
    fn origins_that_cannot_be_seen_are_neither() {
        is_unobservable_without(&CHECK, |snapshot, unseen| snapshot.approved_origins = Err(unseen));
    }

    #[test]
    fn what_is_told_stays_short_whatever_is_listed() {
        let mut snapshot = healthy();
        snapshot.approved_origins = Ok(vec![format!("https://{}.example.com", "a".repeat(240)); 50]);
        assert!(only(&CHECK, &spec(), &snapshot).observed.len() <= 600);
    }
}
