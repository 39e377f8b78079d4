"""Owns what each operation does, beyond what the model says: conflicts, allowed storage, paging, idempotency."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from . import targets
from .errors import ApiError
from .model import Operation
from .state import Association, Instance, World

# Which storage each resource type may have (Connect administrator guide, "Data streaming" and "Data storage").
_STREAMED = {
    "CONTACT_TRACE_RECORDS": {"KINESIS_FIREHOSE", "KINESIS_STREAM"},
    "AGENT_EVENTS": {"KINESIS_STREAM"},
    "MEDIA_STREAMS": {"KINESIS_VIDEO_STREAM"},
    "REAL_TIME_CONTACT_ANALYSIS_SEGMENTS": {"KINESIS_STREAM"},
    "REAL_TIME_CONTACT_ANALYSIS_CHAT_SEGMENTS": {"KINESIS_STREAM"},
    "REAL_TIME_CONTACT_ANALYSIS_VOICE_SEGMENTS": {"KINESIS_STREAM"},
}
_MEMBER_OF_STORAGE = {
    "S3": "S3Config",
    "KINESIS_VIDEO_STREAM": "KinesisVideoStreamConfig",
    "KINESIS_STREAM": "KinesisStreamConfig",
    "KINESIS_FIREHOSE": "KinesisFirehoseConfig",
}
_TOKEN_KEY = secrets.token_bytes(32)

Input = dict[str, Any]
Output = dict[str, Any]


def perform(world: World, operation: Operation, given: Input) -> Output:
    """Reads answer from the state that reads see; writes happen once for each ClientToken."""
    act = _OPERATIONS[operation.name]
    if operation.model.http["method"] == "GET":
        return act(world, operation, given)
    token = given.get("ClientToken")
    seen = world.client_tokens.get((operation.name, token)) if token else None
    if seen:
        if seen[0] != given:
            raise ApiError("InvalidRequestException", "The ClientToken was used for a different request.")
        return seen[1]
    world.before_write(given.get("InstanceId"))
    answer = act(world, operation, given)
    if token:
        world.client_tokens[(operation.name, token)] = (given, answer)
    return answer


def _list_instances(world: World, operation: Operation, given: Input) -> Output:
    summaries = []
    for instance in world.for_read().values():
        described = _described(instance)
        described.pop("StatusReason", None)
        summaries.append(described)
    return _page(operation, given, summaries, "InstanceSummaryList", 10)


def _describe_instance(world: World, operation: Operation, given: Input) -> Output:
    return {"Instance": _described(_instance(world.for_read(), given))}


def _described(instance: Instance) -> dict[str, Any]:
    described = {
        "Id": instance.instance_id,
        "Arn": instance.arn,
        "IdentityManagementType": "CONNECT_MANAGED",
        "InstanceAlias": instance.alias,
        "CreatedTime": instance.created,
        "InstanceStatus": instance.status,
        "InboundCallsEnabled": True,
        "OutboundCallsEnabled": True,
        "InstanceAccessUrl": f"https://{instance.alias}.my.connect.aws",
    }
    if instance.service_role:
        described["ServiceRole"] = instance.service_role
    if instance.status == "CREATION_FAILED":
        described["StatusReason"] = {"Message": "The instance could not be created."}
    return described


def _list_storage_configs(world: World, operation: Operation, given: Input) -> Output:
    found = _instance(world.for_read(), given).of_type(given["ResourceType"])
    return _page(operation, given, [one.as_storage_config() for one in found], "StorageConfigs", 10)


def _describe_storage_config(world: World, operation: Operation, given: Input) -> Output:
    return {"StorageConfig": _association(_instance(world.for_read(), given), given).as_storage_config()}


def _associate_storage_config(world: World, operation: Operation, given: Input) -> Output:
    instance = _active(world, given)
    storage = _storage(operation, given["ResourceType"], given["StorageConfig"])
    if instance.of_type(given["ResourceType"]):
        raise ApiError(world.options.conflict_code, f"A storage config for {given['ResourceType']} exists already.")
    _require_target(world, storage)
    association = Association(secrets.token_hex(32), given["ResourceType"], storage)
    instance.associations[association.association_id] = association
    targets.let_connect_write(instance.service_role, storage)
    return {"AssociationId": association.association_id}


def _update_storage_config(world: World, operation: Operation, given: Input) -> Output:
    association = _association(_active(world, given), given)
    storage = _storage(operation, given["ResourceType"], given["StorageConfig"])
    changes_type = storage["StorageType"] != association.storage_config["StorageType"]
    if changes_type and world.options.refuse_storage_type_change:
        raise operation.invalid("The storage type of a storage config cannot be changed.")
    _require_target(world, storage)
    association.storage_config = storage
    targets.let_connect_write(_instance(world.instances, given).service_role, storage)
    return {}


def _disassociate_storage_config(world: World, operation: Operation, given: Input) -> Output:
    instance = _instance(world.instances, given)
    del instance.associations[_association(instance, given).association_id]
    return {}


def _list_origins(world: World, operation: Operation, given: Input) -> Output:
    return _page(operation, given, list(_instance(world.for_read(), given).origins), "Origins", 25)


def _associate_origin(world: World, operation: Operation, given: Input) -> Output:
    instance = _active(world, given)
    origin = given["Origin"]
    scheme, separator, host = origin.partition("://")
    if scheme not in ("http", "https") or not separator or not host or "/" in host or "*" in host:
        raise operation.invalid("Origin is not a scheme and a host, such as https://example.com.")
    if origin in instance.origins:
        raise ApiError(world.options.conflict_code, "The origin is approved already.")
    if len(instance.origins) >= world.options.origin_quota:
        raise ApiError("ServiceQuotaExceededException", "The instance has as many approved origins as it may have.")
    instance.origins.append(origin)
    return {}


def _disassociate_origin(world: World, operation: Operation, given: Input) -> Output:
    instance = _instance(world.instances, given)
    if given["Origin"] not in instance.origins:
        raise ApiError("ResourceNotFoundException", "The origin is not approved.")
    instance.origins.remove(given["Origin"])
    return {}


_OPERATIONS: dict[str, Callable[[World, Operation, Input], Output]] = {
    "AssociateApprovedOrigin": _associate_origin,
    "AssociateInstanceStorageConfig": _associate_storage_config,
    "DescribeInstance": _describe_instance,
    "DescribeInstanceStorageConfig": _describe_storage_config,
    "DisassociateApprovedOrigin": _disassociate_origin,
    "DisassociateInstanceStorageConfig": _disassociate_storage_config,
    "ListApprovedOrigins": _list_origins,
    "ListInstances": _list_instances,
    "ListInstanceStorageConfigs": _list_storage_configs,
    "UpdateInstanceStorageConfig": _update_storage_config,
}


def _instance(instances: dict[str, Instance], given: Input) -> Instance:
    found = instances.get(given["InstanceId"])
    if not found:
        raise ApiError("ResourceNotFoundException", f"There is no instance {given['InstanceId']}.")
    return found


def _active(world: World, given: Input) -> Instance:
    instance = _instance(world.instances, given)
    if instance.status != "ACTIVE":
        raise ApiError("InvalidRequestException", f"The instance is {instance.status}.")
    return instance


def _association(instance: Instance, given: Input) -> Association:
    found = instance.associations.get(given["AssociationId"])
    if not found or found.resource_type != given["ResourceType"]:
        raise ApiError("ResourceNotFoundException", f"There is no storage config {given['AssociationId']} of that type.")
    return found


def _storage(operation: Operation, resource_type: str, config: dict[str, Any]) -> dict[str, Any]:
    """The storage config as kept: its one member, and nothing of the caller's AssociationId."""
    kind = config["StorageType"]
    member = _MEMBER_OF_STORAGE[kind]
    if kind not in _STREAMED.get(resource_type, {"S3"}):
        raise operation.invalid(f"{resource_type} cannot be stored in {kind}.")
    given = [name for name in _MEMBER_OF_STORAGE.values() if config.get(name)]
    if given != [member]:
        raise operation.invalid(f"StorageType {kind} takes {member} and nothing else.")
    if kind in ("KINESIS_STREAM", "KINESIS_FIREHOSE") and not targets.is_target_arn(kind, config[member]):
        raise operation.invalid(f"{member} does not name a {kind}.")
    return {"StorageType": kind, member: config[member]}


