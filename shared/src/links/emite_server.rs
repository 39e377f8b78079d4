//! Owns the eMite server of this account as a link: the instance profile with which it reads, and the Elastic IP by which the
//! search domain and the agents know it.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, Filter, IamInstanceProfileAssociationState, IamInstanceProfileSpecification};

use crate::arn::Arn;
use crate::change::{Applied, ApplyError, Change};
use crate::error::AwsError;
use crate::spec::Server;

/// The instance profile of a server, as EC2 keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What EC2 calls the association, `iip-assoc-…`.
    pub association_id: String,
    /// The profile's ARN.
    pub arn: String,
}

/// The Elastic IP that a server should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The instance that it is associated with, or else the network interface; none if there is neither.
    pub holder: Option<String>,
    /// The Elastic IPs that the server has in its place.
    pub instead: BTreeSet<String>,
}

/// What has to change so that the server has its instance profile. Pure.
pub fn attach(wanted: &Server, live: Option<&Profile>) -> Option<Change> {
    (!is_attached(live, &wanted.profile)).then(|| Change::AttachProfile {
        instance: wanted.instance_id.clone(),
        from: live.cloned(),
        to: wanted.profile.clone(),
    })
}

/// What has to change so that the Elastic IP is the server's. Pure.
pub fn associate(wanted: &Server, live: &Address) -> Option<Change> {
    (live.holder.as_ref() != Some(&wanted.instance_id)).then(|| Change::AssociateAddress {
        instance: wanted.instance_id.clone(),
        allocation: wanted.allocation_id.clone(),
        seen: live.clone(),
    })
}

fn is_attached(live: Option<&Profile>, wanted: &Arn) -> bool {
    live.is_some_and(|live| live.arn == wanted.to_string())
}

