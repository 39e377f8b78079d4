"""The inline function that copies a release, run in this process against the local AWS: whatever it is asked and whatever happens, CloudFormation
is answered once, as it wants to be, and nothing is left that should not be."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from conftest import clients_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

from package import copy_code

from localaws.launcher import LocalAws, Offer

SECRET = "X-Amz-Signature=a-secret"
SELLERS_REGION = "eu-west-2"
ZIPS = {"health-check.zip": b"the health check", "redrive.zip": b"the redrive" * 100_000}
STACK_ID = "arn:aws:cloudformation:us-east-1:111122223333:stack/s/1"
DIGESTS = {name: hashlib.sha256(body).hexdigest() for name, body in ZIPS.items()}


class Mailbox:
    """Where CloudFormation takes answers: those that came, and how the next ones are received."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.receives: list[int] = []
        mailbox = self

        class Receiver(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = mailbox.receives.pop(0) if mailbox.receives else 200
                if status == 200:
                    mailbox.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer?{SECRET}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self) -> dict[str, Any]:
        """The one answer that came since the last time."""
        ((headers, body),) = self.came
        self.came.clear()
        assert headers["content-type"] == ""
        assert len(body) <= 4096
        return json.loads(body)


class Calls:
    """The function's calls to S3, in order, and what is done to the next ones."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []
        self.refuse: Callable[[str, str], str | None] = lambda operation, url: None

    def see(self, event_name: str, request: Any, **_: Any) -> AWSResponse | None:
        operation = event_name.rsplit(".", 1)[1]
        signed = request.headers["Authorization"]
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", signed.decode() if isinstance(signed, bytes) else signed)
        assert scope
        self.made.append((operation, scope[1]))
        code = self.refuse(operation, request.url)
        if not code:
            return None

        class Raw:
            def stream(self, **_: Any) -> Iterator[bytes]:
                yield f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()

        return AWSResponse(request.url, {"AccessDenied": 403, "NoSuchKey": 404}.get(code, 503), {}, Raw())

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.made]


class Context:
    def __init__(self, seconds: float = 300) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    opened = Mailbox()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def session(local: LocalAws) -> boto3.Session:
    """The function's. One for all, as it reads S3's model, which is large."""
    return boto3.Session(aws_access_key_id=local.offer.accessKeyId, aws_secret_access_key=local.offer.secretAccessKey)


@pytest.fixture(scope="module")
def s3(local: LocalAws) -> Any:
    return clients_of(local.offer)("s3")


@pytest.fixture(scope="module")
def sellers(local: LocalAws) -> Any:
    """A client of another region."""
    return botocore.session.Session().create_client(
        "s3", region_name=SELLERS_REGION, endpoint_url=local.offer.endpoint, aws_access_key_id=local.offer.accessKeyId,
        aws_secret_access_key=local.offer.secretAccessKey, config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def calls(offer: Offer, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """The environment that Lambda gives the function."""
    for name, value in {"AWS_ENDPOINT_URL": offer.endpoint, "AWS_REGION": offer.region, "PERMISSION_GRACE_SECONDS": "0",
                        "STACK_ID": STACK_ID}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    monkeypatch.setattr(copy_code.time, "sleep", lambda seconds: None)
    seen = Calls()
    session.events.register("before-send.s3", seen.see)
    yield seen
    session.events.unregister("before-send.s3", seen.see)


@pytest.fixture
def buckets(s3: Any, sellers: Any, offer: Offer) -> Iterator[None]:
    """The seller's bucket in another region, with a release in it, and an empty one here."""
    sellers.create_bucket(Bucket="published", CreateBucketConfiguration={"LocationConstraint": SELLERS_REGION})
    s3.create_bucket(Bucket="own", CreateBucketConfiguration={"LocationConstraint": offer.region})
    for name, body in ZIPS.items():
        sellers.put_object(Bucket="published", Key=f"folder/1.0.0/{name}", Body=body)
    yield
    for client, bucket in ((sellers, "published"), (s3, "own")):
        with contextlib.suppress(client.exceptions.NoSuchBucket):
            page = client.list_object_versions(Bucket=bucket)
            for version in page.get("Versions", []) + page.get("DeleteMarkers", []):
                client.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            client.delete_bucket(Bucket=bucket)


