"""Who may call the stand-in, and what AWS asks of the caller behind a call: answered by the emulator's own evaluator."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import Control, checked_connect
from test_operations import code_of, to_firehose, to_stream

from localaws.launcher import Offer

User = Callable[..., dict[str, str]]


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def connect_as(offer: Offer, keys: dict[str, str]) -> Any:
    return checked_connect(offer, keys["aws_access_key_id"], keys["aws_secret_access_key"])


def test_a_call_is_mapped_to_its_action_and_instance(offer: Offer, control: Control, user: User) -> None:
    allowed = connect_as(offer, user(allow("connect:ListApprovedOrigins", resource=offer.instanceArn)))
    assert allowed.list_approved_origins(InstanceId=offer.instanceId)["Origins"] == []
    assert code_of(allowed.list_instance_storage_configs, InstanceId=offer.instanceId, ResourceType="AGENT_EVENTS") == "AccessDeniedException"
    other = control("POST", "instances", alias="other")
    assert code_of(allowed.list_approved_origins, InstanceId=other["id"]) == "AccessDeniedException"
    # Below the instance is not the instance: what the guide's policy gets wrong.
    below = connect_as(offer, user(allow("connect:*", resource=f"{offer.instanceArn}/*")))
    assert code_of(below.list_approved_origins, InstanceId=offer.instanceId) == "AccessDeniedException"


def test_condition_keys_and_denials_hold(offer: Offer, control: Control, user: User) -> None:
    keys = user(
        allow("connect:ListInstanceStorageConfigs", Condition={"StringEquals": {"connect:StorageResourceType": "AGENT_EVENTS"}}),
        allow("connect:ListApprovedOrigins"),
        {"Effect": "Deny", "Action": "connect:ListApprovedOrigins", "Resource": "*"})
    connect = connect_as(offer, keys)
    of = {"InstanceId": offer.instanceId}
    assert connect.list_instance_storage_configs(**of, ResourceType="AGENT_EVENTS")["StorageConfigs"] == []
    assert code_of(connect.list_instance_storage_configs, **of, ResourceType="CONTACT_TRACE_RECORDS") == "AccessDeniedException"
    assert code_of(connect.list_approved_origins, **of) == "AccessDeniedException"


def test_an_arn_passed_as_instance_id_is_denied(connect: Any, offer: Offer) -> None:
    assert code_of(connect.list_approved_origins, InstanceId=offer.instanceArn) == "AccessDeniedException"


@pytest.mark.parametrize(("missing", "to_delivery_stream"), [
    ("kinesis:DescribeStream", False),
    ("firehose:DescribeDeliveryStream", True),
    ("iam:PutRolePolicy", False),
    ("ds:DescribeDirectories", False),
])
def test_rights_behind_an_association_are_asked_of_the_caller(
        offer: Offer, control: Control, user: User, stream: str, delivery_stream: str, missing: str, to_delivery_stream: bool) -> None:
    behind = {"kinesis:DescribeStream", "firehose:DescribeDeliveryStream", "iam:PutRolePolicy", "ds:DescribeDirectories"}
    of = {"InstanceId": offer.instanceId, "ResourceType": "CONTACT_TRACE_RECORDS",
          "StorageConfig": to_firehose(delivery_stream) if to_delivery_stream else to_stream(stream)}
    without = connect_as(offer, user(allow("connect:AssociateInstanceStorageConfig", *(behind - {missing}))))
    with pytest.raises(ClientError, match=missing) as error:
        without.associate_instance_storage_config(**of)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert control("GET", "state")["instances"][0]["storageConfigs"] == {}
    connect_as(offer, user(allow("connect:AssociateInstanceStorageConfig", *behind))).associate_instance_storage_config(**of)


def test_a_missing_service_role_needs_more_rights(offer: Offer, control: Control, user: User, stream: str) -> None:
    old = control("POST", "instances", alias="old", serviceRole=False)
    keys = user(allow("connect:*", "kinesis:DescribeStream", "ds:DescribeDirectories", "iam:PutRolePolicy"))
    with pytest.raises(ClientError, match="iam:CreateServiceLinkedRole"):
        connect_as(offer, keys).associate_instance_storage_config(
            InstanceId=old["id"], ResourceType="AGENT_EVENTS", StorageConfig=to_stream(stream))


def test_an_encrypted_stream_needs_a_grant_on_its_key(
        offer: Offer, control: Control, user: User, stream: str, client: Callable[..., Any]) -> None:
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    client("kinesis").start_stream_encryption(StreamName="standin-events", EncryptionType="KMS", KeyId=key)
    of = {"InstanceId": offer.instanceId, "ResourceType": "AGENT_EVENTS", "StorageConfig": to_stream(stream)}
    rights = allow("connect:*", "kinesis:DescribeStream", "ds:DescribeDirectories", "iam:PutRolePolicy", "kms:DescribeKey")
    with pytest.raises(ClientError, match="kms:CreateGrant"):
        connect_as(offer, user(rights)).associate_instance_storage_config(**of)
    grant = allow("kms:CreateGrant", resource=key, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}})
    connect_as(offer, user(rights, grant)).associate_instance_storage_config(**of)


def test_an_unsigned_request_is_refused(offer: Offer, control: Control) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{offer.connectEndpoint}/instance", timeout=10)
    assert (error.value.code, error.value.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(("service", "region"), [("kinesis", "ap-southeast-2"), ("connect", "us-east-1")])
def test_a_signature_for_elsewhere_is_refused(offer: Offer, control: Control, service: str, region: str) -> None:
    request = AWSRequest("GET", f"{offer.connectEndpoint}/instance")
    SigV4Auth(Credentials(offer.accessKeyId, offer.secretAccessKey), service, region).add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers)), timeout=10)
    assert error.value.headers["x-amzn-errortype"] == "InvalidSignatureException"


def test_a_wrong_secret_is_refused(offer: Offer, control: Control, user: User) -> None:
    keys = user(allow("connect:*", "ds:DescribeDirectories"))
    assert code_of(checked_connect(offer, keys["aws_access_key_id"], "wrong").list_instances) == "InvalidSignatureException"
    assert code_of(checked_connect(offer, "AKIAUNKNOWNUNKNOWN00", "any").list_instances) == "UnrecognizedClientException"
    assert connect_as(offer, keys).list_instances()["InstanceSummaryList"]


def test_every_decision_is_logged(offer: Offer, control: Control, user: User, stream: str) -> None:
    keys = user(allow("connect:AssociateInstanceStorageConfig", "ds:DescribeDirectories", "kinesis:DescribeStream"))
    with pytest.raises(ClientError):
        connect_as(offer, keys).associate_instance_storage_config(
            InstanceId=offer.instanceId, ResourceType="AGENT_EVENTS", StorageConfig=to_stream(stream))
    lines = [json.loads(line) for line in Path(offer.callLog).read_text(encoding="utf-8").splitlines()]
    principal = f"arn:aws:iam::{offer.accountId}:user/tester-0"
    mine = [line for line in lines if line["principal"] == principal][-4:]
    behind = "connect:AssociateInstanceStorageConfig"
    assert [(line["action"], line["decision"], line.get("behind")) for line in mine] == [
        (behind, "Allow", None),
        ("ds:DescribeDirectories", "Allow", behind),
        ("kinesis:DescribeStream", "Allow", behind),
        ("iam:PutRolePolicy", "ImplicitDeny", behind),
    ]
    assert mine[2]["resource"] == stream


def test_botocore_finds_the_stand_in_by_the_environment(offer: Offer, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in offer.environment().items():
        monkeypatch.setenv(name, value)
    client = botocore.session.Session().create_client("connect")
    assert client.list_instances()["InstanceSummaryList"][0]["Arn"] == offer.instanceArn
