//! Owns looking at who hears of trouble.

use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::join_all;

use super::if_there;
use crate::error::AwsError;
use crate::snapshot::{Subscription, Unseen};
use crate::spec::Spec;

/// Confirmed subscriptions that are asked for their filter; one is enough to know that somebody hears everything.
const ASKED: usize = 20;

/// Who subscribed to the alerts (<https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>). A topic
/// that is gone has nobody.
pub(super) async fn subscriptions(sns: &aws_sdk_sns::Client, spec: &Spec) -> Result<Vec<Subscription>, AwsError> {
    let topic = spec.alert_topic.to_string();
    let pages = sns.list_subscriptions_by_topic().topic_arn(topic).into_paginator().items().send();
    let listed = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("sns:ListSubscriptionsByTopic"));
    let mut asked = 0;
    let looks = if_there(listed)?.unwrap_or_default().into_iter().filter_map(|subscription| {
        let arn = subscription.subscription_arn.filter(|arn| arn != "Deleted")?;
        // Until somebody confirms it, a literal stands in place of the ARN.
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
    Ok(join_all(looks).await)
}

async fn is_filtered(sns: &aws_sdk_sns::Client, arn: String) -> Result<bool, AwsError> {
    let answer = sns.get_subscription_attributes().subscription_arn(arn).send().await;
    let attributes = if_there(answer.map_err(AwsError::of("sns:GetSubscriptionAttributes")))?;
    let policy = attributes.and_then(|answer| answer.attributes?.remove("FilterPolicy"));
    Ok(policy.is_some_and(|policy| !matches!(policy.trim(), "" | "{}")))
}

/// How many events wait in the dead-letter queue
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>).
pub(super) async fn dead_letters(sqs: &aws_sdk_sqs::Client, spec: &Spec) -> Result<u64, AwsError> {
    const ACTION: &str = "sqs:GetQueueAttributes";
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let answer =
        sqs.get_queue_attributes().queue_url(&spec.dead_letter_queue).attribute_names(name.clone()).send().await;
    let attributes = answer.map_err(AwsError::of(ACTION))?.attributes.unwrap_or_default();
    let number = attributes.get(&name).and_then(|number| number.parse().ok());
    number.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no number of messages".to_owned()))
}
