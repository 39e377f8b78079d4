//! Owns reading what an execution of the state machine is started with, and what it came to.

use emite_core::layout::{RESULTS, StreamFolders};
use emite_core::problems::Problems;
use serde_json::{Map, Value};

use super::fields::{SELECTION, mode, only, prefix, window};
use crate::keys::whole_prefix;
use crate::request::{ExecutionInput, FinishedExecution, Mode, ResultLocation};

pub(super) fn begin(
    fields: &Map<String, Value>,
    folders: &StreamFolders,
    problems: &mut Problems,
) -> Option<ExecutionInput> {
    only(problems, fields, &[&["mode", "input"]], "");
    let nothing = Value::Object(Map::new());
    let given = fields.get("input").filter(|input| !input.is_null()).unwrap_or(&nothing);
    let Some(given) = given.as_object() else {
        problems.add("the execution's input must be an object");
        return None;
    };
    only(problems, given, &[SELECTION], "");
    let range = window(given, problems);
    let mode = mode(given, problems);
    Some(ExecutionInput { mode, from: range.from, to: range.to, prefix: prefix(given, folders, problems) })
}

pub(super) fn summarise(
    fields: &Map<String, Value>,
    folders: &StreamFolders,
    bucket: &str,
    problems: &mut Problems,
) -> Option<FinishedExecution> {
    only(problems, fields, &[&["mode", "input", "results", "error", "execution"]], "");
    let given = |name| fields.get("input").and_then(|input| input.get(name)).and_then(Value::as_str);
    let error = fields.get("error").filter(|error| !error.is_null());
    Some(FinishedExecution {
        mode: if given("mode") == Some("apply") { Mode::Apply } else { Mode::Plan },
        prefix: given("prefix").and_then(|prefix| whole_prefix(prefix, folders).ok()),
        results: results(fields.get("results"), folders, bucket, problems),
        error: error.map(error_name),
        arn: fields.get("execution").and_then(Value::as_str).map(|arn| arn.chars().take(300).collect()),
    })
}

fn results(value: Option<&Value>, folders: &StreamFolders, bucket: &str, problems: &mut Problems) -> ResultLocation {
    match value {
        Some(Value::Array(results)) => return ResultLocation::Inline(results.clone()),
        Some(Value::Object(writer)) if writer.contains_key("ResultWriterDetails") => {
            let details =
                |name| writer.get("ResultWriterDetails").and_then(|details| details.get(name)).and_then(Value::as_str);
            match (details("Bucket"), details("Key")) {
                (Some(found), Some(key)) if found == bucket && key.starts_with(&folders.folder(RESULTS)) => {
                    return ResultLocation::Manifest { key: key.to_owned() };
                }
                _ => problems.add(format!("the results must be in {bucket} below {}", folders.folder(RESULTS))),
            }
        }
        _ => {}
    }
    ResultLocation::Missing
}

/// The name alone: a cause may quote anything.
fn error_name(error: &Value) -> String {
    let name = error.get("Error").and_then(Value::as_str).unwrap_or("unknown");
    let allowed = |character: &char| character.is_ascii_alphanumeric() || "._-".contains(*character);
    name.chars().filter(allowed).take(80).collect()
}
