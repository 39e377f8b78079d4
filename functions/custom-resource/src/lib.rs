//! Owns the custom resources of emite-connect: the parts of the integration that CloudFormation has no safe type for.
//!
//! CloudFormation waits until it is answered, an hour if need be, so [`handle`] answers every request that can be
//! answered: after success, refusal, error and panic, with settings missing, and shortly before the function's time is
//! up. What it answers is decided by [`dispatch`], which may panic or get stuck without harm.

mod approved_origin;
mod asked;
mod data_streaming;
mod handover;
mod parameters;
mod preflight;
mod properties;
mod provider;
mod request;
mod response;
#[cfg(test)]
mod sequences;
mod turn;
mod watch;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use emite_aws::clock;
use emite_aws::settings::BadSettings;
use futures_util::FutureExt;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

use asked::Asked;
use provider::{Provider, RequestFailure};
use request::{Action, Object, Request, ResponseAddresses};
use response::{Done, Mailer, Response};

/// What a process sets up once.
#[derive(Debug)]
pub struct App {
    addresses: ResponseAddresses,
    provider: Result<Provider, BadSettings>,
    mailer: Mailer,
}

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. Bad settings are kept and reported in each
    /// response; only a process that could not answer at all does not start.
    pub fn start(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let addresses = ResponseAddresses::from_environment(&lookup);
        Ok(Self { addresses, provider: Provider::from_settings(lookup), mailer: Mailer::new()? })
    }
}

/// The time kept back before the function's deadline, for the response.
const RESERVE: Duration = Duration::from_secs(10);

/// Answers one request. An error means that no response was delivered; Lambda then sends the request again.
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<(), Error> {
    let request = Request::read(&event.payload, &app.addresses)?;
    let left = clock::until_epoch_ms(event.context.deadline);
    let response = respond_within(left.saturating_sub(RESERVE), app, &request).await;
    let outcome = match &response.outcome {
        Ok(_) => "SUCCESS",
        Err(reason) => reason,
    };
    tracing::info!(
        logical_id = request.reply_to.logical_id,
        resource_type = request.resource_type,
        action = ?request.action,
        physical_id = response.physical_id,
        outcome,
        "answering CloudFormation"
    );
    let body = response.encode(&request.reply_to);
    Ok(app.mailer.deliver(&request.reply_to, body).await?)
}

async fn respond_within(limit: Duration, app: &App, request: &Request) -> Response {
    let outcome = match &app.provider {
        Ok(provider) => guarded(limit, Box::pin(dispatch(provider, request))).await,
        Err(bad) => Err(bad.to_string()),
    };
    Response { physical_id: physical_id(request), outcome }
}

/// What `work` comes to, or why there is nothing after `limit` or a panic.
async fn guarded(limit: Duration, work: impl Future<Output = Result<Done, RequestFailure>>) -> Result<Done, String> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(outcome)) => outcome.map_err(|failure| failure.to_string()),
        Ok(Err(_)) => Err("an unexpected error inside the function; its log has the details".to_owned()),
        Err(_) => {
            Err("not finished before the function's time was up. Nothing is lost: trying again goes on from here"
                .to_owned())
        }
    }
}

/// The type of a custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Preflight,
    DataStreaming,
    ApprovedOrigin,
    Watch,
    Handover,
}

impl Kind {
    fn of(request: &Request) -> Result<Self, RequestFailure> {
        match request.resource_type.as_str() {
            "Custom::EmitePreflight" => Ok(Self::Preflight),
            "Custom::ConnectDataStreaming" => Ok(Self::DataStreaming),
            "Custom::ConnectApprovedOrigin" => Ok(Self::ApprovedOrigin),
            "Custom::EmiteWatch" => Ok(Self::Watch),
            "Custom::EmiteHandover" => Ok(Self::Handover),
            _ => Err(RequestFailure::Refused("ResourceType is none that this function serves".to_owned())),
        }
    }
}

/// What the resource with these properties is called, if they name it at all.
fn derived_id(kind: Kind, properties: &Object) -> Option<String> {
    match kind {
        Kind::Preflight => Some("preflight".to_owned()),
        Kind::DataStreaming => data_streaming::physical_id(properties),
        Kind::ApprovedOrigin => approved_origin::physical_id(properties),
        Kind::Watch => Some("watch".to_owned()),
        Kind::Handover => Some("handover".to_owned()),
    }
}

