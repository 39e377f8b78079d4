"""Owns the life of one engine: it starts, stops, is killed and starts again on the same data, and never outlives its owner."""

from __future__ import annotations

import json
import selectors
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from localaws.errors import LocalError

from . import libraries

_START_WITHIN_SECONDS = 90
_END_WITHIN_SECONDS = 15


class Engine:
    """One node; a context manager that leaves no process behind. `settings` are the engine's own, with dots."""

    def __init__(self, name: str, data: Path, settings: dict[str, str] | None = None) -> None:
        self.name = name
        self._data = data
        self._settings = settings or {}
        self._process: subprocess.Popen | None = None
        self.url = ""

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Starts it on the data that is there; answers its address, which is another one each time."""
        command = libraries.command(self.name, self._data, self._settings)
        self._data.mkdir(parents=True, exist_ok=True)
        log = self._data / "engine.log"
        with log.open("ab") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            port = self._first_line()
            if not port.strip().isdigit():
                said = log.read_text(encoding="utf-8", errors="replace")[-4000:]
                raise LocalError(f"{self.name} did not start:\n{port}{said}")
        except BaseException:
            self.kill()
            raise
        self.url = f"http://127.0.0.1:{port.strip()}"
        self._settle()
        return self.url

    def stop(self) -> None:
        """As an operator would: what it was told is on its disk."""
        process, self._process = self._process, None
        if process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            try:
                process.wait(_END_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    def kill(self) -> None:
        """As a power cut would."""
        if self._process:
            self._process.kill()
        self.stop()

    def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        """One request, past the gate: the status, and what was said."""
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        kind = "application/x-ndjson" if raw is not None else "application/json"
        request = urllib.request.Request(self.url + path, method=method, data=content, headers={"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def _settle(self) -> None:
        """Waits until it has read its own data: until then it takes no document."""
        deadline = time.monotonic() + _START_WITHIN_SECONDS
        while time.monotonic() < deadline:
            status, health = self.call("GET", "/_cluster/health")
            if status == 200 and health["initializing_shards"] == 0 and self.call("GET", "/_cat/indices?format=json")[0] == 200:
                return
            time.sleep(0.02)
        raise LocalError(f"{self.name} is up, and has not settled within {_START_WITHIN_SECONDS} s.")

    def _first_line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return self._process.stdout.readline() if selector.select(_START_WITHIN_SECONDS) else ""
