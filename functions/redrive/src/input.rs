//! Owns what the function can be asked for, and everything that is wrong with it at once. Pure.

mod execution;
mod order;

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{Answer, Place};
use crate::keys::{Places, Source};
use crate::window::{Window, first, last};

/// All that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the redrive cannot be run: {}", .0.join("; "))]
pub struct BadInput(pub Vec<String>);

/// What the function is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Go through objects.
    Run(Box<Order>),
    /// Check what an execution was started with.
    Begin(Wish),
    /// Add up what an execution came to.
    Summarise(Execution),
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Plan,
    Apply,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
        })
    }
}

/// Objects to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) mode: Mode,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) window: Window,
    /// What earlier runs came to, of which this is the continuation.
    pub(crate) so_far: Option<Answer>,
}

/// An object to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) source: Source,
    /// Where to begin.
    pub(crate) place: Place,
    /// When it was written, if the listing says so.
    pub(crate) modified: Option<Timestamp>,
}

/// What an execution is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) mode: Mode,
    /// As they were given.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Below which the objects are; none: wherever failed records are.
    pub(crate) prefix: Option<String>,
}

/// What an execution came to. Whatever is missing, the rest is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) mode: Mode,
    /// Below which the objects are.
    pub(crate) prefix: Option<String>,
    pub(crate) results: Results,
    /// The name of the error that ended it early.
    pub(crate) error: Option<String>,
    pub(crate) execution: Option<String>,
}

/// Where the children's answers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    Here(Vec<Value>),
    /// In files that the object with this key lists.
    Listed {
        key: String,
    },
    Nowhere,
}

/// What says which objects, and what to do with them.
const BESIDE: &[&str] = &["mode", "from", "to", "prefix"];

impl Input {
    /// Reads an event for the stack with these places and this bucket.
    pub(crate) fn read(event: &Value, places: &Places, bucket: &str) -> Result<Self, BadInput> {
        let mut problems = Problems(Vec::new());
        let input = match event.as_object() {
            None => {
                problems.add("it must be an object");
                None
            }
            Some(fields) => match fields.get("mode").and_then(Value::as_str) {
                Some("begin") => execution::begin(fields, places, &mut problems).map(Self::Begin),
                Some("summarise") => execution::summarise(fields, places, bucket, &mut problems).map(Self::Summarise),
                _ => order::read(fields, places, &mut problems).map(Box::new).map(Self::Run),
            },
        };
        match (input, problems.0) {
            (Some(input), problems) if problems.is_empty() => Ok(input),
            (_, problems) => Err(BadInput(shortened(problems))),
        }
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn only(&mut self, fields: &Map<String, Value>, allowed: &[&[&str]], at: &str) {
        for name in fields.keys().filter(|name| !allowed.iter().any(|names| names.contains(&name.as_str()))) {
            let name: String = name.chars().take(60).collect();
            self.add(format!("{at}{name} is unknown: may be {}", allowed.concat().join(", ")));
        }
    }
}

fn shortened(mut problems: Vec<String>) -> Vec<String> {
    const MOST: usize = 20;
    if problems.len() > MOST {
        let more = problems.len() - MOST;
        problems.truncate(MOST);
        problems.push(format!("and {more} more"));
    }
    problems
}

fn mode(fields: &Map<String, Value>, problems: &mut Problems) -> Mode {
    match fields.get("mode") {
        None | Some(Value::Null) => Mode::Plan,
        Some(Value::String(mode)) if mode == "plan" => Mode::Plan,
        Some(Value::String(mode)) if mode == "apply" => Mode::Apply,
        Some(_) => {
            problems.add("mode must be plan or apply");
            Mode::Plan
        }
    }
}

type Texts = (Option<String>, Option<String>);

fn window(fields: &Map<String, Value>, problems: &mut Problems) -> (Window, Texts) {
    let mut read = |name: &str, meaning: fn(&str) -> Option<Timestamp>| {
        let value = fields.get(name).filter(|value| !value.is_null())?;
        let moment = value.as_str().and_then(|text| Some((meaning(text)?, text.to_owned())));
        if moment.is_none() {
            problems.add(format!("{name} must be a day such as 2026-11-24 or a time such as 2026-11-24T01:02:03Z"));
        }
        moment
    };
    let ((from, from_text), (to, to_text)) = (read("from", first).unzip(), read("to", last).unzip());
    let window = Window { from, to };
    if window.is_empty() {
        problems.add("from must not be after to");
    }
    (window, (from_text, to_text))
}

fn prefix(fields: &Map<String, Value>, places: &Places, problems: &mut Problems) -> Option<String> {
    match fields.get("prefix") {
        None | Some(Value::Null) => {}
        Some(Value::String(prefix)) if prefix.is_empty() => {}
        Some(Value::String(prefix)) => match places.prefix(prefix) {
            Ok(prefix) => return Some(prefix),
            Err(problem) => problems.add(format!("prefix: {problem}")),
        },
        Some(_) => problems.add("prefix must be a text"),
    }
    None
}

#[cfg(test)]
mod tests;
