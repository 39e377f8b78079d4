"""Owns the bridges of Step Functions' executions: with whose rights they call, and what ends them."""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from typing import Any

from .access import role_may
from .hooks import Hook, replace

# Developer guide, "Step Functions service quotas": input or output of a task, state or execution.
_MAX_PAYLOAD_BYTES = 262_144
_SIMPLE_PATH = re.compile(r"\$(?:\.[A-Za-z_]\w*|\[\d+\])*")

# The execution whose task is being carried out.
_running: ContextVar[dict | None] = ContextVar("_running", default=None)


def call_with_the_rights_of_the_role() -> None:
    """A state machine calls with the rights of its role; the emulator asks nobody. (Developer guide, "How AWS Step Functions works
    with IAM".) Only calls that are known here are carried out."""
    def wrap_task(execute: Hook) -> Hook:
        def noting_the_execution(state_def: dict, raw_input: Any, execution: dict | None, ctx: dict) -> Any:
            token = _running.set(execution)
            try:
                return execute(state_def, raw_input, execution, ctx)
            finally:
                _running.reset(token)
        return noting_the_execution

    def wrap_call(invoke: Hook) -> Hook:
        def with_rights(resource: str, given: dict) -> Any:
            execution = _running.get()
            if execution:
                action, on, context, error = _right(resource, given)
                demand(execution, action, on, error, context)
            return invoke(resource, given)
        return with_rights

    replace("services.stepfunctions", "_execute_task", wrap_task)
    replace("services.stepfunctions", "_invoke_resource", wrap_call)


def _right(resource: str, given: dict) -> tuple[str, str, dict[str, Any], str]:
    """The action, the resource and the condition keys that a task is authorised with, and the error when it is denied."""
    from ministack.services import lambda_svc

    if resource.endswith(":states:::lambda:invoke"):
        _, config, name = lambda_svc._get_func_record_for_ref(given["FunctionName"])
        return "lambda:InvokeFunction", config["FunctionArn"] if config else name, {}, "Lambda.AWSLambdaException"
    if resource.endswith(":states:::aws-sdk:s3:listObjectsV2"):
        return "s3:ListBucket", f"arn:aws:s3:::{given['Bucket']}", {"s3:prefix": given.get("Prefix", "")}, "S3.S3Exception"
    raise RuntimeError(f"The local AWS does not know which right {resource} takes: add it to {__name__}")


def demand(execution: dict, action: str, resource: str, error: str, context: dict[str, Any] | None = None) -> None:
    """Fails the state with this error if the role of the execution's state machine may not."""
    from ministack.services import stepfunctions

    # Of a batch: `…:stateMachine:name/label`.
    arn = execution["stateMachineArn"].split("/")[0]
    role_arn = stepfunctions._state_machines[arn]["roleArn"]
    if not role_may(role_arn, arn, action, resource, context):
        raise stepfunctions._ExecutionError(
            error, f"{role_arn} is not authorized to perform: {action} on resource: {resource} (Status Code: 403)")


def fail_on_missing_paths() -> None:
    """A path that leads nowhere ends an execution; the emulator takes it for null. (Developer guide, "Handling errors in Step
    Functions workflows": States.ParameterPathFailure, and States.Runtime for what cannot be caught.)"""
    from ministack.services.stepfunctions import _ExecutionError

    def wrap_template(resolve: Hook) -> Hook:
        def with_all_paths(template: Any, data: Any, ctx: dict | None = None) -> Any:
            for name, path in template.items() if isinstance(template, dict) else ():
                if name.endswith(".$") and isinstance(path, str) and not _leads_somewhere(path, data, ctx):
                    raise _ExecutionError("States.ParameterPathFailure", f"The JSONPath '{path}' of the field '{name}' could not be found")
            return resolve(template, data, ctx)
        return with_all_paths

    def wrap_rule(evaluate: Hook) -> Hook:
        def with_its_variable(rule: dict, data: Any, ctx: dict | None = None) -> bool:
            if "Variable" in rule and "IsPresent" not in rule and not _leads_somewhere(rule["Variable"], data, ctx):
                raise _ExecutionError(
                    "States.Runtime", f"Invalid path '{rule['Variable']}': The choice state's condition path references an invalid value.")
            return evaluate(rule, data, ctx)
        return with_its_variable

    replace("services.stepfunctions", "_resolve_params_obj", wrap_template)
    replace("services.stepfunctions", "_evaluate_rule", wrap_rule)


def _leads_somewhere(path: str, data: Any, ctx: dict | None) -> bool:
    """Whether a path of names and indexes does; any other counts as one that does."""
    here, path = (ctx or {}, path[1:]) if path.startswith("$$.") else (data, path)
    if not _SIMPLE_PATH.fullmatch(path):
        return True
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        if name and isinstance(here, dict) and name in here:
            here = here[name]
        elif index and isinstance(here, list) and int(index) < len(here):
            here = here[int(index)]
        else:
            return False
    return True


def limit_payloads() -> None:
    """An output of more than 256 KiB ends an execution, and States.ALL does not catch it; the emulator carries any size."""
    from ministack.services.stepfunctions import _ExecutionError

    def wrap(execute: Hook) -> Hook:
        def limited(state_def: dict, raw_input: Any, execution: dict | None, ctx: dict) -> Any:
            output, following = execute(state_def, raw_input, execution, ctx)
            if len(json.dumps(output).encode()) > _MAX_PAYLOAD_BYTES:
                raise _ExecutionError(
                    "States.DataLimitExceeded",
                    f"The state '{ctx['State']['Name']}' returned a result with a size exceeding the maximum number of bytes service limit.")
            return output, following
        return limited

    for name in ("_execute_task", "_execute_map"):
        replace("services.stepfunctions", name, wrap)
