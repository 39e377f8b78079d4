"""What a customer made by hand before any stack: streams, delivery streams and domains, described as AWS describes them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_operations import code_of

from localaws.launcher import Offer

Client = Callable[..., Any]
Stack = Callable[..., dict[str, Any]]
BUCKET = {"BucketARN": "arn:aws:s3:::mine", "Prefix": "failed/", "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/",
          "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 5}, "CompressionFormat": "GZIP"}


@pytest.fixture
def role(client: Client) -> Iterator[str]:
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    yield client("iam").create_role(RoleName="delivery", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    client("iam").delete_role(RoleName="delivery")


@pytest.fixture
def domain(client: Client, offer: Offer) -> Iterator[dict[str, Any]]:
    opensearch = client("opensearch")
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{offer.accountId}:root"}, "Action": "es:ESHttp*",
        "Resource": f"arn:aws:es:{offer.region}:{offer.accountId}:domain/by-hand/*"}]}
    opensearch.create_domain(
        DomainName="by-hand", EngineVersion="Elasticsearch_6.8", AccessPolicies=json.dumps(policy),
        ClusterConfig={"InstanceType": "m5.large.search", "InstanceCount": 2},
        EBSOptions={"EBSEnabled": True, "VolumeType": "gp2", "VolumeSize": 20})
    yield {"policy": policy, **opensearch.describe_domain(DomainName="by-hand")["DomainStatus"]}
    opensearch.delete_domain(DomainName="by-hand")


def description(client: Client, name: str) -> dict[str, Any]:
    return client("firehose").describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def search(role: str, domain: str, kind: str = "Amazonopensearchservice") -> dict[str, Any]:
    return {f"{kind}DestinationConfiguration": {
        "DomainARN": domain, "RoleARN": role, "IndexName": "contacts", "TypeName": "_doc", "IndexRotationPeriod": "OneDay",
        "S3BackupMode": "AllDocuments", "RetryOptions": {"DurationInSeconds": 60}, "S3Configuration": {**BUCKET, "RoleARN": role}}}


@pytest.mark.parametrize("kind", ["Amazonopensearchservice", "Elasticsearch"])
def test_a_delivery_stream_made_by_hand_is_described_whole(
        client: Client, role: str, domain: dict[str, Any], stream: str, kind: str) -> None:
    firehose = client("firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="by-hand", DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": stream, "RoleARN": role}, **search(role, domain["ARN"], kind))
    found = description(client, "by-hand")
    source = found["Source"]["KinesisStreamSourceDescription"]
    assert (found["DeliveryStreamType"], source["KinesisStreamARN"], source["RoleARN"]) == ("KinesisStreamAsSource", stream, role)
    (destination,) = found["Destinations"]
    shown = destination[f"{kind}DestinationDescription"]
    (given,) = search(role, domain["ARN"], kind).values()
    assert {name: shown[name] for name in given.keys() - {"S3Configuration"}} == {
        name: value for name, value in given.items() if name != "S3Configuration"}
    assert {name: shown["S3DestinationDescription"][name] for name in given["S3Configuration"]} == given["S3Configuration"]
    firehose.update_destination(
        DeliveryStreamName="by-hand", CurrentDeliveryStreamVersionId=found["VersionId"], DestinationId=destination["DestinationId"],
        **{f"{kind}DestinationUpdate": {"IndexRotationPeriod": "OneMonth"}})
    shown = description(client, "by-hand")["Destinations"][0][f"{kind}DestinationDescription"]
    assert (shown["IndexRotationPeriod"], shown["IndexName"]) == ("OneMonth", "contacts")
    firehose.delete_delivery_stream(DeliveryStreamName="by-hand")


def test_a_delivery_stream_of_a_template_reads_its_source_alone(stack: Stack, client: Client, role: str, stream: str) -> None:
    resource = {"Type": "AWS::KinesisFirehose::DeliveryStream", "Properties": {
        "DeliveryStreamName": "reading", "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration": {"KinesisStreamARN": stream, "RoleARN": role},
        **search(role, "arn:aws:es:ap-southeast-2:111122223333:domain/any")}}
    stack("reading", Stream=resource)
    found = description(client, "reading")
    assert found["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == stream
    assert found["Destinations"][0]["AmazonopensearchserviceDestinationDescription"]["IndexName"] == "contacts"
    record = {"Data": b"{}"}
    assert code_of(client("firehose").put_record, DeliveryStreamName="reading", Record=record) == "InvalidArgumentException"
    assert code_of(client("firehose").put_record_batch, DeliveryStreamName="reading", Records=[record]) == "InvalidArgumentException"

    cloudformation = client("cloudformation")
    resource["Properties"]["KinesisStreamSourceConfiguration"]["KinesisStreamARN"] = f"{stream}-other"
    cloudformation.update_stack(StackName="reading", TemplateBody=json.dumps({"Resources": {"Stream": resource}}))
    while cloudformation.describe_stacks(StackName="reading")["Stacks"][0]["StackStatus"].endswith("_IN_PROGRESS"):
        time.sleep(0.05)
    events = cloudformation.describe_stack_events(StackName="reading")["StackEvents"]
    assert any("custom-named resource requires replacing" in event.get("ResourceStatusReason", "") for event in events)
    assert description(client, "reading")["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == stream


def test_a_domain_made_by_hand_is_described_whole(domain: dict[str, Any]) -> None:
    assert json.loads(domain["AccessPolicies"]) == domain["policy"]
    assert (domain["EngineVersion"], domain["Created"], domain["Deleted"], domain["Processing"]) == ("Elasticsearch_6.8", True, False, False)
    assert domain["Endpoint"]
    assert (domain["ClusterConfig"]["InstanceType"], domain["ClusterConfig"]["InstanceCount"]) == ("m5.large.search", 2)
    assert domain["EBSOptions"] == {"EBSEnabled": True, "VolumeType": "gp2", "VolumeSize": 20}


def test_a_stack_that_goes_leaves_alone_what_was_made_by_hand(
        client: Client, stack: Stack, role: str, domain: dict[str, Any], stream: str) -> None:
    client("firehose").create_delivery_stream(DeliveryStreamName="by-hand", **search(role, domain["ARN"]))
    reading = {"Type": "AWS::KinesisFirehose::DeliveryStream", "Properties": {
        "DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": {"KinesisStreamARN": stream, "RoleARN": role},
        **search(role, domain["ARN"])}}
    assert stack("beside", Stream=reading)["StackStatus"] == "CREATE_COMPLETE"
    cloudformation = client("cloudformation")
    cloudformation.delete_stack(StackName="beside")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="beside", WaiterConfig={"Delay": 1})
    assert client("firehose").list_delivery_streams()["DeliveryStreamNames"] == ["by-hand"]
    assert description(client, "by-hand")["DeliveryStreamStatus"] == "ACTIVE"
    assert client("kinesis").describe_stream_summary(StreamName="standin-events")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
    again = client("opensearch").describe_domain(DomainName="by-hand")["DomainStatus"]
    assert (again["Endpoint"], again["AccessPolicies"]) == (domain["Endpoint"], domain["AccessPolicies"])
    client("firehose").delete_delivery_stream(DeliveryStreamName="by-hand")


def test_a_role_with_a_path_is_authorised_by_its_whole_arn(client: Client, offer: Offer, user: Callable[..., dict[str, str]]) -> None:
    iam = client("iam")
    made = iam.create_role(RoleName="with-a-path", Path="/service/", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    try:
        looks = {"Effect": "Allow", "Action": "iam:GetRole"}
        reader = client("iam", **user({**looks, "Resource": made["Role"]["Arn"]}))
        assert reader.get_role(RoleName="with-a-path")["Role"]["Path"] == "/service/"
        other = client("iam", **user({**looks, "Resource": f"arn:aws:iam::{offer.accountId}:role/with-a-path"}))
        assert code_of(other.get_role, RoleName="with-a-path") == "AccessDenied"
    finally:
        iam.delete_role(RoleName="with-a-path")
