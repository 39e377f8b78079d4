//! Owns the lock: one repair of a stack at a time. It expires, so that a repair that died does not bar the next one.

use std::time::Duration;

use emite_aws::clock;
use emite_aws::ledger::{Entry, Key, Ledger, LedgerError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much longer than its holder can live the lock lasts.
const MARGIN: Duration = Duration::from_secs(30);

/// Who holds it, and until when. If it was released, that is past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Lambda's id of the request that holds it.
    pub request_id: String,
    /// Until when at most.
    pub until: Timestamp,
}

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Lock {
    key: Key,
    holder: Holder,
    version: u64,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    /// Another repair holds it.
    #[error("another repair (request {}) is at work, until {} at the latest: wait for it, then run this one again", .0.request_id, .0.until)]
    Held(Holder),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Takes the lock for `lasting` at most.
pub(crate) async fn take(ledger: &Ledger, request_id: &str, lasting: Duration) -> Result<Lock, NotLocked> {
    let key = Key { partition: "lock#repair".to_owned(), sort: "repair".to_owned() };
    let entry: Option<Entry<Holder>> = ledger.read(&key).await?;
    let now = clock::now();
    // Even if it is the same request: Lambda may deliver one twice.
    if let Some(holder) = entry.as_ref().map(|entry| &entry.value).filter(|holder| holder.until > now) {
        return Err(NotLocked::Held(holder.clone()));
    }
    let holder = Holder { request_id: request_id.to_owned(), until: now + lasting + MARGIN };
    let version = entry.as_ref().map(|entry| entry.version);
    match ledger.write(&key, &holder, version, None).await {
        Ok(version) => Ok(Lock { key, holder, version }),
        // Another repair was faster by a moment.
        Err(LedgerError::ChangedMeanwhile(_)) => match ledger.read::<Holder>(&key).await? {
            Some(entry) => Err(NotLocked::Held(entry.value)),
            None => Err(LedgerError::ChangedMeanwhile(key).into()),
        },
        Err(error) => Err(error.into()),
    }
}

impl Lock {
    /// Releases it. One that cannot be released expires.
    pub(crate) async fn release(self, ledger: &Ledger) {
        let holder = Holder { until: clock::now(), ..self.holder };
        if let Err(error) = ledger.write(&self.key, &holder, Some(self.version), None).await {
            tracing::warn!(%error, "the lock was not given back; it expires");
        }
    }
}
