"""Owns a stack's life: create or update by change set, delete, and what CloudFormation says on the way."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from . import package, samples
from .clients import Clients
from .errors import LocalError
from .template import Template

Progress = Callable[[dict[str, Any]], None]

_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_NOT_THERE = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
# A stack whose creation failed can only be deleted.
_DEAD = ("ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_FAILED")
_POLL_SECONDS = 0.15
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")


@dataclass
class Result:
    """How an operation ended. `reasons` are CloudFormation's, as `Logical: reason`, first cause first."""

    stack_id: str
    status: str
    outputs: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")

    def as_json(self) -> dict[str, Any]:
        return {"stackId": self.stack_id, "status": self.status, "outputs": self.outputs, "reasons": self.reasons,
                "resources": self.resources}


def deploy(clients: Clients, template: Template, stack_name: str, given: dict[str, str], progress: Progress) -> Result:
    """Creates or updates the stack. On update a parameter that is not given keeps its value."""
    template.check_names(given)
    stack = _stack(clients, stack_name)
    if stack and stack["StackStatus"] in _DEAD:
        removed = delete(clients, stack_name, progress)
        if not removed.succeeded:
            return removed
        stack = None
    updates = stack is not None and stack["StackStatus"] not in _NOT_THERE
    parameters = _parameters(template, given, stack if updates else None, clients)
    since = _latest_event(clients, stack["StackId"]) if updates else None
    try:
        change_set = clients.cloudformation.create_change_set(
            StackName=stack_name, ChangeSetName=f"local-{uuid.uuid4().hex}", ChangeSetType="UPDATE" if updates else "CREATE",
            TemplateURL=package.upload(template, clients), Parameters=parameters, Capabilities=_CAPABILITIES)
    except ClientError as error:
        return Result(stack["StackId"] if stack else "", "REFUSED", reasons=[f"{stack_name}: {error.response['Error']['Message']}"])
    refusal = _await_change_set(clients, stack_name, change_set["Id"])
    if refusal is not None:
        clients.cloudformation.delete_change_set(StackName=stack_name, ChangeSetName=change_set["Id"])
        if not updates:
            clients.cloudformation.delete_stack(StackName=stack_name)
        elif any(text in refusal for text in _UNCHANGED):
            return _result(clients, change_set["StackId"], "UPDATE_COMPLETE", [])
        return Result(change_set["StackId"], "REFUSED", reasons=[f"{stack_name}: {refusal}"])
    clients.cloudformation.execute_change_set(StackName=stack_name, ChangeSetName=change_set["Id"])
    return _follow(clients, change_set["StackId"], since, progress)


def delete(clients: Clients, stack_name: str, progress: Progress) -> Result:
    stack = _stack(clients, stack_name)
    if not stack:
        return Result("", "DELETE_COMPLETE")
    since = _latest_event(clients, stack["StackId"])
    clients.cloudformation.delete_stack(StackName=stack_name)
    return _follow(clients, stack["StackId"], since, progress)


def _stack(clients: Clients, name_or_id: str) -> dict[str, Any] | None:
    try:
        return clients.cloudformation.describe_stacks(StackName=name_or_id)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise


def _parameters(template: Template, given: dict[str, str], stack: dict[str, Any] | None, clients: Clients) -> list[dict[str, Any]]:
    kept = {entry["ParameterKey"] for entry in (stack or {}).get("Parameters", [])}
    instance_arn = os.environ.get("CONNECT_INSTANCE_ARN") or samples.instance_arn(clients.account_id, region=clients.region)
    defaults = samples.parameters(instance_arn)
    chosen: list[dict[str, Any]] = []
    missing = []
    for name, definition in template.parameters.items():
        if name in given:
            chosen.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif name in kept:
            chosen.append({"ParameterKey": name, "UsePreviousValue": True})
        elif name in defaults:
            chosen.append({"ParameterKey": name, "ParameterValue": defaults[name]})
        elif "Default" not in definition:
            missing.append(name)
    if missing:
        raise LocalError(f"Give a value for: {', '.join(missing)}.")
    return chosen


def _await_change_set(clients: Clients, stack_name: str, change_set_id: str) -> str | None:
    """Nothing once it can be executed, else why it cannot. Asked with the stack's name, on which a change set is authorised."""
    while True:
        found = clients.cloudformation.describe_change_set(StackName=stack_name, ChangeSetName=change_set_id)
        if found["Status"] == "FAILED":
            return found.get("StatusReason", "The change set failed.")
        if found["Status"] == "CREATE_COMPLETE":
            return None
        time.sleep(_POLL_SECONDS)


def _follow(clients: Clients, stack_id: str, since: str | None, progress: Progress) -> Result:
    """Reports each event until the stack comes to rest."""
    reasons: list[str] = []
    seen = since
    while True:
        # Read before the events, so that none that led to this status is missed.
        status = _stack(clients, stack_id)["StackStatus"]
        for event in _events_after(clients, stack_id, seen):
            seen = event["EventId"]
            progress(event)
            if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
                reasons.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
        if not status.endswith("_IN_PROGRESS"):
            return _result(clients, stack_id, status, reasons)
        time.sleep(_POLL_SECONDS)


def _result(clients: Clients, stack_id: str, status: str, reasons: list[str]) -> Result:
    if status == "DELETE_COMPLETE":
        return Result(stack_id, status, reasons=reasons)
    stack = _stack(clients, stack_id)
    pages = clients.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return Result(
        stack_id, status,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        reasons=reasons,
        resources={
            resource["LogicalResourceId"]: {
                "type": resource["ResourceType"],
                "physicalId": resource.get("PhysicalResourceId", ""),
                "status": resource["ResourceStatus"],
            }
            for page in pages for resource in page["StackResourceSummaries"]
        })


def _latest_event(clients: Clients, stack_id: str) -> str | None:
    events = clients.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    return events[0]["EventId"] if events else None


def _events_after(clients: Clients, stack_id: str, last_seen: str | None) -> Iterator[dict[str, Any]]:
    """Newer events, oldest first; CloudFormation lists the newest first."""
    newer: list[dict[str, Any]] = []
    for page in clients.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            if event["EventId"] == last_seen:
                return reversed(newer)
            newer.append(event)
    return reversed(newer)
