//! Owns changes of the domain: reports one that AWS rejects or does not finish.
//!
//! While AWS replaces nodes, some of them seem to be missing and storage comes and goes. A change excuses that, but not
//! permanently.

use jiff::{SignedDuration, Timestamp};

use super::super::check::Part;
use super::part::{Found, STILL_TAKEN, about, live, part};
use crate::finding::{Finding, Severity, Status, moment, values};
use crate::snapshot::{Domain, Snapshot};
use crate::spec::Spec;
use crate::words::{bounded, in_words};

pub(super) const CHANGE: Part = part("change", "a change of the search domain does not end");

/// How long a change may take.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// A change goes on that explains missing nodes and storage that comes and goes.
pub(super) fn excuses(domain: &Domain, snapshot: &Snapshot) -> bool {
    domain.processing && domain.change_began.is_none_or(|began| snapshot.since(began) <= PATIENCE)
}

/// <https://docs.aws.amazon.com/opensearch-service/latest/APIReference/API_ChangeProgressDetails.html>
pub(super) fn change(spec: &Spec, snapshot: &Snapshot) -> Found {
    let Some(domain) = live(snapshot)? else { return Ok(None) };
    let began = domain.change_began;
    Ok(match domain.change_status.as_deref() {
        Some("ValidationFailed") => Some(refused(spec, began)),
        Some("PendingUserInput") => Some(asking(spec, began)),
        Some("Completed" | "Cancelled" | "Failed") => None,
        None if !domain.processing => None,
        status => began
            .filter(|began| snapshot.since(*began) > PATIENCE)
            .map(|began| stuck(spec, status.unwrap_or("Processing"), began, snapshot.since(began))),
    })
}

/// The day on which it began, as the rest of a sentence.
fn asked_on(spec: &Spec, began: Option<Timestamp>) -> String {
    began.map(|began| format!(", asked for on {}", began.to_zoned(spec.time_zone.clone()).date())).unwrap_or_default()
}

fn refused(spec: &Spec, began: Option<Timestamp>) -> Finding {
    Finding {
        summary: "AWS has refused a change of the search domain, which works on as it was.".to_owned(),
        expected: "changes that AWS accepts".to_owned(),
        observed: format!("change status ValidationFailed{}", asked_on(spec, began)),
        impact: format!("What was asked for, such as more storage, does not come about. {STILL_TAKEN}"),
        remedy: "Open the domain in the Amazon OpenSearch Service console: its configuration change status tells what AWS objects to. Mend that and ask for the change again, or cancel it.".to_owned(),
        values: values([("configChangeStatus", "ValidationFailed".into()), ("startedAt", moment(began))]),
        ..about(spec, &CHANGE, Status::Incorrect, Severity::Warning)
    }
}

fn asking(spec: &Spec, began: Option<Timestamp>) -> Finding {
    Finding {
        summary: "A change of the search domain waits for somebody's answer.".to_owned(),
        expected: "changes that AWS carries out".to_owned(),
        observed: format!("change status PendingUserInput{}", asked_on(spec, began)),
        impact: format!("Until then it does not come about, and no other change is taken. {STILL_TAKEN}"),
        remedy: "Open the domain in the Amazon OpenSearch Service console: its configuration change status tells what AWS asks. Answer it, or cancel the change.".to_owned(),
        values: values([("configChangeStatus", "PendingUserInput".into()), ("startedAt", moment(began))]),
        ..about(spec, &CHANGE, Status::Incorrect, Severity::Warning)
    }
}

fn stuck(spec: &Spec, status: &str, began: Timestamp, lasts: SignedDuration) -> Finding {
    let lasts = in_words(lasts);
    Finding {
        summary: format!("AWS has been carrying out a change of the search domain for {lasts}; it seems to be stuck."),
        expected: "changes that are done within a day".to_owned(),
        observed: bounded(format!("change status {status} for {lasts}")),
        impact: format!("No other change is taken until it is done: neither more storage nor an update. {STILL_TAKEN}"),
        remedy: "Mend what else is reported of the domain first: a red index, too little storage or memory hold changes up. If nothing is, or it does not help, open a case with AWS Support.".to_owned(),
        values: values([("configChangeStatus", status.into()), ("startedAt", moment(Some(began)))]),
        ..about(spec, &CHANGE, Status::Unhealthy, Severity::Warning)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{days, noon, said, severity, with_domain};
    use super::*;

    fn changing(status: Option<&str>, age: Option<SignedDuration>, processing: bool) -> Snapshot {
        with_domain(|domain| {
            domain.change_status = status.map(str::to_owned);
            domain.change_began = age.map(|age| noon() - age);
            domain.processing = processing;
        })
    }

    #[test]
    fn a_change_that_is_refused_asks_or_is_stuck_is_told() {
        let refused = changing(Some("ValidationFailed"), Some(days(3)), false);
        let asking = changing(Some("PendingUserInput"), None, true);
        let stuck = changing(Some("ApplyingChanges"), Some(days(2)), true);
        insta::assert_snapshot!([refused, asking, stuck].iter().map(said).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_change_that_is_done_or_has_not_lasted_for_a_day_is_not_told() {
        for status in ["Completed", "Cancelled", "Failed"] {
            assert_eq!(severity(&changing(Some(status), Some(days(9)), false)), None, "{status}");
        }
        for status in ["Pending", "Initializing", "Validating", "ApplyingChanges", "NewWord"] {
            assert_eq!(severity(&changing(Some(status), Some(days(1)), true)), None, "{status}");
            assert_eq!(severity(&changing(Some(status), None, true)), None, "{status}");
            let day_and_minute = days(1) + SignedDuration::from_mins(1);
            let late = severity(&changing(Some(status), Some(day_and_minute), true));
            assert_eq!(late, Some(Severity::Warning), "{status}");
        }
        assert_eq!(severity(&changing(None, Some(days(9)), false)), None);
        assert_eq!(severity(&changing(None, Some(days(9)), true)), Some(Severity::Warning));
    }

    #[test]
    fn whatever_word_aws_has_for_it_the_text_is_bounded() {
        let snapshot = changing(Some(&"x".repeat(5_000)), Some(days(2)), true);
        let found = change(&super::super::fixtures::spec(), &snapshot).unwrap().unwrap();
        assert!(found.observed.chars().count() <= 600);
    }
}
