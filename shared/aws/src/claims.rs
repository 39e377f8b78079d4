//! Owns changes to what outlives the stack in Amazon Connect. Each is claimed in the ledger first, together with the
//! original configuration, so that deleting the stack can restore it, whether a deployment or a repair made the change.
//!
//! Every write to Connect follows a conditional write to the ledger. After it the ledger is read again: if the claim has
//! been given up meanwhile, the change is undone.

use emite_core::change::Change;
use emite_core::diff;
use emite_core::links::approved_origin::{self, Place};
use emite_core::links::data_streaming::{Association, Claim, ResourceType, Source, Target};
use emite_core::links::{Claimed, History, Life};

use crate::apply::{Applied, ApplyError, Streamed, apply, stream_to};
use crate::clients::Aws;
use crate::keys::{origin_key, streaming_key};
use crate::ledger::{Entry, Key, Ledger};
use crate::{connect, wait};

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
    /// The requests that worked on it, even if it was released.
    pub history: History,
    /// The version of the ledger entry, which a write has to name; none if there is no entry.
    pub version: Option<u64>,
}

impl Seen {
    /// What was observed, with the ledger's entry.
    pub fn of(live: Option<Association>, entry: Option<Entry<Claim>>) -> Self {
        let (claim, version) = entry.map(|entry| (entry.value, entry.version)).unzip();
        let history = claim.as_ref().map(|claim| claim.history.clone()).unwrap_or_default();
        Self { live, claim: claim.filter(|claim| claim.life != Life::Released), history, version }
    }
}

/// What came of streaming under a claim.
#[derive(Clone, Debug)]
pub struct Streaming {
    /// What applying it came to.
    pub applied: Applied,
    /// The association that the records go through now.
    pub live: Association,
    /// The claim as it stands now.
    pub claim: Entry<Claim>,
}

/// Writes the claim, changes Connect, and notes in the claim that it worked. None if another request came meanwhile, which
/// gave the claim up or wants something else: then what that one decided counts, and is put back if it was overwritten.
pub async fn stream(
    aws: &Aws,
    ledger: &Ledger,
    order: Order<'_>,
    seen: &Seen,
) -> Result<Option<Streaming>, ApplyError> {
    let Order { source, target, .. } = order;
    let set_before = seen.claim.as_ref().is_some_and(|claim| claim.set_by_us(target));
    let ready = claim_for(order, seen);
    ledger.write_claim(&streaming_key(source), &ready, seen.version, None).await?;
    let streamed = stream_to(aws, ledger, source, seen.live.as_ref(), target).await;
    let standing = ledger.read_claim::<Claim>(&streaming_key(source)).await?;
    let ours = |claim: &Claim| {
        claim.life == Life::Held && claim.history == ready.history && claim.wanted.as_ref() == Some(target)
    };
    let Some(Entry { value, version }) = standing.filter(|entry| ours(&entry.value)) else {
        // Perhaps what was live was ended to make way, and nothing came in its place.
        let mine = Claim { detached: seen.live.is_some(), ..ready };
        give_way(aws, ledger, source, &mine, |live| live.is_none_or(|live| live == target)).await?;
        return Ok(None);
    };
    let Streamed { applied, live } = streamed?;
    let mut accepted = Claim { detached: false, ..value };
    accepted.accept(target);
    if matches!(applied, Applied::AlreadyThere | Applied::Unchanged) && !set_before {
        accepted.targets.remove(target);
        accepted.remember(target);
    }
    let version = ledger.write_claim(&streaming_key(source), &accepted, Some(version), None).await?;
    Ok(Some(Streaming { applied, live, claim: Entry { value: accepted, version } }))
}

