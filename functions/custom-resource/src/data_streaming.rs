//! Owns `Custom::ConnectDataStreaming`: one resource type of one instance streams to one target, and as before when the
//! resource goes.
//!
//! Everything is decided from the properties, the ledger and what is live; never from the physical id, which
//! CloudFormation makes up when a Create never answered. Every write to Connect follows a write to the ledger that
//! names the version it saw, and the ledger is read again after it: a late Create that finds itself deleted meanwhile
//! undoes what it did.

use std::time::Duration;

use emite_aws::apply::{Applied, apply, observe_until};
use emite_aws::claims::{self, Claimed, Order, Seen, note_drain};
use emite_aws::clock;
use emite_aws::error::AwsError;
use emite_aws::keys::streaming_key;
use emite_aws::ledger::{Entry, LedgerError};
use emite_core::arn::{Arn, Home, InstanceId};
use emite_core::change::{Change, Consent};
use emite_core::diff;
use emite_core::links::Life;
use emite_core::links::data_streaming::{Association, Claim, ResourceType, Source, Target};

use crate::parameters::{at_home, instance};
use crate::properties::Properties;
use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::{Object, Request};
use crate::response::{Data, Done};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnExisting {
    Fail,
    Replace,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct StreamingProperties {
    source: Source,
    target: Target,
    on_existing: OnExisting,
    drain: Duration,
    request_id: String,
}

/// A function runs for 900 s at most; a drain has to leave time for the rest.
const LONGEST_DRAIN_S: u64 = 840;
const USUAL_DRAIN_S: u64 = 360;

impl StreamingProperties {
    fn read(request: &Request, home: &Home) -> Result<Self, RequestFailure> {
        let mut read = Properties::new(&request.properties);
        let instance = read.parsed("InstanceArn", |text| instance(text, home));
        let resource_type: Option<ResourceType> = read.parsed("ResourceType", str::parse);
        let target = read.parsed("TargetArn", |text| at_home(text, home));
        let on_existing = read.parsed("OnExisting", |text| match text {
            "Fail" => Ok(OnExisting::Fail),
            "Replace" => Ok(OnExisting::Replace),
            _ => Err("must be Fail or Replace"),
        });
        let drain = read.parsed("DrainSeconds", drain);
        let target = target.zip(resource_type).and_then(|(arn, resource_type)| {
            Target::of(arn, resource_type).map_err(|problem| read.problem("TargetArn", problem)).ok()
        });
        read.finish()?;
        let complete = || {
            Some(Self {
                source: Source { instance: instance?, resource_type: resource_type? },
                target: target?,
                on_existing: on_existing?,
                drain: drain?,
                request_id: request.reply_to.request_id.clone(),
            })
        };
        complete().ok_or_else(|| RequestFailure::Refused("the properties are incomplete".to_owned()))
    }
}

fn drain(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds <= LONGEST_DRAIN_S => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("must be a whole number of seconds from 0 to {LONGEST_DRAIN_S}")),
    }
}

/// What a claim would be about, if the properties name it at all.
fn source(properties: &Object) -> Option<Source> {
    let text = |name: &str| properties.get(name).and_then(|value| value.as_str());
    let arn: Arn = text("InstanceArn")?.parse().ok()?;
    Some(Source { instance: InstanceId::of(&arn)?, resource_type: text("ResourceType")?.parse().ok()? })
}

/// `<instance id>|data-streaming|<resource type>`: another instance or type is another resource.
pub(crate) fn physical_id(properties: &Object) -> Option<String> {
    source(properties).map(|source| format!("{}|data-streaming|{}", source.instance, source.resource_type.as_str()))
}

/// Create and Update.
pub(crate) async fn put(provider: &Provider, request: &Request) -> Result<Data, RequestFailure> {
    let properties = StreamingProperties::read(request, &provider.home)?;
    until_undisturbed(async || stream(provider, &properties).await).await
}

