"""Owns how tests look at domains, put a real engine behind one, and order faults: plain HTTP on a port of its own, never signed,
no part of the service."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11

from .. import wire
from ..wire import Request
from .faults import KINDS, Fault
from .gate import Domain, Gate


async def start_control(listening: socket.socket, gate: Gate) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(gate, reader, writer)
        except (OSError, h11.ProtocolError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, sock=listening)


async def _converse(gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER)
    while request := await wire.next_request(connection, reader, writer):
        status, content = await _answered(gate, request)
        headers = [("content-type", "application/json")]
        writer.write(wire.encoded(connection, status, headers, json.dumps(content).encode()))
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE:
            return
        connection.start_next_cycle()


async def _answered(gate: Gate, request: Request) -> tuple[int, Any]:
    """A bad request is answered with what is wrong with it."""
    try:
        given = json.loads(request.body or b"{}")
        match request.raw_path.strip("/").split("/"):
            case ["domains"]:
                return 200, {name: _shown(domain) for name, domain in gate.domains.items()}
            case ["domains", name, "held"]:
                return (200, {}) if await gate.await_held(name) else (504, {"message": "no request was held"})
            case ["domains", name, *rest]:
                return 200, _one(gate.domains[name], f"{request.method} {'/'.join(rest)}", given)
    except (TypeError, KeyError, ValueError) as error:
        return 400, {"message": f"{request.method} {request.raw_path}: {error!r}"}
    return 404, {"message": f"there is no control {request.raw_path}"}


def _one(domain: Domain, what: str, given: dict[str, Any]) -> Any:
    match what:
        case "GET ":
            return _shown(domain)
        case "POST engine":
            # Nothing: the stand-in again.
            domain.engine = given["url"]
        case "POST options":
            domain.most_bytes = int(given["mostBytes"])
        case "POST changing":
            domain.changing = bool(given["changing"])
        case "POST faults":
            fault = Fault(**given)
            if fault.kind not in KINDS:
                raise ValueError(f"kind is one of {', '.join(KINDS)}")
            domain.faults.order(fault)
        case "DELETE faults":
            domain.faults.clear()
            domain.held.clear()
        case "GET requests":
            return domain.requests
        case "DELETE requests":
            domain.requests.clear()
        case "GET documents":
            # Of the stand-in only: a real engine can be asked itself.
            return {name: index.documents for name, index in domain.memory.indices.items()}
        case _:
            raise ValueError("there is no such control")
    return {}


def _shown(domain: Domain) -> dict[str, Any]:
    return {"endpoint": f"https://127.0.0.1:{domain.port}", "engine": domain.engine, "mostBytes": domain.most_bytes}
