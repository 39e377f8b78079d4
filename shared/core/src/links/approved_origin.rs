//! Owns approved origins: the web addresses that may embed Amazon Connect's chat and contact panel.
//!
//! Connect keeps a plain list per instance
//! (<https://docs.aws.amazon.com/connect/latest/APIReference/API_AssociateApprovedOrigin.html>). As it does not say who put
//! an origin there, a [`Claim`] in the ledger does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::arn::InstanceId;
use crate::links::{Claimed, Extended, History, Life};

/// An origin in its one normal form: scheme and host in lower case, no default port, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LONGEST: usize = 267;
        if text.len() > LONGEST {
            return Err(format!("is longer than the {LONGEST} characters that Connect takes"));
        }
        if text.contains('*') {
            return Err("contains a wildcard, which Connect does not take: name one origin".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("contains a space or a character outside ASCII".to_owned());
        }
        let url = Url::parse(text)
            .map_err(|error| format!("is not a web address ({error}), such as https://emite.example.com"))?;
        let local = matches!(url.host(), Some(Host::Domain("localhost")));
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            return Err("must start with https://".to_owned());
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("must be scheme, host and perhaps a port only, such as https://emite.example.com".to_owned());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One origin of one instance: what a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The instance.
    pub instance: InstanceId,
    /// The origin.
    pub origin: Origin,
}

/// What the ledger remembers of an origin that this stack answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether the stack still holds the claim.
    pub life: Life,
    /// It was not listed before us, so we remove it. This never changes while the claim is held: an origin that was listed before,
    /// got lost and was added again by us stays.
    pub added: bool,
    /// The CloudFormation request that made the claim, or `repair:` and that of a repair. The late duplicate of a request must
    /// not bring back what was deleted.
    pub created_by: String,
    /// The requests that worked on it.
    pub history: History,
}

/// A claim in the form that the first release reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Body {
    life: Life,
    added: bool,
    created_by: String,
}

impl Extended for Claim {
    type Body = Body;
    type Extension = History;

    fn split(&self) -> (Body, History) {
        let Self { life, added, created_by, history } = self.clone();
        (Body { life, added, created_by }, history)
    }

    fn join(body: Body, history: History) -> Self {
        let Body { life, added, created_by } = body;
        Self { life, added, created_by, history }
    }
}

impl Claimed for Claim {
    fn life(&self) -> Life {
        self.life
    }

    fn created_by(&self) -> &str {
        &self.created_by
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    fn blank() -> Self {
        Self { life: Life::Released, added: false, created_by: String::new(), history: History::default() }
    }
}

/// The spelling in which `origin` is among `listed`. Pure.
///
/// How Connect normalises an origin is not documented, so both sides are brought to one form before they are compared,
/// and the origin is later removed in the spelling that was listed.
pub fn find<'a>(listed: &'a [String], origin: &Origin) -> Option<&'a str> {
    listed.iter().map(String::as_str).find(|listed| listed.parse().is_ok_and(|listed: Origin| listed == *origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<String, String> {
        text.parse::<Origin>().map(String::from)
    }

    #[test]
    fn the_first_release_reads_what_this_one_writes_and_this_one_what_it_wrote() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct FirstRelease {
            life: Life,
            added: bool,
            created_by: String,
        }
        let mut claim = Claim { life: Life::Held, added: true, created_by: "r".into(), ..Claim::blank() };
        claim.history.requests.push("r".into());
        let text = serde_json::to_string(&claim.split().0).unwrap();
        let read: FirstRelease = serde_json::from_str(&text).unwrap();
        assert_eq!(read, FirstRelease { life: Life::Held, added: true, created_by: "r".into() });
        let body = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(Claim::join(body, History::default()), Claim { history: History::default(), ..claim });
    }

    #[test]
    fn an_origin_has_one_normal_form() {
        for text in ["https://emite.example.com", "https://EMITE.example.com/", "HTTPS://emite.example.com:443"] {
            assert_eq!(origin(text).unwrap(), "https://emite.example.com", "{text}");
        }
        assert_eq!(origin("https://emite.example.com:8443").unwrap(), "https://emite.example.com:8443");
        assert_eq!(origin("http://localhost:4200").unwrap(), "http://localhost:4200");
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused_with_the_reason() {
        insta::assert_snapshot!(
            [
                "emite.example.com",
                "http://emite.example.com",
                "https://*.example.com",
                "https://emite.example.com/app",
                "https://u:p@emite.example.com",
                "https://emite.example.com?x",
                "https://emité.example.com",
                "https://",
                "ftp://emite.example.com",
                ""
            ]
            .map(|text| format!("{text:?} {}", origin(text).unwrap_err()))
            .join(
                "
"
            )
        );
        assert!(origin(&format!("https://{}.example.com", "a".repeat(300))).unwrap_err().contains("267"));
    }
}
