//! Owns silences: checks of which no message is sent until a moment. They are part of the ledger entry.

use std::collections::{BTreeMap, BTreeSet};

use emite_core::checks::{CHECKS, health_check};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// No message is sent about a check until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Silence {
    pub(crate) until: Timestamp,
    pub(crate) reason: String,
}

/// The silences of a stack, by the name of the check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Silences(BTreeMap<String, Silence>);

impl Silences {
    /// Whether the check is silenced.
    pub(crate) fn cover(&self, check: &str, now: Timestamp) -> bool {
        self.0.get(check).is_some_and(|silence| silence.until > now)
    }

    /// Silences a check or, with none, ends its silence.
    pub(crate) fn set(&mut self, check: &str, silence: Option<&Silence>) {
        match silence {
            Some(silence) => self.0.insert(check.to_owned(), silence.clone()),
            None => self.0.remove(check),
        };
    }

    /// Forgets those that have ended.
    pub(crate) fn forget_ended(&mut self, now: Timestamp) {
        self.0.retain(|_, silence| silence.until > now);
    }
}

/// The names of the checks that can be silenced.
pub(crate) fn silenceable() -> BTreeSet<&'static str> {
    CHECKS.iter().chain([&health_check::CHECK]).map(|check| check.name).collect()
}
