"""Owns the gate: one TLS port of the loopback for each search domain, as each has its own endpoint on AWS.

What comes is measured, checked and written down, meets the fault that a test ordered, and goes on to the domain's engine:
a real one that a test has named, or the stand-in."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11

from .. import wire
from ..calllog import CallLog
from ..wire import Reply, Request
from . import access, partial
from .access import Owner, Refused
from .faults import UNAVAILABLE, Fault, Faults
from .memory import Memory

logger = logging.getLogger("search")
_JSON = "application/json"
# Network quota of the smaller instance types; m5.large and larger take 100 MiB.
_MOST_BYTES = 10 * 1024 * 1024
_HELD_WITHIN_SECONDS = 60


@dataclass
class Domain:
    """A domain, and what tests may change about it."""

    name: str
    port: int
    memory: Memory
    engine: str | None = None
    most_bytes: int = _MOST_BYTES
    faults: Faults = field(default_factory=Faults)
    requests: list[dict[str, Any]] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    # Whether AWS is carrying out a change of it.
    changing: bool = False


class Gate:
    """All domains of one account."""

    def __init__(self, owner: Owner, tls: ssl.SSLContext, log: CallLog) -> None:
        self._owner = owner
        self._tls = tls
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._servers: list[asyncio.Task] = []
        self.domains: dict[str, Domain] = {}

    def open(self, name: str, engine_version: str) -> int:
        """A new domain's port; a domain that had the name before leaves it to the new one, but none of its documents. From any
        thread."""
        before = self.domains.get(name)
        memory = Memory(typed=engine_version.startswith("Elasticsearch_6"))
        if before:
            self.domains[name] = Domain(name, before.port, memory)
            return before.port
        listening = wire.listen()
        port = listening.getsockname()[1]
        self.domains[name] = Domain(name, port, memory)
        self._loop.call_soon_threadsafe(self._serve, name, listening)
        return port

    def _serve(self, name: str, listening: socket.socket) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._converse(name, reader, writer)
            except (OSError, h11.ProtocolError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        self._servers.append(self._loop.create_task(asyncio.start_server(serve, sock=listening, ssl=self._tls)))

    async def _converse(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection until the client or a fault ends it."""
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await wire.next_request(connection, reader, writer)
            if request is None:
                return
            domain = self.domains[name]
            reply, fault = await self._answer(domain, request)
            if fault and fault.holds:
                domain.held.set()
                await reader.read()
                return
            if fault and fault.cuts:
                wire.reset(writer)
                return
            headers = [("content-type", reply.content_type)]
            writer.write(wire.encoded(connection, reply.status, headers, b"" if request.method == "HEAD" else reply.content))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()

    async def _answer(self, domain: Domain, request: Request) -> tuple[Reply, Fault | None]:
        note: dict[str, Any] = {"at": time.time(), "method": request.method, "path": request.raw_path, "bytes": len(request.body)}
        domain.requests.append(note)
        fault: Fault | None = None
        try:
            if len(request.body) > domain.most_bytes:
                raise Refused({"Message": f"Request size exceeded {domain.most_bytes} bytes"}, 413)
            note["principal"] = access.admit(request, domain.name, self._owner, self._log)
            fault = domain.faults.next()
            passed = time.perf_counter()
            reply = await _pass(domain, request, fault)
            note["seconds"] = time.perf_counter() - passed
        except Refused as refused:
            reply = Reply(refused.status, _JSON, json.dumps(refused.content).encode())
        except Exception:
            logger.exception("The gate failed at %s %s", request.method, request.raw_path)
            reply = Reply(500, _JSON, b'{"message":null}')
        note |= {"status": reply.status, "fault": fault.kind if fault else None}
        return reply, fault

    async def await_held(self, name: str) -> bool:
        """Waits until a request is held; whether one is."""
        domain = self.domains[name]
        try:
            await asyncio.wait_for(domain.held.wait(), _HELD_WITHIN_SECONDS)
        except TimeoutError:
            return False
        domain.held.clear()
        return True


async def _pass(domain: Domain, request: Request, fault: Fault | None) -> Reply:
    if fault and fault.answer:
        status, content_type, text = fault.answer
        return Reply(status, content_type, text.encode())
    if fault and not fault.forwards:
        return Reply(0, _JSON, b"")
    if fault and fault.kind == "busy":
        some, refused = partial.split(request)
        return partial.joined(await _engine(domain, some), refused) if refused else await _engine(domain, some)
    return await _engine(domain, request)


async def _engine(domain: Domain, request: Request) -> Reply:
    content_type = next((value.decode("latin-1") for name, value in request.headers if name.lower() == b"content-type"), "")
    if domain.engine is None:
        status, content = domain.memory.answer(request.method, request.raw_path, content_type, request.body)
        return Reply(status, _JSON, json.dumps(content).encode())
    # A signed POST loses its query parameters on the way; a signed GET does not.
    query = f"?{request.raw_query}" if request.raw_query and request.method != "POST" else ""
    try:
        return await _exchange(domain.engine, request.method, request.raw_path + query, content_type, request.body)
    except (OSError, h11.ProtocolError):
        status, content_type, text = UNAVAILABLE
        return Reply(status, content_type, text.encode())


async def _exchange(base: str, method: str, target: str, content_type: str, body: bytes) -> Reply:
    """One request over a connection of its own."""
    place = urlsplit(base)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [("host", place.netloc), ("content-length", str(len(body))), ("connection", "close")]
        if content_type:
            headers.append(("content-type", content_type))
        writer.write(connection.send(h11.Request(method=method, target=target, headers=headers)) or b"")
        writer.write(connection.send(h11.Data(data=body)) or b"")
        connection.send(h11.EndOfMessage())
        await writer.drain()
        return await _reply(connection, reader)
    finally:
        writer.close()


async def _reply(connection: h11.Connection, reader: asyncio.StreamReader) -> Reply:
    reply = Reply(0, _JSON, b"")
    content = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            reply.status = event.status_code
            reply.content_type = dict(event.headers).get(b"content-type", b"application/json").decode("latin-1")
        elif isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage):
            reply.content = bytes(content)
            return reply
        else:
            raise ConnectionError("the engine ended the connection")
