//! Owns `Custom::ConnectApprovedOrigin`: one instance lists one origin, and no longer when the resource goes, unless it
//! was there before.

use emite_aws::apply::{apply, observe_origin_until};
use emite_aws::claims;
use emite_aws::clock;
use emite_aws::connect;
use emite_aws::keys::origin_key;
use emite_aws::ledger::Entry;
use emite_core::arn::{Arn, InstanceId};
use emite_core::diff;
use emite_core::links::Life;
use emite_core::links::approved_origin::{Claim, Origin, Place};

use crate::data_streaming::deleted_already;
use crate::parameters::instance;
use crate::properties::Properties;
use crate::provider::{Provider, RequestFailure, until_undisturbed};
use crate::request::{Object, Request};
use crate::response::{Data, Done};

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
pub(crate) async fn put(provider: &Provider, request: &Request) -> Result<Data, RequestFailure> {
    let mut read = Properties::new(&request.properties);
    let instance = read.parsed("InstanceArn", |text| instance(text, &provider.home));
    let origin: Option<Origin> = read.parsed("Origin", str::parse);
    read.finish()?;
    let place = instance.zip(origin).map(|(instance, origin)| Place { instance, origin });
    let place = place.ok_or_else(|| RequestFailure::Refused("the properties are incomplete".to_owned()))?;
    until_undisturbed(async || allow(provider, &place, &request.reply_to.request_id).await).await
}

async fn allow(provider: &Provider, place: &Place, request_id: &str) -> Result<Data, RequestFailure> {
    let entry = provider.ledger.read::<Claim>(&origin_key(place)).await?;
    if entry.as_ref().is_some_and(|Entry { value, .. }| value.life != Life::Held && value.created_by == request_id) {
        return Err(deleted_already());
    }
    let allowed = claims::allow_origin(&provider.aws, &provider.ledger, place, entry, request_id).await?;
    let (claim, _) = allowed.ok_or_else(deleted_already)?;
    Ok(Data::from([("Origin", place.origin.to_string()), ("Added", claim.added.to_string())]))
}

/// Delete.
pub(crate) async fn remove(provider: &Provider, properties: &Object) -> Result<Done, RequestFailure> {
    // Whatever else is wrong with the properties, nothing was ever set up under a name that does not parse.
    let Some(place) = place(properties) else { return Ok(Done::default()) };
    until_undisturbed(async || release(provider, &place).await).await?;
    Ok(Done::default())
}

async fn release(provider: &Provider, place: &Place) -> Result<(), RequestFailure> {
    let key = origin_key(place);
    let Some(Entry { value: claim, version }) = provider.ledger.read::<Claim>(&key).await? else { return Ok(()) };
    if claim.life == Life::Released {
        return Ok(());
    }
    let releasing = Claim { life: Life::Releasing, ..claim.clone() };
    // A twin that wrote this already is not made to start over.
    let version = match releasing == claim {
        true => version,
        false => provider.ledger.write(&key, &releasing, Some(version), None).await?,
    };
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
            apply(&provider.aws, &provider.ledger, &change).await?;
        }
    }
    let released = Claim { life: Life::Released, ..releasing };
    provider.ledger.write(&key, &released, Some(version), Some(clock::in_a_week())).await?;
    Ok(())
}
