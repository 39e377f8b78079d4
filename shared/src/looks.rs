//! Owns looking: the one place where a run reads AWS, everything at once.
//!
//! Each look stands for itself and has its own time limit, so that one that fails, is denied or hangs hides no other, and
//! a run takes as long as its slowest look and not as their sum.

mod alerts;
mod bucket;
mod connect;
mod domain;
mod metrics;
mod role;
mod server;
pub mod stack;
mod streams;
pub(crate) mod watch;

use std::time::Duration;

use jiff::Timestamp;

use crate::aws::Aws;
use crate::checks;
use crate::error::AwsError;
use crate::ledger::Ledger;
use crate::links::data_streaming::ResourceType;
use crate::snapshot::{Cause, Look, Snapshot, Unseen};
use crate::spec::Spec;

pub use streams::destination_of;

/// How long a look may take, with all its calls.
const LIMIT: Duration = Duration::from_secs(15);

/// What a run does with the ledger's latch, which remembers since when a stack is watched and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// It remembers what is new: the health check's part.
    Moves,
    /// It is read only.
    Stays,
}

/// Sees everything that the checks judge. Cannot fail: what could not be seen is told look by look.
///
/// Writes nothing but the ledger's latch, where that moves.
pub async fn observe(aws: &Aws, ledger: &Ledger, spec: &Spec, latch: Latch, now: Timestamp) -> Snapshot {
    let started = tokio::time::Instant::now();
    let queries = checks::metrics(spec);
    let (connect, streams, others, metrics) = tokio::join!(
        Box::pin(async {
            tokio::join!(
                look("connect:DescribeInstance", connect::instance(&aws.connect, &spec.instance)),
                look(LIST_CONFIGS, connect::streaming(&aws.connect, &spec.instance, ResourceType::AgentEvents)),
                look(LIST_CONFIGS, connect::streaming(&aws.connect, &spec.instance, ResourceType::ContactTraceRecords)),
                look("connect:ListApprovedOrigins", connect::approved_origins(&aws.connect, &spec.instance)),
            )
        }),
        Box::pin(async {
            tokio::join!(
                look(SUMMARY, streams::data_stream(&aws.kinesis, spec.agent_event_stream_name())),
                look(SUMMARY, streams::contact_record_stream(&aws.kinesis, spec)),
                look("firehose:DescribeDeliveryStream", streams::delivery_stream(&aws.firehose, spec)),
                look("s3:ListBucket", bucket::failed_records(&aws.s3, spec)),
                look("es:DescribeDomain", domain::domain(&aws.opensearch, spec)),
            )
        }),
        Box::pin(async {
            tokio::join!(
                look("iam:GetRole", role::role(&aws.iam, spec)),
                look("ec2:DescribeInstances", server::server(&aws.ec2, spec)),
                look("sns:ListSubscriptionsByTopic", alerts::subscriptions(&aws.sns, spec)),
                look("sqs:GetQueueAttributes", alerts::dead_letters(&aws.sqs, spec)),
                look("dynamodb:GetItem", watch::read(ledger, spec)),
            )
        }),
        Box::pin(async { look(metrics::ACTION, metrics::metrics(&aws.cloudwatch, &queries, now)).await }),
    );
    let metrics = metrics::by_id(&queries, metrics);
    let (role, server, subscriptions, dead_letters, watch) = others;
    let watch = match latch {
        Latch::Moves => watch::go_on(ledger, spec, watch, &metrics, now).await,
        Latch::Stays => watch.map(|seen| watch::after(seen.as_ref().map(|entry| &entry.value), &metrics, now)),
    };
    Snapshot {
        taken_at: now,
        took: started.elapsed(),
        instance: connect.0,
        agent_event_streaming: connect.1,
        contact_record_streaming: connect.2,
        approved_origins: connect.3,
        agent_event_stream: streams.0,
        contact_record_stream: streams.1,
        delivery_stream: streams.2,
        failed_records: streams.3,
        domain: streams.4,
        emite_role: role,
        server,
        subscriptions,
        dead_letters,
        first_read: watch.clone().map(|watch| watch.first_read),
        last_read: watch.clone().map(|watch| watch.last_read),
        unread_since: watch.clone().map(|watch| watch.unread_since),
        watched_since: watch.map(|watch| watch.watched_since),
        metrics,
    }
}

const SUMMARY: &str = "kinesis:DescribeStreamSummary";
const LIST_CONFIGS: &str = "connect:ListInstanceStorageConfigs";

/// What `work` shows, within [`LIMIT`]. `action` is its first call, for when none of them answers.
async fn look<T>(action: &'static str, work: impl Future<Output = Result<T, AwsError>>) -> Look<T> {
    match tokio::time::timeout(LIMIT, Box::pin(work)).await {
        Ok(seen) => seen.map_err(unseen),
        Err(_) => {
            tracing::warn!(action, "could not look: no answer in time");
            Err(Unseen { action, cause: Cause::TimedOut, request_id: None })
        }
    }
}

fn unseen(error: AwsError) -> Unseen {
    log(&error, "could not look");
    Unseen::from(error)
}

/// Notes why a read failed, and what that leaves open. A finding names the action and the kind of the cause only.
fn log(error: &AwsError, open: &'static str) {
    let AwsError { operation, code, message, request_id } = error;
    tracing::warn!(action = operation, code, reason = message, request_id, "{open}");
}

/// Nothing, if the thing that was looked at is not there.
fn if_there<T>(seen: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match seen {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A count as AWS gives it: never below zero.
fn count(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or_default()
}

/// Our timestamp of AWS's.
fn timestamp(at: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::from_second(at.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_given_up_and_named() {
        let seen = look::<()>("iam:GetRole", std::future::pending()).await;
        assert_eq!(seen, Err(Unseen { action: "iam:GetRole", cause: Cause::TimedOut, request_id: None }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_call_that_failed_is_named_not_the_first_one() {
        let denied = AwsError {
            operation: "iam:GetRolePolicy",
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
            request_id: Some("r1".to_owned()),
        };
        let seen = look::<()>("iam:GetRole", async { Err(denied) }).await.unwrap_err();
        assert_eq!(
            (seen.action, seen.cause, seen.request_id.as_deref()),
            ("iam:GetRolePolicy", Cause::Denied, Some("r1"))
        );
    }
}
