//! Owns the calls of EC2 that read the eMite server of this account.
//!
//! What belongs to the server is read at once, and each read is independent: if its address is denied, its state is not.

use std::collections::BTreeSet;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, HttpTokensState, InstanceMetadataEndpointState, InstanceStateName};
use emite_core::snapshot::{Ingress, SecurityGroup, Server, StatusChecks};
use emite_core::spec::ServerSpec;

use super::attachments::{address, profile};
use crate::error::{AwsError, if_there};
use crate::look::unseen;

/// The server with its status, address, profile and groups; none if it is gone
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>). AWS shows a terminated
/// instance for about an hour, with nothing attached to it any more.
pub async fn server(ec2: &Client, wanted: &ServerSpec) -> Result<Option<Server>, AwsError> {
    let id = wanted.instance_id.as_str();
    let (instance, status, address, profile) =
        tokio::join!(machine(ec2, id), status(ec2, id), address(ec2, id, &wanted.allocation_id), profile(ec2, id),);
    let Some(machine) = instance?.filter(|machine| !machine.is_gone()) else { return Ok(None) };
    Ok(Some(Server {
        state: machine.state.as_str().to_owned(),
        metadata_guarded: machine.metadata_guarded,
        status: status.map_err(unseen),
        address: address.map_err(unseen),
        profile: profile.map_err(unseen),
        groups: groups(ec2, machine.groups).await.map_err(unseen),
    }))
}

/// What an instance itself says.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `pending`, `running`, `stopping`, …
    pub state: InstanceStateName,
    /// Its public address.
    pub public_address: Option<String>,
    metadata_guarded: bool,
    groups: BTreeSet<String>,
}

