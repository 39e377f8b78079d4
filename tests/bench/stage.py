"""Owns what is measured and where: the functions with an event for each, and a local AWS with the stack in it that answers
their calls."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from unittest import mock

from localaws import deployer, places, samples, terminal
from localaws.clients import Clients
from localaws.errors import LocalError
from localaws.launcher import LocalAws
from localaws.template import Template

from . import rie
from .proxy import Proxy

PEERS = Path(__file__).with_name("peers")


@dataclass(frozen=True)
class Subject:
    """A function, and what it is asked to do."""

    name: str
    logical_id: str
    task: str
    event: Callable[[Stage], dict[str, Any]]


def _unchanged_update(stage: Stage) -> dict[str, Any]:
    instance = stage.local.offer.instanceArn
    properties = {
        "InstanceArn": instance, "ResourceType": "AGENT_EVENTS", "TargetArn": stage.outputs["AgentEventStreamArn"],
        "OnExisting": "Fail", "DrainSeconds": "0"}
    return {
        "RequestType": "Update",
        "ResponseURL": f"{stage.cloudformation.endpoint}/answer",
        "StackId": stage.stack_id,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": "AgentEventStreaming",
        "ResourceType": "Custom::ConnectDataStreaming",
        "PhysicalResourceId": f"{instance.rsplit('/', 1)[1]}|data-streaming|AGENT_EVENTS",
        "ResourceProperties": properties,
        "OldResourceProperties": properties,
    }


SUBJECTS = (
    Subject("custom-resource", "CustomResourceFunction", "an update that changes nothing", _unchanged_update),
    Subject("health-check", "HealthCheckFunction", "one run", lambda _: {}),
    Subject("reporter", "ReporterFunction", "a test message", lambda _: {"test": True}),
)

# The custom resource works only while CloudFormation changes its stack.
_CHANGING = {
    f"<{name}>{state}_COMPLETE</{name}>".encode(): f"<{name}>UPDATE_IN_PROGRESS</{name}>".encode()
    for name in ("StackStatus", "ResourceStatus") for state in ("CREATE", "UPDATE")}


class Stage:
    """A context manager that leaves no process and no file behind."""

    def __init__(self, sam_python: str, binaries: Path, work: Path) -> None:
        """Takes the functions from a folder of releases, each as NAME/bootstrap."""
        self._emulator = rie.binary(sam_python)
        self._binaries = binaries
        self._work = work
        self._ending = ExitStack()
        self.local: LocalAws
        self.outputs: dict[str, str]
        self.stack_id: str
        self._variables: dict[str, dict[str, str]]

    def __enter__(self) -> Stage:
        with ExitStack() as ending:
            self.local = ending.enter_context(LocalAws(log=self._work / "emulator.log"))
            self.cloudformation = ending.enter_context(Proxy(None))
            self._aws = ending.enter_context(Proxy(self.local.offer.endpoint))
            self._connect = ending.enter_context(Proxy(self.local.offer.connectEndpoint))
            self._deploy()
            self._compile_peers()
            self._ending = ending.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.close()

    @property
    def proxies(self) -> tuple[Proxy, Proxy, Proxy]:
        return self._aws, self._connect, self.cloudformation

    def _deploy(self) -> None:
        template, clients = Template.read(), Clients.of(self.local.offer)
        # What is measured is what is deployed, and nothing else has to be built.
        with mock.patch.object(places, "binary", self.release):
            deployed = deployer.deploy(
                clients, template, samples.STACK_NAME, {"ConnectInstanceArn": self.local.offer.instanceArn},
                terminal.ResourceProgress(terminal.stderr()))
        if not deployed.succeeded:
            raise LocalError("\n".join(["The stack was not deployed:", deployed.status, *deployed.reasons]))
        self.outputs, self.stack_id = deployed.outputs, deployed.stack_id
        self._variables = {}
        for subject in SUBJECTS:
            name = deployed.resources[subject.logical_id]["physicalId"]
            configuration = clients.lambda_.get_function_configuration(FunctionName=name)
            self._variables[subject.name] = configuration["Environment"]["Variables"]
        # Somebody who hears of alerts, as every stack in use has.
        queue = clients.sqs.create_queue(QueueName="bench")["QueueUrl"]
        queue_arn = clients.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        clients.sns.subscribe(TopicArn=deployed.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=queue_arn)
        # Nothing of the stack runs beside what is measured.
        for rule in clients.events.list_rules()["Rules"]:
            clients.events.disable_rule(Name=rule["Name"])
        # Runs come faster here than any schedule.
        self.local.control("POST", "options", {"throttle": False})

    def _compile_peers(self) -> None:
        """As Lambda's own Python does with its modules; boto3's in the virtual environment are compiled as well."""
        self._peers = self._work / "peers"
        shutil.copytree(PEERS, self._peers, ignore=shutil.ignore_patterns("__pycache__"))
        if not compileall.compile_dir(self._peers, quiet=1, legacy=True):
            raise LocalError("A peer cannot be compiled.")
        for source in self._peers.glob("*.py"):
            source.unlink()

    def rust(self, subject: Subject) -> rie.Function:
        return self._function(subject, [str(self.release(subject.name)), "bootstrap"])

    def release(self, name: str) -> Path:
        """A program of the release."""
        path = self._binaries / name / "bootstrap"
        if not path.exists():
            raise LocalError(f"{path} is not built yet. Run `make bench`.")
        return path

    def python(self, subject: Subject) -> rie.Function:
        peer = self._peers / f"{subject.name.replace('-', '_')}.pyc"
        return self._function(subject, [sys.executable, str(peer)])

    def peer(self, name: str) -> Path:
        """A compiled peer that is no function."""
        return self._peers / f"{name}.pyc"

    def redrive(self, event: dict[str, Any], spec_parameter: str) -> float:
        """Runs the redrive in a fresh process by these settings, and returns the milliseconds that took."""
        variables = {**self._variables["health-check"], "SPEC_PARAMETER": spec_parameter}
        environment = {**self._environment("redrive", variables), "AWS_ENDPOINT_URL": self.local.offer.endpoint,
                       "AWS_LAMBDA_FUNCTION_TIMEOUT": "900", "SSL_CERT_FILE": self.local.offer.searchAuthority}
        command = [str(self.release("redrive")), "bootstrap"]
        with rie.Function(self._emulator, command, environment, self._work / "function.log", patience_s=900) as function:
            return function.invoke(event)

    def spec(self) -> dict[str, str]:
        """The stack's settings."""
        # The functions that work by the spec have the same variables.
        parameter = self._variables["health-check"]["SPEC_PARAMETER"]
        return json.loads(Clients.of(self.local.offer).ssm.get_parameter(Name=parameter)["Parameter"]["Value"])

    def plan_redrive(self, text: Path, size: int) -> tuple[float, float]:
        """Puts the beginning of a file into the bucket, plans its redrive in a fresh process, and takes it away. Returns the
        milliseconds that took, and the peak of the process's memory in MiB."""
        clients = Clients.of(self.local.offer)
        variables, spec = self._variables["health-check"], self.spec()
        stream = spec["deliveryStream"].rsplit("/", 1)[1]
        place = {"Bucket": spec["backupBucket"], "Key": f"emite-connect/{stream}/failed/bench"}
        with text.open("rb") as file:
            clients.s3.upload_fileobj(Beginning(file, size), **place)
        try:
            command = [str(self.release("redrive")), "bootstrap"]
            # Straight to the local AWS: the proxy would hold whole objects in memory, on the same two cores.
            environment = {**self._environment("redrive", variables), "AWS_ENDPOINT_URL": self.local.offer.endpoint,
                           "AWS_LAMBDA_FUNCTION_TIMEOUT": "900"}
            with rie.Function(self._emulator, command, environment, self._work / "function.log", patience_s=900) as function:
                took = function.invoke({"mode": "plan", "keys": [place["Key"]]})
                return took, function.peak_mib()
        finally:
            clients.s3.delete_object(**place)

    def _function(self, subject: Subject, command: list[str]) -> rie.Function:
        self._aws.instead = _CHANGING if subject.name == "custom-resource" else {}
        environment = self._environment(subject.name, self._variables[subject.name])
        return rie.Function(self._emulator, command, environment, self._work / "function.log")

    def _environment(self, name: str, variables: dict[str, str]) -> dict[str, str]:
        return {
            **self.local.offer.environment(),
            "AWS_ENDPOINT_URL": self._aws.endpoint,
            "AWS_ENDPOINT_URL_CONNECT": self._connect.endpoint,
            "_EMITE_LOOPBACK_RESPONSES": "1",
            **variables,
            "PATH": os.defpath,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }


class Beginning:
    """The first bytes of a file, as a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(part)
        return part
