//! Owns applying changes to policy documents, which AWS keeps without a version: each is read again right before it is
//! written, and left alone if it has changed since the change was decided.

use emite_core::policies::emite_role::POLICY;
use emite_core::policies::trust::Admission;
use emite_core::policy::merge;
use serde_json::Value;

use super::outcome::{Applied, ApplyError};
use crate::clients::Aws;
use crate::error::AwsError;
use crate::{iam, opensearch, wait};

/// Merges `statements` into the access policy of `domain`, which accepts one change at a time.
pub(super) async fn admit_to_domain(
    aws: &Aws,
    domain: &str,
    seen: &Value,
    statements: &[Value],
) -> Result<Applied, ApplyError> {
    const WHAT: &str = "the access policy of the search domain";
    if !opensearch::access_policy(aws.opensearch(), domain).await?.is_in_force {
        return Err(ApplyError::InProgress(WHAT));
    }
    let document = PolicyDocument { what: WHAT, seen };
    let put = async || {
        let read = async || Ok(opensearch::access_policy(aws.opensearch(), domain).await?.document);
        let write = async |policy: String| set_access_policy(aws, domain, policy).await;
        document.put(|live| merge::merged(live, statements), read, write).await
    };
    match put().await {
        // The other change may have ended before it could be observed: read, compare and write once more.
        Err(ApplyError::Aws(error)) if error.is_invalid_request() => put().await,
        outcome => outcome,
    }
}

/// Sets the access policy.
///
/// While another change to the domain is in progress, AWS rejects this one with a `ValidationException`, the code of
/// every other invalid request. Whether that is the reason is read from the domain, not from the message.
async fn set_access_policy(aws: &Aws, domain: &str, policy: String) -> Result<(), ApplyError> {
    match opensearch::set_access_policy(aws.opensearch(), domain, policy).await {
        Err(error) if error.is_invalid_request() => {
            let described = opensearch::domain(aws.opensearch(), domain).await;
            let busy = described.is_ok_and(|domain| domain.is_some_and(|domain| domain.processing));
            Err(if busy { ApplyError::InProgress("the search domain") } else { error.into() })
        }
        written => Ok(written?),
    }
}

/// Waits a minute at most until the access policy of `domain` is in force.
pub(super) async fn in_force(aws: &Aws, domain: &str) {
    let read =
        async || opensearch::access_policy(aws.opensearch(), domain).await.is_ok_and(|policy| policy.is_in_force);
    if !wait::until(wait::FOR_A_MINUTE, read, |in_force| *in_force).await {
        tracing::warn!(domain, "the domain has accepted its new access policy and not put it in force yet");
    }
}

/// Merges the trust policy of `role` so that it admits only `admission`.
pub(super) async fn set_trust(
    aws: &Aws,
    role: &str,
    seen: &Value,
    admission: &Admission,
) -> Result<Applied, ApplyError> {
    let read = async || iam::described(aws.iam(), role).await.map(|role| role.trust);
    let write = async |policy: String| Ok(iam::set_trust(aws.iam(), role, policy).await?);
    let document = PolicyDocument { what: "the trust policy of the role", seen };
    document.put(|live| admission.merged_into(live), read, write).await
}

/// Merges `statements` into the stack's inline policy of `role`.
pub(super) async fn set_role_policy(
    aws: &Aws,
    role: &str,
    seen: &Value,
    statements: &[Value],
) -> Result<Applied, ApplyError> {
    let read = async || Ok(iam::inline_policy(aws.iam(), role, POLICY).await?.unwrap_or_default());
    let write = async |policy: String| Ok(iam::set_inline_policy(aws.iam(), role, POLICY, policy).await?);
    let document = PolicyDocument { what: "the policy of the role", seen };
    document.put(|live| merge::merged(live, statements), read, write).await
}

/// A policy document as it was when a change to it was decided; null if there was none.
struct PolicyDocument<'a> {
    what: &'static str,
    seen: &'a Value,
}

