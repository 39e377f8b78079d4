//! Owns carrying out one invocation: it changes the ledger entry by what was decided, publishes what the entry holds, and
//! takes each message out afterwards.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use emite_aws::error::AwsError;
use emite_aws::ledger::{Entry, Key, LedgerError};
use emite_aws::services::Services;
use emite_aws::sns::{self, Notification};
use emite_aws::{clock, wait};

use crate::episodes::{OutboxFull, State, decide};
use crate::error::ReportError;
use crate::input::Input;
use crate::message::{Message, severity_name};
use crate::outbox::Waiting;
use crate::scene::Scene;

/// The time kept back before the function's deadline.
const RESERVE: Duration = Duration::from_secs(5);
/// One invocation.
pub(crate) struct Invocation<'a> {
    pub(crate) services: &'a Services,
    pub(crate) scene: &'a Scene,
    /// The name under which it claims messages.
    pub(crate) by: String,
    /// In milliseconds since 1970.
    pub(crate) deadline: u64,
}

/// A name for this invocation that no other has, not even the same event when it comes again.
pub(crate) fn claimant(request_id: &str) -> String {
    format!("{request_id}/{:016x}", RandomState::new().hash_one(request_id))
}

impl Invocation<'_> {
    /// Takes the event into the ledger entry. Returns what this invocation has to publish, and whether the event has to
    /// come again.
    pub(crate) async fn decide(&self, input: &Input) -> Result<(Vec<Waiting>, Option<OutboxFull>), LedgerError> {
        self.change(|state| {
            let decision = decide(state, input, clock::now(), &self.by, self.scene);
            (decision.state, (decision.claimed, decision.refused))
        })
        .await
    }

    /// Publishes each message and takes it out. After a failure the others are tried too, once: one message that SNS
    /// rejects must not hold up the rest.
    pub(crate) async fn publish(&self, claimed: Vec<Waiting>) -> Result<Vec<Message>, ReportError> {
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
            match self.send(&waiting.message, time).await {
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
        self.release().await?;
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

    async fn release(&self) -> Result<(), LedgerError> {
        self.change(|mut state| {
            state.outbox.release(&self.by);
            (state, ())
        })
        .await
    }

    /// Reads the entry, passes it to `change`, and writes it back if that made a difference; again if another invocation
    /// wrote in between.
    async fn change<T>(&self, change: impl Fn(State) -> (State, T)) -> Result<T, LedgerError> {
        let key = Key { partition: "alert#episodes".to_owned(), sort: self.services.stack_id.to_string() };
        let ledger = self.services.ledger();
        let attempt = async || {
            let entry: Option<Entry<State>> = ledger.read(&key).await?;
            let (before, version) = entry.map_or((State::default(), None), |entry| (entry.value, Some(entry.version)));
            let (after, result) = change(before.clone());
            if after == before {
                return Ok(result);
            }
            ledger.write(&key, &after, version, None).await.map(|_| result)
        };
        let undisturbed = |written: &Result<T, LedgerError>| !matches!(written, Err(LedgerError::ChangedMeanwhile(_)));
        wait::until_spread(wait::FOR_THE_LEDGER, attempt, undisturbed).await
    }

    /// Needs `sns:Publish`.
    async fn send(&self, message: &Message, timeout: Duration) -> Result<(), AwsError> {
        let attributes = [
            ("severity", severity_name(message.severity)),
            ("check", message.check.as_str()),
            ("state", message.state.name()),
        ];
        let notification = Notification { subject: &message.subject, message: &message.body, attributes: &attributes };
        let publish = sns::publish(self.services.aws.sns(), &self.scene.spec.alert_topic, &notification);
        let late = |_| AwsError::unusable("sns:Publish", "no answer in time".to_owned());
        tokio::time::timeout(timeout, publish).await.map_err(late)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_invocations_of_one_event_have_different_names() {
        assert_ne!(claimant("request-1"), claimant("request-1"));
    }
}
