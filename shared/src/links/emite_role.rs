//! Owns the role that eMite assumes as a link: who is let in, for how long, and what it may do.
//!
//! IAM keeps policy documents without a version, so whoever changes one reads it right before
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html>).

mod reads;
mod trust;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::Client;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::arn::Arn;
use crate::change::{Applied, ApplyError, Change, Consent};
use crate::error::AwsError;
use crate::policy::merge::merged;
use crate::snapshot::Role;
use crate::spec::Spec;

pub use trust::{ASSUME, Admission, takes_external_id};
pub(crate) use trust::{allowing, external_ids};

/// What Session Manager needs of a server, and nothing beyond
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html>).
pub const SESSIONS: &[&str] = &[
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
];
/// Twelve hours, the longest that AWS allows.
pub const SESSION_SECONDS: u32 = 43_200;
/// The stack's inline policy of the role.
pub const POLICY: &str = "emite-role-policy";

/// What has to change so that eMite, with its external id, and nobody else can assume the role. Pure.
pub fn trust(spec: &Spec, role: &Role) -> Option<Change> {
    let admission = Admission::of(spec);
    if admission.merged_into(&role.trust) == role.trust {
        return None;
    }
    let consent = if admission.drops_strangers(&role.trust) { Consent::ReplacesForeign } else { Consent::Safe };
    Some(Change::SetTrust { role: name(spec), seen: role.trust.clone(), admission, consent })
}

/// What has to change so that sessions last long enough. Pure.
pub fn session(spec: &Spec, role: &Role) -> Option<Change> {
    let from = role.max_session_seconds;
    (from < SESSION_SECONDS).then(|| Change::SetSession { role: name(spec), from, to: SESSION_SECONDS })
}

/// What has to change so that the stack's inline policy says all that it was deployed with. Pure.
pub fn permissions(spec: &Spec, role: &Role) -> Option<Change> {
    let seen = role.inline.get(POLICY).cloned().unwrap_or_default();
    let statements = statements(spec);
    (merged(&seen, &statements) != seen).then(|| Change::SetRolePolicy { role: name(spec), seen, statements })
}

/// What has to change so that the role is held within the stack's boundary, if it has one. Pure.
pub fn boundary(spec: &Spec, role: &Role) -> Option<Change> {
    let to = spec.role_boundary.clone()?;
    let from = role.boundary.clone();
    (from.as_deref() != Some(to.to_string().as_str())).then(|| Change::SetBoundary { role: name(spec), from, to })
}

fn name(spec: &Spec) -> String {
    spec.emite_role_name().to_owned()
}

/// The statements of the stack's inline policy as the template deploys them.
pub fn statements(spec: &Spec) -> Vec<Value> {
    let stream = spec.agent_event_stream.to_string();
    let instance = spec.instance_arn.to_string();
    let allow = |sid: &str, actions: &[&str], resources: &[&str]| {
        let (actions, resources) = (one_or_all(actions), one_or_all(resources));
        json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources})
    };
    let mut statements = vec![
        allow(
            "AllowReadKinesis1",
            &[
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
                "kinesis:ListTagsForStream",
            ],
            &[&stream],
        ),
        allow("AllowReadKinesis2", &["kinesis:DescribeLimits"], &["*"]),
        allow("AllowReadAmazonConnect1", reads::READS, &[&instance, &format!("{instance}/*")]),
        allow("AllowReadAmazonConnect2", &["connect:ListInstances", "ds:DescribeDirectories"], &["*"]),
    ];
    if let Some(key) = &spec.agent_event_key {
        let mut decrypt = allow("AllowDecryptKinesis", &["kms:Decrypt"], &[&key.to_string()]);
        let service = format!("kinesis.{}.amazonaws.com", spec.home.region);
        decrypt["Condition"] = json!({"StringEquals": {"kms:ViaService": service}});
        statements.push(decrypt);
    }
    if spec.server.as_ref().is_some_and(|server| server.rdp_from.is_empty()) {
        statements.push(allow("AllowSessions", SESSIONS, &["*"]));
    }
    statements.push(json!({
        "Sid": "DenyFederationTokens", "Effect": "Deny", "Resource": "*",
        "Action": ["connect:AdminGetEmergencyAccessToken", "connect:GetFederationToken", "connect:GetFederationTokens"],
    }));
    statements
}

