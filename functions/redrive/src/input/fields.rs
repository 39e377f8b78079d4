//! Owns reading the fields that several kinds of input have in common.

use emite_core::layout::StreamFolders;
use emite_core::problems::Problems;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::keys::whole_prefix;
use crate::request::Mode;
use crate::window::{Window, first, last};

/// The fields that say which objects are meant, and what to do with them.
pub(super) const SELECTION: &[&str] = &["mode", "from", "to", "prefix"];

/// Adds each field that is not one of those `allowed`; `at` is what stands before its name.
pub(super) fn only(problems: &mut Problems, fields: &Map<String, Value>, allowed: &[&[&str]], at: &str) {
    for name in fields.keys().filter(|name| !allowed.iter().any(|names| names.contains(&name.as_str()))) {
        let name: String = name.chars().take(60).collect();
        problems.add(format!("{at}{name} is unknown: may be {}", allowed.concat().join(", ")));
    }
}

pub(super) fn mode(fields: &Map<String, Value>, problems: &mut Problems) -> Mode {
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

/// A window, with its ends as they were given.
pub(super) struct GivenWindow {
    pub(super) window: Window,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

pub(super) fn window(fields: &Map<String, Value>, problems: &mut Problems) -> GivenWindow {
    let from = moment(fields, "from", first, problems);
    let to = moment(fields, "to", last, problems);
    let at = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.at);
    let window = Window { from: at(&from), to: at(&to) };
    if window.is_empty() {
        problems.add("from must not be after to");
    }
    GivenWindow { window, from: from.map(|moment| moment.text), to: to.map(|moment| moment.text) }
}

struct Moment {
    at: Timestamp,
    text: String,
}

fn moment(
    fields: &Map<String, Value>,
    name: &str,
    meaning: fn(&str) -> Option<Timestamp>,
    problems: &mut Problems,
) -> Option<Moment> {
    let value = fields.get(name).filter(|value| !value.is_null())?;
    let moment = value.as_str().and_then(|text| Some(Moment { at: meaning(text)?, text: text.to_owned() }));
    if moment.is_none() {
        problems.add(format!("{name} must be a day such as 2026-11-24 or a time such as 2026-11-24T01:02:03Z"));
    }
    moment
}

pub(super) fn prefix(fields: &Map<String, Value>, folders: &StreamFolders, problems: &mut Problems) -> Option<String> {
    match fields.get("prefix") {
        None | Some(Value::Null) => {}
        Some(Value::String(prefix)) if prefix.is_empty() => {}
        Some(Value::String(prefix)) => match whole_prefix(prefix, folders) {
            Ok(prefix) => return Some(prefix),
            Err(problem) => problems.add(format!("prefix: {problem}")),
        },
        Some(_) => problems.add("prefix must be a text"),
    }
    None
}
