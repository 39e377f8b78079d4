//! Owns the calls of Amazon Connect: the instance, its storage configs and its approved origins.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_connect::Client;
use aws_sdk_connect::types::{
    InstanceStorageConfig, InstanceStorageResourceType, KinesisFirehoseConfig, KinesisStreamConfig, StorageType,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use emite_core::arn::InstanceId;
use emite_core::links::approved_origin::{self, Place};
use emite_core::links::data_streaming::{Association, Source, Target};
use emite_core::snapshot::Instance;

use crate::error::{AwsError, if_there};

/// The instance (<https://docs.aws.amazon.com/connect/latest/APIReference/API_DescribeInstance.html>); `None` if
/// it does not exist. Needs `connect:DescribeInstance`.
pub async fn instance(connect: &Client, instance: &InstanceId) -> Result<Option<Instance>, AwsError> {
    const ACTION: &str = "connect:DescribeInstance";
    let answer = connect.describe_instance().instance_id(instance.as_str()).send().await.map_err(AwsError::of(ACTION));
    let Some(answer) = if_there(answer)? else { return Ok(None) };
    let Some(instance) = answer.instance else {
        return Err(AwsError::unusable(ACTION, "the answer has no instance".to_owned()));
    };
    let status = instance.instance_status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned());
    Ok(Some(Instance { status, alias: instance.instance_alias, service_role: instance.service_role }))
}

/// What `source` streams to now, if anything. Needs `connect:ListInstanceStorageConfigs`.
pub async fn association(connect: &Client, source: &Source) -> Result<Option<Association>, AwsError> {
    const OPERATION: &str = "connect:ListInstanceStorageConfigs";
    let pages = connect
        .list_instance_storage_configs()
        .instance_id(source.instance.as_str())
        .resource_type(api(source))
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(AwsError::of(OPERATION))?;
    let mut associations = pages.into_iter();
    let Some(config) = associations.next() else { return Ok(None) };
    if associations.next().is_some() {
        return Err(AwsError::unusable(OPERATION, format!("more than one storage config for the {source}")));
    }
    let target = reported(&config);
    match (config.association_id, target) {
        (Some(id), Some(target)) => Ok(Some(Association { id, target })),
        _ => Err(AwsError::unusable(OPERATION, format!("an association of the {source} has no id or no stream"))),
    }
}

/// Makes the first association of `source`, and returns its id, if Connect names it. Needs
/// `connect:AssociateInstanceStorageConfig` and what Connect asks of the caller behind it. By the number of attempts, the
/// caller knows whether "already there" can be our own lost answer.
pub(crate) async fn associate(
    connect: &Client,
    source: &Source,
    to: &Target,
) -> (Result<Option<String>, AwsError>, u32) {
    const OPERATION: &str = "connect:AssociateInstanceStorageConfig";
    let config = match storage_config(to) {
        Ok(config) => config,
        Err(error) => return (Err(error), 0),
    };
    let attempts = Attempts::default();
    let answer = connect
        .associate_instance_storage_config()
        .instance_id(source.instance.as_str())
        .resource_type(api(source))
        .storage_config(config)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await;
    let id = answer.map(|answer| answer.association_id.filter(|id| !id.is_empty()));
    (id.map_err(AwsError::of(OPERATION)), attempts.made())
}

/// Points an association at another stream, without a gap. Needs `connect:UpdateInstanceStorageConfig` and what
/// Connect asks of the caller behind it.
pub(crate) async fn update_association(
    connect: &Client,
    source: &Source,
    association_id: &str,
    to: &Target,
) -> Result<(), AwsError> {
    connect
        .update_instance_storage_config()
        .instance_id(source.instance.as_str())
        .resource_type(api(source))
        .association_id(association_id)
        .storage_config(storage_config(to)?)
        .send()
        .await
        .map(drop)
        .map_err(AwsError::of("connect:UpdateInstanceStorageConfig"))
}

