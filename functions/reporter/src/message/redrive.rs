//! Owns the message of what a redrive came to.

use emite_core::command;
use emite_core::finding::Severity;
use emite_core::spec::Spec;
use jiff::Timestamp;

use super::body::{Body, moment};
use super::envelope::{Heading, Message, MessageState};
use crate::redrive::Redrive;
use crate::scene::Scene;
use crate::text::stored;

/// The message of what a redrive came to.
pub(crate) fn redrive(scene: &Scene, redrive: &Redrive) -> Message {
    let spec = &scene.spec;
    let (severity, title, next) = if redrive.is_incomplete() {
        let title = match redrive.remaining {
            0 => "failed records may be left",
            _ => "some failed records are left",
        };
        let next = "What is left stays where it is, and nothing of it is lost. Run the redrive again once the cause is mended.";
        (Severity::Warning, title, next)
    } else if redrive.quarantined > 0 {
        let next = "What is in quarantine is kept there for a year, and nothing of it is lost: its cause has to be mended first.";
        (Severity::Warning, "some failed records are in quarantine", next)
    } else if redrive.records == 0 {
        (Severity::Info, "there were no failed records", "There is nothing to do.")
    } else {
        (Severity::Info, "failed records are in the domain now", "There is nothing to do.")
    };
    let mut body = Body::default();
    counts(&mut body, spec, redrive);
    body.paragraph(next);
    if redrive.is_incomplete() {
        let prefix = redrive.prefix.clone().unwrap_or_else(|| spec.failed_prefix.clone());
        body.commands(&command::redrive(spec, &prefix));
    } else if redrive.quarantined > 0 {
        body.commands(&command::redrive(spec, &spec.quarantine_prefix()));
    }
    let heading = Heading { state: MessageState::Redrive, check: "failed-records", severity, tag: "Redrive", title };
    heading.message(spec, body)
}

fn counts(body: &mut Body, spec: &Spec, redrive: &Redrive) {
    body.paragraph(&match (redrive.records, redrive.is_incomplete()) {
        (0, false) => "There were no failed records to send, in the place and the time that were asked for.".to_owned(),
        (0, true) => "As far as is known, no failed records were sent to the search domain.".to_owned(),
        (records, _) => format!(
            "Records that had failed were sent to the search domain again: {} of {records} are there now.",
            redrive.indexed.saturating_add(redrive.already_present),
        ),
    });
    let time = |at: Option<Timestamp>| at.map_or(String::new(), |at| moment(spec, at));
    let failed_batches = if redrive.failed_batches > 0 { redrive.failed_batches.to_string() } else { String::new() };
    body.facts(&[
        ("Integration", &spec.integration),
        ("Looked in", redrive.prefix.as_deref().unwrap_or_default()),
        ("Objects read", &redrive.objects.to_string()),
        ("Records read", &redrive.records.to_string()),
        ("Written now", &redrive.indexed.to_string()),
        ("Already there", &redrive.already_present.to_string()),
        ("Refused for good, put aside in quarantine", &redrive.quarantined.to_string()),
        ("Objects that are left for another time", &remaining(redrive)),
        ("Batches of objects that came to nothing", &failed_batches),
        ("Stopped early, as the domain answered", redrive.stopped.as_deref().unwrap_or_default()),
        ("Ended early with the error", redrive.error.as_deref().unwrap_or_default()),
        ("Oldest record", &time(redrive.oldest)),
        ("Newest record", &time(redrive.newest)),
    ]);
    let kinds: Vec<String> = redrive.by_error.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    body.list("By kind of error (status/type: records):", &kinds);
    left(body, redrive);
}

/// How many objects are left: those of a batch that came to nothing, and those that were never reached, are not counted.
fn remaining(redrive: &Redrive) -> String {
    let is_cut_short = redrive.failed_batches > 0 || redrive.error.is_some();
    match (is_cut_short, redrive.remaining) {
        (false, count) => count.to_string(),
        (true, 0) => "not known".to_owned(),
        (true, count) => format!("at least {count}"),
    }
}

fn left(body: &mut Body, redrive: &Redrive) {
    const MOST: usize = 5;
    let lines: Vec<String> = redrive
        .left
        .iter()
        .take(MOST)
        .map(|left| {
            let size = left.size.map_or(String::new(), |size| format!(" ({size} bytes)"));
            format!("{}: {}{size}", stored(&left.key, 200), stored(&left.cause, 200))
        })
        .collect();
    let title = if redrive.left.len() > MOST {
        "Left where they are, and why (the first 5):"
    } else {
        "Left where they are, and why:"
    };
    body.list(title, &lines);
}
