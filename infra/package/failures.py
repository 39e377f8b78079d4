"""Owns what `make deploy` prints when a deployment failed: the reasons that AWS keeps for it, which the SAM CLI does not show.

CloudFormation refuses a taken name before it creates anything, and before Preflight runs, with nothing but the name of its own check. The
details are in `DescribeEvents` alone (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

Json = Any

# How CloudFormation and the SAM transform say that a change set is empty, which is no failure.
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Deployment:
    """The stack that `sam deploy` was last told to deploy."""

    stack: str = "emite-connect"
    region: str | None = None
    profile: str | None = None

    @classmethod
    def last(cls, config: Path) -> Deployment:
        """As the SAM CLI saved it in samconfig.toml, where the answers to its questions come after the defaults."""
        saved = tomllib.loads(config.read_text(encoding="utf-8")).get("default", {})
        given = saved.get("global", {}).get("parameters", {}) | saved.get("deploy", {}).get("parameters", {})
        return cls(given.get("stack_name", cls.stack), given.get("region") or os.environ.get("AWS_REGION"), given.get("profile"))

    def client(self) -> Any:
        return boto3.Session(profile_name=self.profile, region_name=self.region).client("cloudformation")

    def command(self, change_set: str | None) -> str:
        """What shows the same, for someone else to run."""
        options = {"--stack-name": self.stack, "--change-set-name": change_set, "--region": self.region, "--profile": self.profile}
        given = [f"{option} {value}" for option, value in options.items() if value]
        return " ".join(["aws cloudformation describe-events", *given, "--filters FailedEvents=true"])


def explain(template: Json, deployment: Deployment, cloudformation: Any) -> str:
    """The failed events of the last operation on the stack, or why they cannot be shown."""
    change_set = None
    try:
        change_set = _refused_change_set(cloudformation, deployment.stack)
        found = _failed(cloudformation, deployment.stack, change_set)
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationError":
            return f"CloudFormation has no stack {deployment.stack}: the deployment failed before it got there, as printed above."
        return (f"The reasons that AWS keeps could not be read: {error}\n"
                "Ask someone who may call cloudformation:DescribeEvents and cloudformation:ListChangeSets to run:\n\n"
                f"  {deployment.command(change_set)}")
    if not found:
        return f"AWS keeps no failed events of the stack {deployment.stack}. What is printed above is all there is."
    lines = [f"What AWS says about the stack {deployment.stack}:", ""]
    for event in found:
        lines += [f"  {event.get('LogicalResourceId') or deployment.stack}: {_reason(event)}", *(f"    {line}" for line in _advice(template, event))]
    return "\n".join([*lines, "", "docs/troubleshooting.md explains the common reasons."])


def _refused_change_set(cloudformation: Any, stack: str) -> str | None:
    """The name of the newest change set, if it was refused: then nothing was deployed, and the reasons belong to it."""
    pages = cloudformation.get_paginator("list_change_sets").paginate(StackName=stack)
    newest = max((summary for page in pages for summary in page["Summaries"]), key=lambda summary: summary["CreationTime"], default=None)
    if newest is None or newest["Status"] != "FAILED" or any(text in newest.get("StatusReason", "") for text in _NO_CHANGES):
        return None
    return newest["ChangeSetName"]


def _failed(cloudformation: Any, stack: str, change_set: str | None) -> list[Json]:
    """The failed events of the newest operation that has some, oldest first."""
    scope = {"StackName": stack, **({"ChangeSetName": change_set} if change_set else {})}
    pages = cloudformation.get_paginator("describe_events").paginate(**scope, Filters={"FailedEvents": True})
    events = sorted((event for page in pages for event in page["OperationEvents"] if _reason(event)), key=lambda event: event["Timestamp"])
    return [event for event in events if event.get("OperationId") == events[-1].get("OperationId")]


def _reason(event: Json) -> str:
    return event.get("ValidationStatusReason") or event.get("ResourceStatusReason") or event.get("HookStatusReason") or ""


def _advice(template: Json, event: Json) -> Iterator[str]:
    """Which parameters name what is taken already."""
    if "CONFLICT" not in event.get("ValidationName", ""):
        return
    resource = template["Resources"].get(event.get("LogicalResourceId"), {})
    for value in resource.get("Properties", {}).values():
        name = value.get("Ref") if isinstance(value, dict) else None
        if f"Existing{name}" in template["Parameters"]:
            yield f"Choose another {name}, or set Existing{name} to use the existing one as it is."
