"""Owns what the tests of the local AWS share: one local AWS for all, and clients whose every answer is checked against
botocore's model of Connect."""

from __future__ import annotations

import io
import json
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import botocore.session
import people
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
    return clients_of(offer)


def clients_of(offer: Offer) -> Callable[..., Any]:
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


@pytest.fixture(scope="module")
def person_with(local: LocalAws) -> Iterator[people.PersonWith]:
    with people.person_with(local) as make:
        yield make


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


@pytest.fixture
def stack(client: Callable[..., Any]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates stacks of the resources given, waits until they rest, and deletes them after the test."""
    cloudformation = client("cloudformation")
    made: list[str] = []

    def rest(name: str) -> dict[str, Any]:
        while True:
            found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return found
            time.sleep(0.05)

    def create(name: str, **resources: Any) -> dict[str, Any]:
        made.append(cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_NAMED_IAM"])["StackId"])
        found = rest(name)
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return {**found, "reasons": [event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"] == "CREATE_FAILED"]}

    yield create
    for stack_id in reversed(made):
        cloudformation.delete_stack(StackName=stack_id)
        assert rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"


@pytest.fixture
def code(packed: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """`bootstrap.py` as a function's code."""
    return packed("bootstrap.py")


@pytest.fixture
def packed(client: Callable[..., Any], offer: Offer) -> Iterator[Callable[[str], dict[str, str]]]:
    """Puts a script of these tests, run by this Python, into a bucket as a function's code."""
    s3 = client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": offer.region})
    made: list[str] = []

    def put(name: str) -> dict[str, str]:
        made.append(f"{name}.zip")
        s3.put_object(Bucket="code", Key=made[-1], Body=zipped(name))
        return {"S3Bucket": "code", "S3Key": made[-1]}

    yield put
    for key in made:
        s3.delete_object(Bucket="code", Key=key)
    s3.delete_bucket(Bucket="code")


def zipped(name: str) -> bytes:
    script = f"#!{sys.executable}\n" + Path(__file__).with_name(name).read_text(encoding="utf-8")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, script)
    return buffer.getvalue()
