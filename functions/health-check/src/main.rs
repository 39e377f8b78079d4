//! The Lambda function that checks every link between Amazon Connect and eMite.

use emite_aws::logging;
use emite_aws::settings::environment;
use health_check::{App, handle};
use lambda_runtime::{Error, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start(environment);
    let app = App::start(environment);
    lambda_runtime::run(service_fn(|event| handle(&app, event))).await
}
