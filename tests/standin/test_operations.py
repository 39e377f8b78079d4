"""The stand-in keeps to botocore's model and to what Connect documents. Each answer is also checked by `modelled`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Control, checked_connect
from modelled import seen_operations

from localaws.connect import model
from localaws.launcher import Offer

UNKNOWN_INSTANCE = "00000000-0000-0000-0000-000000000000"


def to_stream(arn: str) -> dict[str, Any]:
    return {"StorageType": "KINESIS_STREAM", "KinesisStreamConfig": {"StreamArn": arn}}


def to_firehose(arn: str) -> dict[str, Any]:
    return {"StorageType": "KINESIS_FIREHOSE", "KinesisFirehoseConfig": {"FirehoseArn": arn}}


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def test_a_storage_config_lives_through_all_its_operations(connect: Any, offer: Offer, stream: str, delivery_stream: str) -> None:
    of = {"InstanceId": offer.instanceId, "ResourceType": "CONTACT_TRACE_RECORDS"}
    made = connect.associate_instance_storage_config(**of, StorageConfig=to_stream(stream))["AssociationId"]
    assert connect.list_instance_storage_configs(**of)["StorageConfigs"] == [{**to_stream(stream), "AssociationId": made}]
    connect.update_instance_storage_config(**of, AssociationId=made, StorageConfig=to_firehose(delivery_stream))
    described = connect.describe_instance_storage_config(**of, AssociationId=made)["StorageConfig"]
    assert described == {**to_firehose(delivery_stream), "AssociationId": made}
    connect.disassociate_instance_storage_config(**of, AssociationId=made)
    assert connect.list_instance_storage_configs(**of)["StorageConfigs"] == []
    assert code_of(connect.describe_instance_storage_config, **of, AssociationId=made) == "ResourceNotFoundException"


def test_an_origin_lives_through_all_its_operations(connect: Any, offer: Offer) -> None:
    of = {"InstanceId": offer.instanceId}
    connect.associate_approved_origin(**of, Origin="https://emite.example.com")
    assert connect.list_approved_origins(**of)["Origins"] == ["https://emite.example.com"]
    assert code_of(connect.associate_approved_origin, **of, Origin="https://emite.example.com") == "ResourceConflictException"
    connect.disassociate_approved_origin(**of, Origin="https://emite.example.com")
    assert code_of(connect.disassociate_approved_origin, **of, Origin="https://emite.example.com") == "ResourceNotFoundException"


def test_instances_are_listed_and_described(connect: Any, offer: Offer, control: Control) -> None:
    failed = control("POST", "instances", alias="broken", status="CREATION_FAILED")
    listed = {one["Id"]: one for one in connect.list_instances()["InstanceSummaryList"]}
    assert listed.keys() == {offer.instanceId, failed["id"]}
    described = connect.describe_instance(InstanceId=offer.instanceId)["Instance"]
    assert described["Arn"] == offer.instanceArn
    assert "AWSServiceRoleForAmazonConnect_" in described["ServiceRole"]
    assert connect.describe_instance(InstanceId=failed["id"])["Instance"]["StatusReason"]["Message"]
    assert code_of(connect.describe_instance, InstanceId=UNKNOWN_INSTANCE) == "ResourceNotFoundException"


def test_a_second_association_conflicts_with_the_code_that_was_chosen(
        connect: Any, offer: Offer, stream: str, control: Control) -> None:
    of = {"InstanceId": offer.instanceId, "ResourceType": "AGENT_EVENTS", "StorageConfig": to_stream(stream)}
    connect.associate_instance_storage_config(**of)
    assert code_of(connect.associate_instance_storage_config, **of) == "ResourceConflictException"
    control("POST", "conflict-code", code="InvalidRequestException")
    assert code_of(connect.associate_instance_storage_config, **of) == "InvalidRequestException"


@pytest.mark.parametrize(("resource_type", "config"), [
    ("AGENT_EVENTS", to_firehose("arn:aws:firehose:ap-southeast-2:111122223333:deliverystream/standin-records")),
    ("AGENT_EVENTS", to_stream("arn:aws:firehose:ap-southeast-2:111122223333:deliverystream/standin-records")),
    ("AGENT_EVENTS", {"StorageType": "KINESIS_STREAM"}),
    ("AGENT_EVENTS", {"StorageType": "CARRIER_PIGEON"}),
    ("NO_SUCH_TYPE", to_stream("arn:aws:kinesis:ap-southeast-2:111122223333:stream/standin-events")),
    ("AGENT_EVENTS", {**to_stream("arn:aws:kinesis:ap-southeast-2:111122223333:stream/standin-events"),
                      "S3Config": {"BucketName": "b", "BucketPrefix": "p"}}),
    ("CALL_RECORDINGS", to_stream("arn:aws:kinesis:ap-southeast-2:111122223333:stream/standin-events")),
])
def test_storage_that_does_not_fit_is_refused(
        offer: Offer, control: Control, resource_type: str, config: dict[str, Any], delivery_stream: str, stream: str) -> None:
    connect = checked_connect(offer, offer.accessKeyId, offer.secretAccessKey, validates=False)
    assert code_of(connect.associate_instance_storage_config, InstanceId=offer.instanceId, ResourceType=resource_type,
                   StorageConfig=config) == "InvalidParameterException"
    assert connect.list_instance_storage_configs(InstanceId=offer.instanceId, ResourceType="AGENT_EVENTS")["StorageConfigs"] == []


def test_input_outside_the_model_is_refused(offer: Offer, control: Control) -> None:
    connect = checked_connect(offer, offer.accessKeyId, offer.secretAccessKey, validates=False)
    of = {"InstanceId": offer.instanceId}
    refused = {
        "a required member is missing": code_of(connect.list_instance_storage_configs, **of),
        "no body": code_of(connect.associate_approved_origin, **of),
        "too many results": code_of(connect.list_instance_storage_configs, **of, ResourceType="AGENT_EVENTS", MaxResults=11),
        "too few results": code_of(connect.list_approved_origins, **of, MaxResults=0),
        "too many origins": code_of(connect.list_approved_origins, **of, MaxResults=26),
        "too many instances": code_of(connect.list_instances, MaxResults=11),
        "too long an origin": code_of(connect.associate_approved_origin, **of, Origin="https://" + "a" * 260),
        "a path in an origin": code_of(connect.associate_approved_origin, **of, Origin="https://example.com/path"),
        "too long a token": code_of(connect.associate_approved_origin, **of, Origin="https://a.example", ClientToken="t" * 501),
        "too long an id": code_of(connect.describe_instance, InstanceId="i" * 101),
        "a foreign page token": code_of(connect.list_approved_origins, **of, NextToken="AAAA"),
    }
    assert refused == {
        "a required member is missing": "InvalidRequestException",
        "no body": "InvalidRequestException",
        "too many results": "InvalidParameterException",
        "too few results": "InvalidParameterException",
        "too many origins": "InvalidParameterException",
        "too many instances": "InvalidRequestException",
        "too long an origin": "InvalidParameterException",
        "a path in an origin": "InvalidParameterException",
        "too long a token": "InvalidParameterException",
        "too long an id": "InvalidRequestException",
        "a foreign page token": "InvalidRequestException",
    }


def test_pages_are_as_long_as_the_maximum_and_their_tokens_fit_one_list_only(connect: Any, offer: Offer, control: Control) -> None:
    origins = [f"https://n{number}.example.com" for number in range(30)]
    for origin in origins:
        connect.associate_approved_origin(InstanceId=offer.instanceId, Origin=origin)
    first = connect.list_approved_origins(InstanceId=offer.instanceId)
    assert len(first["Origins"]) == 25
    second = connect.list_approved_origins(InstanceId=offer.instanceId, NextToken=first["NextToken"])
    assert first["Origins"] + second["Origins"] == origins
    assert "NextToken" not in second
    assert len(connect.list_approved_origins(InstanceId=offer.instanceId, MaxResults=2)["Origins"]) == 2
    other = control("POST", "instances", alias="other")
    assert code_of(connect.list_approved_origins, InstanceId=other["id"], NextToken=first["NextToken"]) == "InvalidRequestException"
    for number in range(10):
        control("POST", "instances", alias=f"many-{number}")
    assert len(connect.list_instances()["InstanceSummaryList"]) == 10
    pages = connect.get_paginator("list_instances").paginate()
    assert sum(len(page["InstanceSummaryList"]) for page in pages) == 12


def test_a_client_token_makes_a_write_happen_once(connect: Any, offer: Offer, stream: str, delivery_stream: str) -> None:
    of = {"InstanceId": offer.instanceId, "ResourceType": "CONTACT_TRACE_RECORDS", "ClientToken": str(uuid.uuid4())}
    first = connect.associate_instance_storage_config(**of, StorageConfig=to_stream(stream))["AssociationId"]
    assert connect.associate_instance_storage_config(**of, StorageConfig=to_stream(stream))["AssociationId"] == first
    assert code_of(connect.associate_instance_storage_config, **of, StorageConfig=to_firehose(delivery_stream)) == "InvalidRequestException"


def test_a_target_must_exist_unless_told_otherwise(connect: Any, offer: Offer, control: Control) -> None:
    of = {"InstanceId": offer.instanceId, "ResourceType": "AGENT_EVENTS",
          "StorageConfig": to_stream(f"arn:aws:kinesis:{offer.region}:{offer.accountId}:stream/nowhere")}
    assert code_of(connect.associate_instance_storage_config, **of) == "InvalidRequestException"
    control("POST", "options", missing_target_code="ResourceNotFoundException")
    assert code_of(connect.associate_instance_storage_config, **of) == "ResourceNotFoundException"
    control("POST", "options", check_targets=False)
    assert connect.associate_instance_storage_config(**of)["AssociationId"]


def test_an_instance_that_is_not_active_takes_nothing(connect: Any, control: Control) -> None:
    creating = control("POST", "instances", alias="new", status="CREATION_IN_PROGRESS")
    assert code_of(connect.associate_approved_origin, InstanceId=creating["id"], Origin="https://a.example") == "InvalidRequestException"


def test_origins_have_a_quota(connect: Any, offer: Offer, control: Control) -> None:
    control("POST", "options", origin_quota=1)
    connect.associate_approved_origin(InstanceId=offer.instanceId, Origin="https://a.example")
    assert code_of(connect.associate_approved_origin, InstanceId=offer.instanceId, Origin="https://b.example") == "ServiceQuotaExceededException"


def test_connect_writes_a_policy_on_its_own_role_and_leaves_it(
        connect: Any, offer: Offer, stream: str, client: Callable[..., Any]) -> None:
    of = {"InstanceId": offer.instanceId, "ResourceType": "AGENT_EVENTS"}
    made = connect.associate_instance_storage_config(**of, StorageConfig=to_stream(stream))["AssociationId"]
    connect.disassociate_instance_storage_config(**of, AssociationId=made)
    role = connect.describe_instance(InstanceId=offer.instanceId)["Instance"]["ServiceRole"].rsplit("/", 1)[1]
    assert client("iam").list_role_policies(RoleName=role)["PolicyNames"] == ["kinesis-standin-events"]


def test_an_update_to_another_storage_type_can_be_refused(
        connect: Any, offer: Offer, control: Control, stream: str, delivery_stream: str) -> None:
    control("POST", "options", refuse_storage_type_change=True)
    of = {"InstanceId": offer.instanceId, "ResourceType": "CONTACT_TRACE_RECORDS"}
    made = connect.associate_instance_storage_config(**of, StorageConfig=to_stream(stream))["AssociationId"]
    refused = code_of(connect.update_instance_storage_config, **of, AssociationId=made, StorageConfig=to_firehose(delivery_stream))
    assert refused == "InvalidParameterException"


def test_every_operation_was_driven() -> None:
    """Last in this file on purpose: the tests above are what drives them."""
    assert seen_operations >= set(model.OPERATIONS)
