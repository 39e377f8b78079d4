//! Owns the redrive: brings contact records that the search domain rejected back into it, under the ids that they had, and
//! moves what is done.
//!
//! A run is a batch of objects, of whatever size: each is read as a stream, its records are sent in bulk requests, and
//! those that the domain never takes go to quarantine. At every instant each record is in the domain, in its original
//! object, or in quarantine; so a run may end anywhere and be repeated. A plan reads the same and writes nothing.
//!
//! Nothing of a record, nor of what an engine or a parser says about it, is logged, counted or answered.

mod backoff;
pub mod batch;
mod bulk;
mod context;
mod deliver;
mod domain;
mod domain_state;
mod elements;
mod ending;
mod error;
#[cfg(test)]
mod fake;
mod input;
mod keys;
pub mod naming;
mod object;
mod pass;
mod quarantine;
pub mod record;
mod request;
mod run;
mod run_result;
mod summary;
pub mod unpack;
mod window;

use emite_aws::clock;
use emite_aws::eventbridge::{Event, publish};
use emite_aws::https::{self, Schemes};
use emite_aws::s3::objects::Bucket;
use emite_aws::services::{Services, SpecError};
use emite_aws::settings::BadSettings;
use emite_core::layout::StreamFolders;
use emite_core::report::REDRIVE_REPORT;
use emite_core::spec::{BadSpec, Spec};
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use domain::sha256;
pub use error::RedriveError;
pub use input::BadInput;

use context::{RESERVE, RunContext};
use domain::{BulkEndpoint, DomainClient};
use input::Input;
use naming::IndexNaming;
use request::{ExecutionInput, FinishedExecution, RunRequest};

/// What a process sets up once.
#[derive(Debug)]
pub struct App {
    services: Result<Services, BadSettings>,
    https: Result<https::Client, String>,
}

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. What is wrong with them is kept, and is
    /// the error of each invocation.
    pub fn start(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            services: Services::from_settings(lookup),
            https: https::client(Schemes::HttpsOnly).map_err(|error| error.kind().to_string()),
        }
    }
}

/// Does what one event asks for.
///
/// # Errors
/// [`RedriveError`], if there is no result; what was done until then stands.
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<Value, RedriveError> {
    let LambdaEvent { payload, context } = event;
    let services = app.services.as_ref().map_err(BadSettings::clone)?;
    let spec = services.spec_of(&services.spec_text().await?)?;
    let folders = spec.stream_folders();
    match Input::read(&payload, &folders, &spec.backup_bucket)? {
        Input::Begin(input) => begin(services, &spec, &folders, input).await,
        Input::Run(request) => {
            let end = Instant::now() + clock::until_epoch_ms(context.deadline).saturating_sub(RESERVE);
            run(app, services, &spec, *request, end).await
        }
        Input::Summarise(execution) => summarise(services, &spec, &folders, execution).await,
    }
}

/// An execution's input, with everything said that was left out.
async fn begin(
    services: &Services,
    spec: &Spec,
    folders: &StreamFolders,
    input: ExecutionInput,
) -> Result<Value, RedriveError> {
    let ExecutionInput { mode, from, to, prefix } = input;
    let prefix = match prefix {
        Some(prefix) => prefix,
        None => in_use(&Bucket::new(services.aws.s3(), spec.backup_bucket.clone()), folders.failed()).await?,
    };
    Ok(json!({"mode": mode.to_string(), "from": from, "to": to, "prefix": prefix}))
}

/// The first of several folders that has anything in it; if none has, the first.
async fn in_use(bucket: &Bucket, folders: &[String]) -> Result<String, RedriveError> {
    let [first, others @ ..] = folders else { return Ok(String::new()) };
    for folder in folders {
        if !others.is_empty() && bucket.has_any(folder).await? {
            return Ok(folder.clone());
        }
    }
    Ok(first.clone())
}

async fn run(
    app: &App,
    services: &Services,
    spec: &Spec,
    request: RunRequest,
    end: Instant,
) -> Result<Value, RedriveError> {
    let (naming, endpoint) = settings(spec).map_err(SpecError::from)?;
    let client = app.https.as_ref().map_err(|problem| RedriveError::NoTls(problem.clone()))?;
    let credentials = services.aws.credentials();
    let domain = DomainClient { endpoint, client, credentials: credentials.as_ref() };
    let context = RunContext {
        mode: request.mode,
        window: request.window,
        bucket: Bucket::new(services.aws.s3(), spec.backup_bucket.clone()),
        naming,
        post: async |body, count| {
            // What is sent last still has to be put down.
            let most = (end + RESERVE / 2).saturating_duration_since(Instant::now());
            domain.post(body, count, most).await
        },
        end,
    };
    Ok(serde_json::to_value(run::carry_out(&context, request).await?)?)
}

/// What of the spec only the redrive reads.
fn settings(spec: &Spec) -> Result<(IndexNaming, BulkEndpoint), BadSpec> {
    let rotation = spec.index_rotation.parse();
    let endpoint = BulkEndpoint::of(&spec.search_endpoint, &spec.home.region);
    match (rotation, endpoint) {
        (Ok(rotation), Ok(endpoint)) => {
            let naming =
                IndexNaming { index: spec.contact_index.clone(), rotation, doc_type: spec.contact_type.clone() };
            Ok((naming, endpoint))
        }
        (rotation, endpoint) => Err(BadSpec(rotation.err().into_iter().chain(endpoint.err()).collect())),
    }
}

async fn summarise(
    services: &Services,
    spec: &Spec,
    folders: &StreamFolders,
    execution: FinishedExecution,
) -> Result<Value, RedriveError> {
    let bucket = Bucket::new(services.aws.s3(), spec.backup_bucket.clone());
    let report = serde_json::to_value(summary::summarise(execution, spec, &bucket, folders).await)?;
    let event =
        Event { detail_type: REDRIVE_REPORT, resource: spec.instance_arn.to_string(), detail: report.to_string() };
    publish(services.aws.eventbridge(), event).await?;
    Ok(report)
}
