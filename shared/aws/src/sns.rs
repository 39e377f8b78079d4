//! Owns the calls of SNS.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use emite_core::arn::Arn;
use emite_core::look::Unseen;
use emite_core::snapshot::Subscription;
use futures_util::future::join_all;
use serde_json::Value;

use crate::error::{AwsError, if_there};

/// What is published to a topic.
#[derive(Clone, Debug)]
pub struct Notification<'a> {
    /// The subject of mails: printable ASCII, fewer than 100 characters.
    pub subject: &'a str,
    /// The text.
    pub message: &'a str,
    /// Name and value of each attribute, for the filters of subscriptions.
    pub attributes: &'a [(&'a str, &'a str)],
}

/// Publishes to a topic (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>). Needs `sns:Publish`.
pub async fn publish(sns: &Client, topic: &Arn, notification: &Notification<'_>) -> Result<(), AwsError> {
    const ACTION: &str = "sns:Publish";
    let Notification { subject, message, attributes } = notification;
    let mut publish = sns.publish().topic_arn(topic.to_string()).subject(*subject).message(*message);
    for (name, value) in *attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(*value).build();
        let value = value.map_err(|_| AwsError::unusable(ACTION, "an attribute has no type".to_owned()))?;
        publish = publish.message_attributes(*name, value);
    }
    publish.send().await.map(drop).map_err(AwsError::of(ACTION))
}

/// How many confirmed subscriptions are asked for their filter. One without a filter is enough to know that all alerts reach
/// a recipient.
const ASKED: usize = 20;

/// The subscriptions of the alert topic; none if the topic does not exist
/// (<https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>).
pub async fn subscriptions(sns: &Client, topic: &Arn) -> Result<Vec<Subscription>, AwsError> {
    let pages = sns.list_subscriptions_by_topic().topic_arn(topic.to_string()).into_paginator().items().send();
    let listed = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("sns:ListSubscriptionsByTopic"));
    let mut asked = 0;
    let reads = if_there(listed)?.unwrap_or_default().into_iter().filter_map(|subscription| {
        let arn = subscription.subscription_arn.filter(|arn| arn != "Deleted")?;
        // Until it is confirmed, a literal stands in place of the ARN.
        let confirmed = arn.starts_with("arn:");
        asked += usize::from(confirmed);
        let ask = confirmed && asked <= ASKED;
        Some(async move {
            let filtered = if ask { is_filtered(sns, arn).await.map_err(Unseen::from) } else { Ok(false) };
            let protocol = subscription.protocol.unwrap_or_default();
            let endpoint = subscription.endpoint.unwrap_or_default();
            Subscription { protocol, endpoint, confirmed, filtered }
        })
    });
    Ok(join_all(reads).await)
}

/// An SNS topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its policy, parsed; null if there is none.
    pub policy: Value,
    /// The KMS key that it is encrypted with, as an id, ARN or alias; none if it is not.
    pub key: Option<String>,
}

/// A topic; `None` if it does not exist. Needs `sns:GetTopicAttributes`
/// (<https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>).
pub async fn topic(sns: &Client, topic: &Arn) -> Result<Option<Topic>, AwsError> {
    let answer = sns.get_topic_attributes().topic_arn(topic.to_string()).send().await;
    let Some(answer) = if_there(answer.map_err(AwsError::of("sns:GetTopicAttributes")))? else { return Ok(None) };
    let mut attributes = answer.attributes.unwrap_or_default();
    let policy = attributes.remove("Policy").and_then(|policy| serde_json::from_str(&policy).ok()).unwrap_or_default();
    Ok(Some(Topic { policy, key: attributes.remove("KmsMasterKeyId") }))
}

async fn is_filtered(sns: &Client, arn: String) -> Result<bool, AwsError> {
    let answer = sns.get_subscription_attributes().subscription_arn(arn).send().await;
    let attributes = if_there(answer.map_err(AwsError::of("sns:GetSubscriptionAttributes")))?;
    let policy = attributes.and_then(|answer| answer.attributes?.remove("FilterPolicy"));
    Ok(policy.is_some_and(|policy| !matches!(policy.trim(), "" | "{}")))
}