/// Ends an association; one that is gone already is fine. Needs `connect:DisassociateInstanceStorageConfig`.
pub(crate) async fn disassociate(connect: &Client, source: &Source, association_id: &str) -> Result<(), AwsError> {
    let answer = connect
        .disassociate_instance_storage_config()
        .instance_id(source.instance.as_str())
        .resource_type(api(source))
        .association_id(association_id)
        .send()
        .await
        .map_err(AwsError::of("connect:DisassociateInstanceStorageConfig"));
    match answer {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// All origins that the instance approves, as it lists them. Needs `connect:ListApprovedOrigins`.
pub async fn origins(connect: &Client, instance: &InstanceId) -> Result<Vec<String>, AwsError> {
    connect
        .list_approved_origins()
        .instance_id(instance.as_str())
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(AwsError::of("connect:ListApprovedOrigins"))
}

/// The spelling in which the instance lists the origin, if it does. Needs `connect:ListApprovedOrigins`.
pub async fn origin(connect: &Client, place: &Place) -> Result<Option<String>, AwsError> {
    let listed = origins(connect, &place.instance).await?;
    Ok(approved_origin::find(&listed, &place.origin).map(str::to_owned))
}

/// Adds the origin. Needs `connect:AssociateApprovedOrigin`. The number of attempts tells whether "already there" can
/// be our own lost answer.
pub(crate) async fn add_origin(connect: &Client, place: &Place) -> (Result<(), AwsError>, u32) {
    let attempts = Attempts::default();
    let answer = connect
        .associate_approved_origin()
        .instance_id(place.instance.as_str())
        .origin(place.origin.to_string())
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await;
    (answer.map(drop).map_err(AwsError::of("connect:AssociateApprovedOrigin")), attempts.made())
}

/// Removes the origin as `listed`; one that is gone already is fine. Needs `connect:DisassociateApprovedOrigin`.
pub(crate) async fn remove_origin(connect: &Client, instance: &InstanceId, listed: &str) -> Result<(), AwsError> {
    let answer = connect
        .disassociate_approved_origin()
        .instance_id(instance.as_str())
        .origin(listed)
        .send()
        .await
        .map_err(AwsError::of("connect:DisassociateApprovedOrigin"));
    match answer {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// The resource type as Connect names it.
fn api(source: &Source) -> InstanceStorageResourceType {
    InstanceStorageResourceType::from(source.resource_type.as_str())
}

/// The target of a storage config as Connect reports it.
fn reported(config: &InstanceStorageConfig) -> Option<Target> {
    let stream = |config: &KinesisStreamConfig| config.stream_arn.parse().ok().map(Target::KinesisStream);
    let firehose = |config: &KinesisFirehoseConfig| config.firehose_arn.parse().ok().map(Target::KinesisFirehose);
    match &config.storage_type {
        StorageType::KinesisStream => config.kinesis_stream_config.as_ref().and_then(stream),
        StorageType::KinesisFirehose => config.kinesis_firehose_config.as_ref().and_then(firehose),
        other => Some(Target::Other(other.as_str().to_owned())),
    }
}

/// The target as Connect takes it.
fn storage_config(target: &Target) -> Result<InstanceStorageConfig, AwsError> {
    let config = match target {
        Target::KinesisStream(arn) => {
            InstanceStorageConfig::builder().storage_type(StorageType::KinesisStream).kinesis_stream_config(
                KinesisStreamConfig::builder().stream_arn(arn.to_string()).build().map_err(incomplete)?,
            )
        }
        Target::KinesisFirehose(arn) => {
            InstanceStorageConfig::builder().storage_type(StorageType::KinesisFirehose).kinesis_firehose_config(
                KinesisFirehoseConfig::builder().firehose_arn(arn.to_string()).build().map_err(incomplete)?,
            )
        }
        Target::Other(storage_type) => {
            return Err(incomplete(format!("storage of type {storage_type} cannot be set")));
        }
    };
    config.build().map_err(incomplete)
}

fn incomplete(error: impl fmt::Display) -> AwsError {
    AwsError::unusable("connect:AssociateInstanceStorageConfig", error.to_string())
}

/// Counts the attempts of one call. "Already there" on the first attempt means that a third party made the thing; on a later
/// one it may be our own, made by an attempt whose answer got lost.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// How many attempts were sent.
    pub fn made(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
