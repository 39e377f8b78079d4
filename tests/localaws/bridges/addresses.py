"""Owns the bridges of Elastic IPs: how many there may be, whom they are associated with, and CloudFormation's two resource types."""

from __future__ import annotations

from typing import Any

from .hooks import Hook, replace_action
from .servers import call, element, interface_id

# What a new account is allowed, in each region.
_QUOTA = 5


def count_addresses_as_ec2_does() -> None:
    """EC2 says how many Elastic IPs an account may have, and allocates no more; the emulator has no DescribeAccountAttributes and no
    end of addresses."""
    from ministack.services import ec2

    attributes = {
        "supported-platforms": "VPC",
        "default-vpc": ec2._DEFAULT_VPC_ID,
        "max-instances": "20",
        "vpc-max-security-groups-per-interface": "5",
        "max-elastic-ips": str(_QUOTA),
        "vpc-max-elastic-ips": str(_QUOTA),
    }

    def describe(p: dict) -> Any:
        wanted = ec2._parse_member_list(p, "AttributeName") or list(attributes)
        unknown = [name for name in wanted if name not in attributes]
        if unknown:
            return ec2._error("InvalidParameterValue", f"Value ({unknown[0]}) for parameter attributeName is invalid.", 400)
        items = "".join(
            f"<item><attributeName>{name}</attributeName><attributeValueSet><item><attributeValue>{attributes[name]}"
            "</attributeValue></item></attributeValueSet></item>" for name in wanted)
        return ec2._xml(200, "DescribeAccountAttributesResponse", f"<accountAttributeSet>{items}</accountAttributeSet>")

    def wrap(allocate: Hook) -> Hook:
        def within_quota(p: dict) -> Any:
            if len(ec2._addresses) >= _QUOTA:
                return ec2._error("AddressLimitExceeded", "The maximum number of addresses has been reached.", 400)
            return allocate(p)
        return within_quota

    ec2._ACTION_MAP["DescribeAccountAttributes"] = describe
    replace_action("AllocateAddress", wrap)


def associate_addresses_as_ec2_does() -> None:
    """An address goes to one instance that exists, and an instance has one address; what is in use is not released, and a terminated
    instance gives its address back. The emulator checks nothing of this, and describes all addresses whatever is asked for."""
    from ministack.services import ec2

    def wrap_associate(associate: Hook) -> Hook:
        def checked(p: dict) -> Any:
            instance_id, address = ec2._p(p, "InstanceId"), ec2._addresses.get(ec2._p(p, "AllocationId"))
            instance = ec2._instances.get(instance_id)
            if address and (not instance or instance["State"]["Name"] == "terminated"):
                return ec2._error("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist", 400)
            if address and address["InstanceId"] not in (None, instance_id) and ec2._p(p, "AllowReassociation").lower() == "false":
                return ec2._error("Resource.AlreadyAssociated", f"resource {address['AllocationId']} is already associated with "
                                  f"associate-id {address['AssociationId']}", 400)
            if address:
                _give_back(instance_id)
            return associate(p)
        return checked

    def wrap_disassociate(disassociate: Hook) -> Hook:
        def checked(p: dict) -> Any:
            association_id = ec2._p(p, "AssociationId")
            if not any(address["AssociationId"] == association_id for address in ec2._addresses.values()):
                return ec2._error("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist", 400)
            return disassociate(p)
        return checked

    def wrap_release(release: Hook) -> Hook:
        def checked(p: dict) -> Any:
            address = ec2._addresses.get(ec2._p(p, "AllocationId"))
            if address and address["AssociationId"]:
                return ec2._error("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.", 400)
            return release(p)
        return checked

    def wrap_terminate(terminate: Hook) -> Hook:
        def and_give_back(p: dict) -> Any:
            answer = terminate(p)
            if answer[0] == 200:
                for instance_id in ec2._parse_member_list(p, "InstanceId"):
                    _give_back(instance_id)
            return answer
        return and_give_back

    replace_action("AssociateAddress", wrap_associate)
    replace_action("DisassociateAddress", wrap_disassociate)
    replace_action("ReleaseAddress", wrap_release)
    replace_action("TerminateInstances", wrap_terminate)
    ec2._ACTION_MAP["DescribeAddresses"] = _describe


