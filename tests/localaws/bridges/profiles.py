"""Owns the bridges of IAM's instance profiles: their names, their roles, and who may pass one to an instance."""

from __future__ import annotations

import re
from typing import Any

from . import access
from .hooks import Hook, replace, replace_action


def name_profiles_of_templates() -> None:
    """CloudFormation's Ref of an instance profile is its name, and a role that is in a profile is not deleted; the emulator's Ref is
    the ARN, and it deletes such a role from under the profile."""
    from ministack.services import iam
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::InstanceProfile"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def named(answer: tuple[str, dict]) -> tuple[str, dict]:
        return answer[0].rsplit("/", 1)[-1], answer[1]

    def arn_of(name: str) -> str:
        return (iam._instance_profiles.get(name) or {}).get("Arn", name)

    handlers["create"] = lambda logical_id, props, stack_name: named(create(logical_id, props, stack_name))
    handlers["update"] = lambda name, *rest: named(update(arn_of(name), *rest))
    handlers["delete"] = lambda name, props: delete(arn_of(name), props)

    roles = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    delete_role = roles["delete"]

    def delete_unless_in_profile(name: str, props: dict) -> None:
        if any(name in profile["Roles"] for profile in iam._instance_profiles.values()):
            raise ValueError("Cannot delete entity, must remove roles from instance profile first. (Service: Iam, Status Code: 409)")
        delete_role(name, props)

    roles["delete"] = delete_unless_in_profile


def associate_profiles_as_ec2_does() -> None:
    """EC2 associates only a profile that exists and has a role, and asks whether the caller may pass that role; an association that
    replaces another is a new one. The emulator passes any role, launches with profiles that do not exist, and keeps the old id."""
    from ministack.services import ec2

    def wrap(associate: Hook) -> Hook:
        def checked(p: dict) -> Any:
            return _refusal(p) or associate(p)
        return checked

    def wrap_replace(replacing: Hook) -> Hook:
        def anew(p: dict) -> Any:
            association_id = ec2._p(p, "AssociationId")
            status, headers, body = replacing(p)
            if status != 200:
                return status, headers, body
            replaced = ec2._iam_instance_profile_associations.pop(association_id)
            made = f"iip-assoc-{ec2._new_instance_id()[2:]}"
            ec2._upsert_iam_instance_profile_association(replaced["InstanceId"], replaced["IamInstanceProfile"], association_id=made)
            return status, headers, body.replace(association_id.encode(), made.encode())
        return anew

    def wrap_state(associate: Hook) -> Hook:
        def on_the_way(p: dict) -> Any:
            status, headers, body = associate(p)
            return status, headers, body.replace(b"<state>associated</state>", b"<state>associating</state>")
        return on_the_way

    replace_action("ReplaceIamInstanceProfileAssociation", wrap_replace)
    for action in ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"):
        replace_action(action, wrap_state)
        replace_action(action, wrap)
    replace_action("RunInstances", wrap)


def authorize_ec2_calls() -> None:
    """AWS authorises EC2's descriptions on `*`, and changes on each resource that they name; the emulator on the first one that the
    request names, descriptions too, and where only an association is named on nothing in particular."""
    def wrap_resource(extract: Hook) -> Hook:
        def exact(service: str, method: str, path: str, headers: dict, body: bytes, query: dict, region: str, account_id: str) -> str:
            found = _resources(query, region, account_id) if service == "ec2" else []
            return found[0] if found else extract(service, method, path, headers, body, query, region, account_id)
        return exact

    def wrap_others(others: Hook) -> Hook:
        return lambda query, region, account_id: _resources(query, region, account_id) or others(query, region, account_id)

    replace("core.iam_actions", "extract_resource_arn", wrap_resource)
    replace("core.iam_actions", "verified_access_resource_arns", wrap_others)


def _resources(query: dict, region: str, account_id: str) -> list[str]:
    """Service Authorization Reference, Amazon EC2."""
    from ministack.services import ec2

    def arn(kind: str, name: str | None) -> str:
        return f"arn:aws:ec2:{region}:{account_id}:{kind}/{name or '*'}"

    action = ec2._p(query, "Action")
    association = ec2._p(query, "AssociationId")
    if action.startswith("Describe"):
        return ["*"]
    if action in ("ReplaceIamInstanceProfileAssociation", "DisassociateIamInstanceProfile"):
        return [arn("instance", (ec2._iam_instance_profile_associations.get(association) or {}).get("InstanceId"))]
    if action == "AssociateAddress":
        return [arn("elastic-ip", ec2._p(query, "AllocationId")), arn("instance", ec2._p(query, "InstanceId"))]
    if action == "DisassociateAddress":
        return [arn("elastic-ip", next((one["AllocationId"] for one in ec2._addresses.values() if one["AssociationId"] == association), None))]
    if re.fullmatch(r"(Start|Stop|Reboot|Terminate)Instances", action):
        return [arn("instance", name) for name in ec2._parse_member_list(query, "InstanceId")]
    return []


def _refusal(p: dict) -> Any:
    from ministack.services import ec2, iam

    arn, name = ec2._p(p, "IamInstanceProfile.Arn"), ec2._p(p, "IamInstanceProfile.Name")
    profile, refusal = ec2._resolve_iam_instance_profile(iam_arn=arn, iam_name=name)
    if refusal or not profile:
        return refusal
    roles = iam._lookup_instance_profile(name=name, arn=arn)["Roles"]
    if not roles:
        return ec2._error("InvalidParameterValue", f'IAM Instance Profile "{profile["Arn"]}" has no associated IAM Roles', 400)
    return access.pass_role(iam._roles[roles[0]]["Arn"], "ec2")
