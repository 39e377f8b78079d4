//! Owns what is published: a message with the attributes that the filters of subscriptions read. Its stored form is part of
//! the ledger entry.

use emite_core::finding::Severity;
use emite_core::spec::Spec;
use serde::{Deserialize, Serialize};

use super::body::Body;
use crate::text::ascii;

/// What a message says of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MessageState {
    Opened,
    Worsened,
    Reminder,
    Resolved,
    OpenFindings,
    Deployed,
    Redrive,
    Test,
}

impl MessageState {
    /// The value of the message attribute `state`, for the filters of subscriptions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worsened => "worsened",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::OpenFindings => "open-findings",
            Self::Deployed => "deployed",
            Self::Redrive => "redrive",
            Self::Test => "test",
        }
    }
}

/// A message, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) state: MessageState,
    pub(crate) check: String,
    pub(crate) severity: Severity,
    pub(crate) subject: String,
    pub(crate) body: String,
}

impl Message {
    /// The bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.check.len() + self.subject.len() + self.body.len()
    }
}

/// The value of the message attribute `severity`.
pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

/// The check of messages that are about the integration as a whole.
pub(super) const INTEGRATION: &str = "integration";
/// The most characters of a subject.
const SUBJECT: usize = 99;

/// What a message says before its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading<'a> {
    pub(super) state: MessageState,
    pub(super) check: &'a str,
    pub(super) severity: Severity,
    /// The first word of the subject, in brackets.
    pub(super) tag: &'a str,
    /// What the subject says.
    pub(super) title: &'a str,
}

impl Heading<'_> {
    /// The message with this text.
    pub(super) fn message(self, spec: &Spec, body: Body) -> Message {
        let Self { state, check, severity, tag, title } = self;
        let integration = ascii(&spec.integration, 40);
        Message {
            state,
            check: check.to_owned(),
            severity,
            subject: ascii(&format!("[{tag}] {integration}: {title}"), SUBJECT),
            body: body.text(&spec.integration),
        }
    }
}
