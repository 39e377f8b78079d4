//! Owns whole stacks in the local AWS: deploying and deleting one by the launcher's commands, and what can be known of it
//! afterwards: its resources, what its function may do, and what IAM was asked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::local_aws::{LocalAws, launcher, read};

/// The result of `deploy` or `delete`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// The stack's ARN.
    pub stack_id: String,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
    /// `Logical: reason`, of what failed.
    pub reasons: Vec<String>,
    /// The resources by logical id.
    pub resources: BTreeMap<String, StackResource>,
}

/// A resource of a stack.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StackResource {
    /// Such as `Custom::ConnectDataStreaming`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The physical id.
    pub physical_id: Option<String>,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
}

/// One line of the call log.
#[derive(Clone, Debug, Deserialize)]
pub struct LoggedCall {
    /// ARN of the caller.
    pub principal: String,
    /// The IAM action.
    pub action: String,
    /// ARN of what it was about, or `*`.
    #[serde(default)]
    pub resource: Value,
    /// `allow` or `deny`, however spelt.
    pub decision: Value,
}

impl LoggedCall {
    /// Whether IAM let it pass.
    #[must_use]
    pub fn allowed(&self) -> bool {
        match &self.decision {
            Value::Bool(allowed) => *allowed,
            other => other.as_str().is_some_and(|text| text.to_ascii_lowercase().starts_with("allow")),
        }
    }
}

impl LocalAws {
    /// Everything that was called so far.
    #[must_use]
    pub fn call_log(&self) -> Vec<LoggedCall> {
        let text = std::fs::read_to_string(&self.endpoints.call_log).expect("the launcher's call log");
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }

    /// Creates or updates a stack from the real template; whether it came to a good end, and what it is like now.
    pub async fn deploy(&self, stack: &str, parameters: &[(&str, &str)]) -> (bool, Deployment) {
        let pairs: Vec<String> = parameters.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut arguments = vec!["deploy", "--stack", stack, "--json"];
        arguments.extend(pairs.iter().map(String::as_str));
        self.deployment(&arguments).await
    }

    /// Deletes a stack; whether it is gone.
    pub async fn delete(&self, stack: &str) -> (bool, Deployment) {
        self.deployment(&["delete", "--stack", stack, "--json"]).await
    }

    /// What the role of a deployed function allows: the statements of its policies.
    pub async fn statements(&self, function: &str) -> Vec<Value> {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let configuration = read(&path, &self.rest_call("lambda", "GET", &path, "").await);
        let role = configuration["Role"].as_str().and_then(|arn| arn.rsplit('/').next()).expect("the function's role");
        let call = |action: &str, more: &str| format!("Action={action}&Version=2010-05-08&RoleName={role}{more}");
        let attached = self.form_call("iam", &call("ListAttachedRolePolicies", "")).await;
        assert!(!attached.contains("<PolicyArn>"), "a managed policy can change behind our back: {attached}");
        let names = self.form_call("iam", &call("ListRolePolicies", "")).await;
        let mut statements = Vec::new();
        for name in elements(&names, "member") {
            let answer = self.form_call("iam", &call("GetRolePolicy", &format!("&PolicyName={name}"))).await;
            let document = elements(&answer, "PolicyDocument").next().expect("the policy");
            let document: Value = serde_json::from_str(&percent_decoded(document)).expect("JSON");
            statements.extend(document["Statement"].as_array().expect("statements").iter().cloned());
        }
        statements
    }

    async fn deployment(&self, arguments: &[&str]) -> (bool, Deployment) {
        let (good, stdout, stderr) = launcher(arguments, &self.root_environment()).await;
        let deployment = serde_json::from_str(stdout.trim())
            .unwrap_or_else(|error| panic!("{arguments:?} printed {stdout:?}: {error}\n{stderr}"));
        (good, deployment)
    }
}

/// The texts of all elements of that name; enough for the flat lists of IAM's answers.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts: Vec<&str> = xml.split(&open).skip(1).filter_map(|part| part.split(&close).next()).collect();
    parts.into_iter()
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).expect("two digits after %");
        decoded.push(match byte {
            b'%' => u8::try_from(hex(bytes.next()) * 16 + hex(bytes.next())).expect("a byte"),
            other => other,
        });
    }
    String::from_utf8(decoded).expect("UTF-8")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_is_found_in_the_answer_of_iam() {
        let xml = "<A><PolicyNames><member>a</member><member>b</member></PolicyNames><Doc>%7B%22x%22%3A1%7D</Doc></A>";
        assert_eq!(elements(xml, "member").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(percent_decoded(elements(xml, "Doc").next().unwrap()), "{\"x\":1}");
    }

    #[test]
    fn a_decision_is_read_in_any_spelling() {
        let call = |decision: Value| LoggedCall {
            principal: String::new(),
            action: String::new(),
            resource: Value::Null,
            decision,
        };
        assert!(call(json!("Allow")).allowed() && call(json!("allowed")).allowed() && call(json!(true)).allowed());
        assert!(
            !call(json!("Deny")).allowed() && !call(json!("implicitDeny")).allowed() && !call(json!(false)).allowed()
        );
    }
}
