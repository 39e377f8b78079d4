//! Owns what an update starts from: the properties until now, and what the stack created by them.

use super::chain::NameParameters;
use crate::request::Object;

/// What an update starts from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Previous<'a> {
    /// The properties until now.
    pub(super) properties: &'a Object,
    /// The image that the server was made of; empty if there is none.
    pub(super) server_image: &'a str,
}

impl<'a> Previous<'a> {
    /// The text of a property; empty if it was not there.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.properties.get(name).and_then(|value| value.as_str()).unwrap_or_default()
    }

    /// The name of the resource, if the stack created it.
    pub(super) fn created(&self, parameters: NameParameters) -> Option<&'a str> {
        let is_own = self.text(parameters.existing).is_empty();
        is_own.then(|| self.text(parameters.created)).filter(|name| !name.is_empty())
    }
}
