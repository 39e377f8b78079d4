//! Owns reading what an execution of the state machine is started with, and what it came to.

use serde_json::{Map, Value};

use super::{BESIDE, Execution, Mode, Problems, Results, Wish, mode, prefix, window};
use crate::keys::Places;

pub(super) fn begin(fields: &Map<String, Value>, places: &Places, problems: &mut Problems) -> Option<Wish> {
    problems.only(fields, &[&["mode", "input"]], "");
    let nothing = Value::Object(Map::new());
    let wish = fields.get("input").filter(|input| !input.is_null()).unwrap_or(&nothing);
    let Some(wish) = wish.as_object() else {
        problems.add("the execution's input must be an object");
        return None;
    };
    problems.only(wish, &[BESIDE], "");
    let (_, (from, to)) = window(wish, problems);
    Some(Wish { mode: mode(wish, problems), from, to, prefix: prefix(wish, places, problems) })
}

pub(super) fn summarise(
    fields: &Map<String, Value>,
    places: &Places,
    bucket: &str,
    problems: &mut Problems,
) -> Option<Execution> {
    problems.only(fields, &[&["mode", "input", "results", "error", "execution"]], "");
    let told = |name| fields.get("input").and_then(|input| input.get(name)).and_then(Value::as_str);
    let error = fields.get("error").filter(|error| !error.is_null());
    Some(Execution {
        mode: if told("mode") == Some("apply") { Mode::Apply } else { Mode::Plan },
        prefix: told("prefix").and_then(|prefix| places.prefix(prefix).ok()),
        results: results(fields.get("results"), places, bucket, problems),
        error: error.map(error_name),
        execution: fields.get("execution").and_then(Value::as_str).map(|arn| arn.chars().take(300).collect()),
    })
}

fn results(value: Option<&Value>, places: &Places, bucket: &str, problems: &mut Problems) -> Results {
    match value {
        Some(Value::Array(answers)) => return Results::Here(answers.clone()),
        Some(Value::Object(told)) if told.contains_key("ResultWriterDetails") => {
            let details =
                |name| told.get("ResultWriterDetails").and_then(|details| details.get(name)).and_then(Value::as_str);
            match (details("Bucket"), details("Key")) {
                (Some(found), Some(key)) if found == bucket && key.starts_with(&places.results()) => {
                    return Results::Listed { key: key.to_owned() };
                }
                _ => problems.add(format!("the results must be in {bucket} below {}", places.results())),
            }
        }
        _ => {}
    }
    Results::Nowhere
}

/// The name alone: a cause may quote anything.
fn error_name(error: &Value) -> String {
    let name = error.get("Error").and_then(Value::as_str).unwrap_or("unknown");
    let allowed = |character: &char| character.is_ascii_alphanumeric() || "._-".contains(*character);
    name.chars().filter(allowed).take(80).collect()
}
