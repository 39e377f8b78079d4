//! Owns applying changes to the eMite server of this account: its instance profile and its Elastic IP.

use aws_sdk_ec2::Client;
use emite_core::arn::Arn;
use emite_core::links::emite_server::{Address, Profile};

use super::outcome::{Applied, ApplyError};
use crate::error::AwsError;
use crate::{ec2, wait};

/// Attaches the instance profile `to` to the server, if it still has `from`.
pub(super) async fn attach_profile(
    client: &Client,
    instance: &str,
    from: Option<&Profile>,
    to: &Arn,
) -> Result<Applied, ApplyError> {
    let held = |live: Option<&Profile>| live.is_some_and(|live| live.is(to));
    let live = ec2::profile(client, instance).await?;
    if held(live.as_ref()) {
        return Ok(Applied::Unchanged);
    }
    if live.as_ref() != from {
        return Err(ApplyError::ChangedMeanwhile("the instance profile of the eMite server".to_owned()));
    }
    let written = ec2::set_profile(client, instance, from, to).await;
    written_or_there(written, "instance profile", async || {
        ec2::profile(client, instance).await.is_ok_and(|live| held(live.as_ref()))
    })
    .await
}

/// Associates the Elastic IP with the server, if both still are as `seen`.
pub(super) async fn associate_address(
    client: &Client,
    instance: &str,
    allocation: &str,
    seen: &Address,
) -> Result<Applied, ApplyError> {
    let held = |live: &Address| live.holder.as_deref() == Some(instance);
    let live = ec2::address(client, instance, allocation).await?;
    if live.as_ref().is_some_and(held) {
        return Ok(Applied::Unchanged);
    }
    if live.as_ref() != Some(seen) {
        return Err(ApplyError::ChangedMeanwhile("the Elastic IP of the eMite server".to_owned()));
    }
    let written = ec2::associate_address(client, instance, allocation, seen.is_taken()).await;
    written_or_there(written, "Elastic IP", async || {
        ec2::address(client, instance, allocation).await.is_ok_and(|live| live.as_ref().is_some_and(held))
    })
    .await
}

