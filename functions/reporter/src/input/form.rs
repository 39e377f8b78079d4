//! Owns what the details of events must look like, as tables: serde would name the first thing that is wrong, with the
//! value that it found.

use emite_core::checks::CHECKS;
use jiff::Timestamp;
use serde_json::Value;

/// The fields that an object must have, and what each must be.
pub(super) type Form = &'static [(&'static str, Kind)];

/// What a field must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Anything,
    True,
    Bool,
    Text,
    Texts,
    TextOrNull,
    Time,
    TimeOrNull,
    Count,
    CountOrNull,
    Counts,
    Array,
    ObjectOrNull,
    OneOf(&'static [&'static str]),
    /// The name of a check.
    Check,
    ListOf(Form),
}

/// What is wrong with an event.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, problem: &str) {
        self.0.push(problem.to_owned());
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, as far as they can be read.
    pub(super) fn finish(mut self) -> Vec<String> {
        const MOST: usize = 20;
        if self.0.len() > MOST {
            let more = self.0.len() - MOST;
            self.0.truncate(MOST);
            self.0.push(format!("and {more} more"));
        }
        self.0
    }
}

const STATUS: Kind = Kind::OneOf(&["Missing", "Incorrect", "Unexpected", "Unhealthy", "Unobservable"]);
const FINDING: Form = &[
    ("check", Kind::Check),
    ("status", STATUS),
    ("severity", Kind::OneOf(&["Info", "Warning", "Critical"])),
    ("resource", Kind::Text),
    ("summary", Kind::Text),
    ("expected", Kind::Text),
    ("observed", Kind::Text),
    ("impact", Kind::Text),
    ("dataLossAt", Kind::TimeOrNull),
    ("causedBy", Kind::TextOrNull),
    ("remedy", Kind::Text),
    ("repair", Kind::ObjectOrNull),
];
const CHECK: Form = &[
    ("name", Kind::Text),
    ("outcome", Kind::OneOf(&["Passed", "Failed", "Unobservable", "NotApplicable"])),
    ("durationMs", Kind::Count),
];
const MODE: Kind = Kind::OneOf(&["plan", "apply"]);

/// A health report.
pub(super) const REPORT: Form = &[
    ("integration", Kind::Text),
    ("instanceArn", Kind::Text),
    ("checkedAt", Kind::Time),
    ("status", Kind::OneOf(&["Healthy", "Degraded", "Failing", "Unknown"])),
    ("findings", Kind::ListOf(FINDING)),
    ("checks", Kind::ListOf(CHECK)),
];
/// A repair report.
pub(super) const REPAIR: Form = &[
    ("mode", MODE),
    ("planned", Kind::Array),
    ("outcomes", Kind::Array),
    ("before", Kind::ObjectOrNull),
    ("after", Kind::ObjectOrNull),
    ("requestedBy", Kind::Anything),
];
/// A redrive report. Earlier releases send none of `failedBatches`, `error` and `prefix`.
pub(super) const REDRIVE: Form = &[
    ("mode", MODE),
    ("objects", Kind::Count),
    ("records", Kind::Count),
    ("indexed", Kind::Count),
    ("alreadyPresent", Kind::Count),
    ("quarantined", Kind::Count),
    ("remaining", Kind::Array),
    ("remainingObjects", Kind::Count),
    ("left", Kind::Array),
    ("failedBatches", Kind::CountOrNull),
    ("stopped", Kind::ObjectOrNull),
    ("error", Kind::TextOrNull),
    ("prefix", Kind::TextOrNull),
    ("execution", Kind::Text),
    ("byError", Kind::Counts),
    ("oldest", Kind::TimeOrNull),
    ("newest", Kind::TimeOrNull),
];
const HANDED_OVER: Form =
    &[("name", Kind::Text), ("value", Kind::Text), ("verified", Kind::Bool), ("problem", Kind::TextOrNull)];
const CHANGED: Form = &[("name", Kind::Text), ("from", Kind::TextOrNull), ("to", Kind::TextOrNull)];
/// A hand-over.
pub(super) const HANDOVER: Form = &[
    ("revision", Kind::Count),
    ("release", Kind::Text),
    ("previousRelease", Kind::TextOrNull),
    ("writtenAt", Kind::Time),
    ("documentUri", Kind::Text),
    ("items", Kind::ListOf(HANDED_OVER)),
    ("changes", Kind::ListOf(CHANGED)),
    ("notIncluded", Kind::Texts),
];

/// Adds to `problems` what is wrong with the object `value`, which stands at `at`.
pub(super) fn check(at: &str, form: &[(&str, Kind)], value: &Value, problems: &mut Problems) {
    let Some(object) = value.as_object() else {
        problems.add(&format!("{at} must be an object"));
        return;
    };
    for (name, kind) in form {
        let field = object.get(*name).unwrap_or(&Value::Null);
        if let Kind::ListOf(form) = kind
            && let Some(list) = field.as_array()
        {
            for (index, entry) in list.iter().enumerate() {
                check(&format!("{at}.{name}[{index}]"), form, entry, problems);
            }
        } else if let Some(wanted) = kind.objection(field) {
            problems.add(&format!("{at}.{name} must be {wanted}"));
        }
    }
}

/// Adds a problem if the object `value` has fields other than `names`.
pub(super) fn only(value: &Value, names: &[&str], at: &str, problems: &mut Problems) {
    if value.as_object().is_some_and(|object| object.keys().any(|key| !names.contains(&key.as_str()))) {
        problems.add(&format!("{at} may have nothing but {}", names.join(", ")));
    }
}

impl Kind {
    /// What the field must be, if it is something else.
    fn objection(self, field: &Value) -> Option<String> {
        let is_time = || field.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok());
        let counts = || field.as_object().is_some_and(|counts| counts.values().all(Value::is_u64));
        let texts = || field.as_array().is_some_and(|texts| texts.iter().all(Value::is_string));
        let (fits, wanted) = match self {
            Self::Anything => (true, String::new()),
            Self::True => (field == &Value::Bool(true), "true".to_owned()),
            Self::Bool => (field.is_boolean(), "true or false".to_owned()),
            Self::Text => (field.is_string(), "a text".to_owned()),
            Self::Texts => (texts(), "a list of texts".to_owned()),
            Self::TextOrNull => (field.is_string() || field.is_null(), "a text or null".to_owned()),
            Self::Time => (is_time(), "a time such as 2026-11-22T01:02:03Z".to_owned()),
            Self::TimeOrNull => {
                (is_time() || field.is_null(), "a time such as 2026-11-22T01:02:03Z, or null".to_owned())
            }
            Self::Count => (field.is_u64(), "a whole number, 0 or more".to_owned()),
            Self::CountOrNull => (field.is_u64() || field.is_null(), "a whole number, 0 or more, or null".to_owned()),
            Self::Counts => (counts(), "an object of whole numbers".to_owned()),
            Self::Array | Self::ListOf(_) => (field.is_array(), "a list".to_owned()),
            Self::ObjectOrNull => (field.is_object() || field.is_null(), "an object or null".to_owned()),
            Self::Check => {
                let is_known = |name: &str| CHECKS.iter().any(|check| check.name == name);
                (field.as_str().is_some_and(is_known), "the name of a check of this release".to_owned())
            }
            Self::OneOf(names) => {
                (field.as_str().is_some_and(|text| names.contains(&text)), format!("one of {}", names.join(", ")))
            }
        };
        (!fits).then_some(wanted)
    }
}
