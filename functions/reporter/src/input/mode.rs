//! Owns whether a repair or a redrive changed anything.

use serde::Deserialize;

/// Whether anything was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Nothing was.
    Plan,
    /// What was planned was done.
    Apply,
}