async fn stream(provider: &Provider, properties: &StreamingProperties) -> Result<Data, RequestFailure> {
    let source = &properties.source;
    let seen = observe(provider, properties).await?;
    let (live, ready) = match diff::streaming(source, &properties.target, seen.live.as_ref(), seen.claim.as_ref()) {
        None => (seen.live.clone(), keep(provider, properties, seen).await?),
        Some(change) => match (change.consent(), &seen) {
            (consent, Seen { claim: Some(claim), live, .. }) if is_rollback_over_drift(properties, claim, consent) => {
                tracing::warn!(source = %source, live = ?live, "somebody else changed the streaming; it is left as it is");
                return Ok(data(None, claim));
            }
            (consent, seen) => {
                consented(properties, seen.live.as_ref(), consent)?;
                let claimed = write(provider, properties, seen).await?;
                (Some(claimed.live), claimed.claim)
            }
        },
    };
    wait_for_drain(&ready.value, properties.drain).await;
    if ready.value.draining.is_some() {
        let drained = Claim { draining: None, ..ready.value.clone() };
        provider.ledger.write(&streaming_key(source), &drained, Some(ready.version), None).await?;
    }
    Ok(data(live.as_ref(), &ready.value))
}

async fn observe(provider: &Provider, properties: &StreamingProperties) -> Result<Seen, RequestFailure> {
    let entry = provider.ledger.read::<Claim>(&streaming_key(&properties.source)).await?;
    let version = entry.as_ref().map(|entry| entry.version);
    let claim = entry.map(|entry| entry.value);
    if claim.as_ref().is_some_and(|claim| claim.life != Life::Held && claim.created_by == properties.request_id) {
        return Err(deleted_already());
    }
    let claim = claim.filter(|claim| claim.life != Life::Released);
    let live = observe_ours(provider, &properties.source, claim.as_ref()).await?;
    Ok(Seen { live, claim, version })
}

/// A late duplicate of a Create, after its Delete: whoever asked has long stopped waiting.
pub(crate) fn deleted_already() -> RequestFailure {
    RequestFailure::Refused("this very request was carried out before, and its resource deleted since".to_owned())
}

/// Whether the stack had this target before, and another application or a user changed it since. A rollback to it must
/// not fail for that, and must not overwrite it either; the health check reports it.
fn is_rollback_over_drift(properties: &StreamingProperties, claim: &Claim, consent: Consent) -> bool {
    claim.accepted.contains(&properties.target)
        && consent != Consent::Safe
        && properties.on_existing == OnExisting::Fail
}

/// Changes nothing in Connect: it streams to the target already, set by us or by others (adopted, and never undone).
async fn keep(
    provider: &Provider,
    properties: &StreamingProperties,
    seen: Seen,
) -> Result<Entry<Claim>, RequestFailure> {
    let Seen { live, claim, version } = seen;
    let before = claim.clone();
    let adopted = || Claim { adopted: true, ..Claim::on(live.as_ref(), &properties.request_id) };
    let mut kept = Claim { life: Life::Held, detached: false, ..claim.unwrap_or_else(adopted) };
    kept.accept(&properties.target);
    let version = match version {
        Some(version) if before.as_ref() == Some(&kept) => version,
        version => provider.ledger.write(&streaming_key(&properties.source), &kept, version, None).await?,
    };
    Ok(Entry { value: kept, version })
}

/// Claims, writes to Connect, and records that it worked.
async fn write(provider: &Provider, properties: &StreamingProperties, seen: &Seen) -> Result<Claimed, RequestFailure> {
    let StreamingProperties { source, target, request_id, .. } = properties;
    let order = Order { source, target, request_id };
    let claimed = claims::stream(&provider.aws, &provider.ledger, order, seen).await?;
    claimed.ok_or_else(deleted_already)
}

/// Refuses to replace third-party streaming, unless the template says so and it can be restored.
fn consented(
    properties: &StreamingProperties,
    live: Option<&Association>,
    consent: Consent,
) -> Result<(), RequestFailure> {
    let StreamingProperties { source, on_existing, .. } = properties;
    let Some(Association { target: existing, .. }) = live else { return Ok(()) };
    match (consent, on_existing) {
        (Consent::Safe, _) | (Consent::ReplacesForeign, OnExisting::Replace) => Ok(()),
        (Consent::ReplacesForeign, OnExisting::Fail) => Err(RequestFailure::Refused(format!(
            "OnExisting: the {source} already stream to {existing}. To take that over, set the stack parameter OnExistingStreaming to Replace: \
             it is remembered, and put back when the stack is deleted. To keep it, give the stack another instance"
        ))),
        (Consent::Irreversible, _) => Err(RequestFailure::Refused(format!(
            "OnExisting: the {source} already go to {existing}, which could not be put back later. Remove that in the Amazon Connect console first"
        ))),
    }
}