impl PolicyDocument<'_> {
    /// Merges into what stands there now. Only what was seen is overwritten; what needs no change is not written.
    async fn put(
        &self,
        merged: impl Fn(&Value) -> Value,
        read: impl AsyncFn() -> Result<Value, AwsError>,
        write: impl AsyncFn(String) -> Result<(), ApplyError>,
    ) -> Result<Applied, ApplyError> {
        let live = read().await?;
        let wanted = merged(&live);
        if wanted == live {
            return Ok(Applied::Unchanged);
        }
        if live != *self.seen {
            return Err(ApplyError::ChangedMeanwhile(self.what.to_owned()));
        }
        match write(wanted.to_string()).await {
            // The change in progress may be this one, accepted by an attempt whose answer got lost.
            Err(ApplyError::InProgress(_)) if read().await.is_ok_and(|live| merged(&live) == live) => {}
            written => written?,
        }
        self.settled(merged, read).await;
        Ok(Applied::Done)
    }

    /// Waits until the write shows. It worked in any case, so not seeing it is no error.
    async fn settled(&self, merged: impl Fn(&Value) -> Value, read: impl AsyncFn() -> Result<Value, AwsError>) {
        let shows = async || read().await.is_ok_and(|live| merged(&live) == live);
        if wait::until(wait::BRIEFLY, shows, |shows| *shows).await {
            return;
        }
        tracing::warn!(what = self.what, "AWS accepted the change and does not show it yet");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use serde_json::json;

    use super::*;

    fn with_ours(live: &Value) -> Value {
        merge::merged(live, &[json!({"Sid": "Ours", "Effect": "Allow", "Action": "x:A", "Resource": "*"})])
    }

    fn refused() -> ApplyError {
        AwsError::unusable("iam:PutRolePolicy", "no".to_owned()).into()
    }

    async fn put(seen: &Value, live: &RefCell<Value>, writes: &Cell<u32>) -> Result<Applied, ApplyError> {
        let read = async || Ok(live.borrow().clone());
        let write = async |policy: String| {
            writes.set(writes.get() + 1);
            *live.borrow_mut() = serde_json::from_str(&policy).map_err(|_| refused())?;
            Ok(())
        };
        PolicyDocument { what: "the policy", seen }.put(with_ours, read, write).await
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_written_once_and_a_second_time_changes_nothing() {
        let (seen, writes) = (Value::Null, Cell::new(0));
        let live = RefCell::new(seen.clone());
        assert_eq!(put(&seen, &live, &writes).await.unwrap(), Applied::Done);
        assert_eq!(put(&seen, &live, &writes).await.unwrap(), Applied::Unchanged);
        assert_eq!(writes.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_in_between_is_left_as_it_is() {
        let (seen, writes) = (Value::Null, Cell::new(0));
        let theirs =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "x:B", "Resource": "*"}]});
        let live = RefCell::new(theirs.clone());
        let error = put(&seen, &live, &writes).await.unwrap_err();
        assert!(error.is_changed_meanwhile(), "{error}");
        assert_eq!((writes.get(), live.into_inner()), (0, theirs));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_does_not_show_is_believed_after_a_few_seconds() {
        let read = async || Ok(Value::Null);
        let write = async |_| Ok(());
        let document = PolicyDocument { what: "the policy", seen: &Value::Null };
        assert_eq!(document.put(with_ours, read, write).await.unwrap(), Applied::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn busy_write_that_shows_was_ours_and_one_that_does_not_is_another_change() {
        for accepted in [true, false] {
            let live = RefCell::new(Value::Null);
            let read = async || Ok(live.borrow().clone());
            let write = async |policy: String| {
                if accepted {
                    *live.borrow_mut() = serde_json::from_str(&policy).map_err(|_| refused())?;
                }
                Err(ApplyError::InProgress("the policy"))
            };
            let applied = PolicyDocument { what: "the policy", seen: &Value::Null }.put(with_ours, read, write).await;
            assert_eq!(applied.is_ok(), accepted);
            assert!(applied.is_ok_and(|applied| applied == Applied::Done) || !accepted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_write_is_told() {
        let document = PolicyDocument { what: "the policy", seen: &Value::Null };
        let error = document.put(with_ours, async || Ok(Value::Null), async |_| Err(refused())).await.unwrap_err();
        assert!(error.to_string().contains("iam:PutRolePolicy"), "{error}");
    }
}
