//! Owns `Custom::ConnectApprovedOrigin`: one instance lists one origin, and no longer when the resource goes, unless it
//! was there before.

use emite_aws::apply::{apply, observe_origin_until};
use emite_aws::claims;
use emite_aws::clock;
use emite_aws::connect;
use emite_aws::keys::{origin_key, streaming_key};
use emite_aws::ledger::Entry;
use emite_core::arn::{Arn, InstanceId};
use emite_core::diff;
use emite_core::links::Life;
use emite_core::links::approved_origin::{Claim, Origin, Place};
use emite_core::links::data_streaming::{self, ResourceType, Source, Target};
use jiff::SignedDuration;

use crate::asked::Asked;
use crate::parameters::instance;
use crate::properties::Properties;
use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::{Object, ReplyTo, Request};
use crate::response::{Data, Done};
use crate::turn;

/// What a claim would be about, if the properties name it at all.
fn place(properties: &Object) -> Option<Place> {
    let text = |name: &str| properties.get(name).and_then(|value| value.as_str());
    let arn: Arn = text("InstanceArn")?.parse().ok()?;
    Some(Place { instance: InstanceId::of(&arn)?, origin: text("Origin")?.parse().ok()? })
}

/// `<instance id>|approved-origin|<origin>`: another instance or origin is another resource.
pub(crate) fn physical_id(properties: &Object) -> Option<String> {
    place(properties).map(|place| format!("{}|approved-origin|{}", place.instance, place.origin))
}

/// Create and Update.
pub(crate) async fn put(
    provider: &Provider,
    request: &Request,
    ask: &impl AsyncFn() -> Result<Asked, RequestFailure>,
) -> Result<Done, RequestFailure> {
    let mut read = Properties::new(&request.properties);
    let instance = read.parsed("InstanceArn", |text| instance(text, &provider.home));
    let origin: Option<Origin> = read.parsed("Origin", str::parse);
    read.finish()?;
    let place = instance.zip(origin).map(|(instance, origin)| Place { instance, origin });
    let place = place.ok_or_else(|| RequestFailure::Refused("the properties are incomplete".to_owned()))?;
    let ask = async |_: &Claim| {
        let asked = ask().await?;
        check_origin(&place, &asked)?;
        Ok(asked)
    };
    let key = origin_key(&place);
    let asked = turn::begin(provider, &key, &request.reply_to, SignedDuration::ZERO, ask).await?;
    match until_undisturbed(async || allow(provider, &place, &request.reply_to).await).await {
        Err(failure)
            if asked.is_rolling_back()
                && failure.is_not_found()
                && connect::instance(provider.aws.connect(), &place.instance).await?.is_none() =>
        {
            let note = format!("{} was not approved: instance {} no longer exists", place.origin, place.instance);
            Ok(Done { note, ..Done::default() })
        }
        allowed => Ok(allowed?.into()),
    }
}

/// Refuses an origin that the stack's parameter does not name, as anyone can forge properties. In a rollback it is not checked:
/// the parameter may already have changed.
fn check_origin(place: &Place, asked: &Asked) -> Result<(), RequestFailure> {
    asked.check_instance(&place.instance)?;
    let named = asked.parameter("EmiteUrl").and_then(|url| url.parse().ok());
    if asked.is_rolling_back() || named.as_ref() == Some(&place.origin) {
        return Ok(());
    }
    Err(RequestFailure::Refused(format!(
        "Origin: {} is not the origin in the stack's parameter EmiteUrl",
        place.origin
    )))
}

async fn allow(provider: &Provider, place: &Place, request: &ReplyTo) -> Result<Data, RequestFailure> {
    let entry = turn::current::<Claim>(provider, &origin_key(place), request).await?;
    let allowed =
        claims::allow_origin(&provider.aws, &provider.ledger, place, Some(entry), &request.request_id).await?;
    let (claim, _) = allowed.ok_or(RequestFailure::Superseded)?;
    Ok(Data::from([("Origin", place.origin.to_string()), ("Added", claim.added.to_string())]))
}

