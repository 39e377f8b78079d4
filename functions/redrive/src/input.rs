//! Owns reading what the function can be asked for, and everything that is wrong with it at once. Pure.

mod execution;
mod fields;
mod objects;

use emite_core::layout::StreamFolders;
use emite_core::problems::Problems;
use serde_json::Value;

use crate::request::{ExecutionInput, FinishedExecution, RunRequest};

/// All that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the redrive cannot be run: {}", .0.join("; "))]
pub struct BadInput(pub Vec<String>);

/// What the function is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Go through objects.
    Run(Box<RunRequest>),
    /// Check what an execution was started with.
    Begin(ExecutionInput),
    /// Add up what an execution came to.
    Summarise(FinishedExecution),
}

/// At most as many problems as people can read.
const MOST_PROBLEMS: usize = 20;

impl Input {
    /// Reads an event for the stack with these folders in this bucket.
    pub(crate) fn read(event: &Value, folders: &StreamFolders, bucket: &str) -> Result<Self, BadInput> {
        let mut problems = Problems::default();
        let input = match event.as_object() {
            None => {
                problems.add("it must be an object");
                None
            }
            Some(fields) => match fields.get("mode").and_then(Value::as_str) {
                Some("begin") => execution::begin(fields, folders, &mut problems).map(Self::Begin),
                Some("summarise") => execution::summarise(fields, folders, bucket, &mut problems).map(Self::Summarise),
                _ => objects::read(fields, folders, &mut problems).map(Box::new).map(Self::Run),
            },
        };
        problems.capped(MOST_PROBLEMS).finish(input).map_err(BadInput)
    }
}

#[cfg(test)]
mod tests;
