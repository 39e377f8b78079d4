//! Owns who hears of what: every event about the integration comes here, and people get one message when something
//! breaks, one when it is over, and a reminder a day in between.
//!
//! An invocation reads one ledger entry, decides with [`episodes`] what the event means, and writes the entry back with the
//! messages in it. Only then are they published, each taken out of the entry afterwards. Of two invocations at once one
//! wins the write and the other decides anew, so nothing is sent twice and nothing is lost.

mod episodes;
mod error;
#[cfg(test)]
mod fixtures;
mod input;
mod message;
mod outbox;
mod text;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_sdk_sns::types::MessageAttributeValue;
use emite_aws::clock;
use emite_aws::error::AwsError;
use emite_aws::ledger::{Entry, Key, LedgerError};
use emite_aws::services::Services;
use emite_aws::settings::BadSettings;
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};

pub use error::ReportError;

use episodes::{Full, Scene, State, step};
use input::{Input, Known};
use message::{Message, severity_name};
use outbox::Waiting;

/// What a process sets up once.
#[derive(Debug)]
pub struct App(Result<Services, BadSettings>);

impl App {
    /// Sets up what the function needs, with its settings from `lookup`. Bad settings are kept, and told by each
    /// invocation.
    pub async fn start(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self(Services::from_settings(lookup).await)
    }
}

/// Handles one event, and returns what was published.
///
/// # Errors
/// [`ReportError`], when the event was not handled or not all of it could be told.
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<Value, ReportError> {
    let LambdaEvent { payload, context } = event;
    let services = app.0.as_ref().map_err(BadSettings::clone)?;
    let spec = services.spec_of(&services.spec_text().await?)?;
    let scene = Scene { spec, function: context.env_config.function_name.clone() };
    let known = Known { spec: &scene.spec, now: clock::now(), request_id: &context.request_id };
    let input = Input::read(payload, &known)?;
    let turn = Turn { services, by: claimant(&context.request_id), deadline: context.deadline };
    let (claimed, refused) = turn.decide(&scene, &input).await?;
    let published = turn.publish(&scene, claimed).await?;
    match refused {
        Some(Full) => Err(ReportError::Full),
        None => Ok(answer(&input, &published)),
    }
}

/// A name for this invocation that no other has, not even the same event when it comes again.
fn claimant(request_id: &str) -> String {
    format!("{request_id}/{:016x}", RandomState::new().hash_one(request_id))
}

fn answer(input: &Input, published: &[Message]) -> Value {
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

/// What one invocation does to the ledger's entry: pure, so that any interleaving can be tried out. Returns the new
/// state, what this invocation has to publish, and whether the event has to come again.
fn decide(state: State, input: &Input, now: Timestamp, by: &str, scene: &Scene) -> (State, Vec<Waiting>, Option<Full>) {
    let (mut state, refused) = match step(state.clone(), input, now, scene) {
        Ok(state) => (state, None),
        Err(full) => (state, Some(full)),
    };
    let claimed = state.outbox.claim(by, now);
    (state, claimed, refused)
}

/// The time kept back before the function's deadline.
const RESERVE: Duration = Duration::from_secs(5);

/// One invocation.
struct Turn<'a> {
    services: &'a Services,
    by: String,
    deadline: u64,
}

