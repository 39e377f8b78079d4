"""The launcher: what it prints, that it listens on this machine only, and that nothing outlives it however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Control

from localaws.errors import LocalError
from localaws.launcher import LocalAws, Offer
from localaws.server import Settings

TESTS = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, "PYTHONPATH": str(TESTS)}
ON_LINUX = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "localaws", *arguments]


@pytest.fixture
def run() -> Iterator[Callable[..., tuple[subprocess.Popen, Offer]]]:
    started: list[subprocess.Popen] = []

    def start(*arguments: str, **environment: str) -> tuple[subprocess.Popen, Offer]:
        process = subprocess.Popen(command("run", *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env={**ENVIRONMENT, **environment})
        started.append(process)
        assert process.stdout is not None
        return process, Offer(**json.loads(process.stdout.readline()))

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    """All descendants; Linux only."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="ascii").split()):
            found += [child, *children_of(child)]
    return found


def gone(pids: list[int], within: float = 15) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@ON_LINUX
@pytest.mark.parametrize("end", ["stdin closes", "SIGINT", "SIGTERM", "it is killed", "its server is killed"])
def test_nothing_outlives_it(run: Callable[..., tuple[subprocess.Popen, Offer]], end: str) -> None:
    process, offer = run()
    children = children_of(process.pid)
    assert children
    match end:
        case "stdin closes":
            process.stdin.close()
        case "it is killed":
            process.kill()
        case "its server is killed":
            os.kill(children[0], signal.SIGKILL)
        case name:
            process.send_signal(signal.Signals[name])
    code = process.wait(15)
    assert code == {"it is killed": -signal.SIGKILL, "its server is killed": 1}.get(end, 0)
    assert gone(children)
    assert not Path(offer.stateDir).exists()


@ON_LINUX
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even when somebody else keeps its stdin open."""
    starter = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({command('run')!r}, stdin=0, stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)\n")
    reader, writer = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", starter], stdin=reader, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    launcher = int(parent.stdout.readline())
    family = [launcher, *children_of(launcher)]
    parent.kill()
    parent.wait()
    assert gone(family)
    os.close(reader)
    os.close(writer)


@ON_LINUX
def test_it_ends_the_functions_that_the_emulator_started(
        run: Callable[..., tuple[subprocess.Popen, Offer]], client: Callable[..., Any], tmp_path: Path) -> None:
    import botocore.session

    process, offer = run()
    make = botocore.session.Session().create_client
    keys = {"aws_access_key_id": offer.accessKeyId, "aws_secret_access_key": offer.secretAccessKey,
            "endpoint_url": offer.endpoint, "region_name": offer.region}
    role = make("iam", **keys).create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"]
    functions = make("lambda", **keys)
    functions.create_function(FunctionName="warm", Runtime="provided.al2023", Handler="bootstrap", Role=role,
                              Code={"ZipFile": _zip_of_an_idle_function()})
    before = set(children_of(process.pid))
    functions.invoke(FunctionName="warm")
    warm = set(children_of(process.pid)) - before
    assert warm
    process.stdin.close()
    assert process.wait(15) == 0
    assert gone(list(warm))


def _zip_of_an_idle_function() -> bytes:
    import io
    import zipfile

    script = (
        f"#!{sys.executable}\nimport http.client, os\n"
        "def call(method, path, body=None):\n"
        "    connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\n"
        "    connection.request(method, '/2018-06-01/runtime/' + path, body=body)\n"
        "    answer = connection.getresponse(); answer.read(); return answer.headers\n"
        "while True:\n"
        "    request = call('GET', 'invocation/next')['Lambda-Runtime-Aws-Request-Id']\n"
        "    call('POST', f'invocation/{request}/response', b'{}')\n")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, script)
    return buffer.getvalue()


@ON_LINUX
def test_it_listens_on_this_machine_only(run: Callable[..., tuple[subprocess.Popen, Offer]]) -> None:
    process, offer = run()
    sockets = set()
    for pid in [process.pid, *children_of(process.pid)]:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                listening.append(fields[1])
    ports = {int(url.rsplit(":", 1)[1]) for url in (offer.endpoint, offer.connectEndpoint, offer.searchControl)}
    assert {int(address.split(":")[1], 16) for address in listening} == ports
    assert {address.split(":")[0] for address in listening} == {"0100007F"}


def test_the_account_can_be_chosen(run: Callable[..., tuple[subprocess.Popen, Offer]]) -> None:
    _, offer = run("--account", "123456789012")
    assert offer.accountId == "123456789012"
    assert offer.instanceArn.split(":")[4] == "123456789012"


def test_a_given_connect_is_used_and_no_stand_in_starts(
        run: Callable[..., tuple[subprocess.Popen, Offer]], local: LocalAws, control: Control) -> None:
    given = local.offer
    second = control("POST", "instances", alias="second")
    _, first_listed = run(AWS_ENDPOINT_URL_CONNECT=given.connectEndpoint)
    assert (first_listed.connectEndpoint, first_listed.instanceId) == (given.connectEndpoint, given.instanceId)
    assert first_listed.endpoint != given.endpoint
    _, named = run(AWS_ENDPOINT_URL_CONNECT=given.connectEndpoint, CONNECT_INSTANCE_ID=second["id"])
    assert (named.instanceId, named.instanceArn) == (second["id"], second["arn"])


def test_a_given_connect_that_does_not_answer_is_said_so() -> None:
    ended = subprocess.run(command("run"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                           env={**ENVIRONMENT, "AWS_ENDPOINT_URL_CONNECT": "http://127.0.0.1:9"})
    assert ended.returncode == 2
    assert "no instance can be read there" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_cannot_start_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_CONNECT", raising=False)
    monkeypatch.setattr(Settings, "to_json", lambda settings: '{"unexpected": true}')
    with pytest.raises(LocalError, match="unexpected"):
        LocalAws().__enter__()


@pytest.mark.parametrize(("environment", "arguments", "message"), [
    ({}, [], "AWS_ENDPOINT_URL does not name a local AWS"),
    ({"AWS_ENDPOINT_URL": "https://cloudformation.ap-southeast-2.amazonaws.com"}, [], "AWS_ENDPOINT_URL does not name a local AWS"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ["EmiteURL=x"], "EmiteURL is not a parameter of the template; did you mean EmiteUrl?"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ["EmiteUrl"], "is not Key=Value"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ["EmiteUrl=a", "EmiteUrl=b"], "EmiteUrl is given twice"),
])
def test_a_deployment_that_cannot_be_meant_is_refused(environment: dict[str, str], arguments: list[str], message: str) -> None:
    ended = subprocess.run(command("deploy", "--stack", "any", *arguments), capture_output=True, text=True, timeout=60,
                           env={**ENVIRONMENT, **environment})
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