/// Waits until the write shows. A write that was rejected may still have been made, by an attempt whose answer got
/// lost. One that was accepted has worked, even if it does not show.
async fn written_or_there(
    written: Result<(), AwsError>,
    what: &'static str,
    shows: impl AsyncFn() -> bool,
) -> Result<Applied, ApplyError> {
    if let Err(error) = written {
        return if shows().await { Ok(Applied::Done) } else { Err(error.into()) };
    }
    if !wait::until(wait::BRIEFLY, shows, |shows| *shows).await {
        tracing::warn!(what, "AWS accepted the change and does not show it yet");
    }
    Ok(Applied::Done)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::associate_address::{AssociateAddressError, AssociateAddressOutput};
    use aws_sdk_ec2::operation::associate_iam_instance_profile::{
        AssociateIamInstanceProfileError, AssociateIamInstanceProfileOutput,
    };
    use aws_sdk_ec2::operation::describe_addresses::{DescribeAddressesError, DescribeAddressesOutput};
    use aws_sdk_ec2::operation::describe_iam_instance_profile_associations::DescribeIamInstanceProfileAssociationsOutput;
    use aws_sdk_ec2::operation::replace_iam_instance_profile_association::ReplaceIamInstanceProfileAssociationOutput;
    use aws_sdk_ec2::types::{
        self, IamInstanceProfile, IamInstanceProfileAssociation, IamInstanceProfileAssociationState,
    };
    use aws_smithy_mocks::{Rule, mock};
    use emite_core::fixtures::self_hosted;
    use emite_core::spec::ServerSpec;

    use super::*;
    use crate::mocks::{client, code};

    fn wanted() -> ServerSpec {
        self_hosted().server.unwrap()
    }

    fn listed(profiles: &[(&str, IamInstanceProfileAssociationState)]) -> DescribeIamInstanceProfileAssociationsOutput {
        let associations = profiles.iter().map(|(arn, state)| {
            IamInstanceProfileAssociation::builder()
                .association_id(format!("iip-assoc-{}", state.as_str()))
                .iam_instance_profile(IamInstanceProfile::builder().arn(*arn).build())
                .state(state.clone())
                .build()
        });
        DescribeIamInstanceProfileAssociationsOutput::builder()
            .set_iam_instance_profile_associations(Some(associations.collect()))
            .build()
    }

    const OTHER: &str = "arn:aws:iam::111122223333:instance-profile/other";

    fn shows(profiles: &'static [(&'static str, IamInstanceProfileAssociationState)]) -> Rule {
        mock!(Client::describe_iam_instance_profile_associations).then_output(|| listed(profiles))
    }

    fn shows_ours(state: IamInstanceProfileAssociationState) -> Rule {
        let ours = wanted().profile.to_string();
        mock!(Client::describe_iam_instance_profile_associations).then_output(move || {
            listed(&[(&ours, state.clone()), (OTHER, IamInstanceProfileAssociationState::Disassociating)])
        })
    }

    fn other() -> Profile {
        Profile { association_id: "iip-assoc-associated".into(), arn: OTHER.into() }
    }

    async fn attached(rules: &[&Rule], from: Option<&Profile>) -> Result<Applied, ApplyError> {
        let applied = attach_profile(&client(rules), &wanted().instance_id, from, &wanted().profile).await;
        assert!(rules.iter().all(|rule| rule.num_calls() == 1), "every rule was needed");
        applied
    }

    #[tokio::test(start_paused = true)]
    async fn a_profile_that_is_there_or_on_its_way_is_not_attached_again() {
        for state in [IamInstanceProfileAssociationState::Associated, IamInstanceProfileAssociationState::Associating] {
            assert_eq!(attached(&[&shows_ours(state)], None).await.unwrap(), Applied::Unchanged);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_profile_is_attached_where_there_is_none_and_waited_for() {
        let going = shows(&[(OTHER, IamInstanceProfileAssociationState::Disassociating)]);
        let write = mock!(Client::associate_iam_instance_profile)
            .match_requests(|call| {
                call.instance_id() == Some(&wanted().instance_id)
                    && call.iam_instance_profile().and_then(|profile| profile.arn())
                        == Some(&wanted().profile.to_string())
            })
            .then_output(|| AssociateIamInstanceProfileOutput::builder().build());
        let still = shows(&[]);
        let there = shows_ours(IamInstanceProfileAssociationState::Associating);
        assert_eq!(attached(&[&going, &write, &still, &there], None).await.unwrap(), Applied::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn another_profile_is_replaced_and_only_the_one_that_was_seen() {
        let seen = || shows(&[(OTHER, IamInstanceProfileAssociationState::Associated)]);
        let write = mock!(Client::replace_iam_instance_profile_association)
            .match_requests(|call| call.association_id() == Some("iip-assoc-associated"))
            .then_output(|| ReplaceIamInstanceProfileAssociationOutput::builder().build());
        let there = shows_ours(IamInstanceProfileAssociationState::Associated);
        assert_eq!(attached(&[&seen(), &write, &there], Some(&other())).await.unwrap(), Applied::Done);
        let error = attached(&[&seen()], None).await.unwrap_err();
        assert!(error.is_changed_meanwhile(), "{error}");
        let error = attached(&[&shows(&[])], Some(&other())).await.unwrap_err();
        assert!(error.is_changed_meanwhile(), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_profile_is_looked_for_before_the_refusal_is_believed() {
        let refused = || {
            mock!(Client::associate_iam_instance_profile)
                .then_error(|| AssociateIamInstanceProfileError::generic(code("IncorrectState")))
        };
        let there = shows_ours(IamInstanceProfileAssociationState::Associated);
        assert_eq!(attached(&[&shows(&[]), &refused(), &there], None).await.unwrap(), Applied::Done);
        let error = attached(&[&shows(&[]), &refused(), &shows(&[])], None).await.unwrap_err().to_string();
        assert!(error.starts_with("ec2:AssociateIamInstanceProfile failed: IncorrectState"), "{error}");
    }

    /// The address of these holders, and what the server has.
    fn held(instance: Option<&'static str>, interface: Option<&'static str>) -> Rule {
        mock!(Client::describe_addresses)
            .match_requests(|call| call.allocation_ids() == [wanted().allocation_id])
            .then_output(move || {
                let address = types::Address::builder()
                    .set_instance_id(instance.map(str::to_owned))
                    .set_network_interface_id(interface.map(str::to_owned));
                DescribeAddressesOutput::builder().addresses(address.build()).build()
            })
    }

    fn has(addresses: &'static [&'static str]) -> Rule {
        mock!(Client::describe_addresses)
            .match_requests(|call| call.filters().first() == Some(&ec2::of_instance(&wanted().instance_id)))
            .then_output(|| {
                let addresses = addresses.iter().map(|address| types::Address::builder().public_ip(*address).build());
                DescribeAddressesOutput::builder().set_addresses(Some(addresses.collect())).build()
            })
    }

    fn ours() -> Rule {
        held(Some("i-0a1b2c3d4e5f60718"), Some("eni-1"))
    }

    fn takes(reassociates: bool) -> Rule {
        mock!(Client::associate_address)
            .match_requests(move |call| {
                call.allocation_id() == Some(&wanted().allocation_id)
                    && call.instance_id() == Some(&wanted().instance_id)
                    && call.allow_reassociation() == Some(reassociates)
            })
            .then_output(|| AssociateAddressOutput::builder().build())
    }

    async fn associated(rules: &[&Rule], seen: &Address) -> Result<Applied, ApplyError> {
        let ServerSpec { instance_id, allocation_id, .. } = wanted();
        let applied = associate_address(&client(rules), &instance_id, &allocation_id, seen).await;
        assert!(rules.iter().all(|rule| rule.num_calls() == 1), "every rule was needed");
        applied
    }

    fn seen(holder: Option<&str>, instead: &[&str]) -> Address {
        let instead = instead.iter().map(|address| (*address).to_owned()).collect();
        Address { holder: holder.map(str::to_owned), instead }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_the_server_has_is_not_associated_again() {
        assert_eq!(associated(&[&ours()], &seen(None, &[])).await.unwrap(), Applied::Unchanged);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_taken_from_somebody_only_if_that_was_decided() {
        let free = [&held(Some(""), None), &has(&[]), &takes(false), &ours()];
        assert_eq!(associated(&free, &seen(None, &[])).await.unwrap(), Applied::Done);
        let taken = [&held(Some("i-b"), Some("eni-b")), &has(&[]), &takes(true), &ours()];
        assert_eq!(associated(&taken, &seen(Some("i-b"), &[])).await.unwrap(), Applied::Done);
        let interface = [&held(None, Some("eni-b")), &has(&[]), &takes(true), &ours()];
        assert_eq!(associated(&interface, &seen(Some("eni-b"), &[])).await.unwrap(), Applied::Done);
        let another = [&held(None, None), &has(&["203.0.113.99"]), &takes(true), &ours()];
        assert_eq!(associated(&another, &seen(None, &["203.0.113.99"])).await.unwrap(), Applied::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_moved_or_went_meanwhile_is_left_alone() {
        let moved = [&held(Some("i-b"), None), &has(&[])];
        assert!(associated(&moved, &seen(None, &[])).await.unwrap_err().is_changed_meanwhile());
        let another = [&held(None, None), &has(&["203.0.113.99"])];
        assert!(associated(&another, &seen(None, &[])).await.unwrap_err().is_changed_meanwhile());
        let gone = mock!(Client::describe_addresses)
            .then_error(|| DescribeAddressesError::generic(code("InvalidAllocationID.NotFound")));
        assert!(associated(&[&gone], &seen(None, &[])).await.unwrap_err().is_changed_meanwhile());
    }

    #[tokio::test(start_paused = true)]
    async fn a_denied_association_names_the_iam_action() {
        let denied = mock!(Client::associate_address)
            .then_error(|| AssociateAddressError::generic(code("UnauthorizedOperation")));
        let rules = [&held(None, None), &has(&[]), &denied, &held(None, None), &has(&[])];
        let error = associated(&rules, &seen(None, &[])).await.unwrap_err().to_string();
        assert!(error.contains("Allow ec2:AssociateAddress for"), "{error}");
    }
}
