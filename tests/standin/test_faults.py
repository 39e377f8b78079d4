"""Faults come where they are ordered: before or after the effect, with an answer, without, or cut off."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from conftest import Control, checked_connect
from test_operations import code_of

from localaws.launcher import Offer

ORIGIN = "https://emite.example.com"


def origins(control: Control) -> list[str]:
    return control("GET", "state")["instances"][0]["approvedOrigins"]


@pytest.mark.parametrize(("kind", "code"), [
    ("throttle", "ThrottlingException"),
    ("internal", "InternalServiceException"),
    ("denied", "AccessDeniedException"),
    ("conflict", "ResourceConflictException"),
    ("invalid", "InvalidRequestException"),
])
@pytest.mark.parametrize("after", [False, True])
def test_a_fault_with_an_answer(connect: Any, offer: Offer, control: Control, kind: str, code: str, after: bool) -> None:
    control("POST", "faults", operation="AssociateApprovedOrigin", kind=kind, after=after)
    assert code_of(connect.associate_approved_origin, InstanceId=offer.instanceId, Origin=ORIGIN) == code
    assert origins(control) == ([ORIGIN] if after else [])
    assert connect.list_approved_origins(InstanceId=offer.instanceId)["Origins"] == origins(control)


@pytest.mark.parametrize(("kind", "took_effect"), [("reset", False), ("lost", True)])
def test_a_cut_connection(connect: Any, offer: Offer, control: Control, kind: str, took_effect: bool) -> None:
    control("POST", "faults", operation="*", kind=kind)
    with pytest.raises(ConnectionClosedError):
        connect.associate_approved_origin(InstanceId=offer.instanceId, Origin=ORIGIN)
    assert origins(control) == ([ORIGIN] if took_effect else [])
    calls = control("GET", "calls")
    assert [(call["operation"], call["fault"]) for call in calls] == [("AssociateApprovedOrigin", kind)]


def test_silence(offer: Offer, control: Control) -> None:
    impatient = checked_connect(offer, offer.accessKeyId, offer.secretAccessKey, timeout=0.3)
    control("POST", "faults", operation="ListApprovedOrigins", kind="silence")
    with pytest.raises(ReadTimeoutError):
        impatient.list_approved_origins(InstanceId=offer.instanceId)
    assert impatient.list_approved_origins(InstanceId=offer.instanceId)["Origins"] == []


def test_skip_times_and_clearing(connect: Any, offer: Offer, control: Control) -> None:
    control("POST", "faults", operation="ListApprovedOrigins", kind="internal", skip=1, times=2)
    answers = []
    for _ in range(4):
        try:
            connect.list_approved_origins(InstanceId=offer.instanceId)
            answers.append("done")
        except ClientError as error:
            answers.append(error.response["Error"]["Code"])
    assert answers == ["done", "InternalServiceException", "InternalServiceException", "done"]
    control("POST", "faults", operation="*", kind="internal", times=100)
    control("DELETE", "faults")
    connect.list_approved_origins(InstanceId=offer.instanceId)


def test_stale_reads_show_the_state_before_the_last_write(connect: Any, offer: Offer, control: Control) -> None:
    connect.associate_approved_origin(InstanceId=offer.instanceId, Origin=ORIGIN)
    control("POST", "stale", reads=1)
    assert connect.list_approved_origins(InstanceId=offer.instanceId)["Origins"] == []
    assert connect.list_approved_origins(InstanceId=offer.instanceId)["Origins"] == [ORIGIN]


def test_the_throttle_is_on_by_default_and_per_operation(connect: Any, offer: Offer, control: Control) -> None:
    control("POST", "reset")
    burst = [_admitted(lambda: connect.list_approved_origins(InstanceId=offer.instanceId)) for _ in range(8)]
    assert burst[:5] == [True] * 5
    assert False in burst[5:]
    assert _admitted(lambda: connect.describe_instance(InstanceId=offer.instanceId))
    # Two a second come back.
    time.sleep(0.6)
    assert _admitted(lambda: connect.list_approved_origins(InstanceId=offer.instanceId))


def _admitted(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ThrottlingException"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        return False
    return True


@pytest.mark.parametrize(("path", "body"), [
    ("faults", b'{"operation": "*", "kind": "gremlin"}'),
    ("faults", b'{"operations": "*"}'),
    ("faults", b"not json"),
    ("options", b'{"throtle": false}'),
    ("conflict-code", b'{"code": "Boom"}'),
    ("nothing", b"{}"),
])
def test_a_bad_order_is_refused(offer: Offer, control: Control, path: str, body: bytes) -> None:
    connection = http.client.HTTPConnection(offer.connectEndpoint.removeprefix("http://"))
    connection.request("POST", f"/_standin/{path}", body=body)
    assert connection.getresponse().status in (400, 404)
