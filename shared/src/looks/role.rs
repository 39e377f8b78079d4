//! Owns looking at the role that eMite assumes.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::Client;
use futures_util::future::try_join_all;
use serde_json::Value;

use super::if_there;
use crate::error::AwsError;
use crate::links::emite_role;
use crate::snapshot::Role;
use crate::spec::Spec;

/// The role with its policies (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>).
pub(super) async fn role(iam: &Client, spec: &Spec) -> Result<Option<Role>, AwsError> {
    let name = spec.emite_role_name();
    if_there(tokio::try_join!(emite_role::described(iam, name), inline(iam, name), attached(iam, name)))
        .map(|seen| seen.map(|(role, inline, attached)| Role { inline, attached, ..role }))
}

async fn inline(iam: &Client, role: &str) -> Result<BTreeMap<String, Value>, AwsError> {
    let pages = iam.list_role_policies().role_name(role).into_paginator().items().send();
    let names = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("iam:ListRolePolicies"))?;
    let policies = names.into_iter().map(async |name| {
        Ok::<_, AwsError>(emite_role::inline_policy(iam, role, &name).await?.map(|document| (name, document)))
    });
    Ok(try_join_all(policies).await?.into_iter().flatten().collect())
}

async fn attached(iam: &Client, role: &str) -> Result<BTreeSet<String>, AwsError> {
    let pages = iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    let attached = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of("iam:ListAttachedRolePolicies"))?;
    Ok(attached.into_iter().filter_map(|policy| policy.policy_arn).collect())
}