@pytest.fixture
def ask(mailbox: Mailbox, calls: Calls, buckets: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Sends a request, and answers what CloudFormation got; nothing secret is logged on the way."""

    def send(request: str, physical_id: str | None = None, kind: str = "Custom::CopyCode", seconds: float = 300, stack: str = STACK_ID,
             **properties: Any) -> dict[str, Any]:
        calls.made.clear()
        event = {
            "RequestType": request, "ResponseURL": mailbox.url, "StackId": stack, "RequestId": "r-1",
            "LogicalResourceId": "CodeCopy", "ResourceType": kind,
            "ResourceProperties": {"ServiceToken": "arn", "SourceBucket": "published", "SourceRegion": SELLERS_REGION, "SourcePrefix": "folder/",
                                   "Release": "1.0.0", "Objects": dict.fromkeys(ZIPS, ""), "Bucket": "own", **properties}}
        if physical_id:
            event["PhysicalResourceId"] = physical_id
        copy_code.handler(event, Context(seconds))
        assert SECRET not in "".join(capsys.readouterr())
        answer = mailbox.answer()
        assert {name: answer[name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {
            name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        assert answer["PhysicalResourceId"]
        assert (answer["Status"] == "FAILED") == bool(answer["Reason"])
        return answer

    return send


@pytest.fixture
def kept(s3: Any) -> Callable[[], set[str]]:
    def keys() -> set[str]:
        page = s3.list_object_versions(Bucket="own")
        return {entry["Key"] for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])}

    return keys


Ask, Kept = Callable[..., dict[str, Any]], Callable[[], set[str]]


def test_a_release_is_copied_as_it_is_published(ask: Ask, kept: Kept, s3: Any) -> None:
    answer = ask("Create")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "release/1.0.0")
    assert kept() == {f"release/1.0.0/{name}" for name in ZIPS}
    for name, body in ZIPS.items():
        assert s3.get_object(Bucket="own", Key=f"release/1.0.0/{name}")["Body"].read() == body


def test_each_call_is_signed_for_the_region_of_its_bucket(ask: Ask, calls: Calls, offer: Offer) -> None:
    ask("Create")
    assert {region for operation, region in calls.made if operation == "GetObject"} == {SELLERS_REGION}
    assert {region for operation, region in calls.made if operation != "GetObject"} == {offer.region}
    # Nobody had to send it elsewhere first.
    assert calls.operations().count("GetObject") == len(ZIPS)


def test_the_same_request_again_copies_nothing_twice(ask: Ask, calls: Calls, kept: Kept) -> None:
    first = ask("Create", Objects=DIGESTS)
    before = kept()
    assert ask("Create", Objects=DIGESTS)["PhysicalResourceId"] == first["PhysicalResourceId"]
    assert set(calls.operations()) == {"HeadObject"}
    assert kept() == before


def forge(s3: Any, digest: str) -> None:
    """Puts other code in the place of our copy, with metadata that claim it is the release's."""
    s3.put_object(Bucket="own", Key=f"{copy_code.folder({'Release': '1.0.0', 'Objects': DIGESTS})}/redrive.zip", Body=b"other code",
                  Metadata={"sha256": digest}, ChecksumAlgorithm="SHA256")


def test_a_copy_of_other_content_is_overwritten_whatever_its_metadata_claim(ask: Ask, s3: Any) -> None:
    forge(s3, DIGESTS["redrive.zip"])
    answer = ask("Create", Objects=DIGESTS)
    assert answer["Status"] == "SUCCESS"
    assert s3.get_object(Bucket="own", Key=f"{answer['PhysicalResourceId']}/redrive.zip")["Body"].read() == ZIPS["redrive.zip"]


def test_a_copy_of_other_content_is_not_used_where_the_release_is_published_no_more(ask: Ask, s3: Any, sellers: Any) -> None:
    forge(s3, DIGESTS["redrive.zip"])
    sellers.delete_object(Bucket="published", Key="folder/1.0.0/redrive.zip")
    answer = ask("Create", Objects=DIGESTS)
    assert answer["Status"] == "FAILED"
    assert "folder/1.0.0/redrive.zip" in answer["Reason"]


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
@pytest.mark.parametrize("kind", ["Custom::CopyCode", "Custom::CodeBucketContent"])
def test_another_stack_is_not_served(ask: Ask, calls: Calls, request_type: str, kind: str) -> None:
    answer = ask(request_type, "release/1.0.0", kind=kind, stack="arn:aws:cloudformation:us-east-1:111122223333:stack/other/2")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "release/1.0.0")
    assert STACK_ID in answer["Reason"]
    assert calls.made == []


def test_other_code_under_the_same_version_is_another_release(ask: Ask, sellers: Any) -> None:
    first = ask("Create", Objects=DIGESTS)["PhysicalResourceId"]
    sellers.put_object(Bucket="published", Key="folder/1.0.0/redrive.zip", Body=b"rebuilt")
    second = ask("Update", first, Objects={**DIGESTS, "redrive.zip": hashlib.sha256(b"rebuilt").hexdigest()})["PhysicalResourceId"]
    assert first != second
    assert first.startswith("release/1.0.0-")
    assert second.startswith("release/1.0.0-")


