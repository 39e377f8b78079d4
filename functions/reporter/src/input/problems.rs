//! Owns what is wrong with an event, and how a refusal lists it.

use emite_core::problems::Problems;
use serde_json::Value;

/// Everything that is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this event cannot be handled: {}", .0.join("; "))]
pub struct BadInput(pub(crate) Vec<String>);

impl From<String> for BadInput {
    fn from(problem: String) -> Self {
        Self(vec![problem])
    }
}

/// At most as many problems as people can read.
const MOST: usize = 20;

/// `value`, if there is no problem.
///
/// # Errors
/// [`BadInput`] with the problems.
pub(super) fn unless_any<T>(problems: Problems, value: T) -> Result<T, BadInput> {
    problems.capped(MOST).finish(Some(value)).map_err(BadInput)
}

/// Adds a problem if the object `value`, which is called `name`, has other fields than `fields`.
pub(super) fn add_unless_only(problems: &mut Problems, value: &Value, name: &str, fields: &[&str]) {
    if value.as_object().is_some_and(|object| object.keys().any(|key| !fields.contains(&key.as_str()))) {
        problems.add(format!("{name} may have nothing but {}", fields.join(", ")));
    }
}
