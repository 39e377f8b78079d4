//! Owns the text of a message while it is written: paragraphs, facts, lists and commands, and how a time is shown.

use emite_core::command::Command;
use emite_core::spec::Spec;
use jiff::Timestamp;

use crate::text::{stored, wrapped};

/// The text of a message while it is written.
#[derive(Debug, Default)]
pub(super) struct Body(String);

impl Body {
    pub(super) fn paragraph(&mut self, text: &str) {
        self.0.push_str(&wrapped(text));
        self.end();
    }

    /// Names and values, one a line; what has no value is left out.
    pub(super) fn facts(&mut self, facts: &[(&str, &str)]) {
        for (name, value) in facts {
            let value = stored(value, 900);
            if !value.is_empty() {
                self.0.push_str(&wrapped(&format!("{name}: {value}")));
                self.0.push('\n');
            }
        }
        self.end();
    }

    /// A value to be copied: on one line, whatever its length.
    pub(super) fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name}: {}\n", stored(value, 2048)));
    }

    pub(super) fn command(&mut self, line: &str) {
        self.0.push_str(line);
        self.end();
    }

    pub(super) fn commands(&mut self, commands: &[Command]) {
        for command in commands {
            self.paragraph(command.does);
            self.command(&command.line);
        }
    }

    pub(super) fn list<T: AsRef<str>>(&mut self, title: &str, entries: &[T]) {
        const MOST: usize = 12;
        if entries.is_empty() {
            return;
        }
        if !title.is_empty() {
            self.0.push_str(title);
            self.0.push('\n');
        }
        for entry in entries.iter().take(MOST) {
            self.0.push_str(&wrapped(&format!("- {}", stored(entry.as_ref(), 440))));
            self.0.push('\n');
        }
        if entries.len() > MOST {
            self.0.push_str(&format!("- and {} more\n", entries.len() - MOST));
        }
        self.end();
    }

    /// Ends a paragraph; one empty line follows, never two.
    pub(super) fn end(&mut self) {
        while self.0.ends_with('\n') {
            self.0.pop();
        }
        if !self.0.is_empty() {
            self.0.push_str("\n\n");
        }
    }

    pub(super) fn text(mut self, integration: &str) -> String {
        self.paragraph(&format!(
            "-- emite-connect, which watches the integration of {} with eMite",
            stored(integration, 200)
        ));
        self.0.truncate(self.0.trim_end().len());
        self.0.push('\n');
        self.0
    }
}

/// A time as the customer's clocks show it, and in UTC.
pub(super) fn moment(spec: &Spec, at: Timestamp) -> String {
    let zone = spec.time_zone.iana_name().unwrap_or("UTC");
    let local = at.to_zoned(spec.time_zone.clone()).strftime("%A %-d %B %Y, %H:%M").to_string();
    format!("{local} {zone} ({} UTC)", at.strftime("%Y-%m-%d %H:%M"))
}
