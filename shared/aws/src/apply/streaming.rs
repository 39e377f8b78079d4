//! Owns applying changes to the data streaming of Amazon Connect, and to its approved origins.

use emite_core::links::approved_origin::Place;
use emite_core::links::data_streaming::{Association, Claim, Source, Target};

use super::outcome::{Applied, ApplyError};
use crate::clients::Aws;
use crate::error::AwsError;
use crate::keys::streaming_key;
use crate::ledger::Ledger;
use crate::{connect, firehose, kinesis, wait};

/// What applying a change to a storage config came to, and the association since then.
#[derive(Clone, Debug)]
pub(crate) struct Streamed {
    pub(crate) applied: Applied,
    /// The association that the records go through now.
    pub(crate) live: Association,
}

/// Streams to `to` instead of `from`. Without `from`, nothing is read first: Connect itself rejects a second
/// association.
pub(crate) async fn stream_to(
    aws: &Aws,
    ledger: &Ledger,
    source: &Source,
    from: Option<&Association>,
    to: &Target,
) -> Result<Streamed, ApplyError> {
    let Some(from) = from else { return associate(aws, source, to).await };
    if let Some(live) = already_at(aws, source, Some(from), to).await? {
        return Ok(Streamed { applied: Applied::Unchanged, live });
    }
    match connect::update_association(aws.connect(), source, &from.id, to).await {
        Ok(()) => {
            settled(aws, source, Some(to)).await;
            // An update keeps the id.
            Ok(Streamed { applied: Applied::Done, live: Association { id: from.id.clone(), target: to.clone() } })
        }
        Err(error) if error.is_refused_value() => {
            if let Some(live) = already_at(aws, source, Some(from), to).await? {
                return Ok(Streamed { applied: Applied::Done, live });
            }
            if from.target.same_kind(to) || !exists(aws, to).await? {
                return Err(error.into());
            }
            detach(aws, ledger, source, from).await?;
            associate(aws, source, to).await.map_err(|error| half_done(error, from))
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds to the error of the new association that the old one is gone already.
fn half_done(error: ApplyError, from: &Association) -> ApplyError {
    match error {
        ApplyError::Aws(error) => {
            let message = format!("{} (streaming to {} was ended before, to make way)", error.message, from.target);
            ApplyError::Aws(AwsError { message, ..error })
        }
        other => other,
    }
}

/// Streams to the first of `to` that still exists; if none does, to nowhere.
pub(super) async fn restore(
    aws: &Aws,
    ledger: &Ledger,
    source: &Source,
    from: Option<&Association>,
    to: &[Target],
) -> Result<Applied, ApplyError> {
    let live = connect::association(aws.connect(), source).await?;
    if live.as_ref() != from {
        // Restored already, by a run whose answer got lost; or changed by a third party.
        let restored = live.is_some_and(|live| to.contains(&live.target));
        return if restored { Ok(Applied::Done) } else { Err(changed(source)) };
    }
    for target in to {
        if from.is_some_and(|from| from.target == *target) || restored(aws, ledger, source, from, target).await? {
            return Ok(Applied::Done);
        }
    }
    if let Some(from) = from {
        stop(aws, source, &from.id).await?;
    }
    Ok(Applied::PreviousIsGone)
}

/// Whether the records go to `to` now. False if that stream no longer exists; then nothing was changed.
async fn restored(
    aws: &Aws,
    ledger: &Ledger,
    source: &Source,
    from: Option<&Association>,
    to: &Target,
) -> Result<bool, ApplyError> {
    if let Some(from) = from {
        match connect::update_association(aws.connect(), source, &from.id, to).await {
            Ok(()) => {
                settled(aws, source, Some(to)).await;
                return Ok(true);
            }
            Err(error) if !error.is_refused_value() => return Err(error.into()),
            Err(_) if already_at(aws, source, Some(from), to).await?.is_some() => return Ok(true),
            Err(_) if !exists(aws, to).await? => return Ok(false),
            Err(_) => detach(aws, ledger, source, from).await?,
        }
    }
    match associate(aws, source, to).await {
        Err(ApplyError::Aws(error)) if error.is_refused_value() => match exists(aws, to).await? {
            // Rejected for another reason, so try again later: the ledger notes that we left the source unassociated.
            true => Err(error.into()),
            // It was deleted after what was live had been ended.
            false if from.is_some() => Err(changed(source)),
            false => Ok(false),
        },
        streamed => streamed.map(|_| true),
    }
}

/// The association that streams to `to` already; none if `from` is unchanged. Anything else is a change in between.
async fn already_at(
    aws: &Aws,
    source: &Source,
    from: Option<&Association>,
    to: &Target,
) -> Result<Option<Association>, ApplyError> {
    let live = connect::association(aws.connect(), source).await?;
    if live.as_ref().is_some_and(|live| live.target == *to) {
        return Ok(live);
    }
    if live.as_ref() == from { Ok(None) } else { Err(changed(source)) }
}

async fn associate(aws: &Aws, source: &Source, to: &Target) -> Result<Streamed, ApplyError> {
    let (answer, attempts) = connect::associate(aws.connect(), source, to).await;
    match answer {
        Ok(id) => {
            let shown = settled(aws, source, Some(to)).await;
            let id = id.or_else(|| shown.map(|live| live.id)).unwrap_or_default();
            Ok(Streamed { applied: Applied::Done, live: Association { id, target: to.clone() } })
        }
        Err(error) if error.may_mean_already_there() => {
            match observe_until(aws, source, |live| live.is_some()).await? {
                Some(live) if live.target == *to => {
                    let applied = if attempts > 1 { Applied::Done } else { Applied::AlreadyThere };
                    Ok(Streamed { applied, live })
                }
                Some(_) => Err(changed(source)),
                None => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn stop_streaming(aws: &Aws, source: &Source, from: &Association) -> Result<Applied, ApplyError> {
    match connect::association(aws.connect(), source).await? {
        None => return Ok(Applied::Done),
        Some(live) if live != *from => return Err(changed(source)),
        Some(_) => {}
    }
    stop(aws, source, &from.id).await
}

async fn stop(aws: &Aws, source: &Source, association_id: &str) -> Result<Applied, ApplyError> {
    connect::disassociate(aws.connect(), source, association_id).await?;
    settled(aws, source, None).await;
    Ok(Applied::Done)
}

/// Removes an association so that another one can be made. The claim notes this first: if the function dies in between,
/// the next request knows that we left the source unassociated.
async fn detach(aws: &Aws, ledger: &Ledger, source: &Source, from: &Association) -> Result<(), ApplyError> {
    let key = streaming_key(source);
    let claim = ledger.read_claim::<Claim>(&key).await?.ok_or_else(|| changed(source))?;
    let noted = Claim { detached: true, ..claim.value };
    ledger.write_claim(&key, &noted, Some(claim.version), None).await?;
    connect::disassociate(aws.connect(), source, &from.id).await?;
    settled(aws, source, None).await;
    Ok(())
}

pub(super) async fn allow_origin(aws: &Aws, place: &Place) -> Result<Applied, ApplyError> {
    let (answer, attempts) = connect::add_origin(aws.connect(), place).await;
    match answer {
        Ok(()) => {
            if let Err(error) = observe_origin_until(aws, place, true).await {
                tracing::warn!(%error, "Connect accepted the origin, and could not be looked at again");
            }
            Ok(Applied::Done)
        }
        Err(error) if error.may_mean_already_there() => match observe_origin_until(aws, place, true).await? {
            Some(_) if attempts > 1 => Ok(Applied::Done),
            Some(_) => Ok(Applied::AlreadyThere),
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Removes an origin in the spelling that was listed.
pub(super) async fn remove_origin(aws: &Aws, place: &Place, listed: &str) -> Result<Applied, ApplyError> {
    connect::remove_origin(aws.connect(), &place.instance, listed).await?;
    observe_origin_until(aws, place, false).await?;
    Ok(Applied::Done)
}

fn changed(source: &Source) -> ApplyError {
    ApplyError::ChangedMeanwhile(format!("the streaming of the {source}"))
}

/// Whether the stream that `target` names exists. Needs `kinesis:DescribeStream` or `firehose:DescribeDeliveryStream`.
pub async fn exists(aws: &Aws, target: &Target) -> Result<bool, AwsError> {
    match target {
        Target::KinesisStream(arn) => kinesis::exists(aws.kinesis(), arn.name()).await,
        Target::KinesisFirehose(arn) => Ok(firehose::delivery_stream(aws.firehose(), arn.name()).await?.is_some()),
        Target::Other(_) => Ok(true),
    }
}

/// Reads the association until it is `enough`, for a few seconds at most. Returns the last result.
pub async fn observe_until(
    aws: &Aws,
    source: &Source,
    enough: impl Fn(Option<&Association>) -> bool,
) -> Result<Option<Association>, AwsError> {
    let read = async || connect::association(aws.connect(), source).await;
    wait::until(wait::FOR_CONNECT, read, |live| live.as_ref().map_or(true, |live| enough(live.as_ref()))).await
}

/// Waits until a write shows, so that the next reader is not misled, and returns the association that shows; none if it
/// does not show in time. The write worked in any case, so that is no error.
async fn settled(aws: &Aws, source: &Source, expected: Option<&Target>) -> Option<Association> {
    match observe_until(aws, source, |live| live.map(|live| &live.target) == expected).await {
        Ok(live) if live.as_ref().map(|live| &live.target) == expected => return live,
        Ok(_) => tracing::warn!(%source, "Connect accepted the change and does not show it yet"),
        Err(error) => tracing::warn!(%source, %error, "Connect accepted the change, and reading it back failed"),
    }
    None
}

/// The spelling in which the instance lists an origin. Waits a few seconds at most for it to be listed, or to be gone,
/// as `expected`.
pub async fn observe_origin_until(aws: &Aws, place: &Place, expected: bool) -> Result<Option<String>, AwsError> {
    let read = async || connect::origin(aws.connect(), place).await;
    wait::until(wait::FOR_CONNECT, read, |listed| listed.as_ref().map_or(true, |listed| listed.is_some() == expected))
        .await
}

#[cfg(test)]
mod tests {
    use aws_sdk_connect::operation::associate_instance_storage_config::{
        AssociateInstanceStorageConfigError, AssociateInstanceStorageConfigOutput,
    };
    use aws_sdk_connect::operation::list_instance_storage_configs::ListInstanceStorageConfigsOutput;
    use aws_sdk_connect::types::error::{InternalServiceException, ResourceConflictException};
    use aws_sdk_connect::types::{InstanceStorageConfig, KinesisStreamConfig, StorageType};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
    use aws_types::SdkConfig;
    use emite_core::arn::{Arn, InstanceId};
    use emite_core::change::{Change, Consent};
    use emite_core::links::data_streaming::ResourceType;

    use super::super::apply;
    use super::*;

    fn source() -> Source {
        let arn: Arn = "arn:aws:connect:eu-west-2:111122223333:instance/1b2c".parse().unwrap();
        Source { instance: InstanceId::of(&arn).unwrap(), resource_type: ResourceType::AgentEvents }
    }

    fn stream(name: &str) -> Target {
        Target::KinesisStream(format!("arn:aws:kinesis:eu-west-2:111122223333:stream/{name}").parse().unwrap())
    }

    fn listed(targets: &[&str]) -> ListInstanceStorageConfigsOutput {
        let configs = targets.iter().map(|name| {
            let stream = KinesisStreamConfig::builder().stream_arn(stream(name).to_string()).build().unwrap();
            InstanceStorageConfig::builder()
                .association_id("a-1")
                .storage_type(StorageType::KinesisStream)
                .kinesis_stream_config(stream)
                .build()
                .unwrap()
        });
        ListInstanceStorageConfigsOutput::builder().set_storage_configs(Some(configs.collect())).build()
    }

    /// Clients that answer the calls to Connect in this order, and fail any other call.
    fn aws(rules: &[&Rule]) -> (Aws, Ledger) {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let connect = mock_client!(aws_sdk_connect, RuleMode::Sequential, rules);
        let dynamodb = mock_client!(aws_sdk_dynamodb, []);
        let aws = Aws { connect: connect.into(), ..Aws::new(config) };
        (aws, Ledger::new(dynamodb, "ledger"))
    }

    fn to_ours() -> Change {
        Change::StreamTo { source: source(), from: None, to: stream("ours"), consent: Consent::Safe }
    }

    fn from_theirs() -> Change {
        let from = Some(Association { id: "a-1".into(), target: stream("theirs") });
        Change::StreamTo { source: source(), from, to: stream("ours"), consent: Consent::ReplacesForeign }
    }

    fn lists(targets: &'static [&'static str]) -> Rule {
        mock!(aws_sdk_connect::Client::list_instance_storage_configs).then_output(|| listed(targets))
    }

    fn associates() -> Rule {
        mock!(aws_sdk_connect::Client::associate_instance_storage_config)
            .then_output(|| AssociateInstanceStorageConfigOutput::builder().association_id("a-1").build())
    }

    fn conflicts() -> Rule {
        mock!(aws_sdk_connect::Client::associate_instance_storage_config).then_error(|| {
            let answer = ResourceConflictException::builder().meta(code("ResourceConflictException")).build();
            AssociateInstanceStorageConfigError::ResourceConflictException(answer)
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_as_wanted_already_is_not_written() {
        let (aws, ledger) = aws(&[&lists(&["ours"])]);
        assert_eq!(apply(&aws, &ledger, &from_theirs()).await.unwrap(), Applied::Unchanged);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_since_the_decision_is_not_overwritten() {
        let (aws, ledger) = aws(&[&lists(&["others"])]);
        let error = apply(&aws, &ledger, &from_theirs()).await.unwrap_err();
        assert!(matches!(error, ApplyError::ChangedMeanwhile(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn association_that_appeared_since_nothing_was_seen_is_not_overwritten() {
        let (aws, ledger) = aws(&[&conflicts(), &lists(&["theirs"])]);
        let error = apply(&aws, &ledger, &to_ours()).await.unwrap_err();
        assert!(matches!(error, ApplyError::ChangedMeanwhile(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn first_association_is_read_back_once_and_has_the_id_that_connect_returned() {
        let rules = [associates(), lists(&["ours"])];
        let (aws, ledger) = aws(&rules.iter().collect::<Vec<_>>());
        let streamed = stream_to(&aws, &ledger, &source(), None, &stream("ours")).await.unwrap();
        assert_eq!((streamed.applied, streamed.live.id.as_str()), (Applied::Done, "a-1"));
        assert!(rules.iter().all(|rule| rule.num_calls() == 1), "every rule was needed");
    }

    #[tokio::test(start_paused = true)]
    async fn first_association_that_connect_does_not_name_has_the_id_that_it_shows() {
        let unnamed = mock!(aws_sdk_connect::Client::associate_instance_storage_config)
            .then_output(|| AssociateInstanceStorageConfigOutput::builder().build());
        let (aws, ledger) = aws(&[&unnamed, &lists(&["ours"])]);
        let streamed = stream_to(&aws, &ledger, &source(), None, &stream("ours")).await.unwrap();
        assert_eq!((streamed.applied, streamed.live.id.as_str()), (Applied::Done, "a-1"));
    }

    #[tokio::test(start_paused = true)]
    async fn already_there_on_the_first_attempt_is_somebody_elses() {
        let (aws, ledger) = aws(&[&conflicts(), &lists(&["ours"])]);
        assert_eq!(apply(&aws, &ledger, &to_ours()).await.unwrap(), Applied::AlreadyThere);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_does_not_show_yet_is_waited_for_and_believed() {
        let rules = [associates(), lists(&[]), lists(&[]), lists(&["ours"])];
        let (aws, ledger) = aws(&rules.iter().collect::<Vec<_>>());
        assert_eq!(apply(&aws, &ledger, &to_ours()).await.unwrap(), Applied::Done);
        assert!(rules.iter().all(|rule| rule.num_calls() == 1), "every rule was needed");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_names_the_iam_action() {
        let broken = mock!(aws_sdk_connect::Client::associate_instance_storage_config).then_error(|| {
            let answer = InternalServiceException::builder().meta(code("InternalServiceException")).build();
            AssociateInstanceStorageConfigError::InternalServiceException(answer)
        });
        let (aws, ledger) = aws(&[&broken]);
        let error = apply(&aws, &ledger, &to_ours()).await.unwrap_err().to_string();
        assert!(error.contains("connect:AssociateInstanceStorageConfig"), "{error}");
    }

    fn code(code: &str) -> aws_smithy_types::error::ErrorMetadata {
        aws_smithy_types::error::ErrorMetadata::builder().code(code).message("no").build()
    }
}
