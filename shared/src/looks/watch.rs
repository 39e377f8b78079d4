//! Owns the latch: when this stack was first watched, and when its agent events were first seen being read. Only a memory
//! can tell a consumer that has stopped from one that has not begun.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::AwsError;
use crate::ledger::{Entry, Key, Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::snapshot::Look;
use crate::spec::Spec;

/// What is remembered of the watching of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Watch {
    /// When it was first checked.
    pub(super) watched_since: Timestamp,
    /// When its agent events were first seen being read; none if they never were.
    pub(super) first_read: Option<Timestamp>,
}

fn key(spec: &Spec) -> Key {
    Key { partition: format!("latch#{}", spec.stack_id), sort: "watch".to_owned() }
}

/// What is remembered, if anything. Needs `dynamodb:GetItem`.
pub(super) async fn read(ledger: &Ledger, spec: &Spec) -> Result<Option<Entry<Watch>>, AwsError> {
    ledger.read(&key(spec)).await.map_err(|error| match error {
        LedgerError::Aws(error) => error,
        other => AwsError::unusable("dynamodb:GetItem", other.to_string()),
    })
}

/// What is known after this run, remembered if it is new. Needs `dynamodb:PutItem`; a write that fails is made up for by
/// the next run.
pub(super) async fn go_on(
    ledger: &Ledger,
    spec: &Spec,
    remembered: Look<Option<Entry<Watch>>>,
    metrics: &Metrics,
    now: Timestamp,
) -> Look<Watch> {
    let remembered = remembered?;
    let next = after(remembered.as_ref().map(|entry| &entry.value), metrics, now);
    if remembered.as_ref().map(|entry| &entry.value) != Some(&next)
        && let Err(error) = ledger.write(&key(spec), &next, remembered.map(|entry| entry.version), None).await
    {
        tracing::warn!(%error, "could not remember how long this stack is watched");
    }
    Ok(next)
}

fn after(remembered: Option<&Watch>, metrics: &Metrics, now: Timestamp) -> Watch {
    let read = metrics.get("iterator_age").ok().and_then(|series| series.points().first().map(|(at, _)| *at));
    Watch {
        watched_since: remembered.map_or(now, |watch| watch.watched_since),
        first_read: remembered.and_then(|watch| watch.first_read).or(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{healthy, noon};

    #[test]
    fn the_first_read_is_latched_and_survives_its_metric() {
        let seen = after(None, &healthy().metrics, noon());
        assert_eq!(seen.watched_since, noon());
        assert!(seen.first_read.is_some_and(|at| at < noon()));
        let later = after(Some(&seen), &Metrics::default(), noon() + std::time::Duration::from_secs(86_400));
        assert_eq!(later, seen);
    }

    #[test]
    fn a_stack_that_nobody_has_read_is_watched_all_the_same() {
        let seen = after(None, &Metrics::default(), noon());
        assert_eq!(seen, Watch { watched_since: noon(), first_read: None });
    }
}
