//! The Lambda function that notifies people of what happens to the integration.

use emite_aws::logging;
use emite_aws::settings::environment;
use lambda_runtime::{Error, service_fn};
use reporter::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start(environment);
    let app = App::start(environment);
    lambda_runtime::run(service_fn(|event| handle(&app, event))).await
}
