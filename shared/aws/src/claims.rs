//! Owns changes to what outlives the stack in Amazon Connect. Each is claimed in the ledger first, together with the
//! original configuration, so that deleting the stack can restore it, whether a deployment or a repair made the change.
//!
//! Every write to Connect follows a conditional write to the ledger. After it the ledger is read again: if the claim has
//! been given up meanwhile, the change is undone.

use emite_core::change::Change;
use emite_core::diff;
use emite_core::links::Life;
use emite_core::links::approved_origin::{self, Place};
use emite_core::links::data_streaming::{Association, Claim, ResourceType, Source, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::apply::{Applied, ApplyError, Streamed, apply, stream_to};
use crate::clients::Aws;
use crate::connect;
use crate::keys::{origin_key, streaming_key};
use crate::ledger::{Entry, Key, Ledger};

/// What is to be streamed where, and by which request.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Which records of which instance.
    pub source: &'a Source,
    /// Where they shall go.
    pub target: &'a Target,
    /// The request for it, which a new claim remembers.
    pub request_id: &'a str,
}

/// What was observed when a decision was made.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where the records go.
    pub live: Option<Association>,
    /// The stack's claim; none also if it was released.
    pub claim: Option<Claim>,
    /// The version of the ledger entry, which a write has to name; none if there is no entry.
    pub version: Option<u64>,
}

/// What came of streaming under a claim.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// What applying it came to.
    pub applied: Applied,
    /// The association that the records go through now.
    pub live: Association,
    /// The claim as it stands now.
    pub claim: Entry<Claim>,
}

/// Writes the claim, changes Connect, and notes in the claim that it worked. None if the claim was given up meanwhile:
/// then the change is undone.
pub async fn stream(aws: &Aws, ledger: &Ledger, order: Order<'_>, seen: &Seen) -> Result<Option<Claimed>, ApplyError> {
    let Order { source, target, .. } = order;
    let set_before = seen.claim.as_ref().is_some_and(|claim| claim.set_by_us(target));
    let ready = claim_for(order, seen);
    ledger.write(&streaming_key(source), &ready, seen.version, None).await?;
    let Streamed { applied, live } = stream_to(aws, ledger, source, seen.live.as_ref(), target).await?;
    let standing = ledger.read::<Claim>(&streaming_key(source)).await?;
    let Some(Entry { value, version }) = standing.filter(|entry| entry.value.life == Life::Held) else {
        let live = connect::association(aws.connect(), source).await?;
        if let Some(undo) = diff::streaming_removal(source, live.as_ref(), Some(&ready)) {
            apply(aws, ledger, &undo).await?;
        }
        return Ok(None);
    };
    let mut accepted = Claim { detached: false, ..value };
    accepted.accept(target);
    if matches!(applied, Applied::AlreadyThere | Applied::Unchanged) && !set_before {
        accepted.targets.remove(target);
        accepted.adopted = true;
        accepted.previous = Some(target.clone());
    }
    let version = ledger.write(&streaming_key(source), &accepted, Some(version), None).await?;
    Ok(Some(Claimed { applied, live, claim: Entry { value: accepted, version } }))
}

/// The claim that has to be in the ledger before Connect streams to the target.
fn claim_for(order: Order<'_>, seen: &Seen) -> Claim {
    let live = seen.live.as_ref();
    let ours = |claim: &Claim| !claim.adopted && live.is_none_or(|live| claim.set_by_us(&live.target));
    // The live target is what to restore, unless it is ours and the claim knows already what to restore.
    let mut claim = match &seen.claim {
        Some(claim) if ours(claim) => claim.clone(),
        Some(claim) => Claim { previous: live.map(|live| live.target.clone()), adopted: false, ..claim.clone() },
        None => Claim::on(live, order.request_id),
    };
    claim.life = Life::Held;
    // A data stream may be a third party's, and our delivery stream reads from it all the same.
    let read_by_us = |left: &Target| matches!(left, Target::KinesisStream(_)) && claim.accepted.contains(left);
    if let Some(left) = live.filter(|live| claim.set_by_us(&live.target) || read_by_us(&live.target)) {
        note_drain(&mut claim, &left.target, order.source);
    }
    claim.targets.insert(order.target.clone());
    claim
}

/// Contact records that leave a delivery stream of ours, or the data stream that it reads from, leave some behind in
/// its buffer, which goes when it is deleted.
pub fn note_drain(claim: &mut Claim, left: &Target, source: &Source) {
    if source.resource_type == ResourceType::ContactTraceRecords && !matches!(left, Target::Other(_)) {
        claim.draining = Some(left.clone());
    }
}

/// Adds the origin to the list of the instance, under a claim. Returns the claim as it is then, and what applying the
/// change came to. None if the claim was given up meanwhile: then the change is undone.
pub async fn allow_origin(
    aws: &Aws,
    ledger: &Ledger,
    place: &Place,
    entry: Option<Entry<approved_origin::Claim>>,
    request_id: &str,
) -> Result<Option<(approved_origin::Claim, Applied)>, ApplyError> {
    let key = origin_key(place);
    let version = entry.as_ref().map(|entry| entry.version);
    let claim = entry.map(|entry| entry.value).filter(|claim| claim.life != Life::Released);
    let live = connect::origin(aws.connect(), place).await?;
    let change = diff::origin(place, live.as_deref());
    let ours = claim.as_ref().is_some_and(|claim| claim.added);
    let created_by = claim.as_ref().map_or(request_id, |claim| &claim.created_by).to_owned();
    let mut ready = approved_origin::Claim { life: Life::Held, added: ours || change.is_some(), created_by };
    if change.is_none() && claim.as_ref() == Some(&ready) {
        return Ok(Some((ready, Applied::Unchanged)));
    }
    let version = ledger.write(&key, &ready, version, None).await?;
    let Some(change) = change else { return Ok(Some((ready, Applied::Unchanged))) };
    let applied = apply(aws, ledger, &change).await?;
    let standing = ledger.read::<approved_origin::Claim>(&key).await?;
    if standing.is_none_or(|entry| entry.value.life != Life::Held) {
        let live = connect::origin(aws.connect(), place).await?;
        if let Some(undo) = diff::origin_removal(place, live.as_deref(), Some(&ready)) {
            apply(aws, ledger, &undo).await?;
        }
        return Ok(None);
    }
    if applied == Applied::AlreadyThere && !ours {
        ready.added = false;
        ledger.write(&key, &ready, Some(version), None).await?;
    }
    Ok(Some((ready, applied)))
}

