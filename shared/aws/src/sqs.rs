//! Owns the calls of SQS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::error::AwsError;

/// How many events wait in the dead-letter queue
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>).
pub async fn dead_letters(sqs: &Client, queue_url: &str) -> Result<u64, AwsError> {
    const ACTION: &str = "sqs:GetQueueAttributes";
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let answer = sqs.get_queue_attributes().queue_url(queue_url).attribute_names(name.clone()).send().await;
    let attributes = answer.map_err(AwsError::of(ACTION))?.attributes.unwrap_or_default();
    let number = attributes.get(&name).and_then(|number| number.parse().ok());
    number.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no number of messages".to_owned()))
}
