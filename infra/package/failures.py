"""Owns what `make deploy` prints when a deployment failed: the reasons that CloudFormation keeps for it, which the SAM CLI does not show.

CloudFormation refuses a taken name before it creates anything, and before Preflight runs, with nothing but the name of its own check. The
details are in `DescribeEvents` alone (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

Json = Any

# How CloudFormation and the SAM transform say that a change set is empty, which is no failure.
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
# What merely follows from the failure of another resource.
_CONSEQUENCES = ("Resource creation cancelled", "Resource update cancelled")
# How far the clock of this machine may be ahead of AWS's.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Deployment:
    """The stack that `sam deploy` deployed last."""

    stack: str = "emite-connect"
    region: str | None = None
    profile: str | None = None

    @classmethod
    def last(cls, config: Path) -> Deployment:
        """As the SAM CLI saved it in samconfig.toml, where the answers to its questions come after the defaults."""
        try:
            saved = tomllib.loads(config.read_text(encoding="utf-8"))["default"]
            given = {**saved.get("global", {}).get("parameters", {}), **saved.get("deploy", {}).get("parameters", {})}
        except (OSError, KeyError, AttributeError, TypeError, tomllib.TOMLDecodeError):
            given = {}  # the SAM CLI has said what is wrong with it
        text = {name: value for name, value in given.items() if isinstance(value, str) and value}
        return cls(text.get("stack_name", cls.stack), text.get("region") or os.environ.get("AWS_REGION"), text.get("profile"))

    def __str__(self) -> str:
        return f"{self.stack} in {self.region or 'the default region'} (as samconfig.toml has it)"

    def client(self) -> Any:
        return boto3.Session(profile_name=self.profile, region_name=self.region).client("cloudformation")

    def command(self, change_set: str | None) -> str:
        """What shows the same, for someone else to run."""
        options = {"--stack-name": self.stack, "--change-set-name": change_set, "--region": self.region, "--profile": self.profile}
        given = [f"{option} {value}" for option, value in options.items() if value]
        return " ".join(["aws cloudformation describe-events", *given, "--filters FailedEvents=true"])


def explain(template: Json, deployment: Deployment, since: datetime, client: Callable[[], Any] | None = None) -> str:
    """What failed in the stack since then, or why that cannot be shown."""
    change_set = None
    try:
        cloudformation = (client or deployment.client)()
        change_set = _refused_change_set(cloudformation, deployment.stack, since - _CLOCK_SKEW)
        found = _failed(cloudformation, deployment.stack, change_set, since - _CLOCK_SKEW)
    except (ClientError, BotoCoreError) as error:
        answer = error.response["Error"] if isinstance(error, ClientError) else {}
        if "does not exist" in answer.get("Message", ""):
            return f"CloudFormation has no stack {deployment}: the deployment failed before it reached CloudFormation, as shown above."
        whom = "Ask someone who may call cloudformation:DescribeEvents and cloudformation:ListChangeSets to run" \
            if answer.get("Code", "").startswith("AccessDenied") else "Once that is solved, run"
        return f"Could not read the failure details of {deployment} from CloudFormation: {error}\n{whom}:\n\n  {deployment.command(change_set)}"
    if not found:
        return f"CloudFormation reports no failure of the stack {deployment} in this deployment. The output above is all there is."
    lines = [f"CloudFormation reported for the stack {deployment}:", ""]
    for event in found:
        warns = "(warning) " if event.get("ValidationFailureMode") == "WARN" else ""
        lines += [f"  {event['Timestamp']:%H:%M:%S} {event.get('LogicalResourceId') or deployment.stack}: {warns}{_reason(event)}",
                  *(f"    {line}" for line in _advice(template, event))]
    return "\n".join([*lines, "", "docs/troubleshooting.md explains the common reasons."])


def _refused_change_set(cloudformation: Any, stack: str, since: datetime) -> str | None:
    """The name of the newest change set since then, if it was refused: then nothing was deployed, and the reasons belong to it."""
    pages = cloudformation.get_paginator("list_change_sets").paginate(StackName=stack)
    recent = (summary for page in pages for summary in page["Summaries"] if summary["CreationTime"] >= since)
    newest = max(recent, key=lambda summary: summary["CreationTime"], default=None)
    if newest is None or newest["Status"] != "FAILED" or any(text in newest.get("StatusReason", "") for text in _NO_CHANGES):
        return None
    return newest["ChangeSetName"]


def _failed(cloudformation: Any, stack: str, change_set: str | None, since: datetime) -> list[Json]:
    """The failed events since then, oldest first: those of the rollback, which is an operation of its own, come after their cause."""
    scope = {"StackName": stack, **({"ChangeSetName": change_set} if change_set else {})}
    pages = cloudformation.get_paginator("describe_events").paginate(**scope, Filters={"FailedEvents": True})
    events = (event for page in pages for event in page["OperationEvents"])
    found = (event for event in events if _reason(event) and not _reason(event).startswith(_CONSEQUENCES) and event["Timestamp"] >= since)
    return sorted(found, key=lambda event: event["Timestamp"])


def _reason(event: Json) -> str:
    return event.get("ValidationStatusReason") or event.get("HookStatusReason") or event.get("ResourceStatusReason") or ""


def _advice(template: Json, event: Json) -> Iterator[str]:
    """Which parameters name what is taken already."""
    if "CONFLICT" not in event.get("ValidationName", ""):
        return
    resource = template["Resources"].get(event.get("LogicalResourceId"), {})
    for value in resource.get("Properties", {}).values():
        name = value.get("Ref") if isinstance(value, dict) else None
        if f"Existing{name}" in template["Parameters"]:
            yield f"Choose another {name}, or set Existing{name} to use the existing one as it is."


def at(seconds: str) -> datetime:
    """A time as `date +%s` prints it."""
    return datetime.fromtimestamp(int(seconds), UTC)