def test_an_update_keeps_the_old_release_until_its_delete_comes(ask: Ask, kept: Kept, sellers: Any) -> None:
    ask("Create")
    for name in ZIPS:
        sellers.put_object(Bucket="published", Key=f"folder/2.0.0/{name}", Body=b"newer")
    assert ask("Update", "release/1.0.0", Release="2.0.0")["PhysicalResourceId"] == "release/2.0.0"
    assert {key.rsplit("/", 1)[0] for key in kept()} == {"release/1.0.0", "release/2.0.0"}
    assert ask("Delete", "release/1.0.0")["Status"] == "SUCCESS"
    assert {key.rsplit("/", 1)[0] for key in kept()} == {"release/2.0.0"}


def test_a_rollback_to_a_release_that_is_published_no_more_keeps_our_copy(ask: Ask, kept: Kept, sellers: Any) -> None:
    ask("Create")
    before = kept()
    for name in ZIPS:
        sellers.delete_object(Bucket="published", Key=f"folder/1.0.0/{name}")
    answer = ask("Update", "release/2.0.0")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "release/1.0.0")
    assert kept() == before


@pytest.mark.parametrize(("request_type", "stays"), [("Create", None), ("Update", "release/0.9.0")])
def test_a_file_that_is_not_there_is_told_with_its_place_and_what_to_do(
        ask: Ask, kept: Kept, sellers: Any, request_type: str, stays: str | None) -> None:
    sellers.delete_object(Bucket="published", Key="folder/1.0.0/redrive.zip")
    answer = ask(request_type, stays)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(f"s3://published/folder/1.0.0/redrive.zip in {SELLERS_REGION} cannot be read (NoSuchKey). MPS3BucketName")
    # An update that fails has copied nothing: no Delete follows for it. After a Create one does.
    assert answer["PhysicalResourceId"] == (stays or "release/1.0.0")
    if stays:
        assert kept() == set()
    else:
        assert ask("Delete", answer["PhysicalResourceId"])["Status"] == "SUCCESS"
        assert kept() == set()


def test_a_file_of_another_content_is_refused(ask: Ask, kept: Kept) -> None:
    answer = ask("Create", Objects={**DIGESTS, "health-check.zip": "ab" * 32})
    assert answer["Status"] == "FAILED"
    assert f"its SHA-256 is {DIGESTS['health-check.zip']} instead of {'ab' * 32}" in answer["Reason"]
    assert not any(key.endswith("health-check.zip") for key in kept())


@pytest.mark.parametrize("physical_id", ["stack-CodeCopy-1ABC2DEF", "nothing", "release/1.0.0"])
def test_the_delete_of_a_create_that_never_answered_removes_what_it_copied(ask: Ask, kept: Kept, physical_id: str) -> None:
    ask("Create")
    answer = ask("Delete", physical_id)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", physical_id)
    assert kept() == set()


def test_a_delete_of_what_was_never_made_succeeds(ask: Ask) -> None:
    assert ask("Delete", "nothing", Release=None, Objects="none")["Status"] == "SUCCESS"
    assert ask("Delete", "release/0.1.0")["Status"] == "SUCCESS"


def test_a_bucket_that_is_gone_is_empty(ask: Ask, s3: Any) -> None:
    s3.delete_bucket(Bucket="own")
    assert ask("Delete", "release/1.0.0")["Status"] == "SUCCESS"
    assert ask("Delete", "content", kind="Custom::CodeBucketContent")["Status"] == "SUCCESS"


def test_the_content_is_emptied_with_all_its_versions_and_only_at_the_end(ask: Ask, kept: Kept, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="own", VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket="own", Key="left/behind", Body=str(number).encode())
    s3.delete_object(Bucket="own", Key="left/behind")
    for request in ("Create", "Update"):
        answer = ask(request, None if request == "Create" else "content", kind="Custom::CodeBucketContent")
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "content")
        assert kept() == {"left/behind"}
    assert ask("Delete", "content", kind="Custom::CodeBucketContent")["Status"] == "SUCCESS"
    assert kept() == set()


def test_all_that_is_wrong_with_the_parameters_is_told_at_once(ask: Ask, calls: Calls) -> None:
    answer = ask("Create", SourceBucket="arn:aws:s3:::published", SourceRegion="Sydney", SourcePrefix="folder")
    assert answer["Status"] == "FAILED"
    for name in ("MPS3BucketName", "MPS3BucketRegion", "MPS3KeyPrefix"):
        assert name in answer["Reason"]
    assert calls.made == []


