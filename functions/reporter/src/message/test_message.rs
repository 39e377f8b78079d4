//! Owns the test message.

use emite_core::command;
use emite_core::finding::Severity;
use jiff::Timestamp;

use super::body::{Body, moment};
use super::envelope::{Heading, Message, MessageState};
use crate::scene::Scene;

/// The message that shows whether messages arrive.
pub(crate) fn test(scene: &Scene, now: Timestamp) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    body.paragraph(
        "This is a test, and nothing is wrong: somebody asked whether messages of emite-connect arrive here.",
    );
    body.facts(&[("Integration", &spec.integration), ("Sent", &moment(spec, now))]);
    body.paragraph("To look at the integration now, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    let (check, title) = ("test", "this is a test message");
    Heading { state: MessageState::Test, check, severity: Severity::Info, tag: "Test", title }.message(spec, body)
}
