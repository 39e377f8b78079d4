"""Owns the bridges of EC2's instances: launching, describing, stopping, and the resource type of CloudFormation."""

from __future__ import annotations

import copy
import ipaddress
import random
import re
from itertools import count
from typing import Any

from .access import calling
from .hooks import Hook, replace, replace_action

# Resource schema of AWS::EC2::Instance, createOnlyProperties, and BlockDeviceMappings, of which little else can change.
_REPLACING = (
    "AvailabilityZone", "BlockDeviceMappings", "CpuOptions", "EnclaveOptions", "HibernationOptions", "ImageId", "Ipv6AddressCount",
    "Ipv6Addresses", "KeyName", "LaunchTemplate", "LicenseSpecifications", "NetworkInterfaces", "PlacementGroupName",
    "PrivateIpAddress", "SecurityGroups", "SubnetId")
_GONE = "terminated"


def launch_as_ec2_does() -> None:
    """RunInstances refuses what does not exist, places an instance in its subnet, and heeds its volumes and metadata options; the
    emulator takes any name, puts all into the first zone, and leaves the rest out."""
    from ministack.services import ec2

    def wrap_launch(launch: Hook) -> Hook:
        def placed(*args: Any, **named: Any) -> list[dict[str, Any]]:
            created = launch(*args, **named)
            for instance in created:
                _place(instance)
            return created
        return placed

    def wrap_run(run: Hook) -> Hook:
        def checked(p: dict) -> Any:
            refusal = _refusal(p)
            if refusal:
                return ec2._error(*refusal, 400)
            answer = run(p)
            for instance_id in re.findall(rb"<instanceId>([^<]+)<", answer[2]):
                _equip(ec2._instances[instance_id.decode()], p)
            return answer
        return checked

    replace("services.ec2", "_launch_instances_internal", wrap_launch)
    replace_action("RunInstances", wrap_run)


def describe_instances_as_ec2_does() -> None:
    """An instance has a network interface and metadata options, the Elastic IP that is associated with it, no public address in a
    private subnet or when stopped, and next to nothing once terminated; the emulator shows the same made-up address always."""
    from ministack.services import ec2

    others = {
        "instance-id": lambda instance: instance["InstanceId"],
        "subnet-id": lambda instance: instance["SubnetId"],
        "vpc-id": lambda instance: instance["VpcId"],
        "key-name": lambda instance: instance["KeyName"],
    }

    def wrap_xml(show: Hook) -> Hook:
        def whole(instance: dict) -> str:
            gone = instance["State"]["Name"] == _GONE
            public = public_address(instance)
            region = instance["Placement"]["AvailabilityZone"][:-1]
            shown = {**instance, "PublicIpAddress": public,
                     "PublicDnsName": f"ec2-{public.replace('.', '-')}.{region}.compute.amazonaws.com" if public else ""}
            if gone:
                shown.update(dict.fromkeys(("SubnetId", "VpcId", "PrivateIpAddress", "PrivateDnsName"), ""), SecurityGroups=[])
            text = show(shown).strip().removesuffix("</item>")
            text = re.sub(r"<(keyName|ipAddress|subnetId|vpcId|privateIpAddress)></\1>", "", text)
            return f"{text}{'<networkInterfaceSet/>' if gone else _interface_xml(instance, public)}{_metadata_xml(instance)}</item>"
        return whole

    def wrap_filters(matches: Hook) -> Hook:
        def and_others(instance: dict, filters: dict) -> bool:
            return matches(instance, filters) and all(others[name](instance) in filters[name] for name in filters.keys() & others)
        return and_others

    replace("services.ec2", "_instance_xml", wrap_xml)
    replace("services.ec2", "_matches_filters", wrap_filters)
    ec2._ACTION_MAP["DescribeInstanceStatus"] = _describe_statuses


def change_states_as_ec2_does() -> None:
    """An instance that is asked to stop or start is on its way first, and one that is terminated does neither; the emulator's is
    there at once, and revives what was terminated."""
    from ministack.services import ec2

    def wrap(word: str, on_the_way: bytes) -> Any:
        def wrap_change(change: Hook) -> Hook:
            def checked(p: dict) -> Any:
                for instance_id in ec2._parse_member_list(p, "InstanceId"):
                    instance = ec2._instances.get(instance_id)
                    if instance and instance["State"]["Name"] == _GONE:
                        return ec2._error("IncorrectInstanceState", f"The instance '{instance_id}' is not in a state from which it "
                                          f"can be {word}.", 400)
                status, headers, body = change(p)
                moved = re.compile(rb"(<previousState><code>(\d+)</code>.*?<currentState>)<code>(?!\2<)\d+</code><name>\w+</name>", re.S)
                return status, headers, moved.sub(rb"\1" + on_the_way, body)
            return checked
        return wrap_change

    replace_action("StopInstances", wrap("stopped", b"<code>64</code><name>stopping</name>"))
    replace_action("StartInstances", wrap("started", b"<code>0</code><name>pending</name>"))


