//! Owns findings: what is wrong with one link of the chain, in words that an admin understands.
//!
//! Its JSON form is a contract: health reports are events that other programs read. New fields are optional, and an event
//! of an older version is read without them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::PlannedChange;
use crate::look::{Cause, Unseen};
use crate::words::bounded;

/// What kind of wrong a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It is not there.
    Missing,
    /// It is there and not as specified.
    Incorrect,
    /// Something is there that should not be.
    Unexpected,
    /// It is as specified and does not work.
    Unhealthy,
    /// It could not be read: neither healthy nor broken.
    Unobservable,
}

/// How urgent a finding is. The order is that of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth knowing; no action needed.
    Info,
    /// Needs action within days.
    Warning,
    /// Records are being lost, or soon will be.
    Critical,
}

/// One thing that is wrong with one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check's name, such as `iterator-age`.
    pub check: String,
    /// What kind of wrong it is.
    pub status: Status,
    /// How urgent it is.
    pub severity: Severity,
    /// The ARN of what is wrong, or its name if it has no ARN.
    pub resource: String,
    /// One sentence without jargon.
    pub summary: String,
    /// What was specified.
    pub expected: String,
    /// What was observed.
    pub observed: String,
    /// What it costs while it lasts.
    pub impact: String,
    /// When records begin to be lost; now, if they are being lost.
    pub data_loss_at: Option<Timestamp>,
    /// The finding that explains this one, as [`Finding::key`].
    pub caused_by: Option<String>,
    /// The next step.
    pub remedy: String,
    /// The change that would fix it, as repair plans it; none if only a person can.
    #[serde(default)]
    pub repair: Option<PlannedChange>,
    /// The name of the part of its check that it is about; empty: the resource as a whole. None if the check could not
    /// observe what it needs, and in reports of versions that did not name parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Why the check could not observe what it needs; none if it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<UnseenCause>,
    /// What its sentences are made of, in the API's words, with the unit in the name: `retentionHours`. A value that is
    /// not known is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
}

/// Why a check could not observe what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnseenCause {
    /// The IAM action of the call that failed.
    pub action: String,
    /// How it failed.
    pub kind: Cause,
    /// AWS's id of the request, for a support case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Which finding: what distinguishes it from others, without what it says. It can be kept for longer than the finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The check's name.
    pub check: &'a str,
    /// What kind of wrong it is.
    pub status: Status,
    /// The name of the part, if the report has it.
    pub part: Option<&'a str>,
    /// What is wrong.
    pub resource: &'a str,
}

/// What follows the `#` in a finding's resource; empty if there is none. Reports of versions that did not name parts say
/// nothing else of which part it is.
pub fn part_of(resource: &str) -> &str {
    resource.split_once('#').map_or("", |(_, part)| part)
}

impl Finding {
    /// What distinguishes one finding from another, from run to run: check and resource.
    pub fn key(&self) -> String {
        format!("{}|{}", self.check, self.resource)
    }

    /// The name of the part that it is about.
    pub fn part(&self) -> &str {
        self.part.as_deref().unwrap_or_else(|| part_of(&self.resource))
    }

