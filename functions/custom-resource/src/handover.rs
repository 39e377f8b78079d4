//! Owns `Custom::EmiteHandover`: the list of what the eMite team needs, each item checked as it is written, stored
//! encrypted, and announced on the event bus; again whenever something in it changes.
//!
//! What was handed over last is remembered in the ledger and not read back from the bucket: the bucket and its key may be
//! others by now, and a document that cannot be read any more must not hold up an update. Whatever is stored or announced
//! is written to the ledger before as undone and after as done, so that a rerun finishes what a crash left.
//!
//! A deployment that works is not rolled back for its handover. What is not as it should be, or could not be read, is
//! marked as such in it, first thing. A first document that cannot be stored fails, as the stack's output names it; on an
//! update, which may be a rollback, that is noted, as is what could not be announced, and the next request makes up for it.

mod items;
mod properties;
mod record;
mod text;

use emite_aws::clock;
use emite_aws::eventbridge::{Event, publish};
use emite_aws::ledger::{Entry, Key};
use emite_aws::s3::{self, Document};
use emite_core::handover::{Handover, JSON, TEXT};
use emite_core::report::HANDOVER;
use serde_json::Value;

use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::{Action, Request};
use crate::response::{Data, Done};
use properties::{Folder, HandoverProperties};
use record::{HandoverRequest, Record};

fn key() -> Key {
    Key { partition: "handover".to_owned(), sort: "last".to_owned() }
}

/// Create and Update.
pub(crate) async fn put(provider: &Provider, request: &Request) -> Result<Done, RequestFailure> {
    let properties = HandoverProperties::read(&request.properties, &provider.home)?;
    until_undisturbed(async || hand_over(provider, &properties, request).await).await
}

async fn hand_over(
    provider: &Provider,
    properties: &HandoverProperties,
    request: &Request,
) -> Result<Done, RequestFailure> {
    let request_id = &request.reply_to.request_id;
    let entry = provider.ledger.read::<Value>(&key()).await?;
    let version = entry.as_ref().map(|entry| entry.version);
    // One that a later release wrote, before this one came back, is begun anew.
    let last: Option<Record> = entry.and_then(|Entry { value, .. }| serde_json::from_value(value).ok());
    if let Some(last) = last.as_ref().filter(|last| last.came_after(request_id)) {
        // A duplicate of an earlier request, which may just have stored what is out of date.
        store(provider, last).await?;
        return Ok(done(last, &[]));
    }
    let seen = items::settled(provider, properties).await;
    let asked = HandoverRequest { id: request_id, stack_id: &provider.stack_id, now: clock::now() };
    let next = Record::after(last.as_ref(), properties, &seen, asked);
    let version = match version {
        Some(version) if last.as_ref() == Some(&next) => version,
        version => provider.ledger.write(&key(), &next, version, None).await?,
    };
    let mut reached = next.clone();
    let mut notes = Vec::new();
    if !next.is_stored {
        match provider.patiently(async || store(provider, &next).await).await {
            Ok(()) => reached.is_stored = true,
            Err(failure) if request.action == Ok(Action::Update) => {
                notes.push(format!("The document could not be stored: {failure}"));
            }
            Err(failure) => return Err(failure),
        }
    }
    if reached.is_stored && !next.is_announced {
        match provider.patiently(async || announce(provider, &next.handover).await).await {
            Ok(()) => reached.is_announced = true,
            Err(failure) => notes.push(format!("It could not be announced: {failure}")),
        }
    }
    if reached != next {
        let note = async || Ok(provider.ledger.write(&key(), &reached, Some(version), None).await.map(drop)?);
        match provider.patiently(note).await {
            Ok(()) => {}
            Err(failure) if failure.is_changed_meanwhile() => return Err(failure),
            Err(failure) => {
                notes.push(format!(
                    "It could not be noted how far this came, so the next request repeats it: {failure}"
                ));
            }
        }
    }
    Ok(done(&reached, &notes))
}

fn done(record: &Record, notes: &[String]) -> Done {
    let unverified: Vec<&str> = record.handover.unverified().map(|item| item.name.as_str()).collect();
    let mut notes = notes.to_vec();
    if !unverified.is_empty() {
        notes.insert(0, format!("Not verified: {}", unverified.join(", ")));
    }
    let note = notes.join(". ");
    if !note.is_empty() {
        tracing::warn!(note, "the hand-over is not whole");
    }
    Done { data: Data::from([("DocumentUri", record.handover.document_uri.clone())]), note }
}

/// Stores the JSON document and its readable text.
async fn store(provider: &Provider, record: &Record) -> Result<(), RequestFailure> {
    let json = serde_json::to_string_pretty(&record.handover)
        .map_err(|_| RequestFailure::Refused("the hand-over cannot be written as JSON".to_owned()))?;
    let Folder { bucket, prefix, key } = &record.folder;
    for (name, content_type, content) in
        [(JSON, "application/json", json), (TEXT, "text/plain; charset=utf-8", text::of(&record.handover))]
    {
        let document = Document {
            bucket,
            key: format!("{prefix}{name}"),
            owner: &provider.home.account,
            kms_key: key.as_deref(),
            content_type,
            content,
        };
        s3::put_document(provider.aws.s3(), document).await?;
    }
    Ok(())
}

async fn announce(provider: &Provider, handover: &Handover) -> Result<(), RequestFailure> {
    let detail = serde_json::to_string(handover)
        .map_err(|_| RequestFailure::Refused("the hand-over cannot be written as JSON".to_owned()))?;
    let event = Event { detail_type: HANDOVER, resource: handover.stack_id.to_string(), detail };
    Ok(publish(provider.aws.eventbridge(), event).await?)
}

#[cfg(test)]
mod tests;