impl Turn<'_> {
    async fn decide(&self, scene: &Scene, input: &Input) -> Result<(Vec<Waiting>, Option<Full>), LedgerError> {
        self.change(|state| {
            let (state, claimed, refused) = decide(state, input, clock::now(), &self.by, scene);
            (state, (claimed, refused))
        })
        .await
    }

    /// Publishes each message and takes it out. After a failure the others are tried too, once: one message that SNS
    /// does not take must not hold up the rest.
    async fn publish(&self, scene: &Scene, claimed: Vec<Waiting>) -> Result<Vec<Message>, ReportError> {
        const FAILURES: usize = 2;
        let (mut published, mut failed, mut left) = (Vec::new(), Vec::new(), claimed.len());
        let mut held: Vec<String> = Vec::new();
        for waiting in claimed {
            let time = clock::until_epoch_ms(self.deadline).saturating_sub(RESERVE);
            if time.is_zero() || failed.len() >= FAILURES {
                break;
            }
            if held.contains(&waiting.episode) {
                continue;
            }
            let sent = tokio::time::timeout(time, send(self.services, scene, &waiting.message)).await;
            match sent.unwrap_or_else(|_| Err(AwsError::unusable(PUBLISH, "no answer in time".to_owned()))) {
                Ok(()) => {
                    tracing::info!(state = waiting.message.state.name(), check = waiting.message.check, "published");
                    self.mark(waiting.id).await?;
                    published.push(waiting.message);
                    left -= 1;
                }
                Err(error) => {
                    failed.push(error);
                    held.extend(Some(waiting.episode).filter(|episode| !episode.is_empty()));
                }
            }
        }
        if left == 0 {
            return Ok(published);
        }
        self.change(|mut state| {
            state.outbox.release(&self.by);
            (state, ())
        })
        .await?;
        let first = failed.into_iter().next();
        Err(first.map_or(ReportError::OutOfTime(left), |first| ReportError::Unpublished { waiting: left, first }))
    }

    async fn mark(&self, id: u64) -> Result<(), LedgerError> {
        self.change(|mut state| {
            state.outbox.mark(id, &self.by, clock::now());
            (state, ())
        })
        .await
    }

    /// Reads the entry, lets `change` have it, and writes it back if that made a difference; again if somebody else wrote
    /// in between.
    async fn change<T>(&self, change: impl Fn(State) -> (State, T)) -> Result<T, LedgerError> {
        const PAUSES_MS: [u64; 8] = [20, 50, 100, 200, 400, 800, 1200, 1600];
        let key = Key { partition: "alert#episodes".to_owned(), sort: self.services.stack_id.to_string() };
        let mut pauses = PAUSES_MS.into_iter();
        loop {
            let entry: Option<Entry<State>> = self.services.ledger.read(&key).await?;
            let (before, version) = entry.map_or((State::default(), None), |entry| (entry.value, Some(entry.version)));
            let (after, outcome) = change(before.clone());
            if after == before {
                return Ok(outcome);
            }
            match (self.services.ledger.write(&key, &after, version, None).await, pauses.next()) {
                (Err(LedgerError::ChangedMeanwhile(_)), Some(pause)) => {
                    let jitter = RandomState::new().hash_one(pause) % pause;
                    tokio::time::sleep(Duration::from_millis(pause / 2 + jitter)).await;
                }
                (written, _) => return written.map(|_| outcome),
            }
        }
    }
}

const PUBLISH: &str = "sns:Publish";

/// Needs `sns:Publish`.
async fn send(services: &Services, scene: &Scene, message: &Message) -> Result<(), AwsError> {
    let attributes = [
        ("severity", severity_name(message.severity)),
        ("check", message.check.as_str()),
        ("state", message.state.name()),
    ];
    let mut publish = services
        .aws
        .sns()
        .publish()
        .topic_arn(scene.spec.alert_topic.to_string())
        .subject(&message.subject)
        .message(&message.body);
    for (name, value) in attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        let value = value.map_err(|_| AwsError::unusable(PUBLISH, "an attribute has no type".to_owned()))?;
        publish = publish.message_attributes(name, value);
    }
    publish.send().await.map_err(AwsError::of(PUBLISH))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;

    use super::*;

    async fn outcome(lookup: impl Fn(&str) -> Option<String>) -> String {
        let app = App::start(lookup).await;
        let event = LambdaEvent::new(json!({"test": true}), Context::default());
        handle(&app, event).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn bad_settings_are_told_by_each_invocation_all_at_once() {
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
            answer(&Input::Test { id: "x".to_owned() }, &[message]),
            json!({"messages": [
                {"state": "test", "check": "test", "subject": "[Test] example-contact-centre: this is a test message"}
            ]})
        );
        let silence = episodes::Silence { until: fixtures::noon(), reason: "x".to_owned() };
        let input = Input::Silence { check: "iterator-age".to_owned(), silence: Some(silence) };
        let silenced = json!({"check": "iterator-age", "until": "2026-11-24T01:00:00Z", "reason": "x"});
        assert_eq!(answer(&input, &[]), json!({"messages": [], "silenced": silenced}));
    }

    #[test]
    fn two_invocations_of_one_event_are_told_apart() {
        assert_ne!(claimant("request-1"), claimant("request-1"));
    }
}
