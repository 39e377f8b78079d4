//! Owns what an update must not do with the resources that the stack created. Pure.

use super::chain::{AGENT_EVENT_STREAM, ChainResource, DELIVERY_STREAM, ROLE};
use super::previous::Previous;
use super::problem::Problem;
use super::values::Parameters;

pub(super) fn problems(previous: Previous<'_>, parameters: &Parameters) -> Vec<Problem> {
    let source = moved_source(previous, parameters);
    declared_existing(previous, parameters).into_iter().chain(source).chain(passed_on(previous, parameters)).collect()
}

/// What the stack created and is now named as existing would be deleted with the update.
fn declared_existing(previous: Previous<'_>, parameters: &Parameters) -> Vec<Problem> {
    let resources = [
        (AGENT_EVENT_STREAM, &parameters.agent_event_stream, "stream"),
        (DELIVERY_STREAM, &parameters.delivery_stream, "Firehose stream"),
        (ROLE, &parameters.role, "role"),
    ];
    let own = resources.into_iter().filter_map(|(names, resource, what)| {
        let existing = resource.as_ref().and_then(ChainResource::existing);
        let name = previous.created(names).filter(|created| existing == Some(*created))?;
        let parameter = names.existing;
        Some(Problem::new(format!(
            "{parameter}: the {what} '{name}' was made by this stack, which would delete it once it is not its own any more. Leave {parameter} empty."
        )))
    });
    own.collect()
}

/// A Firehose stream reads from where it was created to read from.
fn moved_source(previous: Previous<'_>, parameters: &Parameters) -> Option<Problem> {
    let had = previous.created(DELIVERY_STREAM);
    let stays = parameters.delivery_stream.as_ref().and_then(ChainResource::created);
    let reads_elsewhere = previous.text("ExistingContactRecordStreamName")
        != parameters.contact_record_stream.as_deref().unwrap_or_default();
    (stays.is_some() && stays == had && reads_elsewhere).then(|| {
        Problem::new(
            "ExistingContactRecordStreamName: a Firehose stream cannot change where it reads from. Give DeliveryStreamName another name in the same update: a new Firehose stream is then made, and the old one deleted after DrainSeconds.",
        )
    })
}

/// The stack's stream of agent events goes with the update that names another one, so contact records cannot go through it.
fn passed_on(previous: Previous<'_>, parameters: &Parameters) -> Option<Problem> {
    let name = previous.created(AGENT_EVENT_STREAM)?;
    let stays = parameters.agent_event_stream.as_ref().and_then(ChainResource::created) == Some(name);
    (!stays && parameters.contact_record_stream.as_deref() == Some(name)).then(|| {
        Problem::new(format!(
            "ExistingContactRecordStreamName: the stream '{name}' was made by this stack for agent events, and is deleted once it is not used for them any more. Name another stream."
        ))
    })
}
