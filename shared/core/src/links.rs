//! Owns the links: the things of the customer's account that the chain from Amazon Connect to eMite consists of, as AWS
//! shows them, and what their claims have in common.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub mod approved_origin;
pub mod data_streaming;
pub mod emite_server;

/// Where a claim is between being made and being forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Life {
    /// The stack wants it.
    Held,
    /// The stack is giving it up: what was there before is being put back.
    Releasing,
    /// Given up. Kept for a while, so that a late duplicate of the request that made it is recognised.
    Released,
}

/// Which resource of which stack a request was about. For people who read the ledger; nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The stack's ARN.
    pub stack_id: String,
    /// The resource's name in the template.
    pub logical_id: String,
}

/// The requests of CloudFormation that have worked on a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// Their ids, the newest last. Only the newest may change anything.
    pub requests: Vec<String>,
    /// When the newest was made, as far as its address says. A request that was made earlier and arrives later is superseded.
    pub issued: Option<Timestamp>,
    /// The resource that they were about.
    pub owner: Option<Owner>,
}

/// Where a request stands among those of its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has not been here yet.
    New,
    /// It is the newest: begun before, perhaps completed.
    Newest,
    /// A later one has superseded it.
    Past,
}

/// More are not remembered: a duplicate comes within hours.
const MOST_REQUESTS: usize = 50;

impl History {
    /// Where a request stands that was made at `issued`.
    pub fn turn(&self, request_id: &str, issued: Option<Timestamp>) -> Turn {
        match self.requests.iter().rposition(|past| past == request_id) {
            None if issued.zip(self.issued).is_some_and(|(issued, newest)| issued < newest) => Turn::Past,
            None => Turn::New,
            Some(at) if at + 1 == self.requests.len() => Turn::Newest,
            Some(_) => Turn::Past,
        }
    }

    /// Notes a new request, which takes over from all others.
    pub fn begin(&mut self, request_id: &str, issued: Option<Timestamp>, owner: Owner) {
        self.requests.push(request_id.to_owned());
        self.requests.drain(..self.requests.len().saturating_sub(MOST_REQUESTS));
        self.issued = self.issued.max(issued);
        self.owner = Some(owner);
    }
}

/// A claim on a link: what the ledger remembers of what this stack set up, and of what stood there before.
pub trait Claimed: Extended {
    /// Where the claim is.
    fn life(&self) -> Life;

    /// The request that made it.
    fn created_by(&self) -> &str;

    /// The requests that worked on it.
    fn history(&self) -> &History;

    /// The same, to be changed.
    fn history_mut(&mut self) -> &mut History;

    /// A claim on nothing, which carries a history until a real one is made.
    fn blank() -> Self;
}

/// What the ledger keeps in two parts, so that an update to a newer release can be rolled back: a body, which the first release
/// reads and writes though it rejects unknown fields, and an extension, which is lost when that release writes.
pub trait Extended: Sized {
    /// What the first release reads and writes.
    type Body: Serialize + DeserializeOwned;
    /// What later releases added.
    type Extension: Serialize + DeserializeOwned + Default;

    /// Both parts.
    fn split(&self) -> (Self::Body, Self::Extension);

    /// The value that has these parts.
    fn join(body: Self::Body, extension: Self::Extension) -> Self;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_requests_the_one_that_was_made_later_counts_and_without_that_the_one_that_came_later() {
        let owner = || Owner { stack_id: "arn".into(), logical_id: "L".into() };
        let second = |second| Timestamp::from_second(second).ok();
        let mut history = History::default();
        history.begin("update", second(10), owner());
        assert_eq!(history.turn("rollback", second(12)), Turn::New);
        history.begin("rollback", second(12), owner());
        assert_eq!(history.turn("update", second(10)), Turn::Past);
        assert_eq!(history.turn("rollback", second(12)), Turn::Newest);
        assert_eq!(history.turn("made before and came after", second(11)), Turn::Past);
        assert_eq!(history.turn("made in the same second", second(12)), Turn::New);
        assert_eq!(history.turn("nobody knows when", None), Turn::New);
        history.begin("nobody knows when", None, owner());
        assert_eq!(history.turn("update", None), Turn::Past);
        assert_eq!(history.turn("still older", second(11)), Turn::Past);
    }

    #[test]
    fn only_so_many_requests_are_remembered() {
        let mut history = History::default();
        for number in 0..=MOST_REQUESTS {
            let owner = Owner { stack_id: "arn".into(), logical_id: "L".into() };
            history.begin(&number.to_string(), None, owner);
        }
        assert_eq!((history.requests.len(), history.turn("1", None)), (MOST_REQUESTS, Turn::Past));
    }
}