def _require_target(world: World, storage: dict[str, Any]) -> None:
    if world.options.check_targets and not targets.exists(storage):
        raise ApiError(world.options.missing_target_code, "The storage does not exist.")


def _page(operation: Operation, given: Input, items: list[Any], member: str, largest: int) -> Output:
    """A page as long as asked for (at most the model's maximum), with a token that only this stand-in can read."""
    scope = {"operation": operation.name, "of": given.get("InstanceId"), "type": given.get("ResourceType")}
    start = _read_token(given["NextToken"], scope) if given.get("NextToken") else 0
    end = start + given.get("MaxResults", largest)
    more = {"NextToken": _token(end, scope)} if end < len(items) else {}
    return {member: items[start:end], **more}


def _token(start: int, scope: dict[str, Any]) -> str:
    content = json.dumps({"start": start, "salt": uuid.uuid4().hex, **scope}).encode()
    return base64.urlsafe_b64encode(hmac.new(_TOKEN_KEY, content, hashlib.sha256).digest() + content).decode()


def _read_token(token: str, scope: dict[str, Any]) -> int:
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        digest, content = raw[:32], raw[32:]
        if not hmac.compare_digest(digest, hmac.new(_TOKEN_KEY, content, hashlib.sha256).digest()):
            raise ValueError
        read = json.loads(content)
        if any(read[name] != value for name, value in scope.items()):
            raise ValueError
        return read["start"]
    except ValueError:
        raise ApiError("InvalidRequestException", "NextToken is not valid for this request.") from None
