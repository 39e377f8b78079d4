//! The Lambda function that brings rejected contact records back into the search domain.

use emite_aws::logging;
use emite_aws::settings::environment;
use lambda_runtime::{Error, service_fn};
use redrive::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start(environment);
    let app = App::start(environment);
    lambda_runtime::run(service_fn(|event| handle(&app, event))).await
}
