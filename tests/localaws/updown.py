"""Owns `make up` and `make down`: a local AWS that stays, with the stack in it, for exploring with the ordinary `aws` CLI."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from . import deployer, places, samples, terminal
from .clients import Clients
from .errors import LocalError
from .launcher import OWN_CONNECT_ENDPOINT, Offer, connect_endpoint_given
from .template import Template, parse_parameters

_START_WITHIN_SECONDS = 90
_END_WITHIN_SECONDS = 20
# What CloudFormation could not undo: the ledger that knows how is in the local AWS, so it stays up for another try.
_NEEDS_ANOTHER_TRY = ("ROLLBACK_FAILED", "DELETE_FAILED")


@dataclass(frozen=True)
class _Running:
    """A local AWS in the background; kept in `target/local.json`."""

    pid: int
    started: str
    stack_name: str
    own_connect: bool
    offer: Offer

    @classmethod
    def find(cls) -> _Running | None:
        try:
            found = json.loads(places.LOCAL_STATE.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(**{**found, "offer": Offer(**found["offer"])})

    def alive(self) -> bool:
        """Whether the process is still there; its start time tells it from another one that got its number."""
        return _started(self.pid) == self.started

    def save(self) -> None:
        places.LOCAL_STATE.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def stop(self) -> None:
        """Asks it to end, and forgets it."""
        if self.alive():
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + _END_WITHIN_SECONDS
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.05)
            if self.alive():
                os.killpg(self.pid, signal.SIGKILL)
        for path in (places.LOCAL_STATE, places.LOCAL_ENV):
            path.unlink(missing_ok=True)


def _started(pid: int) -> str:
    """When the process with that number began; nothing if there is none, or only its remains."""
    if (places.PROC / "self" / "stat").exists():
        try:
            fields = (places.PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, since = listed.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else since.strip()


def up() -> int:
    screen = terminal.stdout()
    template = Template.read()
    given = _given_parameters(template)
    running = _Running.find()
    if running and running.alive():
        screen.line(f"A local AWS is up already (target/local.env). Updating its stack {running.stack_name}. `make down` ends it.")
        return _deploy(screen, running, template, given)
    screen.line("Starting a local AWS ...")
    running = _start()
    try:
        code = _deploy(screen, running, template, given)
    except BaseException:
        running.stop()
        raise
    return code


def down() -> int:
    screen = terminal.stdout()
    running = _Running.find()
    if running is None:
        screen.line("No local AWS is up.")
        return 0
    if not running.alive():
        running.stop()
        screen.line("The local AWS had ended already, and its stack with it.")
        if running.own_connect:
            return 0
        screen.line(f"Amazon Connect at {running.offer.connectEndpoint} may still be configured to stream to it.")
        return 1
    try:
        screen.line(f"Deleting the stack {running.stack_name} ...")
        result = deployer.delete(Clients.of(running.offer), running.stack_name, terminal.ResourceProgress(screen))
    finally:
        running.stop()
    if not result.succeeded:
        screen.failures(f"The stack was not deleted: {result.status}", result.reasons)
    screen.line("The local AWS has ended.")
    return 0 if result.succeeded else 1


def _given_parameters(template: Template) -> dict[str, str]:
    """PARAMS as a shell would split it, so that a value with spaces can be quoted."""
    try:
        given = parse_parameters(shlex.split(os.environ.get("PARAMS", "")))
    except ValueError as error:
        raise LocalError(f"PARAMS cannot be read: {error}. Quote a value with spaces: PARAMS=\"Key='two words'\"") from error
    template.check_names(given)
    return given


def _start() -> _Running:
    places.TARGET.mkdir(exist_ok=True)
    with places.LOCAL_LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localaws", "run", "--detached", "--log", str(places.LOCAL_LOG)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(places.ROOT / "tests")})
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector, process.stdout as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        line = pipe.readline() if selector.select(_START_WITHIN_SECONDS) else ""
    if not line:
        process.kill()
        raise LocalError(places.LOCAL_LOG.read_text(encoding="utf-8", errors="replace").strip() or "The local AWS did not start.")
    running = _Running(
        pid=process.pid, started=_started(process.pid), stack_name=os.environ.get("STACK_NAME") or samples.STACK_NAME,
        own_connect=connect_endpoint_given() is None, offer=Offer(**json.loads(line)))
    running.save()
    return running


def _deploy(screen: terminal.Terminal, running: _Running, template: Template, given: dict[str, str]) -> int:
    chosen: dict[str, str] = given
    if "ConnectInstanceArn" in template.parameters and "ConnectInstanceArn" not in given:
        chosen = {"ConnectInstanceArn": running.offer.instanceArn, **given}
    screen.line(f"Deploying the stack {running.stack_name} ...")
    result = deployer.deploy(Clients.of(running.offer), template, running.stack_name, chosen, terminal.ResourceProgress(screen))
    if not result.succeeded:
        return _failed(screen, running, result)
    _write_environment(running, chosen)
    screen.line()
    screen.table([(name, result.outputs[name]) for name in template.outputs if name in result.outputs])
    screen.line()
    screen.line("It stays up until `make down`. To explore it with the ordinary `aws` CLI:")
    screen.line(screen.paint("  source target/local.env && aws cloudformation describe-stack-resources --stack-name $STACK_NAME", "cyan"))
    return 0


def _failed(screen: terminal.Terminal, running: _Running, result: deployer.Result) -> int:
    screen.failures(f"The stack was not deployed: {result.status}", result.reasons)
    stays = places.LOCAL_ENV.exists() or result.status in _NEEDS_ANOTHER_TRY
    if stays:
        screen.line("The local AWS stays up; `make down` deletes what is there and ends it.")
    else:
        running.stop()
        screen.line(f"Nothing is left of it, and the local AWS has ended. Its log: {places.LOCAL_LOG}")
    return 1


def _write_environment(running: _Running, chosen: dict[str, str]) -> None:
    values: dict[str, Any] = {
        **running.offer.environment(),
        "STACK_NAME": running.stack_name,
        "CONNECT_INSTANCE_ARN": chosen.get("ConnectInstanceArn", running.offer.instanceArn),
    }
    if running.own_connect:
        # So that a later run in the same shell does not take our stand-in, by then gone, for a Connect of the user's.
        values[OWN_CONNECT_ENDPOINT] = running.offer.connectEndpoint
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    places.LOCAL_ENV.write_text("".join(lines), encoding="utf-8")