/// Lets Connect be as later requests decided, after a change under the claim `mine`, which may have overwritten theirs: it is
/// undone where Connect shows what it `set`.
pub async fn give_way(
    aws: &Aws,
    ledger: &Ledger,
    source: &Source,
    mine: &Claim,
    set: impl Fn(Option<&Target>) -> bool,
) -> Result<(), ApplyError> {
    let attempt = async || {
        let standing = ledger.read_claim::<Claim>(&streaming_key(source)).await?;
        let live = connect::association(aws.connect(), source).await?;
        if !set(live.as_ref().map(|live| &live.target)) {
            return Ok(());
        }
        match standing.map(|entry| entry.value).filter(|claim| claim.life == Life::Held) {
            Some(Claim { wanted: Some(wanted), .. }) => {
                stream_to(aws, ledger, source, live.as_ref(), &wanted).await.map(drop)
            }
            Some(_) => Ok(()),
            None => match diff::streaming_removal(source, live.as_ref(), Some(mine)) {
                Some(undo) => apply(aws, ledger, &undo).await.map(drop),
                None => Ok(()),
            },
        }
    };
    let over = |outcome: &Result<(), ApplyError>| !matches!(outcome, Err(error) if error.is_changed_meanwhile());
    wait::until(wait::UNTIL_UNDISTURBED, attempt, over).await
}

/// The claim that has to be in the ledger before Connect streams to the target.
fn claim_for(order: Order<'_>, seen: &Seen) -> Claim {
    let live = seen.live.as_ref();
    let first = || Claim { history: seen.history.clone(), ..Claim::on(live, order.request_id) };
    let mut claim = seen.claim.clone().unwrap_or_else(first);
    claim.life = Life::Held;
    // A third party's, in place of ours. If nothing is live, what stood there before us still counts: it may have been lost by
    // accident.
    if let Some(theirs) = live.filter(|live| !claim.set_by_us(&live.target)) {
        claim.remember(&theirs.target);
    }
    // A data stream may be a third party's, and our delivery stream reads from it all the same.
    let read_by_us = |left: &Target| matches!(left, Target::KinesisStream(_)) && claim.accepted.contains(left);
    if let Some(left) = live.filter(|live| claim.set_by_us(&live.target) || read_by_us(&live.target)) {
        note_drain(&mut claim, &left.target, order.source);
    }
    claim.targets.insert(order.target.clone());
    claim.wanted = Some(order.target.clone());
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
    let (before, version) = entry.map(|entry| (entry.value, entry.version)).unzip();
    let history = before.as_ref().map(|claim| claim.history.clone()).unwrap_or_default();
    let claim = before.clone().filter(|claim| claim.life != Life::Released);
    let live = connect::origin(aws.connect(), place).await?;
    let change = diff::origin(place, live.as_deref());
    let made = claim.is_none();
    let first = || {
        let added = change.is_some();
        approved_origin::Claim { life: Life::Held, added, created_by: request_id.to_owned(), history }
    };
    let mut ready = approved_origin::Claim { life: Life::Held, ..claim.unwrap_or_else(first) };
    if change.is_none() && before.as_ref() == Some(&ready) {
        return Ok(Some((ready, Applied::Unchanged)));
    }
    let version = ledger.write_claim(&key, &ready, version, None).await?;
    let Some(change) = change else {
        // An earlier request that was still on its way may have removed it. One that comes later finds what was written.
        return match connect::origin(aws.connect(), place).await? {
            Some(_) => Ok(Some((ready, Applied::Unchanged))),
            None => Err(ApplyError::ChangedMeanwhile(format!("the approved origin {}", place.origin))),
        };
    };
    let applied = apply(aws, ledger, &change).await?;
    let standing = ledger.read_claim::<approved_origin::Claim>(&key).await?;
    if standing.is_none_or(|entry| entry.value.life != Life::Held) {
        let live = connect::origin(aws.connect(), place).await?;
        if let Some(undo) = diff::origin_removal(place, live.as_deref(), Some(&ready)) {
            apply(aws, ledger, &undo).await?;
        }
        return Ok(None);
    }
    if applied == Applied::AlreadyThere && made {
        ready.added = false;
        ledger.write_claim(&key, &ready, Some(version), None).await?;
    }
    Ok(Some((ready, applied)))
}