impl Machine {
    /// Whether it is terminated, or about to be: AWS shows it for about an hour, with nothing attached to it any more.
    fn is_gone(&self) -> bool {
        matches!(self.state, InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
    }
}

/// The instance itself; none if there is none of this id. Needs `ec2:DescribeInstances`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
pub async fn machine(ec2: &Client, id: &str) -> Result<Option<Machine>, AwsError> {
    const ACTION: &str = "ec2:DescribeInstances";
    let pages = ec2.describe_instances().instance_ids(id).into_paginator().items().send();
    let answer = pages.collect::<Result<Vec<_>, _>>().await.map_err(AwsError::of(ACTION));
    let found = if_there(answer)?.unwrap_or_default().into_iter().flat_map(|one| one.instances.unwrap_or_default());
    let Some(instance) = found.into_iter().find(|one| one.instance_id.as_deref() == Some(id)) else { return Ok(None) };
    let Some(state) = instance.state.and_then(|state| state.name) else {
        return Err(AwsError::unusable(ACTION, "the answer has no state of the instance".to_owned()));
    };
    let metadata_guarded = instance.metadata_options.is_some_and(|options| {
        options.http_tokens == Some(HttpTokensState::Required)
            || options.http_endpoint == Some(InstanceMetadataEndpointState::Disabled)
    });
    let interfaces = instance.network_interfaces.unwrap_or_default();
    let of_interfaces = interfaces.into_iter().flat_map(|one| one.groups.unwrap_or_default());
    let groups = instance.security_groups.unwrap_or_default().into_iter().chain(of_interfaces);
    Ok(Some(Machine {
        state,
        public_address: instance.public_ip_address,
        metadata_guarded,
        groups: groups.filter_map(|group| group.group_id).collect(),
    }))
}

/// AWS's checks (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html>), which
/// leaves out what does not run unless it is asked for all.
async fn status(ec2: &Client, id: &str) -> Result<StatusChecks, AwsError> {
    const ACTION: &str = "ec2:DescribeInstanceStatus";
    let request = ec2.describe_instance_status().instance_ids(id).include_all_instances(true);
    let answer = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = answer.map_err(AwsError::of(ACTION))?.into_iter().find(|one| one.instance_id.as_deref() == Some(id));
    let status = found.ok_or_else(|| AwsError::unusable(ACTION, "the answer has no such instance".to_owned()))?;
    let word = |summary: Option<types::InstanceStatusSummary>| {
        let status = summary.and_then(|summary| summary.status);
        status.map_or_else(|| "not-applicable".to_owned(), |status| status.as_str().to_owned())
    };
    Ok(StatusChecks { system: word(status.system_status), instance: word(status.instance_status) })
}

/// What these groups let in (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>).
async fn groups(ec2: &Client, ids: BTreeSet<String>) -> Result<Vec<SecurityGroup>, AwsError> {
    if ids.is_empty() {
        return Ok(Vec::new()); // without ids, AWS would show all groups of the account
    }
    let request = ec2.describe_security_groups().set_group_ids(Some(ids.into_iter().collect()));
    let answer = request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let groups = answer.map_err(AwsError::of("ec2:DescribeSecurityGroups"))?.into_iter().map(|group| SecurityGroup {
        id: group.group_id.unwrap_or_default(),
        rules: group.ip_permissions.unwrap_or_default().into_iter().map(ingress).collect(),
    });
    Ok(groups.collect())
}

fn ingress(rule: types::IpPermission) -> Ingress {
    let v4 = rule.ip_ranges.unwrap_or_default().into_iter().filter_map(|range| range.cidr_ip);
    let v6 = rule.ipv6_ranges.unwrap_or_default().into_iter().filter_map(|range| range.cidr_ipv6);
    let groups = rule.user_id_group_pairs.unwrap_or_default().into_iter().filter_map(|pair| pair.group_id);
    let lists = rule.prefix_list_ids.unwrap_or_default().into_iter().filter_map(|list| list.prefix_list_id);
    Ingress {
        protocol: rule.ip_protocol.unwrap_or_default(),
        ports: rule.from_port.zip(rule.to_port).map(|(from, to)| from..=to),
        from: v4.chain(v6).chain(groups).chain(lists).collect(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::describe_addresses::DescribeAddressesOutput;
    use aws_sdk_ec2::operation::describe_iam_instance_profile_associations::{
        DescribeIamInstanceProfileAssociationsError, DescribeIamInstanceProfileAssociationsOutput,
    };
    use aws_sdk_ec2::operation::describe_instance_status::DescribeInstanceStatusOutput;
    use aws_sdk_ec2::operation::describe_instances::{DescribeInstancesError, DescribeInstancesOutput};
    use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
    use aws_sdk_ec2::types::{
        GroupIdentifier, Instance, InstanceMetadataOptionsResponse, InstanceNetworkInterface, InstanceState,
        InstanceStatus, InstanceStatusSummary, IpPermission, IpRange, Ipv6Range, PrefixListId, Reservation,
        SummaryStatus, UserIdGroupPair,
    };
    use aws_smithy_mocks::{Rule, mock};
    use emite_core::fixtures::self_hosted;
    use emite_core::look::Cause;

    use super::*;
    use crate::mocks::{client, code};

    const ID: &str = "i-0a1b2c3d4e5f60718";

    fn group(id: &str) -> GroupIdentifier {
        GroupIdentifier::builder().group_id(id).build()
    }

    fn described(state: InstanceStateName) -> Rule {
        mock!(Client::describe_instances).match_requests(|call| call.instance_ids() == [ID]).then_output(move || {
            let instance = Instance::builder()
                .instance_id(ID)
                .state(InstanceState::builder().name(state.clone()).build())
                .metadata_options(
                    InstanceMetadataOptionsResponse::builder().http_tokens(HttpTokensState::Required).build(),
                )
                .security_groups(group("sg-a"))
                .network_interfaces(
                    InstanceNetworkInterface::builder().groups(group("sg-a")).groups(group("sg-b")).build(),
                )
                .build();
            DescribeInstancesOutput::builder().reservations(Reservation::builder().instances(instance).build()).build()
        })
    }

    /// What the other calls answer, in their order.
    fn others() -> [Rule; 3] {
        let status = mock!(Client::describe_instance_status)
            .match_requests(|call| call.instance_ids() == [ID] && call.include_all_instances() == Some(true))
            .then_output(|| {
                let summary = |status| InstanceStatusSummary::builder().status(status).build();
                let status = InstanceStatus::builder()
                    .instance_id(ID)
                    .system_status(summary(SummaryStatus::Ok))
                    .instance_status(summary(SummaryStatus::Impaired));
                DescribeInstanceStatusOutput::builder().instance_statuses(status.build()).build()
            });
        let address = mock!(Client::describe_addresses).then_output(|| {
            let address = types::Address::builder().instance_id(ID).build();
            DescribeAddressesOutput::builder().addresses(address).build()
        });
        let profile = mock!(Client::describe_iam_instance_profile_associations)
            .then_output(|| DescribeIamInstanceProfileAssociationsOutput::builder().build());
        [status, address, profile]
    }

    fn let_in() -> Rule {
        mock!(Client::describe_security_groups).match_requests(|call| call.group_ids() == ["sg-a", "sg-b"]).then_output(
            || {
                let rule = IpPermission::builder()
                    .ip_protocol("tcp")
                    .from_port(80)
                    .to_port(443)
                    .ip_ranges(IpRange::builder().cidr_ip("203.0.113.0/24").build())
                    .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
                    .user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-c").build())
                    .prefix_list_ids(PrefixListId::builder().prefix_list_id("pl-d").build());
                let all = IpPermission::builder().ip_protocol("-1");
                let one = types::SecurityGroup::builder().group_id("sg-a").ip_permissions(rule.build());
                let two = types::SecurityGroup::builder().group_id("sg-b").ip_permissions(all.build());
                DescribeSecurityGroupsOutput::builder()
                    .security_groups(one.build())
                    .security_groups(two.build())
                    .build()
            },
        )
    }

    async fn look(rules: &[&Rule]) -> Result<Option<Server>, AwsError> {
        server(&client(rules), &self_hosted().server.unwrap()).await
    }

    #[tokio::test]
    async fn a_server_is_seen_with_all_that_belongs_to_it() {
        let [status, address, profile] = others();
        let seen = look(&[&described(InstanceStateName::Running), &status, &address, &profile, &let_in()]).await;
        let seen = seen.unwrap().unwrap();
        assert_eq!((seen.state.as_str(), seen.metadata_guarded), ("running", true));
        assert_eq!(seen.status, Ok(StatusChecks { system: "ok".into(), instance: "impaired".into() }));
        assert_eq!(seen.address.unwrap().unwrap().holder.as_deref(), Some(ID));
        assert_eq!(seen.profile, Ok(None));
        let from = ["203.0.113.0/24", "::/0", "sg-c", "pl-d"].map(str::to_owned).into();
        let web = Ingress { protocol: "tcp".into(), ports: Some(80..=443), from };
        let all = Ingress { protocol: "-1".into(), ports: None, from: BTreeSet::new() };
        let groups =
            [("sg-a", web), ("sg-b", all)].map(|(id, rule)| SecurityGroup { id: id.into(), rules: vec![rule] });
        assert_eq!(seen.groups, Ok(groups.to_vec()));
    }

    #[tokio::test]
    async fn a_server_that_is_terminated_or_unknown_is_gone() {
        for state in [InstanceStateName::ShuttingDown, InstanceStateName::Terminated] {
            let [status, address, profile] = others();
            assert_eq!(look(&[&described(state), &status, &address, &profile]).await.unwrap(), None);
        }
        for unknown in ["InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"] {
            let [status, address, profile] = others();
            let nothing =
                mock!(Client::describe_instances).then_error(move || DescribeInstancesError::generic(code(unknown)));
            assert_eq!(look(&[&nothing, &status, &address, &profile]).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_denied_part_hides_no_other_and_names_its_action() {
        let [status, address, _] = others();
        let denied = mock!(Client::describe_iam_instance_profile_associations)
            .then_error(|| DescribeIamInstanceProfileAssociationsError::generic(code("UnauthorizedOperation")));
        let seen = look(&[&described(InstanceStateName::Stopped), &status, &address, &denied, &let_in()]).await;
        let seen = seen.unwrap().unwrap();
        let profile = seen.profile.unwrap_err();
        assert_eq!((profile.action, profile.cause), ("ec2:DescribeIamInstanceProfileAssociations", Cause::Denied));
        assert!(seen.status.is_ok() && seen.address.is_ok() && seen.groups.is_ok());
    }
}
