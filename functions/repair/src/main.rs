//! The Lambda function that fixes what the health check found, on demand.

use emite_aws::settings::environment;
use lambda_runtime::{Error, service_fn, tracing};
use repair::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let app = App::start(environment).await;
    lambda_runtime::run(service_fn(|event| handle(&app, event))).await
}
