//! Owns looking at the role that eMite assumes.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::Client;
use futures_util::future::try_join_all;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{count, if_there};
use crate::error::AwsError;
use crate::snapshot::Role;
use crate::spec::Spec;

/// The role with its policies (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>).
pub(super) async fn role(iam: &Client, spec: &Spec) -> Result<Option<Role>, AwsError> {
    let name = spec.emite_role_name();
    if_there(tokio::try_join!(described(iam, name), inline(iam, name), attached(iam, name)))
        .map(|seen| seen.map(|(role, inline, attached)| Role { inline, attached, ..role }))
}

/// The role without its policies.
async fn described(iam: &Client, name: &str) -> Result<Role, AwsError> {
    const ACTION: &str = "iam:GetRole";
    let answer = iam.get_role().role_name(name).send().await.map_err(AwsError::of(ACTION))?;
    let role = answer.role.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no role".to_owned()))?;
    Ok(Role {
        // Left out of the answer when it is the default.
        max_session_seconds: role.max_session_duration.map_or(3600, count),
        trust: document(ACTION, role.assume_role_policy_document.as_deref().unwrap_or_default())?,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
        boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
    })
}

async fn inline(iam: &Client, role: &str) -> Result<BTreeMap<String, Value>, AwsError> {
    let pages = iam.list_role_policies().role_name(role).into_paginator().items().send();
    let names = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("iam:ListRolePolicies"))?;
    let policies = names.into_iter().map(async |name| {
        const ACTION: &str = "iam:GetRolePolicy";
        let answer = iam.get_role_policy().role_name(role).policy_name(&name).send().await;
        match if_there(answer.map_err(AwsError::of(ACTION)))? {
            Some(policy) => document(ACTION, &policy.policy_document).map(|document| Some((name, document))),
            None => Ok(None),
        }
    });
    Ok(try_join_all(policies).await?.into_iter().flatten().collect())
}

async fn attached(iam: &Client, role: &str) -> Result<BTreeSet<String>, AwsError> {
    let pages = iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    let attached = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("iam:ListAttachedRolePolicies"))?;
    Ok(attached.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

/// A policy document, which IAM gives percent-encoded.
fn document(action: &'static str, encoded: &str) -> Result<Value, AwsError> {
    let decoded = percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&decoded).map_err(|_| AwsError::unusable(action, "the policy document is not JSON".to_owned()))
}
