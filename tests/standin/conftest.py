"""Owns what the tests of the local AWS share: one local AWS for all, and clients whose every answer is checked against
botocore's model of Connect."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import botocore.session
from botocore.config import Config
from modelled import check_answer

from localaws.launcher import LocalAws, Offer

Control = Callable[..., Any]


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ENDPOINT_URL_CONNECT", raising=False)
        with LocalAws(log=tmp_path_factory.mktemp("local") / "emulator.log") as running:
            yield running


@pytest.fixture
def offer(local: LocalAws) -> Offer:
    return local.offer


@pytest.fixture
def control(offer: Offer) -> Iterator[Control]:
    """Calls `/_standin/...`; every test begins with a fresh stand-in that does not throttle."""

    def call(method: str, path: str, **content: Any) -> Any:
        request = urllib.request.Request(
            f"{offer.connectEndpoint}/_standin/{path}", method=method, data=json.dumps(content).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    call("POST", "reset")
    call("POST", "options", throttle=False)
    yield call
    call("POST", "reset")


@pytest.fixture
def connect(offer: Offer, control: Control) -> Any:
    return checked_connect(offer, offer.accessKeyId, offer.secretAccessKey)


def checked_connect(offer: Offer, access_key_id: str, secret_access_key: str, session_token: str | None = None,
                    validates: bool = True, timeout: float = 10) -> Any:
    """A Connect client that never retries. `validates=False` lets bad input through to the stand-in."""
    session = botocore.session.Session()
    client = session.create_client(
        "connect", region_name=offer.region, endpoint_url=offer.connectEndpoint, aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key, aws_session_token=session_token,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=validates, read_timeout=timeout))
    client.meta.events.register("after-call.connect", check_answer)
    return client


@pytest.fixture
def client(offer: Offer) -> Callable[..., Any]:
    """Clients of the emulator's services, as the account's root or as whoever is given."""

    def make(service: str, **identity: str) -> Any:
        keys = identity or {"aws_access_key_id": offer.accessKeyId, "aws_secret_access_key": offer.secretAccessKey}
        return botocore.session.Session().create_client(
            service, region_name=offer.region, endpoint_url=offer.endpoint,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}), **keys)

    return make


@pytest.fixture
def user(client: Callable[..., Any]) -> Iterator[Callable[..., dict[str, str]]]:
    """Makes IAM users with a policy, and answers their keys; all are gone after the test."""
    iam = client("iam")
    made: list[tuple[str, str]] = []

    def make(*statements: dict[str, Any]) -> dict[str, str]:
        name = f"tester-{len(made)}"
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, key["AccessKeyId"]))
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=name, PolicyName="test", PolicyDocument=document)
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    yield make
    for name, key_id in made:
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)


@pytest.fixture
def stream(client: Callable[..., Any]) -> Iterator[str]:
    """A Kinesis stream's ARN."""
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="standin-events", ShardCount=1)
    yield kinesis.describe_stream_summary(StreamName="standin-events")["StreamDescriptionSummary"]["StreamARN"]
    kinesis.delete_stream(StreamName="standin-events")


@pytest.fixture
def delivery_stream(client: Callable[..., Any], offer: Offer) -> Iterator[str]:
    """A Firehose stream's ARN."""
    firehose = client("firehose")
    made = firehose.create_delivery_stream(
        DeliveryStreamName="standin-records",
        ExtendedS3DestinationConfiguration={
            "RoleARN": f"arn:aws:iam::{offer.accountId}:role/any", "BucketARN": "arn:aws:s3:::any"})
    yield made["DeliveryStreamARN"]
    firehose.delete_delivery_stream(DeliveryStreamName="standin-records")
