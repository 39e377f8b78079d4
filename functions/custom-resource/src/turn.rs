//! Owns the order of the requests for one resource: only the newest may change anything.
//!
//! CloudFormation sends one request at a time, but it does not wait for one that it has given up: a Create and its Delete can
//! run side by side, and work of a cancelled update goes on. Lambda may deliver each of them late, and again hours later. So
//! each request records itself in the ledger before it does anything else, and checks there before and after each change that
//! it is still the newest. The signing time of its response address tells which of two requests is newer.

use emite_aws::clock;
use emite_aws::ledger::{Entry, Key};
use emite_core::links::{Claimed, Life, Owner, Turn};
use jiff::{SignedDuration, Timestamp};

use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::ReplyTo;

/// Checks that `request` may proceed, records it as the newest, and returns what `ask` learned. A Delete without a claim is
/// recorded too, in a blank one: a Create that is still on its way then finds that it has been superseded.
///
/// `ask` runs between the read and the conditional write: if a later request records itself in between, the write fails and
/// `ask` runs again. `leniency`: how much older than the newest a request may be.
pub(crate) async fn begin<C: Claimed, A>(
    provider: &Provider,
    key: &Key,
    request: &ReplyTo,
    leniency: SignedDuration,
    ask: impl AsyncFn(&C) -> Result<A, RequestFailure>,
) -> Result<A, RequestFailure> {
    until_undisturbed(async || {
        let (mut claim, version) = match provider.ledger.read_claim::<C>(key).await? {
            Some(Entry { value, version }) => (value, Some(version)),
            None => (C::blank(), None),
        };
        // Nothing verifies the signature, and a date in the future would make all later requests look old.
        let is_past = |issued: &Timestamp| *issued <= clock::now() + MOST_SKEW;
        let issued = request.issued.filter(is_past);
        let history = claim.history_mut();
        history.issued = history.issued.filter(is_past);
        let turn = history.turn(&request.request_id, issued.map(|issued| issued + leniency));
        // The first release noted only the request that made the claim.
        let undone = claim.life() != Life::Held && claim.created_by() == request.request_id;
        if turn == Turn::Past || undone {
            return Err(RequestFailure::Superseded);
        }
        let asked = ask(&claim).await?;
        if turn == Turn::Newest {
            return Ok(asked);
        }
        let owner = Owner { stack_id: request.stack_id.clone(), logical_id: request.logical_id.clone() };
        claim.history_mut().begin(&request.request_id, issued, owner);
        let expires = (claim.life() == Life::Released).then(clock::in_a_week);
        provider.ledger.write_claim(key, &claim, version, expires).await?;
        Ok(asked)
    })
    .await
}

/// By how much the clocks of AWS may differ.
pub(crate) const MOST_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The claim as it stands now, if `request` is still the newest.
pub(crate) async fn current<C: Claimed>(
    provider: &Provider,
    key: &Key,
    request: &ReplyTo,
) -> Result<Entry<C>, RequestFailure> {
    let entry = provider.ledger.read_claim::<C>(key).await?;
    let newest = |entry: &Entry<C>| entry.value.history().turn(&request.request_id, None) == Turn::Newest;
    entry.filter(newest).ok_or(RequestFailure::Superseded)
}
