"""A server on EC2 as AWS has it: its instance, address, group, profile and image, alone and in a stack."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_access import User, allow
from test_operations import code_of

from localaws import network
from localaws.clients import Clients
from localaws.launcher import Offer

Client = Callable[..., Any]
Stack = Callable[..., dict[str, Any]]
EC2_TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
IMAGE = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-SQL_2022_Express"
OTHER_IMAGE = "ami-0123456789abcdef1"


@pytest.fixture
def ec2(client: Client) -> Any:
    return client("ec2")


@pytest.fixture
def place(offer: Offer) -> network.Place:
    return network.public_subnet(Clients.of(offer))


@pytest.fixture
def instance(ec2: Any, place: network.Place) -> Iterator[str]:
    made = ec2.run_instances(
        ImageId=OTHER_IMAGE, InstanceType="r5.large", MinCount=1, MaxCount=1, SubnetId=place.subnet_id)["Instances"][0]["InstanceId"]
    yield made
    ec2.terminate_instances(InstanceIds=[made])


@pytest.fixture
def address(ec2: Any) -> Iterator[dict[str, Any]]:
    made = ec2.allocate_address(Domain="vpc")
    yield made
    for found in ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"]:
        if "AssociationId" in found:
            ec2.disassociate_address(AssociationId=found["AssociationId"])
    ec2.release_address(AllocationId=made["AllocationId"])


@pytest.fixture
def profile(client: Client, offer: Offer) -> Iterator[Callable[[str], str]]:
    """Makes instance profiles, each with a role of the same name, and answers their ARNs."""
    iam = client("iam")
    made: list[str] = []

    def make(name: str) -> str:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
        arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        made.append(name)
        return arn

    yield make
    for name in made:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
        iam.delete_instance_profile(InstanceProfileName=name)
        iam.delete_role(RoleName=name)


def server(place: network.Place, **more: Any) -> dict[str, dict[str, Any]]:
    """The resources of a whole server; `more` are properties of its instance."""
    return {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": EC2_TRUST}},
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
            "GroupDescription": "The server", "VpcId": place.vpc_id, "SecurityGroupIngress": [
                {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0", "Description": "Web"}]}},
        "Server": {"Type": "AWS::EC2::Instance", "Properties": {
            "ImageId": OTHER_IMAGE, "InstanceType": "r5.large", "SubnetId": place.subnet_id, "SecurityGroupIds": [{"Ref": "Group"}],
            "IamInstanceProfile": {"Ref": "Profile"}, "MetadataOptions": {"HttpTokens": "required"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "Encrypted": True}}],
            "PropagateTagsToVolumeOnCreation": True, "Tags": [{"Key": "Name", "Value": "server"}], **more}},
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
        "Association": {"Type": "AWS::EC2::EIPAssociation", "Properties": {
            "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}, "InstanceId": {"Ref": "Server"}}},
    }


def physical_ids(client: Client, stack_name: str) -> dict[str, str]:
    found = client("cloudformation").describe_stack_resources(StackName=stack_name)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


def update(client: Client, stack_name: str, resources: dict[str, Any]) -> str:
    cloudformation = client("cloudformation")
    cloudformation.update_stack(
        StackName=stack_name, TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_NAMED_IAM"])
    while True:
        status = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
        if not status.endswith("_IN_PROGRESS"):
            return status
        time.sleep(0.05)


def described(ec2: Any, instance_id: str) -> dict[str, Any]:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


# ---- Stacks ----------------------------------------------------------------------------------------------------------------


def test_a_stack_makes_a_server_with_all_that_belongs_to_it(stack: Stack, client: Client, ec2: Any, place: network.Place) -> None:
    made = stack("server", **server(place))
    assert made["StackStatus"] == "CREATE_COMPLETE", made["reasons"]
    ids = physical_ids(client, "server")
    found = described(ec2, ids["Server"])
    assert (found["State"]["Name"], found["ImageId"], found["InstanceType"]) == ("running", OTHER_IMAGE, "r5.large")
    assert (found["SubnetId"], found["VpcId"], found["Placement"]["AvailabilityZone"]) == (place.subnet_id, place.vpc_id, place.zone)
    assert found["PublicIpAddress"] == ids["Address"]
    assert found["IamInstanceProfile"]["Arn"].endswith(f":instance-profile/{ids['Profile']}")
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in found
    groups = [{"GroupId": ids["Group"], "GroupName": "server-Group"}]
    assert found["SecurityGroups"] == groups
    assert [interface["Groups"] for interface in found["NetworkInterfaces"]] == [groups]
    assert found["NetworkInterfaces"][0]["Association"]["PublicIp"] == ids["Address"]
    assert {"Key": "aws:cloudformation:logical-id", "Value": "Server"} in found["Tags"]

    (mapping,) = found["BlockDeviceMappings"]
    (volume,) = ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
    assert (mapping["DeviceName"], found["RootDeviceName"]) == ("/dev/sda1", "/dev/sda1")
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"], volume["AvailabilityZone"]) == (100, "gp3", True, place.zone)
    assert {"Key": "Name", "Value": "server"} in volume["Tags"]

    (address,) = ec2.describe_addresses(PublicIps=[ids["Address"]])["Addresses"]
    assert (address["InstanceId"], address["AssociationId"]) == (ids["Server"], ids["Association"])
    assert (address["PrivateIpAddress"], address["NetworkInterfaceId"]) == (
        found["PrivateIpAddress"], found["NetworkInterfaces"][0]["NetworkInterfaceId"])
    (group,) = ec2.describe_security_groups(GroupIds=[ids["Group"]])["SecurityGroups"]
    assert group["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0", "Description": "Web"}]
    (association,) = ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [ids["Server"]]}])["IamInstanceProfileAssociations"]
    assert (association["State"], association["IamInstanceProfile"]["Arn"]) == ("associated", found["IamInstanceProfile"]["Arn"])


def test_a_stack_that_goes_takes_its_server_along(client: Client, ec2: Any, stack: Stack, place: network.Place) -> None:
    stack("leaving", **server(place))
    ids = physical_ids(client, "leaving")
    client("cloudformation").delete_stack(StackName="leaving")
    client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="leaving", WaiterConfig={"Delay": 1})
    gone = described(ec2, ids["Server"])
    assert gone["State"]["Name"] == "terminated"
    assert not gone.keys() & {"SubnetId", "PublicIpAddress", "PrivateIpAddress"}
    assert gone["NetworkInterfaces"] == []
    assert code_of(ec2.describe_addresses, PublicIps=[ids["Address"]]) == "InvalidAddress.NotFound"
    assert code_of(ec2.describe_security_groups, GroupIds=[ids["Group"]]) == "InvalidGroup.NotFound"


@pytest.mark.parametrize(("changed", "replaces"), [
    ({"ImageId": "ami-0123456789abcdef2"}, True),
    ({"KeyName": "office"}, True),
    ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 200, "Encrypted": True}}]}, True),
    ({"InstanceType": "r5.xlarge"}, False),
    ({"IamInstanceProfile": "other"}, False),
    ({"MetadataOptions": {"HttpTokens": "optional"}}, False),
    ({"Tags": [{"Key": "Name", "Value": "another"}]}, False),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_an_update_replaces_the_instance_only_where_aws_does(
        stack: Stack, client: Client, ec2: Any, place: network.Place, profile: Callable[[str], str], changed: dict[str, Any],
        replaces: bool) -> None:
    other = profile("other")
    ec2.create_key_pair(KeyName="office")
    stack("changing", **server(place))
    before = physical_ids(client, "changing")
    assert update(client, "changing", server(place, **changed)) == "UPDATE_COMPLETE"
    ec2.delete_key_pair(KeyName="office")
    after = physical_ids(client, "changing")
    found = described(ec2, after["Server"])
    assert (after["Server"] != before["Server"]) == replaces
    assert (after["Association"] != before["Association"]) == replaces
    assert (after["Address"], found["PublicIpAddress"]) == (before["Address"], before["Address"])
    assert described(ec2, before["Server"])["State"]["Name"] == ("terminated" if replaces else "running")
    match changed:
        case {"ImageId": value} | {"KeyName": value} | {"InstanceType": value}:
            assert value in (found["ImageId"], found.get("KeyName"), found["InstanceType"])
        case {"IamInstanceProfile": _}:
            assert found["IamInstanceProfile"]["Arn"] == other
        case {"MetadataOptions": options}:
            assert found["MetadataOptions"]["HttpTokens"] == options["HttpTokens"]
        case {"Tags": [tag]}:
            assert tag in found["Tags"]
        case {"BlockDeviceMappings": _}:
            (volume,) = ec2.describe_volumes(VolumeIds=[found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
            assert volume["Size"] == 200


def test_another_subnet_replaces_the_instance(stack: Stack, client: Client, ec2: Any, offer: Offer) -> None:
    first, second, *_ = network.public_subnets(Clients.of(offer))
    stack("moving", **server(first))
    before = physical_ids(client, "moving")["Server"]
    assert update(client, "moving", server(second)) == "UPDATE_COMPLETE"
    after = physical_ids(client, "moving")["Server"]
    assert before != after
    assert described(ec2, after)["Placement"]["AvailabilityZone"] == second.zone


def test_a_kept_server_outlives_its_stack_and_not_a_failed_create(
        stack: Stack, client: Client, ec2: Any, place: network.Place) -> None:
    kept = {name: {**resource, "DeletionPolicy": "RetainExceptOnCreate"} for name, resource in server(place).items()}
    failing = {"Type": "AWS::SNS::Topic", "DependsOn": "Association", "Properties": {"TopicName": "taken"}}
    client("sns").create_topic(Name="taken")
    assert stack("failed", **kept, Failing=failing)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ec2.describe_addresses()["Addresses"] == []
    assert not ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]

    assert stack("kept", **kept)["StackStatus"] == "CREATE_COMPLETE"
    ids = physical_ids(client, "kept")
    client("cloudformation").delete_stack(StackName="kept")
    client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="kept", WaiterConfig={"Delay": 1})
    found = described(ec2, ids["Server"])
    assert (found["State"]["Name"], found["PublicIpAddress"]) == ("running", ids["Address"])
    assert found["SecurityGroups"][0]["GroupId"] == ids["Group"]

    ec2.terminate_instances(InstanceIds=[ids["Server"]])
    ec2.release_address(AllocationId=ec2.describe_addresses(PublicIps=[ids["Address"]])["Addresses"][0]["AllocationId"])
    ec2.delete_security_group(GroupId=ids["Group"])
    client("iam").remove_role_from_instance_profile(InstanceProfileName=ids["Profile"], RoleName=ids["Role"])
    client("iam").delete_instance_profile(InstanceProfileName=ids["Profile"])
    client("iam").delete_role(RoleName=ids["Role"])
    client("sns").delete_topic(TopicArn=client("sns").list_topics()["Topics"][0]["TopicArn"])


@pytest.mark.parametrize(("resource", "changed", "reason"), [
    ("Server", {"KeyName": "lost"}, "The key pair 'lost' does not exist"),
    ("Server", {"SubnetId": "subnet-0123456789abcdef0"}, "The subnet ID 'subnet-0123456789abcdef0' does not exist"),
    ("Server", {"IamInstanceProfile": "lost"}, "Invalid IAM Instance Profile name"),
    ("Server", {"ImageId": "latest"}, "Invalid id"),
    ("Group", {"VpcId": "vpc-0123456789abcdef0"}, "The vpc ID 'vpc-0123456789abcdef0' does not exist"),
    ("Group", {"GroupDescription": "eMite's server"}, "Invalid security group description"),
])
def test_what_does_not_exist_fails_a_create(
        stack: Stack, place: network.Place, resource: str, changed: dict[str, Any], reason: str) -> None:
    resources = server(place)
    resources[resource]["Properties"].update(changed)
    made = stack("impossible", **resources)
    assert made["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in made["reasons"][0]


def test_a_group_and_a_role_in_use_are_kept(stack: Stack, client: Client, ec2: Any, place: network.Place) -> None:
    stack("used", **server(place))
    ids = physical_ids(client, "used")
    assert code_of(ec2.delete_security_group, GroupId=ids["Group"]) == "DependencyViolation"
    assert code_of(client("iam").delete_role, RoleName=ids["Role"]) == "DeleteConflict"


def test_a_stack_keeps_a_group_and_a_role_that_another_uses(client: Client, ec2: Any, stack: Stack, place: network.Place) -> None:
    resources = server(place)
    stack("base", Role=resources["Role"], Group=resources["Group"])
    ids = physical_ids(client, "base")
    iam = client("iam")
    iam.create_instance_profile(InstanceProfileName="visitor")
    iam.add_role_to_instance_profile(InstanceProfileName="visitor", RoleName=ids["Role"])
    visitor = ec2.run_instances(ImageId=OTHER_IMAGE, MinCount=1, MaxCount=1, SubnetId=place.subnet_id,
                                SecurityGroupIds=[ids["Group"]])["Instances"][0]["InstanceId"]
    cloudformation = client("cloudformation")
    cloudformation.delete_stack(StackName="base")
    while (found := cloudformation.describe_stacks(StackName="base")["Stacks"][0])["StackStatus"] == "DELETE_IN_PROGRESS":
        time.sleep(0.05)
    assert (found["StackStatus"], sorted(physical_ids(client, "base"))) == ("DELETE_FAILED", ["Group", "Role"])
    ec2.terminate_instances(InstanceIds=[visitor])
    iam.remove_role_from_instance_profile(InstanceProfileName="visitor", RoleName=ids["Role"])
    iam.delete_instance_profile(InstanceProfileName="visitor")


# ---- Instances -------------------------------------------------------------------------------------------------------------


def test_an_instance_stops_and_starts_on_its_way(ec2: Any, instance: str) -> None:
    def states() -> list[tuple[str, str]]:
        found = ec2.describe_instance_status(InstanceIds=[instance], IncludeAllInstances=True)["InstanceStatuses"]
        return [(one["InstanceState"]["Name"], one["SystemStatus"]["Status"]) for one in found]

    assert states() == [("running", "ok")]
    assert described(ec2, instance)["PublicIpAddress"]
    assert ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]["CurrentState"] == {"Code": 64, "Name": "stopping"}
    assert states() == [("stopped", "not-applicable")]
    assert ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"] == []
    assert "PublicIpAddress" not in described(ec2, instance)
    assert ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopped"
    assert ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["CurrentState"] == {"Code": 0, "Name": "pending"}
    assert states() == [("running", "ok")]


def test_what_is_terminated_is_not_started(ec2: Any, instance: str) -> None:
    ec2.terminate_instances(InstanceIds=[instance])
    assert code_of(ec2.start_instances, InstanceIds=[instance]) == "IncorrectInstanceState"


@pytest.mark.parametrize(("operation", "arguments", "code"), [
    ("describe_instances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
    ("describe_instance_status", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
    ("stop_instances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
    ("describe_subnets", {"SubnetIds": ["subnet-0123456789abcdef0"]}, "InvalidSubnetID.NotFound"),
    ("describe_security_groups", {"GroupIds": ["sg-0fedcba9876543210"]}, "InvalidGroup.NotFound"),
    ("describe_key_pairs", {"KeyNames": ["lost"]}, "InvalidKeyPair.NotFound"),
    ("describe_addresses", {"AllocationIds": ["eipalloc-0123456789abcdef0"]}, "InvalidAllocationID.NotFound"),
    ("associate_address", {"AllocationId": "eipalloc-0123456789abcdef0", "InstanceId": "i-0123456789abcdef0"}, "InvalidAllocationID.NotFound"),
    ("disassociate_address", {"AssociationId": "eipassoc-0123456789abcdef0"}, "InvalidAssociationID.NotFound"),
    ("describe_instances", {"Filters": [{"Name": "made-up", "Values": ["x"]}]}, "InvalidParameterValue"),
    ("describe_instance_type_offerings", {"Filters": [{"Name": "made-up", "Values": ["x"]}]}, "InvalidParameterValue"),
])
def test_what_does_not_exist_is_refused_with_awss_code(ec2: Any, operation: str, arguments: dict[str, Any], code: str) -> None:
    assert code_of(getattr(ec2, operation), **arguments) == code


def test_filters_choose_instances(ec2: Any, instance: str, place: network.Place) -> None:
    def found(name: str, value: str) -> list[str]:
        reservations = ec2.describe_instances(Filters=[
            {"Name": name, "Values": [value]}, {"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
        return [one["Instances"][0]["InstanceId"] for one in reservations]

    assert found("instance-id", instance) == found("subnet-id", place.subnet_id) == found("vpc-id", place.vpc_id) == [instance]
    assert found("subnet-id", "subnet-0123456789abcdef0") == []


# ---- Addresses -------------------------------------------------------------------------------------------------------------


def test_an_address_follows_the_instance_that_it_is_associated_with(
        ec2: Any, instance: str, address: dict[str, Any], place: network.Place) -> None:
    of = {"AllocationId": address["AllocationId"]}
    assert code_of(ec2.associate_address, **of, InstanceId="i-0123456789abcdef0") == "InvalidInstanceID.NotFound"
    ec2.associate_address(**of, InstanceId=instance)
    assert described(ec2, instance)["PublicIpAddress"] == address["PublicIp"]
    ec2.stop_instances(InstanceIds=[instance])
    assert described(ec2, instance)["PublicIpAddress"] == address["PublicIp"]
    assert code_of(ec2.release_address, **of) == "InvalidIPAddress.InUse"
    other = ec2.run_instances(ImageId=OTHER_IMAGE, MinCount=1, MaxCount=1, SubnetId=place.subnet_id)["Instances"][0]["InstanceId"]
    assert code_of(ec2.associate_address, **of, InstanceId=other, AllowReassociation=False) == "Resource.AlreadyAssociated"
    ec2.associate_address(**of, InstanceId=other)
    chosen = ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [other]}])["Addresses"]
    assert [one["AllocationId"] for one in chosen] == [address["AllocationId"]]
    assert ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [instance]}])["Addresses"] == []
    ec2.terminate_instances(InstanceIds=[other])
    assert "InstanceId" not in ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]


def test_an_instance_has_one_address(ec2: Any, instance: str, address: dict[str, Any]) -> None:
    second = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)
    ec2.associate_address(AllocationId=second["AllocationId"], InstanceId=instance)
    assert "InstanceId" not in ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]
    ec2.disassociate_address(AssociationId=ec2.describe_addresses(AllocationIds=[second["AllocationId"]])["Addresses"][0]["AssociationId"])
    ec2.release_address(AllocationId=second["AllocationId"])


def test_no_more_addresses_are_allocated_than_the_account_may_have(ec2: Any) -> None:
    (attribute,) = ec2.describe_account_attributes(AttributeNames=["vpc-max-elastic-ips"])["AccountAttributes"]
    allowed = int(attribute["AttributeValues"][0]["AttributeValue"])
    made = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(allowed)]
    assert code_of(ec2.allocate_address, Domain="vpc") == "AddressLimitExceeded"
    for allocation in made:
        ec2.release_address(AllocationId=allocation)


# ---- Network ---------------------------------------------------------------------------------------------------------------


def routes_of(ec2: Any, place: network.Place) -> list[dict[str, Any]]:
    """As AWS routes: by the table of the subnet, else by the main one of its VPC."""
    own = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [place.subnet_id]}])["RouteTables"]
    main = ec2.describe_route_tables(Filters=[
        {"Name": "vpc-id", "Values": [place.vpc_id]}, {"Name": "association.main", "Values": ["true"]}])["RouteTables"]
    (table,) = own or main
    return table["Routes"]


def test_the_default_vpc_leads_to_its_gateway_and_a_private_subnet_nowhere(ec2: Any, place: network.Place, offer: Offer) -> None:
    leading = [route for route in routes_of(ec2, place) if route["DestinationCidrBlock"] == "0.0.0.0/0"]
    (gateway,) = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [place.vpc_id]}])["InternetGateways"]
    assert [(route["GatewayId"], route["State"]) for route in leading] == [(gateway["InternetGatewayId"], "active")]
    with network.private_subnet(Clients.of(offer)) as private:
        assert [route["GatewayId"] for route in routes_of(ec2, private)] == ["local"]
    assert code_of(ec2.describe_subnets, SubnetIds=[private.subnet_id]) == "InvalidSubnetID.NotFound"


def test_zones_offer_different_instance_types(ec2: Any, offer: Offer) -> None:
    def zones(instance_type: str) -> set[str]:
        found = ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [instance_type]}])
        return {one["Location"] for one in found["InstanceTypeOfferings"]}

    assert zones("r5.large") == {f"{offer.region}a", f"{offer.region}b"}
    assert zones("t3.large") == zones("r5.large") | {f"{offer.region}c"}
    assert zones("x9.large") == set()
    here = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=[
        {"Name": "instance-type", "Values": ["r5.large"]}, {"Name": "location", "Values": [f"{offer.region}c"]}])
    assert here["InstanceTypeOfferings"] == []


# ---- Profiles, rights and images -------------------------------------------------------------------------------------------


def test_a_profile_is_associated_and_replaced_under_a_new_id(ec2: Any, instance: str, profile: Callable[[str], str]) -> None:
    first, second = profile("first"), profile("second")
    made = ec2.associate_iam_instance_profile(InstanceId=instance, IamInstanceProfile={"Name": "first"})["IamInstanceProfileAssociation"]
    assert (made["State"], made["IamInstanceProfile"]["Arn"]) == ("associating", first)
    assert code_of(ec2.associate_iam_instance_profile, InstanceId=instance, IamInstanceProfile={"Name": "second"}) == "IncorrectState"
    replaced = ec2.replace_iam_instance_profile_association(
        AssociationId=made["AssociationId"], IamInstanceProfile={"Arn": second})["IamInstanceProfileAssociation"]
    (found,) = ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [instance]}])["IamInstanceProfileAssociations"]
    assert (found["AssociationId"], found["State"], found["IamInstanceProfile"]["Arn"]) == (
        replaced["AssociationId"], "associated", second)
    assert replaced["AssociationId"] != made["AssociationId"]
    assert described(ec2, instance)["IamInstanceProfile"]["Arn"] == second


def test_a_profile_without_a_role_is_not_associated(ec2: Any, client: Client, instance: str) -> None:
    client("iam").create_instance_profile(InstanceProfileName="empty")
    assert code_of(ec2.associate_iam_instance_profile, InstanceId=instance, IamInstanceProfile={"Name": "empty"}) == "InvalidParameterValue"
    client("iam").delete_instance_profile(InstanceProfileName="empty")


def test_only_who_may_pass_its_role_associates_a_profile(
        client: Client, offer: Offer, user: User, instance: str, profile: Callable[[str], str]) -> None:
    profile("passed")
    on = f"arn:aws:ec2:{offer.region}:{offer.accountId}:instance/{instance}"
    role = f"arn:aws:iam::{offer.accountId}:role/passed"
    of = {"InstanceId": instance, "IamInstanceProfile": {"Name": "passed"}}
    associating = allow("ec2:AssociateIamInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation", resource=on)
    to_lambda = allow("iam:PassRole", resource=role, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})
    to_ec2 = allow("iam:PassRole", resource=role, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    assert code_of(client("ec2", **user(associating)).associate_iam_instance_profile, **of) == "UnauthorizedOperation"
    assert code_of(client("ec2", **user(associating, to_lambda)).associate_iam_instance_profile, **of) == "UnauthorizedOperation"
    allowed = client("ec2", **user(associating, to_ec2))
    made = allowed.associate_iam_instance_profile(**of)["IamInstanceProfileAssociation"]["AssociationId"]
    allowed.replace_iam_instance_profile_association(AssociationId=made, IamInstanceProfile={"Name": "passed"})
    lines = [json.loads(line) for line in Path(offer.callLog).read_text(encoding="utf-8").splitlines()]
    mine = [(line["action"], line["resource"], line["decision"]) for line in lines if line["principal"].endswith("/tester-2")]
    assert mine[-4:] == [
        ("ec2:AssociateIamInstanceProfile", on, "Allow"), ("iam:PassRole", role, "Allow"),
        ("ec2:ReplaceIamInstanceProfileAssociation", on, "Allow"), ("iam:PassRole", role, "Allow")]


def test_ec2_calls_are_authorised_on_what_they_name(
        client: Client, offer: Offer, user: User, instance: str, address: dict[str, Any]) -> None:
    def arn(kind: str, name: str) -> str:
        return f"arn:aws:ec2:{offer.region}:{offer.accountId}:{kind}/{name}"

    only_itself = client("ec2", **user(allow("ec2:DescribeInstances", resource=arn("instance", instance))))
    assert code_of(only_itself.describe_instances, InstanceIds=[instance]) == "UnauthorizedOperation"
    assert client("ec2", **user(allow("ec2:DescribeInstances"))).describe_instances(InstanceIds=[instance])["Reservations"]
    of = {"AllocationId": address["AllocationId"], "InstanceId": instance}
    here, there = arn("instance", instance), arn("elastic-ip", address["AllocationId"])
    for one in (here, there):
        assert code_of(client("ec2", **user(allow("ec2:AssociateAddress", resource=one))).associate_address, **of) == "UnauthorizedOperation"
    both = user(allow("ec2:AssociateAddress", resource=here), allow("ec2:AssociateAddress", resource=there))
    client("ec2", **both).associate_address(**of)


def test_images_are_published_for_everybody(client: Client, offer: Offer, user: User) -> None:
    public = f"arn:aws:ssm:{offer.region}::parameter{IMAGE}"
    reader = client("ssm", **user(allow("ssm:GetParameter", "ssm:PutParameter", resource=public)))
    found = reader.get_parameter(Name=IMAGE)["Parameter"]
    assert (found["ARN"], found["Type"], found["Value"][:4]) == (public, "String", "ami-")
    mine = client("ssm", **user(allow("ssm:GetParameter", resource=public.replace("::", f":{offer.accountId}:"))))
    assert code_of(mine.get_parameter, Name=IMAGE) == "AccessDeniedException"
    assert code_of(reader.put_parameter, Name=IMAGE, Value=OTHER_IMAGE, Type="String", Overwrite=True) == "AccessDeniedException"
    client("ssm").put_parameter(Name=IMAGE, Value=OTHER_IMAGE, Type="String", Overwrite=True)
    assert reader.get_parameter(Name=IMAGE)["Parameter"]["Value"] == OTHER_IMAGE
    client("ssm").put_parameter(Name=IMAGE, Value=found["Value"], Type="String", Overwrite=True)


@pytest.mark.parametrize(("name", "published"), [
    ("Windows_Server-2022-English-Full-Base", True),
    ("Windows_Server-2019-English-Full-Base", True),
    ("Windows_Server-2016-English-Full-Base", True),
    ("Windows_Server-2019-English-Full-SQL_2022_Express", True),
    ("Windows_Server-2016-English-Full-SQL_2019_Express", True),
    ("Windows_Server-2016-English-Full-SQL_2022_Express", False),
])
def test_those_images_are_published_that_aws_publishes(client: Client, name: str, published: bool) -> None:
    of = {"Name": f"/aws/service/ami-windows-latest/{name}"}
    if published:
        assert client("ssm").get_parameter(**of)["Parameter"]["Value"].startswith("ami-")
    else:
        assert code_of(client("ssm").get_parameter, **of) == "ParameterNotFound"
