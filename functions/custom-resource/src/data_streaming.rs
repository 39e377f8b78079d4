//! Owns `Custom::ConnectDataStreaming`: one resource type of one instance streams to one target, and as before when the
//! resource goes.
//!
//! Everything is decided from the properties, the ledger and what is live; never from the physical id, which
//! CloudFormation makes up when a Create never answered. Every write to Connect follows a write to the ledger that
//! names the version it saw, and the ledger is read again after it: a late Create that finds itself deleted meanwhile
//! undoes what it did.

use std::time::Duration;

use emite_aws::apply::{Applied, ApplyError, apply, exists, observe_until};
use emite_aws::claims::{self, Order, Seen, Streaming, note_drain};
use emite_aws::clock;
use emite_aws::cloudformation;
use emite_aws::connect;
use emite_aws::error::AwsError;
use emite_aws::keys::streaming_key;
use emite_aws::ledger::{Entry, LedgerError};
use emite_core::arn::{Arn, Home, InstanceId};
use emite_core::change::{Change, Consent};
use emite_core::diff;
use emite_core::links::Life;
use emite_core::links::data_streaming::{Association, Claim, ResourceType, Source, Target};
use emite_core::words::listed;
use jiff::SignedDuration;

use crate::asked::Asked;
use crate::parameters::{at_home, instance};
use crate::properties::Properties;
use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::{Object, ReplyTo, Request};
use crate::response::{Data, Done};
use crate::turn;

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
    reply_to: ReplyTo,
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
        let drain = read.parsed("DrainSeconds", drain_time);
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
                reply_to: request.reply_to.clone(),
            })
        };
        complete().ok_or_else(|| RequestFailure::Refused("the properties are incomplete".to_owned()))
    }
}