/// Applies a change that a repair decided on, under a claim where one is needed. Does nothing for a stack that has given
/// its claim up. A change that fails leaves the claim as it was.
pub async fn repair(aws: &Aws, ledger: &Ledger, change: &Change, request_id: &str) -> Result<Applied, ApplyError> {
    match change {
        Change::StreamTo { source, from, to, .. } => {
            let entry =
                held(ledger.read::<Claim>(&streaming_key(source)).await?, |claim| claim.life, &source.to_string())?;
            let live = connect::association(aws.connect(), source).await?;
            if live.as_ref().is_some_and(|live| live.target == *to) {
                return Ok(Applied::Unchanged);
            }
            if live != *from {
                return Err(ApplyError::ChangedMeanwhile(format!("the streaming of the {source}")));
            }
            let (claim, version) = entry.clone().map(|entry| (entry.value, entry.version)).unzip();
            let order = Order { source, target: to, request_id };
            match stream(aws, ledger, order, &Seen { live, claim, version }).await {
                Ok(claimed) => claimed.map(|claimed| claimed.applied).ok_or_else(|| undone(&source.to_string())),
                Err(error) => {
                    let live = connect::association(aws.connect(), source).await;
                    if live.is_ok_and(|live| live.is_none_or(|live| live.target != *to)) {
                        take_back(ledger, &streaming_key(source), entry, |claim| !claim.detached).await;
                    }
                    Err(error)
                }
            }
        }
        Change::AllowOrigin { place } => {
            let entry = ledger.read::<approved_origin::Claim>(&origin_key(place)).await?;
            let entry = held(entry, |claim| claim.life, &place.origin.to_string())?;
            match allow_origin(aws, ledger, place, entry.clone(), request_id).await {
                Ok(allowed) => allowed.map(|(_, applied)| applied).ok_or_else(|| undone(&place.origin.to_string())),
                Err(error) => {
                    if connect::origin(aws.connect(), place).await.is_ok_and(|listed| listed.is_none()) {
                        take_back(ledger, &origin_key(place), entry, |_| true).await;
                    }
                    Err(error)
                }
            }
        }
        other => apply(aws, ledger, other).await,
    }
}

/// The entry, unless its claim was given up: nothing would ever remove what a repair set up then.
fn held<T>(entry: Option<Entry<T>>, life: impl Fn(&T) -> Life, what: &str) -> Result<Option<Entry<T>>, ApplyError> {
    match entry {
        Some(entry) if life(&entry.value) != Life::Held => {
            Err(ApplyError::ChangedMeanwhile(format!("the stack's claim on {what} was given up; it")))
        }
        entry => Ok(entry),
    }
}

fn undone(what: &str) -> ApplyError {
    ApplyError::Undone(what.to_owned())
}

/// Restores the claim that was replaced for a change that then failed. Otherwise deleting the stack would one day restore
/// what was live at that time.
async fn take_back<T>(ledger: &Ledger, key: &Key, before: Option<Entry<T>>, may: impl Fn(&T) -> bool)
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let Some(before) = before else { return };
    let outcome = async {
        match ledger.read::<T>(key).await? {
            Some(now) if now.value != before.value && may(&now.value) => {
                ledger.write(key, &before.value, Some(now.version), None).await.map(drop)
            }
            _ => Ok(()),
        }
    };
    if let Err(error) = outcome.await {
        tracing::warn!(%error, "the claim was not taken back");
    }
}

#[cfg(test)]
mod tests {
    use emite_core::arn::{Arn, InstanceId};

    use super::*;

    fn arn(text: &str) -> Arn {
        text.parse().unwrap()
    }

    fn claimed(resource_type: ResourceType, accepted: bool) -> Option<Target> {
        let instance = InstanceId::of(&arn("arn:aws:connect:eu-west-2:111122223333:instance/1b2c")).unwrap();
        let source = Source { instance, resource_type };
        let theirs = Target::KinesisStream(arn("arn:aws:kinesis:eu-west-2:111122223333:stream/theirs"));
        let target = Target::KinesisFirehose(arn("arn:aws:firehose:eu-west-2:111122223333:deliverystream/ours"));
        let live = Association { id: "a1".into(), target: theirs.clone() };
        // As adopting it left the claim.
        let mut adopted = Claim { adopted: true, ..Claim::on(Some(&live), "r1") };
        adopted.accept(&theirs);
        let seen = Seen { live: Some(live), claim: accepted.then_some(adopted), version: None };
        claim_for(Order { source: &source, target: &target, request_id: "r2" }, &seen).draining
    }

    #[test]
    fn records_that_leave_a_stream_which_ours_reads_from_are_waited_for_and_no_others() {
        assert!(claimed(ResourceType::ContactTraceRecords, true).is_some());
        assert_eq!(claimed(ResourceType::ContactTraceRecords, false), None);
        assert_eq!(claimed(ResourceType::AgentEvents, true), None);
    }
}
