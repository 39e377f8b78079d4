"""Owns HTTP/1.1 for the stand-ins: h11 on plain asyncio streams, since no ASGI server lets its application reset a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

import h11

LOOPBACK = "127.0.0.1"
_READ_BYTES = 65536


@dataclass
class Request:
    method: str
    raw_path: str
    raw_query: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass
class Reply:
    status: int
    content_type: str
    content: bytes


async def next_request(connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request with its whole body; nothing when the client is done."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])))
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head:
            path, _, query = head.target.decode("latin-1").partition("?")
            return Request(head.method.decode("ascii"), path, query, list(head.headers.raw_items()), bytes(body))
        else:
            return None


def encoded(connection: h11.Connection, status: int, headers: list[tuple[str, str]], content: bytes) -> bytes:
    """An answer, as it goes over the wire."""
    parts = [
        connection.send(h11.Response(status_code=status, headers=[*headers, ("content-length", str(len(content)))])),
        connection.send(h11.Data(data=content)),
        connection.send(h11.EndOfMessage()),
    ]
    return b"".join(part for part in parts if part)


def reset(writer: asyncio.StreamWriter) -> None:
    """A TCP reset rather than an orderly close: what a client sees when a server dies."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def listen() -> socket.socket:
    """A listening socket made here and handed over, so that nobody can take the port in between."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((LOOPBACK, 0))
    listening.listen(128)
    listening.setblocking(False)
    return listening