fn one_or_all(texts: &[&str]) -> Value {
    match texts {
        [one] => json!(one),
        all => json!(all),
    }
}

/// The role without its policies. Needs `iam:GetRole`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>).
pub(crate) async fn described(iam: &Client, name: &str) -> Result<Role, AwsError> {
    const ACTION: &str = "iam:GetRole";
    let answer = iam.get_role().role_name(name).send().await.map_err(AwsError::of(ACTION))?;
    let role = answer.role.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no role".to_owned()))?;
    Ok(Role {
        // Left out of the answer when it is the default.
        max_session_seconds: role.max_session_duration.and_then(|seconds| seconds.try_into().ok()).unwrap_or(3600),
        trust: document(ACTION, role.assume_role_policy_document.as_deref().unwrap_or_default())?,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
    })
}

/// One inline policy of the role; none if there is none of this name. Needs `iam:GetRolePolicy`.
pub(crate) async fn inline_policy(iam: &Client, role: &str, policy: &str) -> Result<Option<Value>, AwsError> {
    const ACTION: &str = "iam:GetRolePolicy";
    let answer = iam.get_role_policy().role_name(role).policy_name(policy).send().await;
    match answer.map_err(AwsError::of(ACTION)) {
        Ok(policy) => document(ACTION, &policy.policy_document).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The stack's inline policy of the role; null if there is none.
pub(crate) async fn policy(iam: &Client, role: &str) -> Result<Value, AwsError> {
    Ok(inline_policy(iam, role, POLICY).await?.unwrap_or_default())
}

/// A policy document, which IAM gives percent-encoded; `action` is the call that gave it.
pub fn document(action: &'static str, encoded: &str) -> Result<Value, AwsError> {
    let decoded = percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&decoded).map_err(|_| AwsError::unusable(action, "the policy document is not JSON".to_owned()))
}

/// Sets the trust policy. Needs `iam:UpdateAssumeRolePolicy`.
pub(crate) async fn set_trust(iam: &Client, role: &str, policy: String) -> Result<(), AwsError> {
    let answer = iam.update_assume_role_policy().role_name(role).policy_document(policy).send().await;
    answer.map(drop).map_err(AwsError::of("iam:UpdateAssumeRolePolicy"))
}

/// Sets the stack's inline policy. Needs `iam:PutRolePolicy`.
pub(crate) async fn set_policy(iam: &Client, role: &str, policy: String) -> Result<(), AwsError> {
    let answer = iam.put_role_policy().role_name(role).policy_name(POLICY).policy_document(policy).send().await;
    answer.map(drop).map_err(AwsError::of("iam:PutRolePolicy"))
}

/// Sets the longest session, if it still is `from`. Needs `iam:GetRole` and `iam:UpdateRole`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html>).
pub(crate) async fn set_session(iam: &Client, role: &str, from: u32, to: u32) -> Result<Applied, ApplyError> {
    match described(iam, role).await?.max_session_seconds {
        live if live >= to => return Ok(Applied::Unchanged),
        live if live != from => {
            return Err(ApplyError::ChangedMeanwhile("the session duration of the role".to_owned()));
        }
        _ => {}
    }
    let seconds = i32::try_from(to).unwrap_or(i32::MAX);
    let answer = iam.update_role().role_name(role).max_session_duration(seconds).send().await;
    answer.map(|_| Applied::Done).map_err(|error| AwsError::of("iam:UpdateRole")(error).into())
}

/// Sets the permissions boundary, if it still is `from`. Needs `iam:GetRole` and `iam:PutRolePermissionsBoundary`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html>).
pub(crate) async fn set_boundary(
    iam: &Client,
    role: &str,
    from: Option<&str>,
    to: &Arn,
) -> Result<Applied, ApplyError> {
    let live = described(iam, role).await?.boundary;
    if live.as_deref() == Some(to.to_string().as_str()) {
        return Ok(Applied::Unchanged);
    }
    if live.as_deref() != from {
        return Err(ApplyError::ChangedMeanwhile("the permissions boundary of the role".to_owned()));
    }
    let answer = iam.put_role_permissions_boundary().role_name(role).permissions_boundary(to.to_string()).send().await;
    answer.map(|_| Applied::Done).map_err(|error| AwsError::of("iam:PutRolePermissionsBoundary")(error).into())
}
