//! Owns which messages people get: every event about the integration comes here, and people get one message when something
//! breaks, one when it is over, and a reminder a day in between.
//!
//! An invocation reads one ledger entry, decides with [`episodes`] what the event means, and writes the entry back with the
//! messages in it. Only then are they published, each taken out of the entry afterwards. Of two invocations at once one
//! wins the write and the other decides anew, so nothing is sent twice and nothing is lost.

mod episodes;
mod error;
mod failure;
#[cfg(test)]
mod fixtures;
mod input;
mod invocation;
mod message;
mod outbox;
mod redrive;
mod scene;
mod silence;
mod text;

use emite_aws::clock;
use emite_aws::services::Services;
use emite_aws::settings::BadSettings;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};

pub use error::ReportError;

use input::{EventContext, Input};
use invocation::{Invocation, claimant};
use message::Message;
use scene::Scene;

/// What a process sets up once.
#[derive(Debug)]
pub struct App(Result<Services, BadSettings>);

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. Bad settings are kept, and each invocation
    /// fails with them.
    pub fn start(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self(Services::from_settings(lookup))
    }
}

/// Handles one event, and returns what was published.
///
/// # Errors
/// [`ReportError`], when the event was not handled or not every message of it was published.
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<Value, ReportError> {
    let LambdaEvent { payload, context } = event;
    let services = app.0.as_ref().map_err(BadSettings::clone)?;
    let spec = services.spec_of(&services.spec_text().await?)?;
    let scene = Scene { spec, function: context.env_config.function_name.clone() };
    let known = EventContext { spec: &scene.spec, now: clock::now(), request_id: &context.request_id };
    let input = Input::read(payload, &known)?;
    let by = claimant(&context.request_id);
    let invocation = Invocation { services, scene: &scene, by, deadline: context.deadline };
    let (claimed, refused) = invocation.decide(&input).await?;
    let published = invocation.publish(claimed).await?;
    match refused {
        Some(_) => Err(ReportError::OutboxFull),
        None => Ok(result(&input, &published)),
    }
}

/// What the invocation returns.
fn result(input: &Input, published: &[Message]) -> Value {
    let messages: Vec<Value> = published
        .iter()
        .map(|message| json!({"state": message.state.name(), "check": message.check, "subject": message.subject}))
        .collect();
    match input {
        Input::Silence { check, silence: Some(silence) } => json!({
            "messages": messages,
            "silenced": {"check": check, "until": silence.until.to_string(), "reason": silence.reason},
        }),
        Input::Silence { check, silence: None } => {
            json!({"messages": messages, "silenced": {"check": check, "until": null}})
        }
        _ => json!({ "messages": messages }),
    }
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;

    use super::*;

    async fn outcome(lookup: impl Fn(&str) -> Option<String>) -> String {
        let app = App::start(lookup);
        let event = LambdaEvent::new(json!({"test": true}), Context::default());
        handle(&app, event).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn each_invocation_fails_with_all_bad_settings() {
        assert_eq!(
            outcome(|_| None).await,
            "the function is not configured: environment variable LEDGER_TABLE is missing or empty; environment variable \
             SPEC_PARAMETER is missing or empty; environment variable STACK_ID is missing or empty"
        );
        let text = outcome(|name| Some(name.to_owned())).await;
        assert!(text.contains("STACK_ID is 'STACK_ID': is not an ARN"), "{text}");
    }

    #[test]
    fn the_answer_says_what_was_published_and_what_is_silenced() {
        let message = message::test(&fixtures::scene(), fixtures::noon());
        assert_eq!(
            result(&Input::Test { id: "x".to_owned() }, &[message]),
            json!({"messages": [
                {"state": "test", "check": "test", "subject": "[Test] example-contact-centre: this is a test message"}
            ]})
        );
        let silence = silence::Silence { until: fixtures::noon(), reason: "x".to_owned() };
        let input = Input::Silence { check: "iterator-age".to_owned(), silence: Some(silence) };
        let silenced = json!({"check": "iterator-age", "until": "2026-11-24T01:00:00Z", "reason": "x"});
        assert_eq!(result(&input, &[]), json!({"messages": [], "silenced": silenced}));
    }
}
