"""Owns the life of a local AWS: starts the server process, tells what it offers, and ends everything that it started."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from . import places, samples
from .errors import LocalError
from .server import ROOT_SECRET, Settings, call_log_path

_START_WITHIN_SECONDS = 90
_END_WITHIN_SECONDS = 10
# What the emulator and the functions may see of our environment. Everything else stays out, above all AWS credentials.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH", "PERMISSION_GRACE_SECONDS", "SFN_WAIT_SCALE")
_PASSED_ON_PREFIXES = ("MINISTACK_", "LAMBDA_", "RUST_", "LOG_LEVEL")
# Exported by `local.env` beside AWS_ENDPOINT_URL_CONNECT where that is our own stand-in.
OWN_CONNECT_ENDPOINT = "EMITE_LOCAL_CONNECT_ENDPOINT"


@dataclass(frozen=True)
class Offer:
    """What a running local AWS offers; printed by `run` as one JSON line with these names."""

    endpoint: str
    connectEndpoint: str
    region: str
    accountId: str
    accessKeyId: str
    secretAccessKey: str
    instanceId: str
    instanceArn: str
    callLog: str
    stateDir: str
    # Where tests put an engine behind a search domain and order faults of it.
    searchControl: str
    # What to trust for the endpoints of search domains (SSL_CERT_FILE); functions are told already.
    searchAuthority: str

    def environment(self) -> dict[str, str]:
        """What makes the ordinary SDKs and the `aws` CLI use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_CONNECT": self.connectEndpoint,
            "AWS_ACCESS_KEY_ID": self.accessKeyId,
            "AWS_SECRET_ACCESS_KEY": self.secretAccessKey,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class LocalAws:
    """A running local AWS; a context manager that leaves no process and no file behind."""

    def __init__(self, account_id: str | None = None, log: Path | None = None) -> None:
        instance = _instance_of_given_endpoint(account_id)
        self._log = log
        self._state_dir = Path(tempfile.mkdtemp(prefix="emite-connect-local-"))
        self._settings = Settings(
            account_id=instance.account_id, region=instance.region, state_dir=str(self._state_dir),
            connect_endpoint=instance.endpoint)
        self._instance = instance
        self._server: subprocess.Popen | None = None
        self.offer: Offer

    def __enter__(self) -> LocalAws:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def log_path(self) -> Path:
        return self._log or self._state_dir / "emulator.log"

    @property
    def has_stand_in(self) -> bool:
        return self._settings.connect_endpoint is None

    def control(self, method: str, what: str, content: dict[str, Any] | None = None) -> Any:
        """Asks or orders something of the stand-in."""
        request = urllib.request.Request(
            f"{self.offer.connectEndpoint}/_standin/{what}", method=method, data=json.dumps(content or {}).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def died(self) -> bool:
        return self._server is None or self._server.poll() is not None

    def _start(self) -> None:
        reader, writer = os.pipe()
        try:
            with self.log_path.open("ab") as log:
                self._server = subprocess.Popen(
                    [sys.executable, "-m", "localaws.server", self._settings.to_json(), str(writer)],
                    stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[writer], start_new_session=True, env=_passed_on())
        finally:
            os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as pipe:
            line = _first_line(pipe)
        if not line:
            raise LocalError(f"The local AWS did not start:\n{_tail(self.log_path)}")
        ports = json.loads(line)
        self.offer = Offer(
            endpoint=ports["endpoint"],
            connectEndpoint=ports["connectEndpoint"],
            region=self._settings.region,
            accountId=self._settings.account_id,
            accessKeyId=self._settings.account_id,
            secretAccessKey=ROOT_SECRET,
            instanceId=self._instance.instance_id,
            instanceArn=self._instance.arn,
            callLog=str(call_log_path(self._state_dir)),
            stateDir=str(self._state_dir),
            searchControl=ports["searchControl"],
            searchAuthority=ports["authority"])

    def stop(self) -> None:
        """Asks the server to end, and ends whatever is left of its process group."""
        server, self._server = self._server, None
        if server is not None:
            assert server.stdin is not None
            server.stdin.close()
            try:
                server.wait(_END_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            _kill_group(server.pid)
        shutil.rmtree(self._state_dir, ignore_errors=True)


def _kill_group(group: int) -> None:
    """Kills what is left of a process group, and waits until nothing is."""
    deadline = time.monotonic() + _END_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.01)


@dataclass(frozen=True)
class _Instance:
    """The Connect instance to integrate, and the endpoint to find it at when that is not our own stand-in."""

    arn: str
    endpoint: str | None

    @property
    def account_id(self) -> str:
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def instance_id(self) -> str:
        return self.arn.rsplit("/", 1)[1]


def connect_endpoint_given() -> str | None:
    """The user's own Connect endpoint; not the one of a local AWS whose `local.env` the shell has read."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_CONNECT")
    return endpoint if endpoint and endpoint != os.environ.get(OWN_CONNECT_ENDPOINT) else None


def _instance_of_given_endpoint(account_id: str | None) -> _Instance:
    endpoint = connect_endpoint_given()
    if not endpoint:
        return _Instance(samples.instance_arn(account_id or samples.ACCOUNT_ID), None)
    from .given_endpoint import instance_arn

    arn = instance_arn(endpoint)
    if account_id and arn.split(":")[4] != account_id:
        raise LocalError(f"The instance at {endpoint} is {arn}, which is not in account {account_id}.")
    return _Instance(arn, endpoint)


def _passed_on() -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)}
    return {**passed, "PYTHONPATH": str(places.ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}


def _first_line(pipe) -> str:
    """The first line, or nothing when the other end closed or took too long."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        return pipe.readline() if selector.select(_START_WITHIN_SECONDS) else ""


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def run(account_id: str | None, detached: bool, log: Path | None) -> int:
    """`run`: one JSON line, then alive until stdin closes, SIGINT or SIGTERM."""
    # Taken first, since the parent may be gone before we are up.
    parent = None if detached else os.getppid()
    ending_reader, ending_writer = os.pipe()

    def end(number: int, frame: object) -> None:
        os.write(ending_writer, b"x")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    with LocalAws(account_id, log) as local:
        print(local.offer.to_json(), flush=True)
        _wait_for_the_end(local, ending_reader, parent)
        if local.died():
            print(f"The local AWS ended by itself:\n{_tail(local.log_path)}", file=sys.stderr)
            return 1
    return 0


def _wait_for_the_end(local: LocalAws, ending: int, parent: int | None) -> None:
    # `select`, since `epoll` refuses the files that stdin may be. A parent that is gone shows even where stdin does not.
    with selectors.SelectSelector() as selector:
        selector.register(ending, selectors.EVENT_READ)
        if parent:
            selector.register(sys.stdin, selectors.EVENT_READ)
        while not local.died() and parent in (None, os.getppid()):
            for key, _ in selector.select(0.5):
                if key.fd == ending or not os.read(key.fd, 4096):
                    return
