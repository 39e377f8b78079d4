//! Owns the hand-over: what the eMite team needs of a deployment, as it is stored, published and read again.
//!
//! Its JSON form is a contract: the stored document and the detail of the event are the same.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::Arn;

/// The version of the form. A reader refuses any other.
pub const VERSION: u32 = crate::report::VERSION;

/// The file of the readable text, in the folder of the hand-over.
pub const TEXT: &str = "emite-handover.txt";
/// The file of the JSON document beside it.
pub const JSON: &str = "emite-handover.json";

/// What the items are called, in the order of the guide's list.
pub const SERVER: &str = "Public address of the eMite server";
/// See [`SERVER`].
pub const ROLE: &str = "IAM role";
/// See [`SERVER`].
pub const EXTERNAL_ID: &str = "External id of the role (customer id)";
/// See [`SERVER`].
pub const INSTANCE: &str = "Amazon Connect instance";
/// See [`SERVER`].
pub const AGENT_EVENTS: &str = "Kinesis stream of agent events";
/// See [`SERVER`].
pub const SEARCH_ENDPOINT: &str = "Search endpoint of contact records";
/// See [`SERVER`].
pub const TIME_ZONE: &str = "Time zone";

/// One hand-over of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Handover {
    /// [`VERSION`].
    pub version: u32,
    /// The stack that is handed over.
    pub stack_id: Arn,
    /// Counts the stack's hand-overs, from 1: the higher one is the later one.
    pub revision: u64,
    /// The release that wrote it.
    pub release: String,
    /// The release of the hand-over that was announced before; none at first.
    pub previous_release: Option<String>,
    /// When it was written and verified.
    pub written_at: Timestamp,
    /// Where the readable text is stored, `s3://…`.
    pub document_uri: String,
    /// What the eMite team needs.
    pub items: Vec<Item>,
    /// What is not as in the hand-over that was announced before.
    pub changes: Vec<ItemChange>,
    /// What is deliberately not in it.
    pub not_included: Vec<String>,
}

/// One thing that the eMite team needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Item {
    /// Such as [`ROLE`].
    pub name: String,
    /// What to copy.
    pub value: String,
    /// Whether AWS showed it to be so when the hand-over was written.
    pub verified: bool,
    /// Why it is not verified.
    pub problem: Option<String>,
}

/// An item that was changed, added (from nothing) or removed (to nothing).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemChange {
    /// The item's name.
    pub name: String,
    /// Its value before.
    pub from: Option<String>,
    /// Its value now.
    pub to: Option<String>,
}

impl Handover {
    /// The items that are not verified.
    pub fn unverified(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.verified)
    }
}

/// What is deliberately in no hand-over, depending on whether the server is in this account.
pub fn left_out(self_hosted: bool) -> &'static str {
    if self_hosted {
        "RDP credentials of the eMite server: give them to the eMite team by a secure channel, never by mail."
    } else {
        "Passwords and access keys: the eMite team needs none, as it signs in with the role and its external id."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_event_has_this_form_and_comes_back_as_it_was() {
        let event: serde_json::Value =
            serde_json::from_str(include_str!("../../../infra/events/handover.json")).unwrap();
        let handover: Handover = serde_json::from_value(event["detail"].clone()).unwrap();
        assert_eq!(serde_json::to_value(&handover).unwrap(), event["detail"]);
        assert_eq!(handover.unverified().map(|item| item.name.as_str()).collect::<Vec<_>>(), [SEARCH_ENDPOINT]);
    }
}