/// Applies a change that a repair decided on, under a claim where one is needed. Does nothing for a stack that has given
/// its claim up. A change that fails leaves the claim as it was.
pub async fn repair(aws: &Aws, ledger: &Ledger, change: &Change, request_id: &str) -> Result<Applied, ApplyError> {
    match change {
        Change::StreamTo { source, from, to, .. } => {
            let entry = held(ledger.read_claim::<Claim>(&streaming_key(source)).await?, &source.to_string())?;
            let live = connect::association(aws.connect(), source).await?;
            if live.as_ref().is_some_and(|live| live.target == *to) {
                return Ok(Applied::Unchanged);
            }
            let overtaken = |claim: &Claim| claim.wanted.as_ref().is_some_and(|wanted| wanted != to);
            if live != *from || entry.as_ref().is_some_and(|entry| overtaken(&entry.value)) {
                return Err(ApplyError::ChangedMeanwhile(format!("the streaming of the {source}")));
            }
            let order = Order { source, target: to, request_id };
            match stream(aws, ledger, order, &Seen::of(live, entry.clone())).await {
                Ok(streaming) => {
                    streaming.map(|streaming| streaming.applied).ok_or_else(|| undone(&source.to_string()))
                }
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
            let entry = ledger.read_claim::<approved_origin::Claim>(&origin_key(place)).await?;
            let entry = held(entry, &place.origin.to_string())?;
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
fn held<T: Claimed>(entry: Option<Entry<T>>, what: &str) -> Result<Option<Entry<T>>, ApplyError> {
    match entry {
        Some(entry) if entry.value.life() != Life::Held => {
            Err(ApplyError::ChangedMeanwhile(format!("the stack's claim on {what} was given up; it")))
        }
        entry => Ok(entry),
    }
}

fn undone(what: &str) -> ApplyError {
    ApplyError::Undone(what.to_owned())
}

/// Restores the claim that was replaced for a change that then failed, unless a request of CloudFormation came meanwhile.
/// Otherwise deleting the stack would one day restore what was live at that time.
async fn take_back<T>(ledger: &Ledger, key: &Key, before: Option<Entry<T>>, may: impl Fn(&T) -> bool)
where
    T: Claimed + PartialEq,
{
    let Some(before) = before else { return };
    let outcome = async {
        match ledger.read_claim::<T>(key).await? {
            Some(now)
                if now.value != before.value && now.value.history() == before.value.history() && may(&now.value) =>
            {
                ledger.write_claim(key, &before.value, Some(now.version), None).await.map(drop)
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
        let mut adopted = Claim::on(Some(&live), "r1");
        adopted.accept(&theirs);
        let entry = accepted.then_some(Entry { value: adopted, version: 1 });
        let seen = Seen::of(Some(live), entry);
        claim_for(Order { source: &source, target: &target, request_id: "r2" }, &seen).draining
    }

    fn order_for(seen: &Seen, name: &str) -> Claim {
        let instance = InstanceId::of(&arn("arn:aws:connect:eu-west-2:111122223333:instance/1b2c")).unwrap();
        let source = Source { instance, resource_type: ResourceType::AgentEvents };
        claim_for(Order { source: &source, target: &stream(name), request_id: "r2" }, seen)
    }

    fn stream(name: &str) -> Target {
        Target::KinesisStream(arn(&format!("arn:aws:kinesis:eu-west-2:111122223333:stream/{name}")))
    }

    fn live(name: &str) -> Option<Association> {
        Some(Association { id: "a1".into(), target: stream(name) })
    }

    #[test]
    fn what_stood_there_before_us_is_remembered_when_it_got_lost_and_we_set_it_again() {
        let adopted = Entry { value: Claim::on(live("theirs").as_ref(), "r1"), version: 1 };
        let again = order_for(&Seen::of(None, Some(adopted)), "theirs");
        assert_eq!((again.previous, again.targets), (vec![stream("theirs")], [stream("theirs")].into()));
    }

    #[test]
    fn all_that_we_replaced_is_remembered_the_newest_last() {
        let first = order_for(&Seen::of(live("datalake"), None), "ours");
        let entry = Entry { value: first, version: 1 };
        let second = order_for(&Seen::of(live("passing"), Some(entry)), "ours");
        assert_eq!(second.previous, [stream("datalake"), stream("passing")]);
        let entry = Entry { value: second.clone(), version: 2 };
        assert_eq!(order_for(&Seen::of(live("ours"), Some(entry)), "renamed").previous, second.previous);
    }

    #[test]
    fn records_that_leave_a_stream_which_ours_reads_from_are_waited_for_and_no_others() {
        assert!(claimed(ResourceType::ContactTraceRecords, true).is_some());
        assert_eq!(claimed(ResourceType::ContactTraceRecords, false), None);
        assert_eq!(claimed(ResourceType::AgentEvents, true), None);
    }
}