fn drain_time(text: &str) -> Result<Duration, String> {
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
pub(crate) async fn put(
    provider: &Provider,
    request: &Request,
    ask: &impl AsyncFn() -> Result<Asked, RequestFailure>,
) -> Result<Done, RequestFailure> {
    let properties = StreamingProperties::read(request, &provider.home)?;
    let ask = async |claim: &Claim| {
        let asked = ask().await?;
        check_target(provider, &properties, &asked).await?;
        // What is rolled back to was accepted before. This is the update itself, delivered only now.
        let known = claim.accepted.is_empty() || claim.accepted.contains(&properties.target);
        match asked.is_rolling_back() && claim.life == Life::Held && !known {
            true => Err(RequestFailure::Superseded),
            false => Ok(asked),
        }
    };
    let key = streaming_key(&properties.source);
    let work = async || {
        let asked = turn::begin(provider, &key, &request.reply_to, SignedDuration::ZERO, ask).await?;
        match until_undisturbed(async || stream(provider, &properties, &asked).await).await {
            Err(failure) if asked.is_rolling_back() => without_what_is_gone(provider, &properties, failure).await,
            streamed => Ok(streamed?.into()),
        }
    };
    match work().await {
        Err(RequestFailure::Superseded) => {
            // It may have died after a write that came too late, and be delivered again.
            make_way(provider, &properties).await?;
            Err(RequestFailure::Superseded)
        }
        done => done,
    }
}

/// Lets Connect be as later requests decided, if it still shows what this one set.
async fn make_way(provider: &Provider, properties: &StreamingProperties) -> Result<(), RequestFailure> {
    let StreamingProperties { source, target, .. } = properties;
    let Some(entry) = provider.ledger.read_claim::<Claim>(&streaming_key(source)).await? else { return Ok(()) };
    let standing = Claim { life: Life::Held, ..entry.value };
    claims::give_way(&provider.aws, &provider.ledger, source, &standing, |live| live == Some(target)).await?;
    Ok(())
}

/// Refuses a target that is neither the stack's own nor named by its parameters, as anyone can forge properties. In a rollback
/// it is not checked: the parameters and resources may already have changed.
async fn check_target(
    provider: &Provider,
    properties: &StreamingProperties,
    asked: &Asked,
) -> Result<(), RequestFailure> {
    asked.check_instance(&properties.source.instance)?;
    let (parameter, own) = match (&properties.target, properties.source.resource_type) {
        _ if asked.is_rolling_back() => return Ok(()),
        (Target::KinesisFirehose(_), _) => ("ExistingDeliveryStreamName", Some("DeliveryStream")),
        (_, ResourceType::AgentEvents) => ("ExistingAgentEventStreamName", Some("AgentEventStream")),
        (_, ResourceType::ContactTraceRecords) => ("ExistingContactRecordStreamName", None),
    };
    let target = properties.target.to_string();
    let name = target.rsplit('/').next().unwrap_or_default();
    if asked.parameter(parameter) == Some(name) {
        return Ok(());
    }
    if let Some(own) = own {
        let resource = cloudformation::resource(provider.aws.cloudformation(), &provider.stack_id, own).await?;
        if resource.and_then(|resource| resource.physical_id).as_deref() == Some(name) {
            return Ok(());
        }
    }
    Err(RequestFailure::Refused(format!(
        "TargetArn: {target} is neither a stream of this stack nor the one that its parameter {parameter} names"
    )))
}

async fn stream(provider: &Provider, properties: &StreamingProperties, asked: &Asked) -> Result<Data, RequestFailure> {
    let source = &properties.source;
    let seen = observe(provider, properties).await?;
    let (live, ready) = match diff::streaming(source, &properties.target, seen.live.as_ref(), seen.claim.as_ref()) {
        None => (seen.live.clone(), keep(provider, properties, seen).await?),
        Some(change) => match (change.consent(), &seen) {
            (consent, Seen { claim: Some(claim), live, .. })
                if asked.is_rolling_back() && is_over_drift(properties, consent) =>
            {
                tracing::warn!(source = %source, live = ?live, "a third party changed the streaming; it is left as it is");
                return leave(provider, properties, live.as_ref(), claim, seen.version).await;
            }
            (consent, seen) => {
                consented(properties, seen.live.as_ref(), consent)?;
                let streaming = write(provider, properties, seen).await?;
                (Some(streaming.live), streaming.claim.value)
            }
        },
    };
    drain(provider, properties, &ready).await?;
    Ok(data(live.as_ref(), &ready))
}

async fn observe(provider: &Provider, properties: &StreamingProperties) -> Result<Seen, RequestFailure> {
    let source = &properties.source;
    let entry = turn::current::<Claim>(provider, &streaming_key(source), &properties.reply_to).await?;
    let live = observe_ours(provider, source, &entry.value).await?;
    Ok(Seen::of(live, Some(entry)))
}

/// Whether another application or a user has changed the streaming since. A rollback must not fail for that, and must not
/// overwrite it either; the health check reports it.
fn is_over_drift(properties: &StreamingProperties, consent: Consent) -> bool {
    consent != Consent::Safe && properties.on_existing == OnExisting::Fail
}

/// Leaves Connect as it is, and records only which target a late request has to restore.
async fn leave(
    provider: &Provider,
    properties: &StreamingProperties,
    live: Option<&Association>,
    claim: &Claim,
    version: Option<u64>,
) -> Result<Data, RequestFailure> {
    let left = Claim { wanted: Some(properties.target.clone()), ..claim.clone() };
    if left != *claim {
        provider.ledger.write_claim(&streaming_key(&properties.source), &left, version, None).await?;
        unchanged(provider, &properties.source, live).await?;
    }
    Ok(data(None, claim))
}

/// Changes nothing in Connect: it streams to the target already, set by us or by others (adopted, and never undone).
async fn keep(provider: &Provider, properties: &StreamingProperties, seen: Seen) -> Result<Claim, RequestFailure> {
    let Seen { live, claim, history, version } = seen;
    let before = claim.clone();
    let adopted = || Claim { history, ..Claim::on(live.as_ref(), &properties.reply_to.request_id) };
    let mut kept = Claim { life: Life::Held, detached: false, ..claim.unwrap_or_else(adopted) };
    kept.accept(&properties.target);
    kept.wanted = Some(properties.target.clone());
    if before.as_ref() != Some(&kept) {
        provider.ledger.write_claim(&streaming_key(&properties.source), &kept, version, None).await?;
        unchanged(provider, &properties.source, live.as_ref()).await?;
    }
    Ok(kept)
}

/// Checks, after the ledger was written, that Connect still shows what was decided on: an earlier request that was still on its
/// way may have changed it. One that comes later finds what was written.
async fn unchanged(provider: &Provider, source: &Source, live: Option<&Association>) -> Result<(), RequestFailure> {
    if connect::association(provider.aws.connect(), source).await?.as_ref() == live {
        return Ok(());
    }
    Err(ApplyError::ChangedMeanwhile(format!("the streaming of the {source}")).into())
}

/// Claims, writes to Connect, and records that it worked.
async fn write(
    provider: &Provider,
    properties: &StreamingProperties,
    seen: &Seen,
) -> Result<Streaming, RequestFailure> {
    let StreamingProperties { source, target, reply_to, .. } = properties;
    let order = Order { source, target, request_id: &reply_to.request_id };
    claims::stream(&provider.aws, &provider.ledger, order, seen).await?.ok_or(RequestFailure::Superseded)
}

/// Waits until a delivery stream that the records left has delivered its buffer, and notes that.
async fn drain(provider: &Provider, properties: &StreamingProperties, ready: &Claim) -> Result<(), RequestFailure> {
    let Some(left) = &ready.draining else { return Ok(()) };
    wait_for_drain(left, properties.drain).await;
    until_undisturbed(async || {
        let key = streaming_key(&properties.source);
        let Entry { value, version } = turn::current::<Claim>(provider, &key, &properties.reply_to).await?;
        if value.draining.as_ref() == Some(left) {
            provider.ledger.write_claim(&key, &Claim { draining: None, ..value }, Some(version), None).await?;
        }
        Ok(())
    })
    .await
}

/// Completes a rollback whose stream or instance no longer exists. It has to succeed, because the user cannot fix it; nothing is
/// streamed then.
async fn without_what_is_gone(
    provider: &Provider,
    properties: &StreamingProperties,
    failure: RequestFailure,
) -> Result<Done, RequestFailure> {
    let StreamingProperties { source, target, .. } = properties;
    if failure.is_not_found() && connect::instance(provider.aws.connect(), &source.instance).await?.is_none() {
        let note = format!("Nothing was restored for the {source}: the instance no longer exists");
        return Ok(Done { note, ..Done::default() });
    }
    if !failure.is_refused_value() || exists(&provider.aws, target).await? {
        return Err(failure);
    }
    until_undisturbed(async || {
        let Seen { live, claim, version, .. } = observe(provider, properties).await?;
        let (Some(claim), Some(version)) = (claim, version) else { return Err(RequestFailure::Superseded) };
        let Some(left) = live.clone().filter(|live| claim.set_by_us(&live.target)) else {
            drain(provider, properties, &claim).await?;
            let note = match live {
                Some(_) => {
                    format!("The {source} were left as they are: {target}, where they went before, no longer exists")
                }
                None => not_streamed(source, std::slice::from_ref(target)),
            };
            return Ok(Done { data: data(None, &claim), note });
        };
        // What was there before us is still to be put back, once the stack goes.
        let mut detached = Claim { detached: true, wanted: None, ..claim };
        note_drain(&mut detached, &left.target, source);
        provider.ledger.write_claim(&streaming_key(source), &detached, Some(version), None).await?;
        let stop = Change::StopStreaming { source: source.clone(), from: left };
        apply(&provider.aws, &provider.ledger, &stop).await?;
        drain(provider, properties, &detached).await?;
        Ok(Done { data: data(None, &detached), note: not_streamed(source, std::slice::from_ref(target)) })
    })
    .await
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
pub(crate) async fn remove(
    provider: &Provider,
    request: &ReplyTo,
    properties: &Object,
    ask: &impl AsyncFn() -> Result<Asked, RequestFailure>,
) -> Result<Done, RequestFailure> {
    // Whatever else is wrong with the properties, nothing was ever set up under a name that does not parse.
    let Some(source) = source(properties) else { return Ok(Done::default()) };
    let text = properties.get("DrainSeconds").and_then(|value| value.as_str()).unwrap_or_default();
    let wait = drain_time(text).unwrap_or(Duration::from_secs(USUAL_DRAIN_S));
    let ask = async |_: &Claim| ask().await;
    turn::begin(provider, &streaming_key(&source), request, turn::MOST_SKEW, ask).await?;
    until_undisturbed(async || release(provider, request, &source, wait).await).await
}

async fn release(
    provider: &Provider,
    request: &ReplyTo,
    source: &Source,
    drain: Duration,
) -> Result<Done, RequestFailure> {
    let key = streaming_key(source);
    let Entry { value: claim, version } = turn::current::<Claim>(provider, &key, request).await?;
    if claim.life == Life::Released {
        return Ok(Done::default());
    }
    let seen = match observe_ours(provider, source, &claim).await {
        // The instance is gone, and all that was set up on it.
        Err(error) if error.is_not_found() => None,
        live => Some(live?),
    };
    let change = seen.as_ref().and_then(|live| diff::streaming_removal(source, live.as_ref(), Some(&claim)));
    let mut releasing = Claim { life: Life::Releasing, ..claim.clone() };
    if let Some(Change::RestoreStreaming { from: Some(left), .. } | Change::StopStreaming { from: left, .. }) = &change
    {
        note_drain(&mut releasing, &left.target, source);
    }
    // A twin that wrote this already is not made to start over.
    let version = match releasing == claim {
        true => version,
        false => provider.ledger.write_claim(&key, &releasing, Some(version), None).await?,
    };
    if let (None, Some(live)) = (&change, &seen) {
        unchanged(provider, source, live.as_ref()).await?;
    }
    let mut done = Entry { value: releasing, version };
    let mut note = String::new();
    if let Some(change) = change {
        let applied = apply(&provider.aws, &provider.ledger, &change).await?;
        if applied == Applied::PreviousIsGone {
            note = not_streamed(source, &done.value.previous);
            tracing::warn!(note);
        }
        match turn::current::<Claim>(provider, &key, request).await {
            Ok(still) if still.value.life == Life::Releasing => done = still,
            // A twin of this request, or a repair.
            Ok(_) => return Err(LedgerError::ChangedMeanwhile(key.clone()).into()),
            Err(over @ RequestFailure::Superseded) => {
                let restored = |live: Option<&Target>| live.is_none_or(|live| done.value.previous.contains(live));
                claims::give_way(&provider.aws, &provider.ledger, source, &done.value, restored).await?;
                return Err(over);
            }
            Err(failure) => return Err(failure),
        }
    }
    if let Some(left) = &done.value.draining {
        wait_for_drain(left, drain).await;
    }
    let released = Claim { life: Life::Released, detached: false, draining: None, wanted: None, ..done.value };
    provider.ledger.write_claim(&key, &released, Some(done.version), Some(clock::in_a_week())).await?;
    Ok(Done { note, ..Done::default() })
}

fn not_streamed(source: &Source, gone: &[Target]) -> String {
    let gone: Vec<String> = gone.iter().map(Target::to_string).collect();
    let exists = if gone.len() == 1 { "no longer exists" } else { "no longer exist" };
    format!("The {source} are no longer streamed: {}, where they went before, {exists}", listed(&gone))
}

/// What is live, once it is one of our targets; or after a few seconds, as a read right after a write may be stale.
async fn observe_ours(provider: &Provider, source: &Source, claim: &Claim) -> Result<Option<Association>, AwsError> {
    let ours = claim.accepted.last().is_none_or(|accepted| claim.set_by_us(accepted));
    let expected = claim.life == Life::Held && !claim.detached && !claim.targets.is_empty() && ours;
    observe_until(&provider.aws, source, |live| !expected || live.is_some_and(|live| claim.set_by_us(&live.target)))
        .await
}

/// Waits until a delivery stream that the records left has delivered its buffer: what is in it when the stream is deleted is
/// lost.
async fn wait_for_drain(left: &Target, drain: Duration) {
    tracing::info!(%left, seconds = drain.as_secs(), "waiting for the delivery stream to deliver its buffer");
    tokio::time::sleep(drain).await;
}

fn data(live: Option<&Association>, claim: &Claim) -> Data {
    Data::from([
        ("AssociationId", live.map(|live| live.id.clone()).unwrap_or_default()),
        ("PreviousTargetArn", claim.previous.last().map(Target::to_string).unwrap_or_default()),
    ])
}