/// The instance profile that the server has, or is about to have. Needs `ec2:DescribeIamInstanceProfileAssociations`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeIamInstanceProfileAssociations.html>).
pub(crate) async fn profile(ec2: &Client, instance: &str) -> Result<Option<Profile>, AwsError> {
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
pub(crate) async fn address(ec2: &Client, instance: &str, allocation: &str) -> Result<Option<Address>, AwsError> {
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

fn of_instance(id: &str) -> Filter {
    Filter::builder().name("instance-id").values(id).build()
}

/// Gives the server the instance profile `to`, if it still has `from`. Needs `ec2:DescribeIamInstanceProfileAssociations`,
/// `iam:PassRole`, and `ec2:AssociateIamInstanceProfile`, or `ec2:ReplaceIamInstanceProfileAssociation` where there is one
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateIamInstanceProfile.html>).
pub(crate) async fn attach_profile(
    ec2: &Client,
    instance: &str,
    from: Option<&Profile>,
    to: &Arn,
) -> Result<Applied, ApplyError> {
    let live = profile(ec2, instance).await?;
    if is_attached(live.as_ref(), to) {
        return Ok(Applied::Unchanged);
    }
    if live.as_ref() != from {
        return Err(ApplyError::ChangedMeanwhile("the instance profile of the eMite server".to_owned()));
    }
    let wanted = IamInstanceProfileSpecification::builder().arn(to.to_string()).build();
    let written = match from {
        None => {
            let call = ec2.associate_iam_instance_profile().instance_id(instance).iam_instance_profile(wanted);
            call.send().await.map(drop).map_err(AwsError::of("ec2:AssociateIamInstanceProfile"))
        }
        Some(from) => {
            let call = ec2.replace_iam_instance_profile_association().association_id(&from.association_id);
            let answer = call.iam_instance_profile(wanted).send().await;
            answer.map(drop).map_err(AwsError::of("ec2:ReplaceIamInstanceProfileAssociation"))
        }
    };
    written_or_there(written, "instance profile", async || {
        profile(ec2, instance).await.is_ok_and(|live| is_attached(live.as_ref(), to))
    })
    .await
}

/// Associates the Elastic IP with the server, if both still are as `seen`. Needs `ec2:DescribeAddresses` and
/// `ec2:AssociateAddress` (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html>), which takes an
/// address from whoever has it unless it is told not to.
pub(crate) async fn associate_address(
    ec2: &Client,
    instance: &str,
    allocation: &str,
    seen: &Address,
) -> Result<Applied, ApplyError> {
    let held = |live: &Address| live.holder.as_deref() == Some(instance);
    let live = address(ec2, instance, allocation).await?;
    if live.as_ref().is_some_and(held) {
        return Ok(Applied::Unchanged);
    }
    if live.as_ref() != Some(seen) {
        return Err(ApplyError::ChangedMeanwhile("the Elastic IP of the eMite server".to_owned()));
    }
    let call = ec2.associate_address().allocation_id(allocation).instance_id(instance);
    let answer = call.allow_reassociation(seen.is_taken()).send().await;
    let written = answer.map(drop).map_err(AwsError::of("ec2:AssociateAddress"));
    written_or_there(written, "Elastic IP", async || {
        address(ec2, instance, allocation).await.is_ok_and(|live| live.as_ref().is_some_and(held))
    })
    .await
}

impl Address {
    /// Whether somebody loses an address when the server gets this one.
    pub fn is_taken(&self) -> bool {
        self.holder.is_some() || !self.instead.is_empty()
    }
}

/// Waits until the write shows. A write that was refused may still have been made, by an attempt whose answer got lost; one
/// that was accepted and does not show worked all the same.
async fn written_or_there(
    written: Result<(), AwsError>,
    what: &'static str,
    shows: impl AsyncFn() -> bool,
) -> Result<Applied, ApplyError> {
    const PAUSES_MS: [u64; 4] = [200, 400, 800, 1600];
    if let Err(error) = written {
        return if shows().await { Ok(Applied::Done) } else { Err(error.into()) };
    }
    for pause in PAUSES_MS {
        if shows().await {
            return Ok(Applied::Done);
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    tracing::warn!(what, "AWS accepted the change and does not show it yet");
    Ok(Applied::Done)
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_ec2::config::{BehaviorVersion, Region};
    use aws_sdk_ec2::operation::associate_address::{AssociateAddressError, AssociateAddressOutput};
    use aws_sdk_ec2::operation::associate_iam_instance_profile::{
        AssociateIamInstanceProfileError, AssociateIamInstanceProfileOutput,
    };
    use aws_sdk_ec2::operation::describe_addresses::{DescribeAddressesError, DescribeAddressesOutput};
    use aws_sdk_ec2::operation::describe_iam_instance_profile_associations::DescribeIamInstanceProfileAssociationsOutput;
    use aws_sdk_ec2::operation::replace_iam_instance_profile_association::ReplaceIamInstanceProfileAssociationOutput;
    use aws_sdk_ec2::types::{IamInstanceProfile, IamInstanceProfileAssociation};
    use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::change::Consent;
    use crate::checks::fixtures::self_hosted;

    /// A client that answers the calls in this order, and fails any other call. Put together by hand, as the SDK's own
    /// defaults for tests would have this largest of its crates built once more.
    pub(crate) fn client(rules: &[&Rule]) -> Client {
        let answers = MockResponseInterceptor::new().rule_mode(RuleMode::Sequential);
        let answers = rules.iter().fold(answers, |answers, rule| answers.with_rule(rule));
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("ap-southeast-2"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .http_client(create_mock_http_client())
            .interceptor(answers);
        Client::from_conf(config.build())
    }

    pub(crate) fn code(code: &str) -> ErrorMetadata {
        ErrorMetadata::builder().code(code).message("no").build()
    }

    fn wanted() -> Server {
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
            .match_requests(|call| call.filters().first() == Some(&of_instance(&wanted().instance_id)))
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
        let Server { instance_id, allocation_id, .. } = wanted();
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

    #[test]
    fn what_somebody_else_set_up_is_replaced_only_when_asked_for_and_remembered() {
        let (free, other) = (seen(None, &[]), other());
        let changes = [
            (attach(&wanted(), None), Consent::Safe, false),
            (attach(&wanted(), Some(&other)), Consent::ReplacesForeign, true),
            (associate(&wanted(), &free), Consent::Safe, false),
            (associate(&wanted(), &seen(Some("i-b"), &[])), Consent::ReplacesForeign, true),
            (associate(&wanted(), &seen(None, &["203.0.113.99"])), Consent::ReplacesForeign, true),
        ];
        for (change, consent, remembered) in changes {
            let change = change.unwrap();
            let told = (change.consent(), change.replaced().is_some(), change.interrupts());
            assert_eq!(told, (consent, remembered, remembered), "{change:?}");
        }
    }
}
