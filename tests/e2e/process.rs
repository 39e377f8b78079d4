//! Owns a function's process beside its deployed twin: the real binary with the same environment, behind a network that
//! writes down and breaks its calls.

use std::collections::BTreeSet;
use std::time::Duration;

use emite_connect_tests::faults::{Fault, Plan, Proxy};
use emite_connect_tests::runtime_api::{Ended, Function, Invocation};
use serde_json::Value;

use crate::watched::Watched;

/// See the module.
pub(crate) struct Process {
    pub(crate) proxy: Proxy,
    function: Function,
}

/// As much time as any of the functions has.
const AMPLE: Duration = Duration::from_secs(300);

impl Process {
    /// With a ledger of its own, so that nothing is remembered.
    pub(crate) async fn of(watched: &Watched, binary: &str, logical_id: &str) -> Self {
        let ledger = watched.aws.new_ledger().await;
        Self::with(watched, binary, logical_id, &[("LEDGER_TABLE", &ledger)]).await
    }

    /// With the stack's own ledger.
    pub(crate) async fn twin(watched: &Watched, binary: &str, logical_id: &str) -> Self {
        Self::with(watched, binary, logical_id, &[]).await
    }

    async fn with(watched: &Watched, binary: &str, logical_id: &str, changes: &[(&str, &str)]) -> Self {
        let aws = watched.aws;
        let proxy = Proxy::start(&aws.endpoints.endpoint, &aws.endpoints.connect_endpoint).await;
        let mut environment = aws.root_environment();
        let variables = aws.configuration(watched.id(logical_id)).await["Environment"]["Variables"].clone();
        for (name, value) in variables.as_object().expect("variables") {
            environment.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
        let url = proxy.url();
        let network = [("AWS_ENDPOINT_URL", url.as_str()), ("AWS_ENDPOINT_URL_CONNECT", url.as_str())];
        for (name, value) in network.iter().chain(changes) {
            environment.retain(|(key, _)| key != name);
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        Self { proxy, function: Function::start(binary, &environment).await }
    }

    /// The answer to an event, or the error.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value, String> {
        self.invoke_within(AMPLE, event).await
    }

    /// The same, with this much time until the function's deadline.
    pub(crate) async fn invoke_within(&self, remaining: Duration, event: &Value) -> Result<Value, String> {
        self.read(self.function.invoke(event.to_string(), remaining).await)
    }

    fn read(&self, invocation: Invocation) -> Result<Value, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match invocation.ended {
            Ended::Response(body) => Ok(serde_json::from_slice(&body).expect("JSON")),
            Ended::Error(body) => Err(text(&body)),
            other => panic!("{other:?}: {}", self.function.log()),
        }
    }

    /// Hands out an event, and kills the process once the call of `plan` is done and not answered, or held.
    pub(crate) async fn die_within(self, event: &Value, plan: Plan) {
        assert!(matches!(plan.fault, Fault::Stuck | Fault::Held), "{plan:?}");
        self.proxy.plan([plan]);
        let text = event.to_string();
        tokio::select! {
            () = self.proxy.stuck() => {}
            ended = self.function.invoke(text, AMPLE) => panic!("it went past the call: {ended:?}"),
        }
        self.function.stop().await;
    }

    /// The names of the calls so far; none that the harness does not know.
    pub(crate) fn actions(&self) -> BTreeSet<String> {
        assert_eq!(self.proxy.strangers(), Vec::<String>::new());
        self.proxy.calls().into_iter().map(|call| call.action).collect()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.function.log()
    }

    /// Ends it; every action that was called.
    pub(crate) async fn end(self) -> BTreeSet<String> {
        let actions = self.actions();
        self.function.stop().await;
        actions
    }
}
