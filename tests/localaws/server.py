"""Owns the one process in which the emulator, the Connect stand-in and the search domains run: its environment, its loopback
ports, its end.

Started by `launcher`, which holds the other end of this process's stdin: when that closes, for whatever reason, this ends and
takes every function process with it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import sys
import traceback
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from .search import certificates
from .wire import LOOPBACK, listen

ROOT_SECRET = "local"
_READY_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Settings:
    """What the launcher decides; the server decides nothing but its ports."""

    account_id: str
    region: str
    state_dir: str
    connect_endpoint: str | None

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def call_log_path(state_dir: Path) -> Path:
    return state_dir / "calls.jsonl"


def mailbox_path(state_dir: Path) -> Path:
    return state_dir / "mail.jsonl"


def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    ready = os.fdopen(int(sys.argv[2]), "w", encoding="utf-8")
    asyncio.run(_serve_then_end(settings, ready))


async def _serve_then_end(settings: Settings, ready: TextIO) -> None:
    try:
        await _serve(settings, ready)
    except BaseException:
        traceback.print_exc()
    # Not by returning: threads of the emulator may still wait for a function's answer, and asyncio would wait for them.
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    _kill_process_group()


async def _serve(settings: Settings, ready: TextIO) -> None:
    emulator_socket, connect_socket, search_socket = listen(), listen(), listen()
    emulator = f"http://{LOOPBACK}:{emulator_socket.getsockname()[1]}"
    connect = settings.connect_endpoint or f"http://{LOOPBACK}:{connect_socket.getsockname()[1]}"
    made = certificates.make(Path(settings.state_dir) / "certificates", others_are_trusted=connect.startswith("https:"))
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(_environment(settings, emulator, connect), SSL_CERT_FILE=str(made.trusted))

    # Only now: the emulator reads its environment when it is imported.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from . import bridges
    from .calllog import CallLog
    from .search.access import Owner
    from .search.control import start_control
    from .search.gate import Gate

    log = CallLog(call_log_path(Path(settings.state_dir)))
    gate = Gate(Owner(settings.account_id, settings.region, ROOT_SECRET), certificates.context(made), log)
    bridges.install(log, mailbox_path(Path(settings.state_dir)), gate)
    await start_control(search_socket, gate)
    ending = asyncio.Event()
    _end_with_the_launcher(ending)
    _save_time()
    config = Config()
    config.bind = [f"fd://{emulator_socket.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    emulating = asyncio.create_task(serve(app, config, shutdown_trigger=ending.wait))
    if settings.connect_endpoint:
        connect_socket.close()
    else:
        from .connect.server import start_stand_in

        await start_stand_in(connect_socket, settings.account_id, settings.region)
    await _until_healthy(emulator, emulating)
    search = f"http://{LOOPBACK}:{search_socket.getsockname()[1]}"
    print(json.dumps({"endpoint": emulator, "connectEndpoint": connect, "searchControl": search, "authority": str(made.trusted)}),
          file=ready, flush=True)
    ready.close()
    await emulating


def _save_time() -> None:
    """Saves a third of the time of a busy local AWS. The web server keeps idle connections in a list that it searches at each request;
    here it gets a set. And Python's garbage collector skips what was imported, and runs less often."""
    from hypercorn.asyncio.worker_context import EventWrapper

    class Waiters(set[asyncio.Future[bool]]):
        """A set in place of asyncio's queue. The order does not matter, as all wait for the same end."""

        append = set.add

    make = EventWrapper.__init__

    def made(self: EventWrapper) -> None:
        make(self)
        self._event._waiters = Waiters()  # type: ignore[assignment]

    EventWrapper.__init__ = made  # type: ignore[method-assign]
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _environment(settings: Settings, emulator: str, connect: str) -> dict[str, str]:
    """The emulator's settings, and what its functions inherit from it."""
    temporary = os.path.join(settings.state_dir, "tmp")
    os.makedirs(temporary, exist_ok=True)
    return {
        "AUTH": "true",
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": settings.region,
        "MINISTACK_ACCOUNT_ID": settings.account_id,
        "GATEWAY_PORT": emulator.rsplit(":", 1)[1],
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "PERSIST_STATE": "0",
        "S3_DATA_DIR": os.path.join(settings.state_dir, "s3"),
        "DOCKER_HOST": "unix:///nonexistent",
        "TMPDIR": temporary,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": settings.account_id,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "AWS_ENDPOINT_URL": emulator,
        "AWS_ENDPOINT_URL_CONNECT": connect,
        "AWS_EC2_METADATA_DISABLED": "true",
        # The answers to CloudFormation go to the emulator.
        "_EMITE_LOOPBACK_RESPONSES": "1",
        # Lambda waits one minute and then two before it tries a failed event again.
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": os.environ.get("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.2"),
        # State machines wait this part of the seconds that they are told to.
        "SFN_WAIT_SCALE": os.environ.get("SFN_WAIT_SCALE", "0.005"),
    }


def _end_with_the_launcher(ending: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)

    def stdin_readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            ending.set()

    loop.add_reader(sys.stdin.fileno(), stdin_readable)


async def _until_healthy(emulator: str, emulating: asyncio.Task) -> None:
    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"{emulator}/_ministack/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    deadline = asyncio.get_running_loop().time() + _READY_WITHIN_SECONDS
    while not await asyncio.to_thread(healthy):
        if emulating.done():
            emulating.result()
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"The emulator was not healthy within {_READY_WITHIN_SECONDS} s")
        await asyncio.sleep(0.02)


def _kill_process_group() -> NoReturn:
    """Ends this process and every function that the emulator started and did not end."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
