//! Owns the calls of IAM.
//!
//! IAM keeps policy documents without a version, so whoever changes one reads it right before
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html>).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::Client;
use emite_core::arn::Arn;
use emite_core::snapshot::Role;
use futures_util::future::try_join_all;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::error::{AwsError, if_there};

/// The role with its policies (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>).
pub async fn role(iam: &Client, name: &str) -> Result<Option<Role>, AwsError> {
    if_there(tokio::try_join!(described(iam, name), inline(iam, name), attached(iam, name)))
        .map(|seen| seen.map(|(role, inline, attached)| Role { inline, attached, ..role }))
}

/// The role without its policies; an error that [`is_not_found`](AwsError::is_not_found) if it does not exist. Needs
/// `iam:GetRole` (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>).
pub async fn described(iam: &Client, name: &str) -> Result<Role, AwsError> {
    const ACTION: &str = "iam:GetRole";
    let answer = iam.get_role().role_name(name).send().await.map_err(AwsError::of(ACTION))?;
    let role = answer.role.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no role".to_owned()))?;
    Ok(Role {
        arn: role.arn,
        // Left out of the answer when it is the default.
        max_session_seconds: role.max_session_duration.and_then(|seconds| seconds.try_into().ok()).unwrap_or(3600),
        trust: document(ACTION, role.assume_role_policy_document.as_deref().unwrap_or_default())?,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
    })
}

/// The role without its policies; none if it does not exist.
pub async fn described_if_there(iam: &Client, name: &str) -> Result<Option<Role>, AwsError> {
    if_there(described(iam, name).await)
}

async fn inline(iam: &Client, role: &str) -> Result<BTreeMap<String, Value>, AwsError> {
    let pages = iam.list_role_policies().role_name(role).into_paginator().items().send();
    let names = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("iam:ListRolePolicies"))?;
    let policies = names
        .into_iter()
        .map(async |name| Ok::<_, AwsError>(inline_policy(iam, role, &name).await?.map(|document| (name, document))));
    Ok(try_join_all(policies).await?.into_iter().flatten().collect())
}

/// One inline policy of the role; none if there is none of this name. Needs `iam:GetRolePolicy`.
pub async fn inline_policy(iam: &Client, role: &str, policy: &str) -> Result<Option<Value>, AwsError> {
    const ACTION: &str = "iam:GetRolePolicy";
    let answer = iam.get_role_policy().role_name(role).policy_name(policy).send().await;
    match answer.map_err(AwsError::of(ACTION)) {
        Ok(policy) => document(ACTION, &policy.policy_document).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn attached(iam: &Client, role: &str) -> Result<BTreeSet<String>, AwsError> {
    let pages = iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    let attached = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("iam:ListAttachedRolePolicies"))?;
    Ok(attached.into_iter().filter_map(|policy| policy.policy_arn).collect())
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

/// Sets an inline policy. Needs `iam:PutRolePolicy`.
pub(crate) async fn set_inline_policy(iam: &Client, role: &str, name: &str, document: String) -> Result<(), AwsError> {
    let answer = iam.put_role_policy().role_name(role).policy_name(name).policy_document(document).send().await;
    answer.map(drop).map_err(AwsError::of("iam:PutRolePolicy"))
}

/// Sets the longest session. Needs `iam:UpdateRole`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html>).
pub(crate) async fn set_max_session(iam: &Client, role: &str, seconds: u32) -> Result<(), AwsError> {
    let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    let answer = iam.update_role().role_name(role).max_session_duration(seconds).send().await;
    answer.map(drop).map_err(AwsError::of("iam:UpdateRole"))
}

/// Sets the permissions boundary. Needs `iam:PutRolePermissionsBoundary`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html>).
pub(crate) async fn set_boundary(iam: &Client, role: &str, boundary: &Arn) -> Result<(), AwsError> {
    let call = iam.put_role_permissions_boundary().role_name(role).permissions_boundary(boundary.to_string());
    call.send().await.map(drop).map_err(AwsError::of("iam:PutRolePermissionsBoundary"))
}