def provision_instances() -> None:
    """CloudFormation makes instances; the emulator does not know the resource type."""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS["AWS::EC2::Instance"] = {"create": _create, "update": _update, "delete": _delete}
    provisioners._REPLACING_PROPERTIES["AWS::EC2::Instance"] = _REPLACING
    provisioners._STACK_TAG_PROPERTY["AWS::EC2::Instance"] = ("Tags", "list")


def call(action: str, **params: Any) -> str:
    """An action of EC2 in CloudFormation's name. A refusal is an error, as it reads in the events of a stack."""
    from ministack.services import ec2

    # What the caller of CloudFormation may do is asked nowhere in the emulator's resource types.
    token = calling.set(None)
    try:
        status, _, body = ec2._ACTION_MAP[action]({name: value for name, value in params.items() if value is not None})
    finally:
        calling.reset(token)
    text = body.decode()
    if status >= 400:
        message = re.search(r"<Message>(.*?)</Message>", text, re.S).group(1)
        raise ValueError(f'Resource handler returned message: "{message} (Service: Ec2, Status Code: {status})"')
    return text


def element(text: str, name: str) -> str:
    return re.search(rf"<{name}>([^<]*)</{name}>", text).group(1)


def public_address(instance: dict[str, Any]) -> str:
    """The Elastic IP of an instance, else the one that its subnet gave it as long as it runs, else nothing."""
    from ministack.services import ec2

    for address in ec2._addresses.values():
        if address["InstanceId"] == instance["InstanceId"]:
            return address["PublicIp"]
    subnet = ec2._subnets.get(instance["SubnetId"], {})
    return instance["PublicIpAddress"] if subnet.get("MapPublicIpOnLaunch") and instance["State"]["Name"] == "running" else ""


def interface_id(instance: dict[str, Any]) -> str:
    return f"eni-{instance['InstanceId'][2:]}"


# ---- Launching -------------------------------------------------------------------------------------------------------------


def _refusal(p: dict) -> tuple[str, str] | None:
    from ministack.services import ec2

    image, subnet_id, key = (ec2._p(p, name) for name in ("ImageId", "SubnetId", "KeyName"))
    if not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", image):
        return "InvalidAMIID.Malformed", f'Invalid id: "{image}"'
    if subnet_id and subnet_id not in ec2._subnets:
        return "InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist"
    if key and key not in ec2._key_pairs:
        return "InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist"
    vpc_id = ec2._subnets[subnet_id or ec2._DEFAULT_SUBNET_ID]["VpcId"]
    for group_id in ec2._parse_member_list(p, "SecurityGroupId"):
        if group_id not in ec2._security_groups:
            return "InvalidGroup.NotFound", f"The security group '{group_id}' does not exist"
        if ec2._security_groups[group_id]["VpcId"] != vpc_id:
            return "InvalidParameter", f"Security group {group_id} and subnet {subnet_id} belong to different networks."
    return None


def _place(instance: dict[str, Any]) -> None:
    from ministack.services import ec2

    subnet = ec2._subnets[instance["SubnetId"]]
    network = ipaddress.ip_network(subnet["CidrBlock"])
    # A subnet's first four addresses and its last are AWS's.
    private = str(network[random.randrange(4, network.num_addresses - 1)])
    instance.update(
        PrivateIpAddress=private,
        PrivateDnsName=f"ip-{private.replace('.', '-')}.{subnet['AvailabilityZone'][:-1]}.compute.internal",
        RootDeviceName="/dev/sda1",
        Placement={**instance["Placement"], "AvailabilityZone": subnet["AvailabilityZone"]})
    for mapping in instance["BlockDeviceMappings"]:
        volume = ec2._volumes[mapping["Ebs"]["VolumeId"]]
        mapping["DeviceName"] = volume["Attachments"][0]["Device"] = instance["RootDeviceName"]
        volume["AvailabilityZone"] = subnet["AvailabilityZone"]


