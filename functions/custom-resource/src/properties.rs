//! Owns reading a custom resource's properties: each by name, all problems collected, none unknown.

use emite_core::problems::Problems;
use serde_json::Value;

use crate::provider::RequestFailure;
use crate::request::Object;

/// Reads properties and collects what is wrong with them.
#[derive(Debug)]
pub(crate) struct Properties<'a> {
    object: &'a Object,
    known: Vec<&'static str>,
    problems: Problems,
}

/// No property is longer: a template's parameter has 4,096 bytes at most.
const LONGEST: usize = 4096;

impl<'a> Properties<'a> {
    pub(crate) fn new(object: &'a Object) -> Self {
        // CloudFormation's own, not ours to judge.
        Self { object, known: vec!["ServiceToken", "ServiceTimeout"], problems: Problems::new() }
    }

    /// The text of `name`, which must be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<&'a str> {
        self.known.push(name);
        let object = self.object;
        match object.get(name) {
            Some(Value::String(text)) if text.len() > LONGEST => {
                self.problem(name, format!("is longer than {LONGEST} bytes"))
            }
            Some(Value::String(text)) if !text.is_empty() => return Some(text),
            Some(Value::String(_)) | None => self.problem(name, "is missing or empty"),
            Some(_) => self.problem(name, "must be a string"),
        }
        None
    }

    /// The text of `name`, or the empty text if it is not there.
    pub(crate) fn optional(&mut self, name: &'static str) -> &'a str {
        match self.object.get(name) {
            None | Some(Value::Null) => {
                self.known.push(name);
                ""
            }
            Some(Value::String(text)) if text.is_empty() => {
                self.known.push(name);
                ""
            }
            Some(_) => self.required(name).unwrap_or_default(),
        }
    }

    /// The texts of `name`, a list or one text with commas.
    pub(crate) fn list(&mut self, name: &'static str) -> Vec<&'a str> {
        let object = self.object;
        let Some(Value::Array(items)) = object.get(name) else {
            return self.optional(name).split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        };
        self.known.push(name);
        // The list that CloudFormation makes of an empty text has one empty item.
        if matches!(&items[..], [Value::String(only)] if only.is_empty()) {
            return Vec::new();
        }
        let texts: Vec<&str> =
            items.iter().filter_map(Value::as_str).map(str::trim).filter(|item| !item.is_empty()).collect();
        if texts.len() != items.len() || texts.iter().map(|text| text.len()).sum::<usize>() > LONGEST {
            self.problem(name, format!("must be a list of texts, none empty, of {LONGEST} bytes at most"));
        }
        texts
    }

    /// `name` read by `parse`, if it is there and right.
    pub(crate) fn parsed<T, E: ToString>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.required(name)?;
        self.problems.keep(parse(text).map_err(|error| format!("{name} {}", error.to_string())))
    }

    /// Notes that `name` is wrong.
    pub(crate) fn problem(&mut self, name: &str, what: impl AsRef<str>) {
        self.problems.add(format!("{name} {}", what.as_ref()));
    }

    /// All that was wrong, and each property that the resource does not have.
    pub(crate) fn problems(mut self) -> Problems {
        for name in self.object.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let shown: String = name.chars().take(100).collect();
            self.problems.add(format!("{shown} is not a property of this resource"));
        }
        self.problems
    }

    /// Refuses if there are any problems.
    pub(crate) fn finish(self) -> Result<(), RequestFailure> {
        self.problems().finish(Some(())).map_err(|problems| RequestFailure::Refused(problems.join("; ")))
    }
}
