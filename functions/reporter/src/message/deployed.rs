//! Owns the message that the integration is deployed, with what the eMite team needs.

use emite_core::command;
use emite_core::finding::Severity;
use emite_core::handover::{self as item, Handover};
use emite_core::spec::Spec;

use super::body::{Body, moment};
use super::envelope::{Heading, INTEGRATION, Message, MessageState};
use crate::scene::Scene;
use crate::text::stored;

/// The message that the integration is deployed, with what the eMite team needs: as it was handed over, or as the stack was
/// asked for as long as nothing was.
pub(crate) fn deployed(scene: &Scene, handover: Option<&Handover>) -> Message {
    let spec = &scene.spec;
    let mut body = Body::default();
    let all_is_verified = handover.is_none_or(|handover| handover.unverified().next().is_none());
    if !all_is_verified {
        body.paragraph(
            "Not everything that the eMite team needs could be verified. Settle what is marked below before you send it.",
        );
    }
    body.paragraph(&format!(
        "The integration of {} with eMite is deployed, and is looked after from now on.",
        stored(&spec.integration, 200)
    ));
    match handover {
        Some(handover) => handed_over(&mut body, spec, handover),
        None => asked_for(&mut body, spec),
    }
    body.paragraph(&format!(
        "Every link between Amazon Connect and eMite is checked every {} minutes. You get one message when something \
         breaks, one when it is over, and a reminder once a day in between. No message means that all is well.",
        spec.interval.as_mins()
    ));
    body.paragraph("To look now, paste this into AWS CloudShell:");
    body.command(&command::check_now(spec));
    let (severity, title) = match all_is_verified {
        true => (Severity::Info, "integration deployed"),
        false => (Severity::Warning, "integration deployed, but not all of it is verified"),
    };
    let heading = Heading { state: MessageState::Deployed, check: INTEGRATION, severity, tag: "Deployed", title };
    heading.message(spec, body)
}

fn handed_over(body: &mut Body, spec: &Spec, handover: &Handover) {
    let before = handover.previous_release.as_deref().filter(|before| *before != handover.release).unwrap_or_default();
    body.facts(&[("Release", &handover.release), ("Release before", before)]);
    let when = moment(spec, handover.written_at);
    body.paragraph(&format!(
        "Please send this to the eMite team. Unless marked, each was verified in your account on {when}:"
    ));
    for item in &handover.items {
        body.line(&stored(&item.name, 100), &stored(&item.value, 1224));
        if !item.verified {
            let why = stored(item.problem.as_deref().unwrap_or("nobody knows why"), 240);
            body.line("  NOT VERIFIED", &why);
        }
    }
    body.end();
    if handover.previous_release.is_some() {
        let value = |value: &Option<String>| stored(value.as_deref().unwrap_or("nothing"), 180);
        let lines: Vec<String> = handover
            .changes
            .iter()
            .map(|change| {
                format!("{}: from {} to {}", stored(&change.name, 60), value(&change.from), value(&change.to))
            })
            .collect();
        if lines.is_empty() {
            body.paragraph("None of these values has changed since you were told last.");
        }
        body.list("What has changed since you were told last:", &lines);
    }
    body.list("Deliberately not in it:", &handover.not_included);
    body.paragraph("The same is stored, encrypted, as a document in your bucket. This command prints it:");
    body.command(&command::handover(spec));
}

fn asked_for(body: &mut Body, spec: &Spec) {
    body.paragraph("Please send this to the eMite team:");
    if let Some(server) = &spec.server {
        body.line(item::SERVER, &server.address.to_string());
    }
    body.line(item::ROLE, &spec.emite_role.to_string());
    if let Some(emite) = &spec.emite {
        body.line(item::EXTERNAL_ID, &emite.customer_id);
    }
    body.line(item::INSTANCE, &spec.instance_arn.to_string());
    body.line(item::AGENT_EVENTS, &spec.agent_event_stream.to_string());
    body.line(item::SEARCH_ENDPOINT, &spec.search_endpoint);
    body.line(item::TIME_ZONE, spec.time_zone.iana_name().unwrap_or("UTC"));
    body.end();
    body.list("Deliberately not in it:", &[item::left_out(spec.server.is_some())]);
}
