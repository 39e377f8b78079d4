"""Owns who may call the stand-in: the emulator's own signature check and policy evaluator, asked as AWS would.

AWS also asks for rights behind a call: Connect describes the stream, and writes a policy on its own role, with the caller's
rights (Service Authorization Reference for Connect, dependent actions)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from ministack.app import _request_account_scope
from ministack.core import iam_evaluator
from ministack.core.iam_actions import _auth_failure, identity_denial_message
from ministack.core.responses import get_account_id, set_request_account_id, set_request_region
from ministack.core.router import extract_access_key_id

from ..bridges.hooks import behind
from . import targets
from .errors import ApiError
from .state import World

Header = tuple[bytes, bytes]
Needed = tuple[str, str, dict[str, Any]]  # action, resource, condition keys


def authenticate(method: str, raw_path: str, raw_query: str, raw_headers: list[Header], body: bytes, region: str) -> str:
    """Pins the request for the evaluator, as the emulator does for its own, and answers the access key."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw_headers}
    authorization = headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256"):
        raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
    query = parse_qs(raw_query, keep_blank_values=True)
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    if len(scope) != 5 or scope[3] != "connect":
        raise ApiError("InvalidSignatureException", "Credential should be scoped to correct service: 'connect'.")
    if scope[2] != region:
        raise ApiError("InvalidSignatureException", f"Credential should be scoped to a valid region, not '{scope[2]}'.")
    access_key = extract_access_key_id(headers, query)
    set_request_account_id(_request_account_scope(access_key))
    set_request_region(region)
    iam_evaluator.pin_request_origin("127.0.0.1", False)
    iam_evaluator.pin_signed_request(method, raw_path, query, raw_headers)
    iam_evaluator.pin_signed_body(body)
    return access_key


def caller(access_key: str) -> str:
    """Who calls, for the record of calls."""
    principal = iam_evaluator.resolve_principal(access_key, get_account_id())
    return "unknown" if isinstance(principal, iam_evaluator.AuthError) else principal.arn


def authorize(world: World, operation: str, given: dict[str, Any], access_key: str) -> None:
    """Asks for the operation itself. It needs no valid input: AWS denies before it validates."""
    instance_id = given.get("InstanceId")
    if instance_id and instance_id.startswith("arn:"):
        # The id is put into the resource as it is, and no policy names such a resource.
        resource = f"{_prefix(world)}{instance_id}"
        raise ApiError("AccessDeniedException", identity_denial_message(f"connect:{operation}", caller(access_key), resource, False))
    resource = f"{_prefix(world)}{instance_id}" if instance_id else "*"
    keys = {"connect:InstanceId": instance_id} if instance_id else {}
    if given.get("ResourceType"):
        keys["connect:StorageResourceType"] = given["ResourceType"]
    _ask(world, access_key, f"connect:{operation}", resource, keys)


def authorize_behind(world: World, operation: str, given: dict[str, Any], access_key: str) -> None:
    """Asks for what AWS needs of the caller behind the operation."""
    token = behind.set(f"connect:{operation}")
    try:
        for action, resource, keys in _behind(world, operation, given):
            _ask(world, access_key, action, resource, keys)
    finally:
        behind.reset(token)


def _behind(world: World, operation: str, given: dict[str, Any]) -> Iterator[Needed]:
    if operation in ("DescribeInstance", "ListInstances"):
        yield "ds:DescribeDirectories", "*", {}
    if operation not in ("AssociateInstanceStorageConfig", "UpdateInstanceStorageConfig"):
        return
    instance = world.instances.get(given["InstanceId"])
    if instance is None:
        return
    yield "ds:DescribeDirectories", "*", {}
    yield from _behind_storage(given["StorageConfig"])
    if not instance.service_role:
        yield "iam:CreateServiceLinkedRole", f"arn:aws:iam::{world.account_id}:role/aws-service-role/connect.amazonaws.com/*", {
            "iam:AWSServiceName": "connect.amazonaws.com"}
        yield "iam:AttachRolePolicy", f"arn:aws:iam::{world.account_id}:role/aws-service-role/connect.amazonaws.com/*", {}
    elif targets.target_arn(given["StorageConfig"]):
        yield "iam:PutRolePolicy", instance.service_role, {}


def _behind_storage(storage: dict[str, Any]) -> Iterator[Needed]:
    arn = targets.target_arn(storage)
    if arn and arn.split(":")[2] == "firehose":
        yield "firehose:DescribeDeliveryStream", arn, {}
    elif arn:
        yield "kinesis:DescribeStream", arn, {}
        key = targets.encryption_key(arn)
        if key:
            yield "kms:DescribeKey", key, {}
            yield "kms:CreateGrant", key, {"kms:GrantIsForAWSResource": "true"}
    elif storage.get("StorageType") == "S3":
        bucket = f"arn:aws:s3:::{(storage.get('S3Config') or {}).get('BucketName')}"
        yield "s3:GetBucketAcl", bucket, {}
        yield "s3:GetBucketLocation", bucket, {}


def _ask(world: World, access_key: str, action: str, resource: str, keys: dict[str, Any]) -> None:
    denied = iam_evaluator.enforce(
        access_key, action, action.partition(":")[0], world.region, resource_arn=resource, service_context=keys)
    if isinstance(denied, iam_evaluator.AuthError):
        code, _, message = _auth_failure("connect", denied.code, denied.message, {})
        raise ApiError(code, message)
    if denied:
        raise ApiError(
            "AccessDeniedException",
            identity_denial_message(action, denied.principal_arn, resource, denied.decision == "Deny"))


def _prefix(world: World) -> str:
    return f"arn:aws:connect:{world.region}:{world.account_id}:instance/"
