"""Owns `/_standin/`: how tests look into the stand-in, order faults, and make CloudWatch forget. Not part of Connect, never
signed."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from . import targets
from .errors import ApiError
from .faults import KINDS, Fault
from .state import Options

if TYPE_CHECKING:
    from .server import StandIn

PREFIX = "/_standin/"
_CONFLICT_CODES = ("ResourceConflictException", "InvalidRequestException", "DuplicateResourceException")


def control(stand_in: StandIn, method: str, path: str, body: bytes) -> dict[str, Any] | list[Any]:
    """Answers a control request; a bad one is an InvalidRequestException that says what is wrong."""
    what = f"{method} {path.removeprefix(PREFIX)}"
    try:
        given = json.loads(body or b"{}")
        return _answer(stand_in, what, given)
    except (TypeError, KeyError, ValueError) as error:
        raise ApiError("InvalidRequestException", f"{what}: {error!r}") from error


def _answer(stand_in: StandIn, what: str, given: dict[str, Any]) -> dict[str, Any] | list[Any]:
    world = stand_in.world
    match what:
        case "GET state":
            return world.as_json()
        case "GET calls":
            return stand_in.calls
        case "POST reset":
            stand_in.reset()
        case "POST instances":
            instance = world.add_instance(
                given.get("alias", "second"), given.get("status", "ACTIVE"), given.get("serviceRole", True))
            targets.ensure_service_role(instance.service_role)
            return {"id": instance.instance_id, "arn": instance.arn, "serviceRole": instance.service_role}
        case "POST faults":
            fault = Fault(**given)
            if fault.kind not in KINDS:
                raise ValueError(f"kind is one of {', '.join(KINDS)}")
            stand_in.faults.order(fault)
        case "DELETE faults":
            stand_in.faults.clear()
        case "POST stale":
            world.stale_reads = int(given["reads"])
        case "POST conflict-code":
            if given["code"] not in _CONFLICT_CODES:
                raise ValueError(f"code is one of {', '.join(_CONFLICT_CODES)}")
            world.options.conflict_code = given["code"]
        case "POST forget-metric":
            # What was published stays published on AWS; a test has no time to wait until it is old.
            with request_scope(world.account_id, world.region):
                key = (given["namespace"], given["name"], cloudwatch._dims_key(given["dimensions"]))
                cloudwatch._metrics.pop(key, None)
        case "POST options":
            known = {field.name for field in fields(Options)}
            for name, value in given.items():
                if name not in known:
                    raise ValueError(f"options are {', '.join(sorted(known))}")
                setattr(world.options, name, value)
        case _:
            raise ApiError("UnknownOperationException", f"The stand-in has no control {what}.")
    return {}
