//! Owns what is wrong with an event, and how a refusal lists it.

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

/// What is found wrong while an event is read.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Adds a problem if the object `value`, which is called `name`, has other fields than `fields`.
    pub(super) fn add_unless_only(&mut self, value: &Value, name: &str, fields: &[&str]) {
        if value.as_object().is_some_and(|object| object.keys().any(|key| !fields.contains(&key.as_str()))) {
            self.add(format!("{name} may have nothing but {}", fields.join(", ")));
        }
    }

    /// `value`, if there is no problem.
    ///
    /// # Errors
    /// [`BadInput`] with the problems, as many as people can read.
    pub(super) fn unless_any<T>(mut self, value: T) -> Result<T, BadInput> {
        const MOST: usize = 20;
        if self.0.is_empty() {
            return Ok(value);
        }
        if self.0.len() > MOST {
            let more = self.0.len() - MOST;
            self.0.truncate(MOST);
            self.0.push(format!("and {more} more"));
        }
        Err(BadInput(self.0))
    }
}
