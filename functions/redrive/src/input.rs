//! Owns what the function can be asked for, and everything that is wrong with it at once. Pure.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::answer::Answer;
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
    pub(crate) offset: u64,
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
    pub(crate) prefix: String,
}

/// What an execution came to. Whatever is missing, the rest is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) mode: Mode,
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

/// The listing's fields of an object, with those that may stand beside them.
const ITEM: &[&str] = &[
    "Key",
    "Size",
    "LastModified",
    "Etag",
    "ETag",
    "StorageClass",
    "ChecksumAlgorithm",
    "ChecksumType",
    "Owner",
    "RestoreStatus",
];
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
                Some("begin") => begin(fields, places, &mut problems).map(Self::Begin),
                Some("summarise") => summarise(fields, places, bucket, &mut problems).map(Self::Summarise),
                _ => order(fields, places, &mut problems).map(Box::new).map(Self::Run),
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

fn order(fields: &Map<String, Value>, places: &Places, problems: &mut Problems) -> Option<Order> {
    let nothing = Map::new();
    let (items, beside, so_far) = if let Some(keys) = fields.get("keys") {
        problems.only(fields, &[BESIDE, &["keys", "soFar"]], "");
        (keys.as_array().cloned(), fields, fields.get("soFar"))
    } else if let Some(items) = fields.get("Items") {
        problems.only(fields, &[&["Items", "BatchInput"]], "");
        let beside = fields.get("BatchInput").filter(|beside| !beside.is_null());
        let beside = beside.map_or(Some(&nothing), Value::as_object);
        if beside.is_none() {
            problems.add("BatchInput must be an object");
        }
        let beside = beside.unwrap_or(&nothing);
        problems.only(beside, &[BESIDE], "BatchInput.");
        (items.as_array().cloned(), beside, None)
    } else if fields.contains_key("Key") {
        problems.only(fields, &[ITEM, BESIDE], "");
        (Some(vec![Value::Object(fields.clone())]), fields, None)
    } else {
        problems.add(
            "it must be {\"mode\",\"keys\":[…]}, {\"Items\":[…],\"BatchInput\"}, one item {\"Key\",…}, or have the mode begin or summarise",
        );
        return None;
    };
    let Some(items) = items else {
        problems.add("the objects must be a list");
        return None;
    };
    let wanted = items.iter().enumerate().filter_map(|(index, item)| wanted(item, index, places, problems)).collect();
    let so_far = so_far.filter(|so_far| !so_far.is_null()).and_then(|so_far| {
        let answer = serde_json::from_value(so_far.clone());
        answer.map_err(|_| problems.add("soFar must be an answer of this function")).ok()
    });
    prefix(beside, places, problems);
    Some(Order { mode: mode(beside, problems), wanted, window: window(beside, problems).0, so_far })
}

/// One object: a key, `{"key","offset"}`, or an item of a listing. None for an empty one, which stands for a folder.
fn wanted(item: &Value, index: usize, places: &Places, problems: &mut Problems) -> Option<Wanted> {
    let field = |names: [&str; 2]| names.iter().find_map(|name| item.get(name)).filter(|value| !value.is_null());
    if field(["Size", "size"]).and_then(Value::as_u64) == Some(0) {
        return None;
    }
    let Some(key) = item.as_str().or_else(|| field(["Key", "key"]).and_then(Value::as_str)) else {
        problems.add(format!("object {index} must have a key"));
        return None;
    };
    let offset = field(["offset", "offset"]).map_or(Some(0), Value::as_u64);
    if offset.is_none() {
        problems.add(format!("the offset of object {index} must be a whole number"));
    }
    let written = field(["LastModified", "LastModified"]);
    let modified = written.and_then(moment);
    if written.is_some() && modified.is_none() {
        problems.add(format!("LastModified of object {index} must be a time"));
    }
    let source = places.source(key).map_err(|problem| problems.add(problem)).ok()?;
    Some(Wanted { source, offset: offset?, modified })
}

/// Seconds since 1970, or a time as RFC 3339 has it.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        #[allow(clippy::cast_possible_truncation, reason = "what does not fit is no time")]
        number => Timestamp::from_millisecond((number.as_f64()? * 1000.0).round() as i64).ok(),
    }
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

fn prefix(fields: &Map<String, Value>, places: &Places, problems: &mut Problems) -> String {
    match fields.get("prefix") {
        None | Some(Value::Null) => return places.failed(),
        Some(Value::String(prefix)) if prefix.is_empty() => return places.failed(),
        Some(Value::String(prefix)) => match places.prefix(prefix) {
            Ok(prefix) => return prefix,
            Err(problem) => problems.add(format!("prefix: {problem}")),
        },
        Some(_) => problems.add("prefix must be a text"),
    }
    String::new()
}

fn begin(fields: &Map<String, Value>, places: &Places, problems: &mut Problems) -> Option<Wish> {
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

fn summarise(fields: &Map<String, Value>, places: &Places, bucket: &str, problems: &mut Problems) -> Option<Execution> {
    problems.only(fields, &[&["mode", "input", "results", "error", "execution"]], "");
    let mode = fields.get("input").and_then(|input| input.get("mode")).and_then(Value::as_str);
    let error = fields.get("error").filter(|error| !error.is_null());
    Some(Execution {
        mode: if mode == Some("apply") { Mode::Apply } else { Mode::Plan },
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

#[cfg(test)]
mod tests;
