//! Owns which episode is which: a check and a resource, and whether the episode is about what the check found or about what
//! it cannot observe. Its text is the key of the stored episode, so it never changes.

use std::fmt;

use emite_core::finding::{Finding, Status};
use serde::{Deserialize, Serialize};

use crate::text::stored;

/// What the text begins with if the episode is about what cannot be observed.
const UNOBSERVABLE: &str = "unobservable:";
/// The most bytes of check and resource.
const MOST: usize = 320;

/// What distinguishes an episode from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(super) struct EpisodeKey {
    about: About,
    /// The check's name.
    pub(super) check: String,
    /// The resource, shortened if it is very long.
    pub(super) resource: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// What the check found.
    Finding,
    /// What the check cannot observe.
    Observation,
}

impl EpisodeKey {
    /// The episode that a finding belongs to.
    pub(super) fn of(finding: &Finding) -> Self {
        let about = if finding.status == Status::Unobservable { About::Observation } else { About::Finding };
        let key = finding.key();
        if key.len() <= MOST && !key.contains(char::is_control) {
            return Self::parse(about, &key);
        }
        Self::parse(about, &format!("{}~{:016x}", stored(&key, MOST - 20), fingerprint(&key)))
    }

    fn parse(about: About, text: &str) -> Self {
        let (check, resource) = text.split_once('|').unwrap_or((text, ""));
        Self { about, check: check.to_owned(), resource: resource.to_owned() }
    }

    /// Whether the episode is about what the check cannot observe.
    pub(super) fn is_about_observation(&self) -> bool {
        self.about == About::Observation
    }
}

impl fmt::Display for EpisodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, check, resource } = self;
        let prefix = if *about == About::Observation { UNOBSERVABLE } else { "" };
        write!(f, "{prefix}{check}|{resource}")
    }
}

impl From<EpisodeKey> for String {
    fn from(key: EpisodeKey) -> Self {
        key.to_string()
    }
}

impl From<String> for EpisodeKey {
    fn from(text: String) -> Self {
        match text.strip_prefix(UNOBSERVABLE) {
            Some(key) => Self::parse(About::Observation, key),
            None => Self::parse(About::Finding, &text),
        }
    }
}

/// FNV-1a: the same in every build, unlike the standard library's.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use emite_core::finding::Severity;

    use super::*;

    fn key(status: Status, resource: &str) -> String {
        EpisodeKey::of(&Finding::about("emite-role", "", status, Severity::Info, resource.to_owned())).to_string()
    }

    #[test]
    fn text_of_a_key_stays_the_same_from_release_to_release() {
        assert_eq!(key(Status::Missing, "arn:role#trust"), "emite-role|arn:role#trust");
        assert_eq!(key(Status::Unobservable, "arn:role#iam:GetRole"), "unobservable:emite-role|arn:role#iam:GetRole");
        assert_eq!(key(Status::Missing, "a\nb"), "emite-role|a b~5f59aa719dbfef27");
        let long = key(Status::Missing, &"x".repeat(4000));
        assert_eq!((long.len(), &long[..14]), (317, "emite-role|xxx"));
    }

    #[test]
    fn key_is_read_as_it_was_written() {
        for status in [Status::Missing, Status::Unobservable] {
            for resource in ["", "arn:role#trust|x", "a\nb", &"\u{1F600}".repeat(400)] {
                let text = key(status, resource);
                assert_eq!(EpisodeKey::from(text.clone()).to_string(), text);
            }
        }
    }
}
