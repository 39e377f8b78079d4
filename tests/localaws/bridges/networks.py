"""Owns the bridges of the network around instances: the default VPC, security groups, what is offered in which zone, and filters."""

from __future__ import annotations

import re
from typing import Any

from .hooks import Hook, replace, replace_action

# EC2's API reference, GroupDescription and IpRange.Description of a security group in a VPC.
_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_TAGS = {"tag-key", "tag-value"}
# The filters that the emulator, and a bridge of ours, heed.
_FILTERS = {
    "DescribeAddresses": {"allocation-id", "association-id", "domain", "instance-id", "public-ip"} | _TAGS,
    "DescribeIamInstanceProfileAssociations": {"association-id", "instance-id", "state"},
    "DescribeInstanceStatus": set(),
    "DescribeInstanceTypeOfferings": {"instance-type", "location"},
    "DescribeInstances": {"image-id", "instance-id", "instance-state-name", "instance-type", "key-name", "subnet-id", "vpc-id"} | _TAGS,
    "DescribeKeyPairs": set(),
    "DescribeRouteTables": {
        "association.main", "association.route-table-association-id", "association.subnet-id", "vpc-id"} | _TAGS,
    "DescribeSecurityGroups": {"group-name", "vpc-id"} | _TAGS,
    "DescribeSubnets": {"availability-zone", "cidr-block", "default-for-az", "subnet-id", "vpc-id"} | _TAGS,
}


def route_the_default_vpc() -> None:
    """A default VPC's main route table leads to its internet gateway; the emulator has the gateway and no route to it."""
    from ministack.services import ec2

    def wrap(make: Hook) -> Hook:
        def with_route() -> None:
            make()
            routes = ec2._route_tables[ec2._DEFAULT_RTB_ID]["Routes"]
            if not any(route["DestinationCidrBlock"] == "0.0.0.0/0" for route in routes):
                routes.append({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": ec2._DEFAULT_IGW_ID, "State": "active",
                               "Origin": "CreateRoute"})
        return with_route

    replace("services.ec2", "_init_defaults", wrap)
    # It was made when the emulator was imported.
    ec2._init_defaults()


def list_offerings() -> None:
    """EC2 says which instance types it offers in which zone, not all in each; the emulator has no such operation. Here the third
    zone of a region offers t3 alone."""
    from ministack.core.responses import get_region
    from ministack.services import ec2

    sizes = {"t3": ("medium", "large", "xlarge"), **dict.fromkeys(("m5", "m6i", "r5", "r6i"), ("large", "xlarge", "2xlarge", "4xlarge"))}

    def describe(p: dict) -> Any:
        kind = ec2._p(p, "LocationType") or "region"
        region = get_region()
        if kind not in ("region", "availability-zone"):
            return ec2._error("InvalidParameterValue", f"Value ({kind}) for parameter locationType is invalid.", 400)
        filters = ec2._parse_filters(p)
        items = "".join(
            f"<item><instanceType>{family}.{size}</instanceType><locationType>{kind}</locationType><location>{place}</location></item>"
            for place in ([region] if kind == "region" else [f"{region}{letter}" for letter in "abc"])
            for family in sizes if family == "t3" or not place.endswith("c") for size in sizes[family]
            if all(any(ec2._glob_match(pattern, value) for pattern in filters.get(name, ["*"]))
                   for name, value in (("instance-type", f"{family}.{size}"), ("location", place))))
        return ec2._xml(200, "DescribeInstanceTypeOfferingsResponse", f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>")

    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = describe


def keep_groups_in_use() -> None:
    """EC2 keeps a security group that an instance or another group's rule uses, and takes plain descriptions only; the emulator
    deletes any, and takes any. A group of a template needs a VPC that exists."""
    from ministack.services import ec2
    from ministack.services.cloudformation import provisioners

    def wrap_delete(delete: Hook) -> Hook:
        def unless_used(p: dict) -> Any:
            group_id = ec2._p(p, "GroupId")
            if _is_used(group_id):
                return ec2._error("DependencyViolation", f"resource {group_id} has a dependent object", 400)
            return delete(p)
        return unless_used

    replace_action("DeleteSecurityGroup", wrap_delete)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::EC2::SecurityGroup"]
    create, update, remove = handlers["create"], handlers["update"], handlers["delete"]

    def create_checked(logical_id: str, props: dict, stack_name: str) -> Any:
        if props.get("VpcId", ec2._DEFAULT_VPC_ID) not in ec2._vpcs:
            raise ValueError(f"The vpc ID '{props['VpcId']}' does not exist (Service: Ec2, Status Code: 400)")
        _check_descriptions(props)
        return create(logical_id, props, stack_name)

    def update_checked(physical_id: str, old: dict, new: dict, *rest: Any) -> Any:
        _check_descriptions(new)
        return update(physical_id, old, new, *rest)

    def remove_unused(group_id: str, props: dict) -> None:
        if _is_used(group_id):
            raise ValueError(f"resource {group_id} has a dependent object (Service: Ec2, Status Code: 400)")
        remove(group_id, props)

    handlers.update(create=create_checked, update=update_checked, delete=remove_unused)


def refuse_unknown_filters() -> None:
    """EC2 refuses a filter that it does not know; the emulator ignores it and answers with everything. What is refused here and not
    by EC2 wants a bridge."""
    from ministack.services import ec2

    def wrap(known: set[str]) -> Any:
        def wrap_describe(describe: Hook) -> Hook:
            def strict(p: dict) -> Any:
                for name in ec2._parse_filters(p):
                    if name not in known and not (name.startswith("tag:") and "tag-key" in known):
                        return ec2._error("InvalidParameterValue", f"The filter '{name}' is invalid", 400)
                return describe(p)
            return strict
        return wrap_describe

    for action, known in _FILTERS.items():
        replace_action(action, wrap(known))


def _is_used(group_id: str) -> bool:
    from ministack.services import ec2

    by_instance = any(group["GroupId"] == group_id for instance in ec2._instances.values()
                      if instance["State"]["Name"] != "terminated" for group in instance["SecurityGroups"])
    return by_instance or any(
        pair.get("GroupId") == group_id for group in ec2._security_groups.values() if group["GroupId"] != group_id
        for rule in [*group["IpPermissions"], *group["IpPermissionsEgress"]] for pair in rule["UserIdGroupPairs"])


def _check_descriptions(props: dict) -> None:
    rules = [*props.get("SecurityGroupIngress", []), *props.get("SecurityGroupEgress", [])]
    for text in [props.get("GroupDescription", ""), *(rule.get("Description", "") for rule in rules)]:
        if not _DESCRIPTION.fullmatch(text):
            raise ValueError(f"Invalid security group description {text!r}. Valid descriptions are strings less than 256 characters from the "
                             "following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$* (Service: Ec2, Status Code: 400)")