/// What the resource is called. It depends on the request alone, so that all responses to one request agree.
fn physical_id(request: &Request) -> String {
    let known = request.physical_id.clone();
    match request.action {
        Ok(Action::Create | Action::Update) => {
            Kind::of(request).ok().and_then(|kind| derived_id(kind, &request.properties)).or(known)
        }
        Ok(Action::Delete) | Err(_) => known,
    }
    .unwrap_or_else(|| format!("{}|refused", request.reply_to.logical_id))
}

/// Whether what an update starts from is a replacement that CloudFormation does not know of: it died unanswered, and is
/// rolled back now. No Delete will follow for it.
fn starts_from_an_orphan(kind: Kind, request: &Request) -> bool {
    let old = derived_id(kind, &request.old_properties);
    old.is_some() && old != request.physical_id && old != derived_id(kind, &request.properties)
}

async fn dispatch(provider: &Provider, request: &Request) -> Result<Done, RequestFailure> {
    let action = request.action.clone().map_err(RequestFailure::Refused)?;
    let kind = Kind::of(request)?;
    if request.reply_to.stack_id != provider.stack_id.to_string() {
        return Err(RequestFailure::Refused(format!(
            "StackId is not {}, the one stack that this function serves",
            provider.stack_id
        )));
    }
    let ask = async || asked::by_cloudformation(provider, request, action).await;
    let work = async || {
        if action == Action::Delete {
            return remove(provider, kind, request, &request.properties, &ask).await;
        }
        let done = match kind {
            Kind::Preflight => preflight::put(provider, request, &ask().await?).await?.into(),
            Kind::DataStreaming => data_streaming::put(provider, request, &ask).await?,
            Kind::ApprovedOrigin => approved_origin::put(provider, request, &ask).await?,
            Kind::Watch => {
                ask().await?;
                watch::put(provider, request).await?.into()
            }
            Kind::Handover => {
                ask().await?;
                handover::put(provider, request).await?
            }
        };
        if action == Action::Update && starts_from_an_orphan(kind, request) {
            remove(provider, kind, request, &request.old_properties, &ask).await?;
        }
        Ok(done)
    };
    provider.patiently(work).await
}

async fn remove(
    provider: &Provider,
    kind: Kind,
    request: &Request,
    properties: &Object,
    ask: &impl AsyncFn() -> Result<Asked, RequestFailure>,
) -> Result<Done, RequestFailure> {
    let reply_to = &request.reply_to;
    let removed = match kind {
        // The documents of a handover are the customer's record, in a bucket that is kept.
        Kind::Preflight | Kind::Watch | Kind::Handover => Ok(Done::default()),
        Kind::DataStreaming => data_streaming::remove(provider, reply_to, properties, ask).await,
        Kind::ApprovedOrigin => approved_origin::remove(provider, reply_to, properties, ask).await,
    };
    match removed {
        // What is there belongs to the request that came later.
        Err(failure @ RequestFailure::Superseded) => Ok(Done { note: failure.to_string(), ..Done::default() }),
        Err(failure) if failure.may_mean_no_ledger() && provider.ledger.is_gone().await? => {
            tracing::warn!(%failure, "nothing is restored");
            Ok(Done { note: without_ledger(&provider.ledger.table), ..Done::default() })
        }
        removed => removed,
    }
}

/// The previous configuration is unknown without the ledger, and a failure would block the deletion of the stack permanently.
fn without_ledger(table: &str) -> String {
    format!(
        "The ledger table {table} no longer exists, so the configuration from before this stack cannot be restored. Amazon Connect is \
         left as it is. If it streams to this stack's streams, which are deleted with it, or lists the approved origin, change that \
         in the Amazon Connect console (Data streaming, Approved origins)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn panic_is_reported_as_a_failure() {
        let work = async { panic!("a bug") };
        assert!(guarded(LIMIT, work).await.unwrap_err().contains("unexpected error"));
    }

    #[tokio::test(start_paused = true)]
    async fn stuck_work_is_given_up_at_the_limit() {
        let started = tokio::time::Instant::now();
        assert!(guarded(LIMIT, std::future::pending()).await.unwrap_err().contains("time was up"));
        assert_eq!(started.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn result_of_work_that_ends_in_time_is_kept() {
        let refused = guarded(LIMIT, async { Err(RequestFailure::Refused("no".to_owned())) }).await;
        assert_eq!(refused, Err("no".to_owned()));
        assert_eq!(guarded(LIMIT, async { Ok(Done::default()) }).await, Ok(Done::default()));
    }
}
