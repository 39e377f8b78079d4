"""Owns one function process in AWS's Runtime Interface Emulator, and what there is to measure of it.

The emulator starts the process with the first invocation, tells how long that took until it asked for its event, and then
how long the invocation took."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import platform
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from localaws.errors import LocalError

_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_INVOCATION = re.compile(r"INVOKE RTDONE\(status: success, .*duration: ([\d.]+)ms\)")
_PATH = "/2015-03-31/functions/function/invocations"
_READY_WITHIN_SECONDS = 10


def binary(python: str) -> Path:
    """The emulator for this machine, which the SAM CLI behind `python` carries."""
    kind = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    if platform.system() != "Linux" or not kind:
        raise LocalError("The Runtime Interface Emulator runs on Linux only, on x86_64 or aarch64.")
    found = sorted(Path(python).parents[1].glob(f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{kind}"))
    if not found:
        raise LocalError(f"The SAM CLI of {python} carries no Runtime Interface Emulator.")
    found[0].chmod(found[0].stat().st_mode | 0o111)
    return found[0]


@dataclass(frozen=True)
class ColdStart:
    """What a fresh process needed."""

    init_ms: float
    invocation_ms: float
    peak_mib: float


class Function:
    """A function behind the emulator; a context manager that leaves no process behind."""

    def __init__(self, emulator: Path, command: Sequence[str], environment: Mapping[str, str], log: Path,
                 patience_s: float = 90) -> None:
        self._port, runtime_port = _free_ports(2)
        self._log = log
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=patience_s)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [str(emulator), "--log-level", "info", "--runtime-interface-emulator-address", f"127.0.0.1:{self._port}",
                 "--runtime-api-address", f"127.0.0.1:{runtime_port}", *command],
                env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                preexec_fn=_end_with_the_parent)

    def __enter__(self) -> Function:
        try:
            deadline = time.monotonic() + _READY_WITHIN_SECONDS
            while not _listens(self._port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise LocalError(f"The Runtime Interface Emulator did not start:\n{self.log()}")
                time.sleep(0.01)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def invoke(self, event: Any) -> float:
        """Sends an event, checks that it worked, and returns the milliseconds that the caller waited."""
        body = json.dumps(event)
        began = time.perf_counter()
        self._connection.request("POST", _PATH, body)
        answer = self._connection.getresponse().read()
        took = (time.perf_counter() - began) * 1000
        with contextlib.suppress(ValueError):
            outcome = json.loads(answer)
            if isinstance(outcome, dict) and "errorType" in outcome:
                raise LocalError(f"An invocation failed: {outcome}\n{self.log()}")
        return took

    def cold_start(self, event: Any) -> ColdStart:
        """The first invocation."""
        self.invoke(event)
        peak = self.peak_mib()
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        # The answer may be here before the log line.
        while not ((init := _INIT.search(log := self.log())) and (invocation := _INVOCATION.search(log))):
            if time.monotonic() > deadline:
                raise LocalError(f"The Runtime Interface Emulator told no times:\n{log}")
            time.sleep(0.01)
        return ColdStart(float(init[1]), float(invocation[1]), peak)

    def peak_mib(self) -> float:
        """The most memory that the function had so far."""
        children = list(_descendants(self._process.pid))
        if len(children) != 1:
            raise LocalError(f"The function is not one process but {len(children)}:\n{self.log()}")
        return _peak_mib(children[0])

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _stop(self) -> None:
        self._connection.close()
        # The emulator puts the function into a process group of its own.
        end_descendants(self._process.pid)
        self._process.kill()
        self._process.wait()


_libc = ctypes.CDLL(None)


def _end_with_the_parent() -> None:
    """However that ends. The function ends with the emulator, as its Runtime API does."""
    pr_set_pdeathsig = 1
    _libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


def end_descendants(pid: int) -> None:
    """Kills whatever a process started and did not end."""
    for process in list(_descendants(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _free_ports(number: int) -> list[int]:
    """Different ones: all are held until all are known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _descendants(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text(encoding="ascii").split()):
                yield child
                yield from _descendants(child)


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024