@pytest.mark.parametrize("broken", [
    {"Objects": {}}, {"Objects": ["redrive.zip"]}, {"Objects": {"../redrive.zip": ""}}, {"Objects": {"redrive.zip": "abc"}}, {"Objects": None},
    {"Release": ""}, {"Release": "../1"}, {"Release": None}, {"Bucket": None}, {"SourcePrefix": "a*/"}, {"SourcePrefix": None},
])
def test_broken_properties_are_answered(ask: Ask, broken: dict[str, Any]) -> None:
    assert ask("Create", **broken)["Status"] == "FAILED"
    answer = ask("Update", "release/0.9.0", **broken)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "release/0.9.0")


def test_another_kind_of_request_is_answered(ask: Ask) -> None:
    assert ask("Import", "release/0.9.0")["Reason"] == "RequestType is 'Import'"


def test_what_nobody_foresaw_is_answered(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(copy_code, "copy", breaks)
    answer = ask("Create")
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "KeyError: 'surprise'")


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_it_answers_before_lambda_ends_it(ask: Ask, calls: Calls, request_type: str) -> None:
    answer = ask(request_type, "release/0.9.0", seconds=copy_code.RESERVE_SECONDS)
    assert answer["Status"] == "FAILED"
    assert "in time" in answer["Reason"]
    assert answer["PhysicalResourceId"] == "release/0.9.0"
    assert calls.made == []


def test_rights_that_are_not_known_yet_are_waited_for(ask: Ask, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERMISSION_GRACE_SECONDS", "60")
    denied = {"HeadObject": 2, "GetObject": 3, "PutObject": 1}

    def refuse(operation: str, url: str) -> str | None:
        denied[operation] -= 1
        return "AccessDenied" if denied[operation] >= 0 else None

    calls.refuse = refuse
    assert ask("Create")["Status"] == "SUCCESS"
    assert calls.operations().count("GetObject") == len(ZIPS) + 3


def test_rights_that_never_come_are_told(ask: Ask, calls: Calls) -> None:
    calls.refuse = lambda operation, url: "AccessDenied" if operation == "GetObject" else None
    assert "cannot be read (AccessDenied)" in ask("Create")["Reason"]
    calls.refuse = lambda operation, url: "AccessDenied" if operation == "ListObjectVersions" else None
    answer = ask("Delete", "release/1.0.0")
    assert answer["Status"] == "FAILED"
    assert "ListObjectVersions" in answer["Reason"]


def test_an_answer_is_put_again_where_that_can_help_and_arrives_once(ask: Ask, mailbox: Mailbox) -> None:
    mailbox.receives = [503, 500]
    assert ask("Create")["Status"] == "SUCCESS"


@pytest.mark.parametrize("statuses", [[403], [302], [503] * 4])
def test_an_answer_that_cannot_be_given_fails_the_run_without_telling_the_address(
        ask: Ask, mailbox: Mailbox, statuses: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    mailbox.receives = [*statuses]
    with pytest.raises(RuntimeError, match=f"HTTP {statuses[-1]}") as raised:
        ask("Delete", "release/1.0.0")
    assert SECRET not in str(raised.getrepr(showlocals=False, style="native")) + "".join(capsys.readouterr())
    assert mailbox.receives == []


@pytest.mark.parametrize("url", ["http://example.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1.example.com/x", ""])
def test_an_answer_goes_to_https_or_to_this_machine_only(url: str) -> None:
    with pytest.raises(ValueError, match="not an https address"):
        copy_code.handler({"ResponseURL": url}, Context())


@pytest.mark.parametrize("reason", ["x" * 9000, "é" * 5000, '"\\\n' * 3000, "😀" * 3000])
def test_an_answer_of_any_length_fits(reason: str) -> None:
    event = {"StackId": "s" * 200, "RequestId": "r" * 36, "LogicalResourceId": "l" * 255}
    body = copy_code.encode(event, "p" * 1024, reason)
    assert 3000 < len(body) <= 4096
    assert reason.startswith(json.loads(body)["Reason"])


def test_our_copy_is_checked_by_s3_on_its_way(ask: Ask, s3: Any) -> None:
    ask("Create")
    for name, digest in DIGESTS.items():
        head = s3.head_object(Bucket="own", Key=f"release/1.0.0/{name}", ChecksumMode="ENABLED")
        assert head["ChecksumSHA256"] == base64.b64encode(bytes.fromhex(digest)).decode()
