"""Owns the stand-in's HTTP: one connection at a time per task, able to cut or hold a connection as a fault demands."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import h11
from ministack.core.responses import set_request_account_id, set_request_region

from .. import wire
from ..wire import Request
from . import access, control, model, operations, targets
from .errors import ApiError
from .faults import Fault, Faults
from .state import World
from .throttle import Throttle

logger = logging.getLogger("connect")


@dataclass
class Answer:
    """What to send; or a fault that has nothing sent."""

    status: int = 200
    content: dict[str, Any] | list[Any] | None = None
    error_code: str | None = None
    fault: Fault | None = None


class StandIn:
    def __init__(self, account_id: str, region: str) -> None:
        self.world = World(account_id, region)
        self.throttle = Throttle()
        self.faults = Faults()
        self.calls: list[dict[str, Any]] = []
        self._make_service_roles()

    def reset(self) -> None:
        self.world.reset()
        self.throttle.reset()
        self.faults.clear()
        self.calls.clear()
        self._make_service_roles()

    def _make_service_roles(self) -> None:
        set_request_account_id(self.world.account_id)
        set_request_region(self.world.region)
        for instance in self.world.instances.values():
            targets.ensure_service_role(instance.service_role)

    def answer(self, request: Request) -> Answer:
        if request.raw_path.startswith(control.PREFIX):
            set_request_account_id(self.world.account_id)
            try:
                return Answer(content=control.control(self, request.method, request.raw_path, request.body))
            except ApiError as error:
                return _error(error)
        call: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        self.calls.append(call)
        answer = self._answer_operation(request, call)
        call |= {"status": answer.status, "code": answer.error_code, "fault": answer.fault.kind if answer.fault else None}
        return answer

    def _answer_operation(self, request: Request, call: dict[str, Any]) -> Answer:
        fault: Fault | None = None
        try:
            operation, labels = model.match(request.method, request.raw_path)
            call["operation"] = operation.name
            access_key = access.authenticate(
                request.method, request.raw_path, request.raw_query, request.headers, request.body, self.world.region)
            call["principal"] = access.caller(access_key)
            fault = self.faults.next_for(operation.name)
            if fault and not fault.takes_effect:
                return _faulty(fault, Answer())
            done = self._perform(operation, labels, request, access_key, call)
        except ApiError as error:
            done = _error(error)
        except Exception:
            logger.exception("The stand-in failed at %s %s", request.method, request.raw_path)
            done = _error(ApiError("InternalServiceException", "The stand-in failed; see its log."))
        return _faulty(fault, done) if fault else done

    def _perform(self, operation: model.Operation, labels: dict[str, str], request: Request, access_key: str,
                 call: dict[str, Any]) -> Answer:
        query = parse_qs(request.raw_query, keep_blank_values=True)
        resource_type = (query.get("resourceType") or [None])[0] or _resource_type_in(request.body)
        call["instanceId"] = labels.get("InstanceId")
        access.authorize(self.world, operation.name, {**labels, "ResourceType": resource_type}, access_key)
        if self.world.options.throttle and not self.throttle.admits(self.world.account_id, operation.name):
            raise ApiError("ThrottlingException", "Too Many Requests")
        given = model.read_input(operation, labels, query, request.body)
        call["input"] = given
        access.authorize_behind(self.world, operation.name, given, access_key)
        return Answer(content=operations.perform(self.world, operation, given))


def _resource_type_in(body: bytes) -> str | None:
    try:
        found = json.loads(body or b"{}").get("ResourceType")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _error(error: ApiError) -> Answer:
    return Answer(error.status, {"Message": error.message}, error.code)


def _faulty(fault: Fault, done: Answer) -> Answer:
    answer = _error(fault.answer) if fault.answer else done
    answer.fault = fault
    return answer


async def start_stand_in(listening: socket.socket, account_id: str, region: str) -> asyncio.Server:
    stand_in = StandIn(account_id, region)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(stand_in, reader, writer)
        except (ConnectionError, h11.RemoteProtocolError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, sock=listening)


async def _converse(stand_in: StandIn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the requests of one connection until the client or a fault ends it."""
    connection = h11.Connection(h11.SERVER)
    while True:
        request = await wire.next_request(connection, reader, writer)
        if request is None:
            return
        answer = stand_in.answer(request)
        if answer.fault and answer.fault.cuts:
            wire.reset(writer)
            return
        if answer.fault and answer.fault.kind == "silence":
            await reader.read()
            return
        writer.write(_wire(connection, answer))
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE:
            return
        connection.start_next_cycle()


def _wire(connection: h11.Connection, answer: Answer) -> bytes:
    headers = [("content-type", "application/json"), ("x-amzn-requestid", str(uuid.uuid4()))]
    if answer.error_code:
        headers.append(("x-amzn-errortype", answer.error_code))
    return wire.encoded(connection, answer.status, headers, json.dumps(answer.content).encode())
