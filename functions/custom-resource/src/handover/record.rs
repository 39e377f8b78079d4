//! Owns what is remembered of a stack's handover, and which one follows. Pure.

use emite_core::arn::Arn;
use emite_core::handover::{Handover, Item, ItemChange, VERSION, left_out};
use emite_core::look::Unseen;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::items::{SeenItem, Verification};
use super::properties::{Folder, HandoverProperties};

/// The last handover, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) handover: Handover,
    /// Where it is stored. The ledger has its older name.
    #[serde(rename = "place")]
    pub(super) folder: Folder,
    pub(super) is_stored: bool,
    pub(super) is_announced: bool,
    /// What was announced before it.
    pub(super) before: Option<Announced>,
    /// CloudFormation's request that it is for.
    pub(super) request: String,
    /// The requests before that, the latest last.
    pub(super) past_requests: Vec<String>,
}

/// What was announced of a handover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announced {
    release: String,
    items: Vec<Item>,
}

const REMEMBERED_REQUESTS: usize = 20;

/// The request that a handover is written for.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandoverRequest<'a> {
    /// CloudFormation's id of it.
    pub(super) id: &'a str,
    pub(super) stack_id: &'a Arn,
    pub(super) now: Timestamp,
}

impl Record {
    /// Whether this is for a later request than `request`.
    pub(super) fn came_after(&self, request: &str) -> bool {
        self.past_requests.iter().any(|past| past == request)
    }

    /// What to remember for `request`, with `properties` and what was `seen`: the last handover while it still says so, or
    /// the one that follows.
    pub(super) fn after(
        last: Option<&Self>,
        properties: &HandoverProperties,
        seen: &[SeenItem],
        request: HandoverRequest<'_>,
    ) -> Self {
        let HandoverRequest { id: request, stack_id, now } = request;
        let past_requests = last.map_or(Vec::new(), |last| last.past_requests_of(request));
        let request = request.to_owned();
        let folder = properties.folder.clone();
        if let Some(last) = last.filter(|last| last.still_says(properties, seen)) {
            let is_stored = last.is_stored && last.folder == folder;
            return Self { folder, is_stored, request, past_requests, ..last.clone() };
        }
        let before = last.and_then(Self::announced);
        let items: Vec<Item> = seen.iter().map(item).collect();
        let changes = before.as_ref().map_or(Vec::new(), |before| changes(&before.items, &items));
        let handover = Handover {
            version: VERSION,
            stack_id: stack_id.clone(),
            revision: last.map_or(1, |last| last.handover.revision + 1),
            release: properties.release.clone(),
            previous_release: before.as_ref().map(|before| before.release.clone()),
            written_at: now,
            document_uri: folder.document_uri(),
            items,
            changes,
            not_included: vec![left_out(properties.server.is_some()).to_owned()],
        };
        Self { handover, folder, is_stored: false, is_announced: false, before, request, past_requests }
    }

    fn past_requests_of(&self, request: &str) -> Vec<String> {
        let mut past = self.past_requests.clone();
        if self.request != request {
            past.push(self.request.clone());
        }
        let surplus = past.len().saturating_sub(REMEMBERED_REQUESTS);
        past.drain(..surplus);
        past
    }

    /// What was announced last.
    fn announced(&self) -> Option<Announced> {
        let Handover { release, items, .. } = &self.handover;
        if self.is_announced {
            return Some(Announced { release: release.clone(), items: items.clone() });
        }
        self.before.clone()
    }

    /// Whether a handover now would say the same. A read that failed takes nothing back that an earlier one found.
    fn still_says(&self, properties: &HandoverProperties, seen: &[SeenItem]) -> bool {
        let Handover { release, document_uri, items, .. } = &self.handover;
        let same = |(item, seen): (&Item, &SeenItem)| match &seen.state {
            Verification::Unseen(_) => item.name == seen.name && item.value == seen.value,
            _ => *item == self::item(seen),
        };
        *release == properties.release
            && *document_uri == properties.folder.document_uri()
            && items.len() == seen.len()
            && items.iter().zip(seen).all(same)
    }
}

fn item(seen: &SeenItem) -> Item {
    let problem = match &seen.state {
        Verification::Verified => None,
        Verification::Wrong(what) => Some(what.clone()),
        Verification::Unseen(Unseen { action, cause, request_id }) => {
            let id = request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
            Some(format!("it could not be looked at: {action} {}{id}", cause.words()))
        }
    };
    Item { name: seen.name.to_owned(), value: seen.value.clone(), verified: problem.is_none(), problem }
}

/// What became of the values.
fn changes(before: &[Item], now: &[Item]) -> Vec<ItemChange> {
    let value = |items: &[Item], name: &str| items.iter().find(|item| item.name == name).map(|item| item.value.clone());
    let gone = before.iter().filter(|item| value(now, &item.name).is_none());
    let names = now.iter().chain(gone).map(|item| &item.name);
    names
        .map(|name| ItemChange { name: name.clone(), from: value(before, name), to: value(now, name) })
        .filter(|change| change.from != change.to)
        .collect()
}