def _equip(instance: dict[str, Any], p: dict) -> None:
    """The volumes and metadata options of a launch, and its tags for volumes."""
    from ministack.services import ec2

    _set_metadata_options(instance, {name: ec2._p(p, f"MetadataOptions.{name}") for name in _METADATA})
    for number in count(1):
        ebs = f"BlockDeviceMapping.{number}.Ebs"
        device = ec2._p(p, f"BlockDeviceMapping.{number}.DeviceName")
        if not device:
            break
        volume = _volume(instance, device)
        volume["Size"] = int(ec2._p(p, f"{ebs}.VolumeSize") or volume["Size"])
        volume["VolumeType"] = ec2._p(p, f"{ebs}.VolumeType") or volume["VolumeType"]
        volume["Encrypted"] = ec2._p(p, f"{ebs}.Encrypted").lower() == "true"
        kept = ec2._p(p, f"{ebs}.DeleteOnTermination").lower() == "false"
        volume["Attachments"][0]["DeleteOnTermination"] = not kept
    for mapping in instance["BlockDeviceMappings"]:
        ec2._parse_tag_specs(p, "volume", mapping["Ebs"]["VolumeId"])


def _volume(instance: dict[str, Any], device: str) -> dict[str, Any]:
    """The volume at a device, made if it is not the root's."""
    from ministack.services import ec2

    root = instance["BlockDeviceMappings"][0]
    if device == root["DeviceName"]:
        return ec2._volumes[root["Ebs"]["VolumeId"]]
    volume = copy.deepcopy(ec2._volumes[root["Ebs"]["VolumeId"]])
    volume["VolumeId"] = volume["Attachments"][0]["VolumeId"] = ec2._new_volume_id()
    volume["Attachments"][0]["Device"] = device
    ec2._volumes[volume["VolumeId"]] = volume
    instance["BlockDeviceMappings"].append({"DeviceName": device, "Ebs": {**root["Ebs"], "VolumeId": volume["VolumeId"]}})
    return volume


