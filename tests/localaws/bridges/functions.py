"""Owns the bridges of Lambda's asynchronous invocations: who may cause one, how often it is tried, and where failures go."""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from .access import role_may
from .hooks import Hook, replace

logger = logging.getLogger("bridges.functions")


def invoke_targets_as_lambda_does() -> None:
    """A rule's event is an asynchronous invocation, which the function's policy has to admit and which is tried again and ends
    in the failure destination; the emulator admits any rule, tries once, and drops what failed."""
    from ministack.core.responses import get_account_id
    from ministack.services import lambda_svc

    rule_of: contextvars.ContextVar[dict | None] = contextvars.ContextVar("rule_of", default=None)

    def wrap_target(invoke: Hook) -> Hook:
        def noting_the_rule(target: dict, event: dict, rule: dict, *rest: Any) -> Any:
            token = rule_of.set(rule)
            try:
                return invoke(target, event, rule, *rest)
            finally:
                rule_of.reset(token)
        return noting_the_rule

    def wrap_dispatch(dispatch: Hook) -> Hook:
        def as_event(arn: str, payload: str) -> None:
            func, config, name = lambda_svc._get_func_record_for_ref(arn)
            rule = rule_of.get()
            if not func or not config or rule is None:
                dispatch(arn, payload)
            elif _admits(func, config, "events.amazonaws.com", rule.get("Arn", ""), get_account_id()):
                lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), json.loads(payload))
            else:
                logger.warning("The policy of %s does not admit %s", name, rule.get("Arn"))
        return as_event

    replace("services.eventbridge", "_invoke_target", wrap_target)
    replace("services.eventbridge", "_dispatch_to_lambda", wrap_dispatch)


def _admits(func: dict, config: dict, service: str, source_arn: str, source_account: str) -> bool:
    """Whether the function's own policy lets the service invoke it."""
    from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

    context = EvalContext(
        principal_arn="*", principal_type="Service", principal_account="", action="lambda:InvokeFunction",
        resource_arn=config["FunctionArn"], region=config["FunctionArn"].split(":")[3],
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": source_account})
    return evaluate_resource_policy(func.get("policy"), context, service=service).decision == "Allow"


def carry_failures_as_lambda_does() -> None:
    """Lambda sends a failure record with the rights of the function's own role, and to another function as an asynchronous
    invocation; the emulator asks no rights, leaves fields of the record out, and tries the other function once."""
    from ministack.services import lambda_svc

    def wrap(route: Hook) -> Hook:
        def with_rights(target_arn: str, func_name: str, event: dict, result: dict) -> None:
            func = lambda_svc._functions.get(func_name)
            config = (func or {}).get("config")
            service = target_arn.split(":")[2]
            action = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}.get(service)
            if not config or not action:
                route(target_arn, func_name, event, result)
            elif not role_may(config["Role"], config["FunctionArn"], action, target_arn, for_whom="lambda:Invoke"):
                logger.warning("The role of %s may not %s on %s", func_name, action, target_arn)
            elif config.get("DeadLetterConfig", {}).get("TargetArn") == target_arn:
                _send(target_arn, json.dumps(event))
            elif service == "sqs":
                _send(target_arn, json.dumps(_failure_record(func, config, event, result)))
            else:
                other, other_config, _ = lambda_svc._get_func_record_for_ref(target_arn)
                if other and other_config:
                    lambda_svc.invoke_async_with_retry(
                        lambda_svc._execution_record_for_config(other, other_config), _failure_record(func, config, event, result))
        return with_rights

    replace("services.lambda_svc", "_route_async_failure", wrap)


def _failure_record(func: dict, config: dict, event: dict, result: dict) -> dict[str, Any]:
    """Developer guide, "Capturing records of Lambda asynchronous invocations"."""
    from ministack.core.responses import new_uuid

    settings = func.get("event_invoke_config") or (func.get("event_invoke_configs") or {}).get("$LATEST") or {}
    retries = settings.get("MaximumRetryAttempts")
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": new_uuid(),
            "functionArn": f"{config['FunctionArn']}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1 + (2 if retries is None else int(retries)),
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": result.get("function_error") or "Unhandled",
        },
        "responsePayload": result.get("body") if isinstance(result.get("body"), dict) else {},
    }


def _send(queue_arn: str, body: str) -> None:
    from ministack.core.responses import get_account_id, new_uuid
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        logger.warning("There is no queue %s", queue_arn)
        return
    now = time.time()
    message = {
        "id": new_uuid(), "body": body, "md5": hashlib.md5(body.encode()).hexdigest(), "md5_attrs": "", "receipt_handle": None,
        "sent_at": now, "visible_at": now + sqs.queue_delay(queue), "receive_count": 0, "message_attributes": {},
        "sys": {"SenderId": get_account_id(), "SentTimestamp": str(int(now * 1000))},
    }
    sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