def provision_addresses() -> None:
    """CloudFormation makes Elastic IPs and associates them; the emulator does not know the resource types."""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS["AWS::EC2::EIP"] = {"create": _create, "update": _update, "delete": _delete}
    provisioners._RESOURCE_HANDLERS["AWS::EC2::EIPAssociation"] = {"create": _create_association, "delete": _delete_association}
    provisioners._REPLACING_PROPERTIES["AWS::EC2::EIP"] = ("Address", "IpamPoolId", "NetworkBorderGroup", "TransferAddress")
    provisioners._REPLACING_PROPERTIES["AWS::EC2::EIPAssociation"] = (
        "AllocationId", "EIP", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress")
    provisioners._STACK_TAG_PROPERTY["AWS::EC2::EIP"] = ("Tags", "list")


def _give_back(instance_id: str) -> None:
    from ministack.services import ec2

    for address in ec2._addresses.values():
        if address["InstanceId"] == instance_id:
            address.update(AssociationId=None, InstanceId=None)


_FILTERS = {"allocation-id": "AllocationId", "association-id": "AssociationId", "domain": "Domain", "instance-id": "InstanceId",
            "public-ip": "PublicIp"}


def _describe(p: dict) -> Any:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ec2

    addresses = list(ec2._addresses.values())
    for parameter, member, code in (("AllocationId", "AllocationId", "InvalidAllocationID.NotFound"),
                                    ("PublicIp", "PublicIp", "InvalidAddress.NotFound")):
        wanted = ec2._parse_member_list(p, parameter)
        missing = [value for value in wanted if value not in [address[member] for address in addresses]]
        if missing:
            return ec2._error(code, f"The {'allocation ID' if member == 'AllocationId' else 'address'} '{missing[0]}' does not exist", 400)
        addresses = [address for address in addresses if not wanted or address[member] in wanted]
    filters = ec2._parse_filters(p)
    items = ""
    for address in addresses:
        if not all(address[_FILTERS[name]] in values for name, values in filters.items() if name in _FILTERS):
            continue
        if not ec2._resource_matches_tag_filters(address["AllocationId"], filters):
            continue
        instance = ec2._instances.get(address["InstanceId"])
        association = f"""<associationId>{address['AssociationId']}</associationId><instanceId>{address['InstanceId']}</instanceId>
            <networkInterfaceId>{interface_id(instance)}</networkInterfaceId>
            <networkInterfaceOwnerId>{get_account_id()}</networkInterfaceOwnerId>
            <privateIpAddress>{instance['PrivateIpAddress']}</privateIpAddress>""" if instance else ""
        items += f"""<item><allocationId>{address['AllocationId']}</allocationId><publicIp>{address['PublicIp']}</publicIp>
            <domain>{address['Domain']}</domain><publicIpv4Pool>amazon</publicIpv4Pool>
            <networkBorderGroup>{get_region()}</networkBorderGroup>{association}{ec2._tag_set_xml(address['AllocationId'])}</item>"""
    return ec2._xml(200, "DescribeAddressesResponse", f"<addressesSet>{items}</addressesSet>")


# ---- CloudFormation --------------------------------------------------------------------------------------------------------


def _create(logical_id: str, props: dict, stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services.cloudformation import provisioners

    made = call("AllocateAddress", Domain=props.get("Domain"))
    public, allocation = element(made, "publicIp"), element(made, "allocationId")
    provisioners._ec2_apply_tags(allocation, props)
    if props.get("InstanceId"):
        call("AssociateAddress", AllocationId=allocation, InstanceId=props["InstanceId"])
    return public, {"AllocationId": allocation, "PublicIp": public}


def _update(public: str, old: dict, new: dict, stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services import ec2
    from ministack.services.cloudformation import provisioners

    address = next((one for one in ec2._addresses.values() if one["PublicIp"] == public), None)
    if not address:
        raise ValueError(f"The address '{public}' does not exist")
    provisioners._ec2_apply_tags(address["AllocationId"], new, old)
    if new.get("InstanceId") and new["InstanceId"] != old.get("InstanceId"):
        call("AssociateAddress", AllocationId=address["AllocationId"], InstanceId=new["InstanceId"])
    return public, {"AllocationId": address["AllocationId"], "PublicIp": public}


def _delete(public: str, props: dict) -> None:
    from ministack.services import ec2

    for address in list(ec2._addresses.values()):
        if address["PublicIp"] == public:
            if props.get("InstanceId") and address["AssociationId"]:
                call("DisassociateAddress", AssociationId=address["AssociationId"])
            call("ReleaseAddress", AllocationId=address["AllocationId"])


def _create_association(logical_id: str, props: dict, stack_name: str) -> tuple[str, dict[str, str]]:
    made = call("AssociateAddress", AllocationId=props.get("AllocationId"), InstanceId=props.get("InstanceId"))
    association = element(made, "associationId")
    return association, {"Id": association}


def _delete_association(association: str, props: dict) -> None:
    from ministack.services import ec2

    if any(address["AssociationId"] == association for address in ec2._addresses.values()):
        call("DisassociateAddress", AssociationId=association)