    /// Which finding it is, without what it says.
    pub fn subject(&self) -> Subject<'_> {
        Subject { check: &self.check, status: self.status, part: self.part.as_deref(), resource: &self.resource }
    }

    /// A finding of `check` about `part` of `resource`, with its texts yet to be filled in.
    pub fn about(check: &str, part: &str, status: Status, severity: Severity, resource: String) -> Self {
        Self { part: Some(part.to_owned()), ..Self::bare(check, status, severity, resource) }
    }

    fn bare(check: &str, status: Status, severity: Severity, resource: String) -> Self {
        Self {
            check: check.to_owned(),
            status,
            severity,
            resource,
            summary: String::new(),
            expected: String::new(),
            observed: String::new(),
            impact: String::new(),
            data_loss_at: None,
            caused_by: None,
            remedy: String::new(),
            repair: None,
            part: None,
            cause: None,
            values: BTreeMap::new(),
        }
    }

    /// The finding that `check` could not observe something it needs: not healthy, and not broken either. Its resource is
    /// the one that `resource` names, with the call that failed behind a `#`.
    pub fn unobservable(check: &str, resource: &str, unseen: &Unseen) -> Self {
        let Unseen { action, cause, request_id } = unseen;
        let request = request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
        Self {
            summary: format!("The check {check} could not look: {action} {}.", cause.words()),
            expected: format!("an answer to {action}"),
            observed: format!("{action} {}{request}", cause.words()),
            impact: "A break of this link would go unnoticed.".to_owned(),
            remedy: cause.remedy(action),
            cause: Some(UnseenCause { action: (*action).to_owned(), kind: *cause, request_id: request_id.clone() }),
            ..Self::bare(check, Status::Unobservable, Severity::Info, format!("{resource}#{action}"))
        }
    }
}

/// The values of a finding, without those that are not known. A text is cut as the sentences are, and has no control
/// characters: a policy document can contain anything.
pub(crate) fn values<const N: usize>(values: [(&str, Value); N]) -> BTreeMap<String, Value> {
    let known = values.into_iter().filter(|(_, value)| !value.is_null());
    known.map(|(name, value)| (name.to_owned(), short(value))).collect()
}

fn short(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(bounded(without_controls(&text))),
        Value::Array(values) => values.into_iter().map(short).collect(),
        Value::Object(fields) => {
            // By name, whatever order `serde_json` is built to keep.
            let sorted: BTreeMap<String, Value> = fields.into_iter().collect();
            sorted.into_iter().map(|(name, value)| (name, short(value))).collect()
        }
        other => other,
    }
}

/// Several texts as one value: the first of them, each cut, so that a report of any stack fits into an event.
pub(crate) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Value {
    const MOST: usize = 20;
    const LONGEST: usize = 256;
    let short = |text: T| without_controls(text.as_ref()).chars().take(LONGEST).collect::<String>();
    texts.into_iter().take(MOST).map(short).collect()
}

fn without_controls(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A moment as a value.
pub(crate) fn moment(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn event_of_an_older_version_is_read_without_the_new_fields() {
        let event = json!({
            "check": "emite-role", "status": "Incorrect", "severity": "Critical", "resource": "arn:role#trust",
            "summary": "s", "expected": "e", "observed": "o", "impact": "i", "dataLossAt": null, "causedBy": null,
            "remedy": "r",
        });
        let finding: Finding = serde_json::from_value(event).unwrap();
        assert_eq!((finding.part(), finding.key().as_str()), ("trust", "emite-role|arn:role#trust"));
        assert_eq!((finding.part, finding.cause, finding.values.len()), (None, None, 0));
    }

    #[test]
    fn event_of_a_newer_version_is_read_without_what_is_unknown() {
        let mut event =
            serde_json::to_value(Finding::about("c", "p", Status::Missing, Severity::Info, "r".into())).unwrap();
        event["news"] = json!({"x": 1});
        assert_eq!(serde_json::from_value::<Finding>(event).unwrap().part(), "p");
    }

    #[test]
    fn failed_observation_says_why_in_fields() {
        let unseen = Unseen { action: "iam:GetRole", cause: Cause::Denied, request_id: Some("r-1".into()) };
        let event = serde_json::to_value(Finding::unobservable("emite-role", "arn:role", &unseen)).unwrap();
        assert_eq!(event["cause"], json!({"action": "iam:GetRole", "kind": "Denied", "requestId": "r-1"}));
        assert_eq!((event.get("part"), event.get("values")), (None, None));
    }

    #[test]
    fn values_that_are_not_known_are_left_out_and_texts_are_cut() {
        let found =
            values([("a", Value::Null), ("b", "x".repeat(2000).into()), ("c", texts(vec!["y".repeat(2000); 99]))]);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(found["b"].as_str().unwrap().chars().count(), 600);
        assert_eq!(found["c"].as_array().unwrap().len(), 20);
    }
}
