//! Owns reading a function's settings: every problem is listed at once, and nothing falls back to a default in silence.
//!
//! Pure: the environment comes in as a lookup, so that tests set no variables. [`environment`] is the one place that
//! reads the real one.

use std::fmt::Display;
use std::str::FromStr;

use emite_core::problems::Problems;

/// All that is wrong with a function's environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function is not configured: {}", .0.join("; "))]
pub struct BadSettings(pub Vec<String>);

/// Reads settings and collects what is wrong with them.
pub struct Settings<L> {
    lookup: L,
    problems: Problems,
}

impl<L: Fn(&str) -> Option<String>> Settings<L> {
    /// Settings that `lookup` finds by name.
    pub fn new(lookup: L) -> Self {
        Self { lookup, problems: Problems::new() }
    }

    /// The value of `name`, which must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty());
        if value.is_none() {
            self.problems.add(format!("environment variable {name} is missing or empty"));
        }
        self.parse(name, value?)
    }

    /// The value of `name`, or `default` if it is not set.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> Option<T> {
        match (self.lookup)(name) {
            Some(value) => self.parse(name, value),
            None => Some(default),
        }
    }

    /// Nothing was wrong, or everything that was.
    pub fn finish(self) -> Result<(), BadSettings> {
        self.problems.finish(Some(())).map_err(BadSettings)
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, value: String) -> Option<T> {
        let parsed = value.parse().map_err(|error| format!("environment variable {name} is '{value}': {error}"));
        self.problems.keep(parsed)
    }
}

/// The process's environment, as a lookup for [`Settings::new`].
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
