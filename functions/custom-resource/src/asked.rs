//! Owns the check that a request really comes from CloudFormation. Anyone who may invoke the function can send a request that
//! looks genuine, so this asks CloudFormation about the stack and the resource.

use emite_aws::cloudformation::{self, Stack};
use emite_aws::wait;
use emite_core::arn::InstanceId;

use crate::provider::{Provider, RequestFailure};
use crate::request::{Action, Request};

/// What CloudFormation says of the stack while it waits for a response.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    stack: Option<Stack>,
}

impl Asked {
    /// Whether the stack is on its way back to what it was: then nothing may be in the way.
    pub(crate) fn is_rolling_back(&self) -> bool {
        self.stack.as_ref().is_some_and(|stack| stack.status.contains("ROLLBACK"))
    }

    /// Refuses an instance that is not the stack's. In a rollback it is not checked: the parameter may already have changed.
    pub(crate) fn check_instance(&self, instance: &InstanceId) -> Result<(), RequestFailure> {
        let own = self.parameter("ConnectInstanceArn").and_then(|arn| InstanceId::of(&arn.parse().ok()?));
        if self.is_rolling_back() || own.as_ref() == Some(instance) {
            return Ok(());
        }
        Err(RequestFailure::Refused(format!(
            "InstanceArn: instance {instance} is not the one in the stack's parameter ConnectInstanceArn"
        )))
    }

    /// What the user set this parameter to, if anything.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let given = self.stack.as_ref()?.parameters.get(name)?;
        Some(given.as_str()).filter(|given| !given.is_empty())
    }
}

/// Refuses a request that CloudFormation is not waiting for.
///
/// The physical id is never compared: in the cleanup after a replacement the stack shows the new one already.
pub(crate) async fn by_cloudformation(
    provider: &Provider,
    request: &Request,
    action: Action,
) -> Result<Asked, RequestFailure> {
    let check = async || match action {
        Action::Create | Action::Update => waits_for_resource(provider, request).await,
        Action::Delete => waits_for_deletion(provider).await,
    };
    // What CloudFormation shows may be a moment behind what it does, and all of the account's deployments share its limits.
    let clear = |outcome: &Result<Asked, RequestFailure>| match outcome {
        Err(RequestFailure::Refused(_)) => false,
        Err(failure) => !failure.is_throttled(),
        Ok(_) => true,
    };
    wait::until(wait::BRIEFLY, check, clear).await
}

async fn waits_for_resource(provider: &Provider, request: &Request) -> Result<Asked, RequestFailure> {
    let logical_id = &request.reply_to.logical_id;
    let (stack, resource) = tokio::join!(
        cloudformation::stack(provider.aws.cloudformation(), &provider.stack_id),
        cloudformation::resource(provider.aws.cloudformation(), &provider.stack_id, logical_id),
    );
    let (stack, resource) = (stack?, resource?);
    let status = resource.as_ref().map_or("not in it", |resource| resource.status.as_str());
    let changes = stack.as_ref().is_some_and(Stack::is_in_progress)
        && matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS");
    let resource_type = resource.as_ref().map_or("no type", |resource| resource.resource_type.as_str());
    if changes && resource_type == request.resource_type {
        return Ok(Asked { stack });
    }
    let stack = shown(stack.as_ref());
    Err(not_waiting(format!("the stack is {stack}, and {logical_id} is {status} ({resource_type})")))
}

/// The resource itself says nothing of a Delete: a replaced one shows what replaced it, and one that left the template is gone.
async fn waits_for_deletion(provider: &Provider) -> Result<Asked, RequestFailure> {
    match cloudformation::stack(provider.aws.cloudformation(), &provider.stack_id).await {
        Ok(stack) if stack.as_ref().is_some_and(Stack::is_in_progress) => Ok(Asked { stack }),
        Ok(stack) => Err(not_waiting(format!("the stack is {}", shown(stack.as_ref())))),
        // The role's policy may already be deleted. The ledger says what is ours, and nothing else is removed.
        Err(error) if error.is_denied() => {
            tracing::warn!(%error, "could not check whether CloudFormation is waiting for this request");
            Ok(Asked { stack: None })
        }
        Err(error) => Err(error.into()),
    }
}

fn shown(stack: Option<&Stack>) -> &str {
    stack.map_or("deleted", |stack| stack.status.as_str())
}

fn not_waiting(what: String) -> RequestFailure {
    RequestFailure::Refused(format!("CloudFormation is not waiting for a response to this request: {what}"))
}