/// Delete.
pub(crate) async fn remove(
    provider: &Provider,
    request: &ReplyTo,
    properties: &Object,
    ask: &impl AsyncFn() -> Result<Asked, RequestFailure>,
) -> Result<Done, RequestFailure> {
    // Whatever else is wrong with the properties, nothing was ever set up under a name that does not parse.
    let Some(place) = place(properties) else { return Ok(Done::default()) };
    let ask = async |_: &Claim| ask().await;
    turn::begin(provider, &origin_key(&place), request, turn::MOST_SKEW, ask).await?;
    until_undisturbed(async || release(provider, request, &place).await).await
}

async fn release(provider: &Provider, request: &ReplyTo, place: &Place) -> Result<Done, RequestFailure> {
    let key = origin_key(place);
    let Entry { value: claim, version } = turn::current::<Claim>(provider, &key, request).await?;
    if claim.life == Life::Released {
        return Ok(Done::default());
    }
    let releasing = Claim { life: Life::Releasing, ..claim.clone() };
    // A twin that wrote this already is not made to start over.
    let version = match releasing == claim {
        true => version,
        false => provider.ledger.write_claim(&key, &releasing, Some(version), None).await?,
    };
    let mut note = String::new();
    if releasing.added {
        // A read right after a write may be stale, but not for a twin or a rerun.
        let seen = match claim.life {
            Life::Held => observe_origin_until(&provider.aws, place, true).await,
            _ => connect::origin(provider.aws.connect(), place).await,
        };
        let change = match seen {
            // The instance is gone, and its list with it.
            Err(error) if error.is_not_found() => None,
            live => diff::origin_removal(place, live?.as_deref(), Some(&releasing)),
        };
        if let Some(change) = change {
            if let Some((source, target)) = taken_over(provider, place).await? {
                note = format!(
                    "{} is still an approved origin: the {source} now go to {target}, which does not belong to this stack and \
                     may need it. If no one needs it, remove it in the Amazon Connect console",
                    place.origin
                );
            } else {
                apply(&provider.aws, &provider.ledger, &change).await?;
                restore_for_later_request(provider, place, &releasing).await?;
            }
        }
    }
    let released = Claim { life: Life::Released, ..releasing };
    provider.ledger.write_claim(&key, &released, Some(version), Some(clock::in_a_week())).await?;
    Ok(Done { note, ..Done::default() })
}

/// The target that has replaced this stack's, if any: another stack or application uses the instance now.
async fn taken_over(provider: &Provider, place: &Place) -> Result<Option<(Source, Target)>, RequestFailure> {
    for resource_type in [ResourceType::AgentEvents, ResourceType::ContactTraceRecords] {
        let source = Source { instance: place.instance.clone(), resource_type };
        // Before the claim, which is given up before what was there is put back.
        let live = match connect::association(provider.aws.connect(), &source).await {
            Err(error) if error.is_not_found() => return Ok(None),
            live => live?.map(|live| live.target),
        };
        let entry = provider.ledger.read_claim::<data_streaming::Claim>(&streaming_key(&source)).await?;
        let Some(Entry { value: claim, .. }) = entry else { continue };
        let given_back = |target: &Target| claim.life != Life::Held && claim.previous.contains(target);
        let known = |target: &Target| claim.set_by_us(target) || claim.accepted.contains(target) || given_back(target);
        // One that was refused, or never there, cannot have been taken over.
        let had_it = !claim.accepted.is_empty();
        if let Some(target) = live.filter(|target| had_it && !known(target)) {
            return Ok(Some((source, target)));
        }
    }
    Ok(None)
}

/// A later request may have allowed the origin while this one removed it.
async fn restore_for_later_request(provider: &Provider, place: &Place, mine: &Claim) -> Result<(), RequestFailure> {
    let standing = provider.ledger.read_claim::<Claim>(&origin_key(place)).await?;
    if standing.is_none_or(|entry| entry.value.life != Life::Held || entry.value.history == mine.history) {
        return Ok(());
    }
    let live = connect::origin(provider.aws.connect(), place).await?;
    if let Some(change) = diff::origin(place, live.as_deref()) {
        apply(&provider.aws, &provider.ledger, &change).await?;
    }
    Err(RequestFailure::Superseded)
}