/// Delete.
pub(crate) async fn remove(provider: &Provider, properties: &Object) -> Result<Done, RequestFailure> {
    // Whatever else is wrong with the properties, nothing was ever set up under a name that does not parse.
    let Some(source) = source(properties) else { return Ok(Done::default()) };
    let text = properties.get("DrainSeconds").and_then(|value| value.as_str()).unwrap_or_default();
    let wait = drain(text).unwrap_or(Duration::from_secs(USUAL_DRAIN_S));
    until_undisturbed(async || release(provider, &source, wait).await).await
}

async fn release(provider: &Provider, source: &Source, drain: Duration) -> Result<Done, RequestFailure> {
    let key = streaming_key(source);
    let Some(Entry { value: claim, version }) = provider.ledger.read::<Claim>(&key).await? else {
        return Ok(Done::default());
    };
    if claim.life == Life::Released {
        return Ok(Done::default());
    }
    let change = match observe_ours(provider, source, Some(&claim)).await {
        // The instance is gone, and all that was set up on it.
        Err(error) if error.is_not_found() => None,
        live => diff::streaming_removal(source, live?.as_ref(), Some(&claim)),
    };
    let mut releasing = Claim { life: Life::Releasing, ..claim.clone() };
    if let Some(Change::RestoreStreaming { from: Some(left), .. } | Change::StopStreaming { from: left, .. }) = &change
    {
        note_drain(&mut releasing, &left.target, source);
    }
    // A twin that wrote this already is not made to start over.
    let version = match releasing == claim {
        true => version,
        false => provider.ledger.write(&key, &releasing, Some(version), None).await?,
    };
    let mut done = Entry { value: releasing, version };
    let mut note = String::new();
    if let Some(change) = change {
        let applied = apply(&provider.aws, &provider.ledger, &change).await?;
        if let (Applied::PreviousIsGone, Change::RestoreStreaming { to, .. }) = (applied, &change) {
            note = format!("The {source} stream nowhere now: {to}, where they went before, does not exist any more");
            tracing::warn!(note);
        }
        let still = reread(provider, source, Life::Releasing).await?;
        done = still.ok_or_else(|| LedgerError::ChangedMeanwhile(key.clone()))?;
    }
    wait_for_drain(&done.value, drain).await;
    let released = Claim { life: Life::Released, detached: false, draining: None, ..done.value };
    provider.ledger.write(&key, &released, Some(done.version), Some(clock::in_a_week())).await?;
    Ok(Done { note, ..Done::default() })
}

/// What is live, once it is one of our targets; or after a few seconds, as a read right after a write may be stale.
async fn observe_ours(
    provider: &Provider,
    source: &Source,
    claim: Option<&Claim>,
) -> Result<Option<Association>, AwsError> {
    let expected = claim
        .filter(|claim| claim.life == Life::Held && !claim.adopted && !claim.detached && !claim.targets.is_empty());
    observe_until(&provider.aws, source, |live| {
        expected.is_none_or(|claim| live.is_some_and(|live| claim.set_by_us(&live.target)))
    })
    .await
}

/// The claim as it stands after Connect was written to, unless another request moved it to another stage of life
/// meanwhile.
async fn reread(provider: &Provider, source: &Source, life: Life) -> Result<Option<Entry<Claim>>, RequestFailure> {
    let entry = provider.ledger.read::<Claim>(&streaming_key(source)).await?;
    Ok(entry.filter(|entry| entry.value.life == life))
}

/// Waits until a delivery stream that the records left has delivered its buffer, if there is one: what is in it when
/// the stream is deleted is lost.
async fn wait_for_drain(claim: &Claim, drain: Duration) {
    if let Some(left) = &claim.draining {
        tracing::info!(%left, seconds = drain.as_secs(), "waiting for the delivery stream to deliver its buffer");
        tokio::time::sleep(drain).await;
    }
}

fn data(live: Option<&Association>, claim: &Claim) -> Data {
    Data::from([
        ("AssociationId", live.map(|live| live.id.clone()).unwrap_or_default()),
        ("PreviousTargetArn", claim.previous.as_ref().map(Target::to_string).unwrap_or_default()),
    ])
}
