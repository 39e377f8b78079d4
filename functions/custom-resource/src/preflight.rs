//! Owns `Custom::EmitePreflight`: everything that would make a deployment fail later is found in its first minute, all
//! of it at once, each with what to do.
//!
//! What was accepted last, and before that, is remembered. A rollback to it must go through, whatever is in the account by
//! now: the update that is rolled back was accepted here and failed later. The same holds for a duplicate of a request.

mod account;
mod adoption;
mod attributes;
mod bucket;
mod chain;
mod domain;
mod existing;
mod instance;
mod keys;
mod log_policies;
mod names;
mod previous;
mod problem;
mod ranges;
mod readers;
mod server;
mod server_parameters;
mod topic;
mod values;

use std::collections::BTreeMap;

use emite_aws::ledger::Key;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::asked::Asked;
use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::{Action, Object, Request};
use crate::response::Data;
use attributes::Attributes;
use previous::Previous;
use problem::Problem;
use values::Parameters;

/// One set of properties that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    /// SHA-256 of the properties.
    properties: String,
    #[serde(rename = "findings")]
    attributes: Attributes,
}

/// What was accepted: what the stack is going to be, at the end, and what it was before that. After an update that
/// succeeds unchecked both are kept, as that one can fail later and be rolled back too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct History(Vec<Accepted>);

impl History {
    /// The history with the properties that hash to `properties` at its end, if they were accepted.
    fn back_to(&self, properties: &str) -> Option<Self> {
        let (mut newest, mut older): (Vec<_>, Vec<_>) =
            self.0.iter().cloned().partition(|accepted| accepted.properties == properties);
        older.append(&mut newest);
        older.last().is_some_and(|last| last.properties == properties).then_some(Self(older))
    }

    /// Goes on with `accepted`; what was before the last one is forgotten.
    fn on_to(mut self, accepted: Accepted) -> Self {
        let last = self.0.pop();
        Self(last.into_iter().chain([accepted]).collect())
    }

    fn data(&self) -> Data {
        self.0.last().map(|accepted| accepted.attributes.data()).unwrap_or_default()
    }
}

fn key() -> Key {
    Key { partition: "preflight".to_owned(), sort: "accepted".to_owned() }
}

/// Create and Update.
pub(crate) async fn put(provider: &Provider, request: &Request, asked: &Asked) -> Result<Data, RequestFailure> {
    until_undisturbed(async || accept(provider, request, asked).await).await
}

async fn accept(provider: &Provider, request: &Request, asked: &Asked) -> Result<Data, RequestFailure> {
    let properties = fingerprint(&request.properties);
    let entry = provider.ledger.read::<History>(&key()).await?;
    let version = entry.as_ref().map(|entry| entry.version);
    let history = entry.map(|entry| entry.value).unwrap_or_default();
    let back = history.back_to(&properties);
    // An update to what was before the last one may be its rollback, or a user may want it again: then what was free may be
    // taken.
    let again = back.as_ref().is_some_and(|back| *back != history) && !asked.is_rolling_back();
    if let Some(reordered) = back.filter(|_| !again) {
        if reordered != history {
            provider.ledger.write(&key(), &reordered, version, None).await?;
        }
        return Ok(reordered.data());
    }
    let (parameters, mut problems) = Parameters::read(&request.properties, &provider.home);
    let properties_before = (request.action == Ok(Action::Update)).then_some(&request.old_properties);
    let last = history.0.last();
    let server_image = last.map(|accepted| accepted.attributes.server_image_id.as_str()).unwrap_or_default();
    let previous = properties_before.map(|properties| Previous { properties, server_image });
    let attributes = problems.keep_all(account::check(provider, &parameters, previous).await);
    problems.extend(server_parameters::replacements(previous, &request.properties));
    let attributes = problems.finish(attributes).map_err(|problems| refusal(&problems))?;
    let history = history.on_to(Accepted { properties, attributes });
    provider.ledger.write(&key(), &history, version, None).await?;
    Ok(history.data())
}

fn refusal(problems: &[Problem]) -> RequestFailure {
    let texts: Vec<&str> = problems.iter().map(|problem| problem.text.as_str()).collect();
    let reason = match texts.as_slice() {
        [only] => (*only).to_owned(),
        all => {
            let numbered: Vec<String> =
                all.iter().enumerate().map(|(at, text)| format!("({}) {text}", at + 1)).collect();
            format!("{} problems. {}", all.len(), numbered.join(" "))
        }
    };
    if problems.iter().any(|problem| problem.denied) {
        RequestFailure::Denied(reason)
    } else {
        RequestFailure::Refused(reason)
    }
}

/// A hash of the properties that a template sets, in whatever order they come.
fn fingerprint(properties: &Object) -> String {
    let set: BTreeMap<&String, String> = properties
        .iter()
        .filter(|(name, _)| *name != "ServiceToken" && *name != "ServiceTimeout")
        .map(|(name, value)| (name, value.to_string()))
        .collect();
    let digest = Sha256::digest(format!("{set:?}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fingerprint_ignores_the_order_and_cloudformations_own_properties() {
        let of = |value: serde_json::Value| fingerprint(value.as_object().unwrap());
        assert_eq!(
            of(json!({"A": "1", "B": "2"})),
            of(json!({"B": "2", "A": "1", "ServiceToken": "arn", "ServiceTimeout": "600"}))
        );
        assert_ne!(of(json!({"A": "1"})), of(json!({"A": "2"})));
    }

    #[test]
    fn current_and_previous_properties_can_be_restored_any_number_of_times() {
        let accepted = |properties: &str| Accepted { properties: properties.into(), attributes: Attributes::default() };
        let history =
            ["1", "2", "3"].into_iter().fold(History::default(), |history, next| history.on_to(accepted(next)));
        assert_eq!(history.back_to("1"), None);
        let back = history.back_to("2").unwrap();
        assert_eq!(back, History(vec![accepted("3"), accepted("2")]));
        assert_eq!(back.back_to("3"), Some(history.clone()));
        assert_eq!(history.back_to("3"), Some(history));
    }

    #[test]
    fn denied_read_makes_the_whole_refusal_retryable() {
        let plain = Problem::new("DomainName is taken.");
        let denied = Problem { denied: true, ..Problem::new("RoleName could not be checked.") };
        assert!(!refusal(std::slice::from_ref(&plain)).is_denied());
        let both = refusal(&[plain, denied]);
        assert!(both.is_denied());
        assert_eq!(both.to_string(), "2 problems. (1) DomainName is taken. (2) RoleName could not be checked.");
    }
}
