//! Owns the latch in the ledger, which remembers since when the streams of a stack have been watched and read.

use std::time::Duration;

use emite_core::latch::{Watch, after};
use emite_core::look::Look;
use emite_core::metrics::Metrics;
use emite_core::spec::Spec;
use jiff::Timestamp;

use crate::error::AwsError;
use crate::ledger::{Entry, Key, Ledger, LedgerError};
use crate::look::log;

/// How long the write may take. If it takes longer, the next run makes up for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The key names the streams: what was observed of other streams says nothing about these.
fn key(spec: &Spec) -> Key {
    let sort = format!("{}|{}", spec.agent_event_stream_name(), spec.delivery_stream_name());
    Key { partition: format!("latch#{}", spec.stack_id), sort }
}

/// What is remembered, if anything. Needs `dynamodb:GetItem`.
pub(crate) async fn read(ledger: &Ledger, spec: &Spec) -> Result<Option<Entry<Watch>>, AwsError> {
    ledger.read(&key(spec)).await.map_err(|error| aws_error("dynamodb:GetItem", error))
}

fn aws_error(action: &'static str, error: LedgerError) -> AwsError {
    match error {
        LedgerError::Aws(error) => error,
        other => AwsError::unusable(action, other.to_string()),
    }
}

/// What is known after this run, remembered if it is new. Needs `dynamodb:PutItem`; a write that fails is made up for
/// by the next run. Only if there is no memory at all, nothing is known.
pub(crate) async fn go_on(
    ledger: &Ledger,
    spec: &Spec,
    remembered: Look<Option<Entry<Watch>>>,
    metrics: &Metrics,
    now: Timestamp,
) -> Look<Watch> {
    const ACTION: &str = "dynamodb:PutItem";
    let remembered = remembered?;
    let next = after(remembered.as_ref().map(|entry| &entry.value), metrics, now);
    if remembered.as_ref().map(|entry| &entry.value) == Some(&next) {
        return Ok(next);
    }
    let key = key(spec);
    let write = ledger.write(&key, &next, remembered.as_ref().map(|entry| entry.version), None);
    let error = match tokio::time::timeout(PATIENCE, write).await {
        Ok(Ok(_) | Err(LedgerError::ChangedMeanwhile(_))) => return Ok(next),
        Ok(Err(error)) => aws_error(ACTION, error),
        Err(_) => AwsError::new(ACTION, AwsError::TIMED_OUT, "no answer in time".to_owned()),
    };
    log(&error, "could not remember how long this stack is watched");
    if remembered.is_some() { Ok(next) } else { Err(error.into()) }
}
