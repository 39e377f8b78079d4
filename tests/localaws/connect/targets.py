"""Owns the stand-in's view of the emulator's streams, buckets and Connect's own role: they live in the same process."""

from __future__ import annotations

import json
import re
from typing import Any

from ministack.services import firehose, iam, kinesis, s3

_TARGET_ARN = {
    "KINESIS_STREAM": re.compile(r"arn:aws[-a-z]*:kinesis:[-a-z0-9]+:\d{12}:stream/([-a-zA-Z0-9_.]{1,128})"),
    "KINESIS_FIREHOSE": re.compile(r"arn:aws[-a-z]*:firehose:[-a-z0-9]+:\d{12}:deliverystream/([-a-zA-Z0-9_.]{1,64})"),
}
_TARGET_MEMBER = {
    "KINESIS_STREAM": ("KinesisStreamConfig", "StreamArn"),
    "KINESIS_FIREHOSE": ("KinesisFirehoseConfig", "FirehoseArn"),
}
# What Connect adds to its own role for a target (administrator guide, "Service-linked role permissions").
_WRITES = {
    "KINESIS_STREAM": ["kinesis:PutRecord", "kinesis:PutRecords", "kinesis:DescribeStream"],
    "KINESIS_FIREHOSE": ["firehose:DescribeDeliveryStream", "firehose:PutRecord", "firehose:PutRecordBatch"],
}


def is_target_arn(kind: str, config: dict[str, Any]) -> bool:
    return bool(_TARGET_ARN[kind].fullmatch(config.get(_TARGET_MEMBER[kind][1], "")))


def target_arn(storage: dict[str, Any]) -> str | None:
    """The stream or delivery stream of a storage config, if it is one."""
    member = _TARGET_MEMBER.get(storage.get("StorageType", ""))
    return (storage.get(member[0]) or {}).get(member[1]) if member else None


def exists(storage: dict[str, Any]) -> bool:
    if storage["StorageType"] == "S3":
        return storage["S3Config"].get("BucketName") in s3._buckets
    arn = target_arn(storage)
    if not arn:
        return True
    _, _, service, region, account_id, name = arn.split(":", 5)
    streams = kinesis._streams if service == "kinesis" else firehose._streams
    return streams.get_scoped(account_id, region, name.split("/", 1)[1]) is not None


def encryption_key(arn: str) -> str | None:
    """The customer managed key of a Kinesis stream."""
    _, _, service, region, account_id, name = arn.split(":", 5)
    if service != "kinesis":
        return None
    stream = kinesis._streams.get_scoped(account_id, region, name.split("/", 1)[1]) or {}
    return stream.get("KeyId") if stream.get("EncryptionType") == "KMS" else None


def ensure_service_role(arn: str | None) -> None:
    """Connect makes a service-linked role with each instance."""
    if not arn:
        return
    name = arn.rsplit("/", 1)[1]
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "connect.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    iam._roles[name] = {
        "RoleName": name,
        "Arn": arn,
        "RoleId": "AROA" + name[-16:].upper(),
        "CreateDate": "2026-01-01T00:00:00Z",
        "Path": "/aws-service-role/connect.amazonaws.com/",
        "AssumeRolePolicyDocument": json.dumps(trust),
        "Description": "",
        "MaxSessionDuration": 3600,
        "AttachedPolicies": [],
        "InlinePolicies": {},
        "Tags": [],
    }


def let_connect_write(service_role: str | None, storage: dict[str, Any]) -> None:
    """Connect writes an inline policy for the target on its own role; it never takes one away."""
    arn = target_arn(storage)
    if not arn or not service_role:
        return
    role = iam._roles.get(service_role.rsplit("/", 1)[1])
    if role is None:
        return
    statement = {"Effect": "Allow", "Action": _WRITES[storage["StorageType"]], "Resource": arn}
    role["InlinePolicies"][f"{arn.split(':')[2]}-{arn.rsplit('/', 1)[1]}"] = json.dumps(
        {"Version": "2012-10-17", "Statement": [statement]})