_METADATA = {"HttpTokens": "optional", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": "1", "InstanceMetadataTags": "disabled"}


def _set_metadata_options(instance: dict[str, Any], given: dict[str, Any]) -> None:
    instance["MetadataOptions"] = {name: str(given.get(name) or default) for name, default in _METADATA.items()}


# ---- Describing ------------------------------------------------------------------------------------------------------------


def _interface_xml(instance: dict[str, Any], public: str) -> str:
    from ministack.core.responses import get_account_id

    groups = "".join(f"<item><groupId>{group['GroupId']}</groupId><groupName>{group['GroupName']}</groupName></item>"
                     for group in instance["SecurityGroups"])
    association = f"<association><publicIp>{public}</publicIp><ipOwnerId>amazon</ipOwnerId></association>" if public else ""
    return f"""<networkInterfaceSet><item><networkInterfaceId>{interface_id(instance)}</networkInterfaceId>
        <subnetId>{instance['SubnetId']}</subnetId><vpcId>{instance['VpcId']}</vpcId><ownerId>{get_account_id()}</ownerId>
        <status>in-use</status><privateIpAddress>{instance['PrivateIpAddress']}</privateIpAddress><groupSet>{groups}</groupSet>
        {association}<interfaceType>interface</interfaceType></item></networkInterfaceSet>"""


def _metadata_xml(instance: dict[str, Any]) -> str:
    options = instance.get("MetadataOptions", _METADATA)
    members = "".join(f"<{name[0].lower()}{name[1:]}>{value}</{name[0].lower()}{name[1:]}>" for name, value in options.items())
    return f"<metadataOptions><state>applied</state>{members}</metadataOptions>"


def _describe_statuses(p: dict) -> Any:
    from ministack.services import ec2

    wanted = ec2._parse_member_list(p, "InstanceId")
    for instance_id in wanted:
        if instance_id not in ec2._instances:
            return ec2._error("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist", 400)
    everyone = ec2._p(p, "IncludeAllInstances").lower() == "true"
    items = ""
    for instance_id in wanted or list(ec2._instances):
        instance = ec2._instances[instance_id]
        state = instance["State"]
        if state["Name"] != "running" and not everyone:
            continue
        status = ("<status>ok</status><details><item><name>reachability</name><status>passed</status></item></details>"
                  if state["Name"] == "running" else "<status>not-applicable</status>")
        items += f"""<item><instanceId>{instance_id}</instanceId>
            <availabilityZone>{instance['Placement']['AvailabilityZone']}</availabilityZone>
            <instanceState><code>{state['Code']}</code><name>{state['Name']}</name></instanceState>
            <systemStatus>{status}</systemStatus><instanceStatus>{status}</instanceStatus></item>"""
    return ec2._xml(200, "DescribeInstanceStatusResponse", f"<instanceStatusSet>{items}</instanceStatusSet>")


# ---- CloudFormation --------------------------------------------------------------------------------------------------------


def _create(logical_id: str, props: dict, stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services import ec2

    tags = {f"Tag.{number}.{name}": tag[name] for number, tag in enumerate(props.get("Tags", []), 1) for name in ("Key", "Value")}
    # Network interfaces that the template describes stand in the place of SubnetId and SecurityGroupIds.
    interface = next(iter(props.get("NetworkInterfaces", [])), {})
    groups = interface.get("GroupSet") or props.get("SecurityGroupIds", [])
    tagged = ["instance"] + (["volume"] if str(props.get("PropagateTagsToVolumeOnCreation", "")).lower() == "true" else [])
    params = {
        **{name: props.get(name) for name in ("ImageId", "InstanceType", "KeyName", "UserData")},
        "SubnetId": interface.get("SubnetId") or props.get("SubnetId"),
        "IamInstanceProfile.Name": props.get("IamInstanceProfile"),
        **{f"SecurityGroupId.{number}": group for number, group in enumerate(groups, 1)},
        **{f"MetadataOptions.{name}": str(value) for name, value in props.get("MetadataOptions", {}).items()},
    }
    for number, mapping in enumerate(props.get("BlockDeviceMappings", []), 1):
        params[f"BlockDeviceMapping.{number}.DeviceName"] = mapping["DeviceName"]
        params.update({f"BlockDeviceMapping.{number}.Ebs.{name}": str(value) for name, value in mapping.get("Ebs", {}).items()})
    for number, kind in enumerate(tagged, 1):
        params[f"TagSpecification.{number}.ResourceType"] = kind
        params.update({f"TagSpecification.{number}.{name}": value for name, value in tags.items()})
    instance_id = element(call("RunInstances", **params), "instanceId")
    if str(interface.get("AssociatePublicIpAddress", "")).lower() == "false":
        ec2._instances[instance_id]["PublicIpAddress"] = ""
    return instance_id, _attributes(instance_id)


def _update(instance_id: str, old: dict, new: dict, stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services import ec2
    from ministack.services.cloudformation import provisioners

    instance = ec2._instances.get(instance_id)
    if not instance or instance["State"]["Name"] == _GONE:
        raise ValueError(f"The instance ID '{instance_id}' does not exist")
    if any(old.get(name) != new.get(name) for name in ("InstanceType", "UserData")):
        # Stopped, changed and started again.
        instance.update(InstanceType=new.get("InstanceType", "m1.small"), UserData=new.get("UserData", ""), LaunchTime=ec2._now_ts())
    if old.get("SecurityGroupIds") != new.get("SecurityGroupIds"):
        instance["SecurityGroups"] = [
            {"GroupId": group, "GroupName": ec2._security_groups[group]["GroupName"]} for group in new.get("SecurityGroupIds", [])]
    if old.get("IamInstanceProfile") != new.get("IamInstanceProfile"):
        _change_profile(instance_id, new.get("IamInstanceProfile"))
    _set_metadata_options(instance, new.get("MetadataOptions", {}))
    provisioners._ec2_apply_tags(instance_id, new, old)
    return instance_id, _attributes(instance_id)


def _change_profile(instance_id: str, name: str | None) -> None:
    from ministack.services import ec2

    association = ec2._find_active_iam_instance_profile_association(instance_id)
    if association and name:
        call("ReplaceIamInstanceProfileAssociation", **{
            "AssociationId": association["AssociationId"], "IamInstanceProfile.Name": name})
    elif association:
        call("DisassociateIamInstanceProfile", AssociationId=association["AssociationId"])
    elif name:
        call("AssociateIamInstanceProfile", **{"InstanceId": instance_id, "IamInstanceProfile.Name": name})


def _delete(instance_id: str, props: dict) -> None:
    from ministack.services import ec2

    if instance_id in ec2._instances:
        call("TerminateInstances", **{"InstanceId.1": instance_id})


def _attributes(instance_id: str) -> dict[str, str]:
    from ministack.services import ec2

    instance = ec2._instances[instance_id]
    return {
        "InstanceId": instance_id,
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
        "PrivateDnsName": instance["PrivateDnsName"],
        "PrivateIp": instance["PrivateIpAddress"],
        "PublicIp": public_address(instance),
        "VpcId": instance["VpcId"],
    }
