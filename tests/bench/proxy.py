"""Owns a reverse proxy that holds every call back for a while and notes it down; and how a note is sent again."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

_OF_ONE_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Call:
    """A call as it passed, with when it came and when its answer had gone."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    began: float
    ended: float

    @property
    def operation(self) -> str:
        """What is called, whatever the protocol of the SDK."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urlsplit(self.path).path
        if target := headers.get("x-amz-target"):
            return target.rsplit(".", 1)[1]
        if cbor := re.fullmatch(r"/service/.+/operation/(\w+)", path):
            return cbor[1]
        if action := parse_qs(self.body.decode("latin-1")).get("Action"):
            return action[0]
        return f"{self.method} {path.rstrip('/')}"


@dataclass
class Proxy:
    """In front of `upstream`, or in front of nothing: then everything is answered with an empty 200. A context manager."""

    upstream: str | None
    delay_s: float = 0.0
    # What answers say instead of something else.
    instead: dict[bytes, bytes] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take_calls(self) -> list[Call]:
        """What passed since this was last asked."""
        taken, self.calls = self.calls, []
        return taken


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client, with one of its own to the upstream."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet; two would wait for each other.
    wbufsize = -1
    disable_nagle_algorithm = True
    proxy: Proxy

    def setup(self) -> None:
        super().setup()
        address = urlsplit(self.proxy.upstream or "").netloc
        self._upstream = http.client.HTTPConnection(address, timeout=60) if address else None

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        if self._upstream:
            self._upstream.close()

    def _pass_on(self) -> None:
        began = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.proxy.delay_s)
        # AWS is reached by TLS, and policies ask for it.
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP} | {"X-Forwarded-Proto": "https"}
        status, answered, content = self._ask(headers, body)
        # Noted before the answer goes, so that who has all answers finds all notes.
        self.proxy.calls.append(Call(self.command, self.path, headers, body, status, began, time.perf_counter()))
        self.send_response_only(status)
        for name, value in answered:
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _ask(self, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._upstream is None:
            return 200, [], b""
        self._upstream.request(self.command, self.path, body, headers)
        answer = self._upstream.getresponse()
        content = answer.read()
        for said, instead in self.proxy.instead.items():
            content = content.replace(said, instead)
        return answer.status, answer.getheaders(), content

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on


def send_again(calls: Sequence[tuple[Proxy, Call]]) -> tuple[float, list[int]]:
    """Sends calls one after another, each proxy over one connection; the milliseconds it took, and the statuses."""
    connections: dict[str, http.client.HTTPConnection] = {}
    statuses = []
    began = time.perf_counter()
    for proxy, call in calls:
        if proxy.endpoint not in connections:
            connections[proxy.endpoint] = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=60)
        connection = connections[proxy.endpoint]
        connection.request(call.method, call.path, call.body, call.headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    took = (time.perf_counter() - began) * 1000
    for connection in connections.values():
        connection.close()
    return took, statuses
