//! Owns the calls of EC2 about what is attached to the eMite server: its instance profile and its Elastic IP.

use std::collections::BTreeSet;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, Filter, IamInstanceProfileAssociationState, IamInstanceProfileSpecification};
use emite_core::arn::Arn;
use emite_core::links::emite_server::{Address, Profile};

use crate::error::AwsError;

/// The instance profile that the server has, or is about to have. Needs `ec2:DescribeIamInstanceProfileAssociations`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeIamInstanceProfileAssociations.html>).
pub async fn profile(ec2: &Client, instance: &str) -> Result<Option<Profile>, AwsError> {
    use IamInstanceProfileAssociationState::{Associated, Associating};
    let pages = ec2.describe_iam_instance_profile_associations().filters(of_instance(instance)).into_paginator();
    let answer = pages.items().send().collect::<Result<Vec<_>, _>>().await;
    let listed = answer.map_err(AwsError::of("ec2:DescribeIamInstanceProfileAssociations"))?;
    let stays = |one: &types::IamInstanceProfileAssociation| matches!(one.state, Some(Associated | Associating));
    Ok(listed.into_iter().find(stays).map(|one| Profile {
        association_id: one.association_id.unwrap_or_default(),
        arn: one.iam_instance_profile.and_then(|profile| profile.arn).unwrap_or_default(),
    }))
}

/// The Elastic IP of this allocation, seen from `instance`; none if it was released. Needs `ec2:DescribeAddresses`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddresses.html>).
pub async fn address(ec2: &Client, instance: &str, allocation: &str) -> Result<Option<Address>, AwsError> {
    const ACTION: &str = "ec2:DescribeAddresses";
    let answer = ec2.describe_addresses().allocation_ids(allocation).send().await.map_err(AwsError::of(ACTION));
    let answer = match answer {
        Err(error) if error.is_not_found() => return Ok(None),
        answer => answer?,
    };
    let Some(ours) = answer.addresses.unwrap_or_default().into_iter().next() else { return Ok(None) };
    let named = |id: Option<String>| id.filter(|id| !id.is_empty());
    let holder = named(ours.instance_id).or_else(|| named(ours.network_interface_id));
    if holder.as_deref() == Some(instance) {
        return Ok(Some(Address { holder, instead: BTreeSet::new() }));
    }
    let others = ec2.describe_addresses().filters(of_instance(instance)).send().await.map_err(AwsError::of(ACTION))?;
    let instead = others.addresses.unwrap_or_default().into_iter().filter_map(|address| address.public_ip).collect();
    Ok(Some(Address { holder, instead }))
}

pub(crate) fn of_instance(id: &str) -> Filter {
    Filter::builder().name("instance-id").values(id).build()
}

/// Gives the server the instance profile `profile`, instead of `from` if it has one. Needs `iam:PassRole`, and
/// `ec2:AssociateIamInstanceProfile`, or `ec2:ReplaceIamInstanceProfileAssociation` where there is one
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateIamInstanceProfile.html>).
pub(crate) async fn set_profile(
    ec2: &Client,
    instance: &str,
    from: Option<&Profile>,
    profile: &Arn,
) -> Result<(), AwsError> {
    let wanted = IamInstanceProfileSpecification::builder().arn(profile.to_string()).build();
    match from {
        None => {
            let call = ec2.associate_iam_instance_profile().instance_id(instance).iam_instance_profile(wanted);
            call.send().await.map(drop).map_err(AwsError::of("ec2:AssociateIamInstanceProfile"))
        }
        Some(from) => {
            let call = ec2.replace_iam_instance_profile_association().association_id(&from.association_id);
            let answer = call.iam_instance_profile(wanted).send().await;
            answer.map(drop).map_err(AwsError::of("ec2:ReplaceIamInstanceProfileAssociation"))
        }
    }
}

/// Associates an Elastic IP with the server. Needs `ec2:AssociateAddress`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html>), which takes an address from its
/// current holder only if `takes_over` is set.
pub(crate) async fn associate_address(
    ec2: &Client,
    instance: &str,
    allocation: &str,
    takes_over: bool,
) -> Result<(), AwsError> {
    let call = ec2.associate_address().allocation_id(allocation).instance_id(instance);
    let answer = call.allow_reassociation(takes_over).send().await;
    answer.map(drop).map_err(AwsError::of("ec2:AssociateAddress"))
}
