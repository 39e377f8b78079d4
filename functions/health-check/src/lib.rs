//! Owns the health check: one run reads everything, judges it, and reports the result in three ways: as the function's
//! response, as an event for whoever wants it, and as a log line with metrics in it.
//!
//! What started the run does not matter: the schedule, a notification of the search domain, or a person. A run that
//! cannot report has failed, so that Lambda tries again and then sends a failure record.

mod metrics;

use std::sync::{Arc, Mutex, PoisonError};

use emite_aws::error::AwsError;
use emite_aws::eventbridge::{self, Event};
use emite_aws::observe::{Latch, observe};
use emite_aws::services::{Services, SpecError};
use emite_aws::settings::BadSettings;
use emite_aws::{clock, cloudformation};
use emite_core::judge::judge;
use emite_core::report::{HEALTH_REPORT, Report};
use emite_core::spec::Spec;
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;

/// What a process sets up once.
#[derive(Debug)]
pub struct App {
    services: Result<Services, BadSettings>,
    /// The spec of the last run.
    known: Mutex<Option<Arc<Known>>>,
}

/// A spec, and the text that it was read from.
#[derive(Debug)]
struct Known {
    text: String,
    spec: Spec,
}

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. Bad settings are kept, and each run fails
    /// with them.
    pub fn start(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { services: Services::from_settings(lookup), known: Mutex::default() }
    }
}

/// Why a run came to no report, or could not publish it.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The function's environment is wrong.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// What the stack set up is not known.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The report could not be published.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The report could not be written down.
    #[error("the report has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<CheckError> for Diagnostic {
    fn from(error: CheckError) -> Self {
        let error_type = match &error {
            CheckError::Settings(_) => "BadSettings",
            CheckError::Spec(error) => error.name(),
            CheckError::Aws(_) => "AwsError",
            CheckError::Json(_) => "NoJson",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// Checks everything once, and returns the report. While the stack is being changed, nothing is judged.
///
/// # Errors
/// [`CheckError`], when there is no report or it could not be published.
pub async fn handle(app: &App, _event: LambdaEvent<Value>) -> Result<RunOutcome, CheckError> {
    let services = app.services.as_ref().map_err(BadSettings::clone)?;
    let now = clock::now();
    let changing = cloudformation::is_changing(services.aws.cloudformation(), &services.stack_id, now);
    // What a change of the stack has half done, the spec included, is no report.
    let (changing, report) = tokio::join!(changing, Box::pin(check(services, &app.known, now)));
    if changing {
        metrics::log_skipped(&services.stack_id, now);
        return Ok(RunOutcome::Skipped { skipped: "the stack is being changed; run it again when that is done" });
    }
    let report = report?;
    publish(services, &report).await?;
    metrics::log(&services.stack_id, &report);
    Ok(RunOutcome::Report(Box::new(report)))
}

/// What a run returns.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum RunOutcome {
    /// What it found.
    Report(Box<Report>),
    /// Nothing was judged or published.
    Skipped {
        /// Why.
        skipped: &'static str,
    },
}

/// Observes and judges. A process that is warm observes by the spec that it knows while it reads the current one, which
/// is nearly always the same; if it is not, that observation is thrown away.
async fn check(services: &Services, last: &Mutex<Option<Arc<Known>>>, now: Timestamp) -> Result<Report, CheckError> {
    let known = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let ledger = services.ledger();
    let read = async |spec: &Spec| observe(&services.aws, &ledger, spec, Latch::Moves, now).await;
    let early = async {
        match &known {
            Some(known) => Some((known, Box::pin(read(&known.spec)).await)),
            None => None,
        }
    };
    let (text, early) = tokio::join!(services.spec_text(), early);
    let text = text?;
    if let Some((known, snapshot)) = early
        && known.text == text
    {
        return Ok(judge(&known.spec, &snapshot).report);
    }
    let spec = services.spec_of(&text)?;
    let report = judge(&spec, &Box::pin(read(&spec)).await).report;
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Known { text, spec }));
    Ok(report)
}

async fn publish(services: &Services, report: &Report) -> Result<(), CheckError> {
    let event = Event {
        detail_type: HEALTH_REPORT,
        resource: report.instance_arn.to_string(),
        detail: serde_json::to_string(report)?,
    };
    Ok(eventbridge::publish(services.aws.eventbridge(), event).await?)
}
