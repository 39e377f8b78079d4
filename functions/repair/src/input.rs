//! Owns what a repair is asked for, and how anything else is refused: all that is wrong at once, and nothing done.

use emite_core::checks::CHECKS;
use emite_core::problems::Problems;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Nothing is: the report says what would be.
    #[default]
    Plan,
    /// What is planned is applied.
    Apply,
}

/// What a repair is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) mode: Mode,
    /// The checks whose findings are to be fixed; all, if there are none.
    pub(crate) checks: Vec<String>,
    /// Whether third-party configuration may be replaced.
    pub(crate) replace: bool,
    /// Who says that they asked for it. That is not verified.
    pub(crate) requested_by: Option<String>,
}

/// All that is wrong with what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this repair was not begun: {}", .0.join("; "))]
pub struct BadInput(pub Vec<String>);

const FIELDS: [&str; 4] = ["mode", "checks", "replace", "requestedBy"];

impl Input {
    /// Understands an event.
    ///
    /// # Errors
    /// [`BadInput`] with everything that is wrong with it.
    pub(crate) fn read(event: &Value) -> Result<Self, BadInput> {
        let Some(fields) = event.as_object() else {
            return Err(BadInput(vec![
                "the event must be a JSON object such as {\"mode\":\"plan\",\"checks\":[\"data-streaming\"]}"
                    .to_owned(),
            ]));
        };
        let mut problems = Problems::new();
        if fields.keys().any(|name| !FIELDS.contains(&name.as_str())) {
            problems.add(format!("it may have nothing but {}", FIELDS.join(", ")));
        }
        let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let input = Self {
            mode: mode(field("mode"), &mut problems),
            checks: checks(field("checks"), &mut problems),
            replace: flag(field("replace"), &mut problems),
            requested_by: requested_by(field("requestedBy"), &mut problems),
        };
        problems.finish(Some(input)).map_err(BadInput)
    }
}

fn mode(value: Option<&Value>, problems: &mut Problems) -> Mode {
    match value.map(Value::as_str) {
        None | Some(Some("plan")) => Mode::Plan,
        Some(Some("apply")) => Mode::Apply,
        Some(_) => {
            problems.add("mode must be plan (the default, which changes nothing) or apply".to_owned());
            Mode::Plan
        }
    }
}

fn checks(value: Option<&Value>, problems: &mut Problems) -> Vec<String> {
    let known = |value: &Value| {
        let name = value.as_str()?;
        CHECKS.iter().any(|check| check.name == name).then(|| name.to_owned())
    };
    let named: Option<Vec<String>> = value.map_or(Some(Vec::new()), |value| {
        value.as_array().filter(|list| !list.is_empty())?.iter().map(known).collect()
    });
    named.unwrap_or_else(|| {
        let names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        problems.add(format!(
            "checks must be a list of one or more names among {}; leave it out to mean all",
            names.join(", ")
        ));
        Vec::new()
    })
}

fn flag(value: Option<&Value>, problems: &mut Problems) -> bool {
    value.map_or(Some(false), Value::as_bool).unwrap_or_else(|| {
        problems.add("replace must be true or false".to_owned());
        false
    })
}

fn requested_by(value: Option<&Value>, problems: &mut Problems) -> Option<String> {
    const LONGEST: usize = 200;
    let named = value?
        .as_str()
        .filter(|name| (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(char::is_control));
    if named.is_none() {
        problems.add(format!("requestedBy must be 1 to {LONGEST} printable characters"));
    }
    named.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_input_plans_every_check_and_replaces_nothing() {
        for empty in [json!({}), json!({"mode": null, "checks": null, "replace": null, "requestedBy": null})] {
            assert_eq!(Input::read(&empty).unwrap(), Input::default(), "{empty}");
        }
    }

    #[test]
    fn what_is_asked_for_is_understood() {
        let asked =
            json!({"mode": "apply", "checks": ["emite-role"], "replace": true, "requestedBy": "Ada <ada@example.com>"});
        let understood = Input::read(&asked).unwrap();
        assert_eq!(
            understood,
            Input {
                mode: Mode::Apply,
                checks: vec!["emite-role".to_owned()],
                replace: true,
                requested_by: Some("Ada <ada@example.com>".to_owned()),
            }
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_nothing_of_it_is_shown() {
        let wrong = json!({"mode": "aply", "checks": ["emite-roll"], "replace": "yes", "requestedBy": "", "force": 1});
        let refusal = Input::read(&wrong).unwrap_err().to_string();
        insta::assert_snapshot!(refusal);
        for event in [
            json!([]),
            json!("apply"),
            json!(null),
            json!({"checks": "emite-role"}),
            json!({"checks": []}),
            json!({"requestedBy": "a\nb"}),
        ] {
            assert!(Input::read(&event).is_err(), "{event}");
        }
    }
}
