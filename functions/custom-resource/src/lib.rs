//! Owns the custom resources of emite-connect: the parts of the integration that CloudFormation has no safe type for.
//!
//! CloudFormation waits until it is answered, an hour if need be, so [`handle`] answers every request that can be
//! answered: after success, refusal, error and panic, with settings missing, and shortly before the function's time is
//! up. What it answers is decided by [`dispatch`], which may panic or hang without harm.

mod answer;
mod approved_origin;
mod data_streaming;
mod preflight;
mod properties;
mod request;
mod services;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use emite_connect::settings::BadSettings;
use futures_util::FutureExt;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

use answer::{Answer, Data, Mailer};
use request::{Action, Request};
use services::{Failure, Services, clock};

/// What a process sets up once.
#[derive(Debug)]
pub struct App {
    services: Result<Services, BadSettings>,
    mailer: Mailer,
}

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. Bad settings are kept and told in each answer;
    /// only a process that could not answer at all does not start.
    pub async fn start(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        Ok(Self { services: Services::from_settings(lookup).await, mailer: Mailer::new()? })
    }
}

/// The time kept back before the function's deadline, for the answer.
const RESERVE: Duration = Duration::from_secs(10);

/// Answers one request. An error means that no answer was delivered; Lambda then sends the request again.
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<(), Error> {
    let request = Request::read(&event.payload)?;
    let left = clock::until_epoch_ms(event.context.deadline);
    let answer = answer_within(left.saturating_sub(RESERVE), app, &request).await;
    let outcome = match &answer.outcome {
        Ok(_) => "SUCCESS",
        Err(reason) => reason,
    };
    tracing::info!(
        logical_id = request.reply_to.logical_id,
        resource_type = request.resource_type,
        action = ?request.action,
        physical_id = answer.physical_id,
        outcome,
        "answering CloudFormation"
    );
    let body = answer.encode(&request.reply_to);
    Ok(app.mailer.deliver(&request.reply_to, body).await?)
}

async fn answer_within(limit: Duration, app: &App, request: &Request) -> Answer {
    let failed = |reason: String| Answer { physical_id: physical_id(request), outcome: Err(reason) };
    let services = match &app.services {
        Ok(services) => services,
        Err(bad) => return failed(bad.to_string()),
    };
    let work = AssertUnwindSafe(Box::pin(dispatch(services, request))).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(outcome)) => {
            Answer { physical_id: physical_id(request), outcome: outcome.map_err(|failure| failure.to_string()) }
        }
        Ok(Err(_)) => failed("an unexpected error inside the function; its log has the details".to_owned()),
        Err(_) => failed(
            "not finished before the function's time was up. Nothing is lost: trying again goes on from here"
                .to_owned(),
        ),
    }
}

/// The type of a custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Preflight,
    DataStreaming,
    ApprovedOrigin,
}

impl Kind {
    fn of(request: &Request) -> Result<Self, Failure> {
        match request.resource_type.as_str() {
            "Custom::EmitePreflight" => Ok(Self::Preflight),
            "Custom::ConnectDataStreaming" => Ok(Self::DataStreaming),
            "Custom::ConnectApprovedOrigin" => Ok(Self::ApprovedOrigin),
            _ => Err(Failure::Refused("ResourceType is none that this function serves".to_owned())),
        }
    }
}

/// What the resource is called. It depends on the request alone, so that all answers to one request agree.
fn physical_id(request: &Request) -> String {
    let derived = match Kind::of(request) {
        Ok(Kind::Preflight) => Some("preflight".to_owned()),
        Ok(Kind::DataStreaming) => data_streaming::physical_id(&request.properties),
        Ok(Kind::ApprovedOrigin) => approved_origin::physical_id(&request.properties),
        Err(_) => None,
    };
    let known = request.physical_id.clone();
    match request.action {
        Ok(Action::Create | Action::Update) => derived.or(known),
        Ok(Action::Delete) | Err(_) => known,
    }
    .unwrap_or_else(|| format!("{}|refused", request.reply_to.logical_id))
}

async fn dispatch(services: &Services, request: &Request) -> Result<Data, Failure> {
    let action = request.action.clone().map_err(Failure::Refused)?;
    let kind = Kind::of(request)?;
    if request.reply_to.stack_id != services.stack_id.to_string() {
        return Err(Failure::Refused(format!(
            "StackId is not {}, the one stack that this function serves",
            services.stack_id
        )));
    }
    let work = async || match (action, kind) {
        (Action::Create | Action::Update, Kind::Preflight) => preflight::put(services, request).await,
        (Action::Create | Action::Update, Kind::DataStreaming) => data_streaming::put(services, request).await,
        (Action::Create | Action::Update, Kind::ApprovedOrigin) => approved_origin::put(services, request).await,
        (Action::Delete, Kind::Preflight) => Ok(Data::new()),
        (Action::Delete, Kind::DataStreaming) => data_streaming::remove(services, request).await,
        (Action::Delete, Kind::ApprovedOrigin) => approved_origin::remove(services, request).await,
    };
    services.patiently(work).await
}
