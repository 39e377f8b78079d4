//! Owns findings: what is wrong with one link of the chain, in words that an admin understands.
//!
//! Its JSON form is a contract: health reports are events that other programs read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::change::PlannedChange;
use crate::look::Unseen;

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
    /// It could not be looked at: neither healthy nor broken.
    Unobservable,
}

/// How urgent a finding is. The order is that of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth knowing; nobody has to act.
    Info,
    /// Somebody should act within days.
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
    /// What was seen.
    pub observed: String,
    /// What it costs while it lasts.
    pub impact: String,
    /// When records begin to be lost; now, if they are being lost.
    pub data_loss_at: Option<Timestamp>,
    /// The finding that explains this one, as [`Finding::key`].
    pub caused_by: Option<String>,
    /// The next step.
    pub remedy: String,
    /// The change that would mend it, as repair plans it; none if only a person can.
    #[serde(default)]
    pub repair: Option<PlannedChange>,
}

impl Finding {
    /// What tells one finding from another, from run to run: check and resource.
    pub fn key(&self) -> String {
        format!("{}|{}", self.check, self.resource)
    }

    /// Which part of the resource it is about: what stands behind the `#`.
    pub fn part(&self) -> &str {
        self.resource.split_once('#').map_or("", |(_, part)| part)
    }

    /// A finding of `check` about `resource`, with its texts yet to be filled in.
    pub(crate) fn about(check: &str, status: Status, severity: Severity, resource: String) -> Self {
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
        }
    }

    /// With these texts: summary, expected, observed, impact, remedy.
    pub(crate) fn worded(self, texts: [String; 5]) -> Self {
        let [summary, expected, observed, impact, remedy] = texts;
        Self { summary, expected, observed, impact, remedy, ..self }
    }

    /// The finding that `check` could not look at something it needs: not healthy, and not broken either. Its resource is
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
            ..Self::about(check, Status::Unobservable, Severity::Info, format!("{resource}#{action}"))
        }
    }
}
