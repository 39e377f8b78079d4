//! Owns the calls of EventBridge: putting events on the account's default event bus.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use emite_core::report::SOURCE;

use crate::error::AwsError;

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Such as [`HEALTH_REPORT`](emite_core::report::HEALTH_REPORT).
    pub detail_type: &'static str,
    /// The ARN that it is about.
    pub resource: String,
    /// A JSON object.
    pub detail: String,
}

/// Puts an event on the bus (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>), which
/// may refuse an entry although the call works. Needs `events:PutEvents`.
pub async fn publish(client: &Client, event: Event) -> Result<(), AwsError> {
    const ACTION: &str = "events:PutEvents";
    let entry = PutEventsRequestEntry::builder()
        .source(SOURCE)
        .detail_type(event.detail_type)
        .resources(event.resource)
        .detail(event.detail)
        .build();
    let answer = client.put_events().entries(entry).send().await.map_err(AwsError::of(ACTION))?;
    let refused =
        answer.entries.unwrap_or_default().into_iter().find_map(|entry| Some((entry.error_code?, entry.error_message)));
    match refused {
        None => Ok(()),
        Some((code, message)) => Err(AwsError {
            operation: ACTION,
            code,
            message: message.unwrap_or_else(|| "no message".to_owned()),
            request_id: None,
        }),
    }
}
