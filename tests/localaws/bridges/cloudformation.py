"""Owns the bridges of CloudFormation: names that are taken, properties that the emulator drops, and custom resources."""

from __future__ import annotations

import json
import uuid
from typing import Any

from .hooks import Hook, replace

_MAX_ANSWER_BYTES = 4096
_MAX_PHYSICAL_ID_BYTES = 1024


def refuse_taken_names() -> None:
    """CloudFormation fails a create whose fixed name is taken; the emulator silently overwrites the other one's resource."""
    from ministack.services import cloudwatch_logs, dynamodb, firehose, iam, kinesis, opensearch, sns, stepfunctions

    names = {
        "AWS::IAM::Role": ("RoleName", lambda name: name in iam._roles),
        "AWS::Kinesis::Stream": ("Name", lambda name: name in kinesis._streams),
        "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamName", lambda name: name in firehose._streams),
        "AWS::OpenSearchService::Domain": ("DomainName", lambda name: name in opensearch._domains),
        "AWS::DynamoDB::Table": ("TableName", lambda name: name in dynamodb._tables),
        "AWS::Logs::LogGroup": ("LogGroupName", lambda name: name in cloudwatch_logs._log_groups),
        "AWS::SNS::Topic": ("TopicName", lambda name: any(arn.endswith(f":{name}") for arn in sns._topics)),
        "AWS::StepFunctions::StateMachine": (
            "StateMachineName", lambda name: any(arn.endswith(f":{name}") for arn in stepfunctions._state_machines)),
    }

    def wrap(provision: Hook) -> Hook:
        def unless_taken(resource_type: str, logical_id: str, props: dict, stack_name: str) -> Any:
            property_name, taken = names.get(resource_type, ("", None))
            name = props.get(property_name)
            if taken and name and taken(name):
                raise ValueError(f"Resource of type '{resource_type}' with identifier '{name}' already exists.")
            return provision(resource_type, logical_id, props, stack_name)
        return unless_taken

    replace("services.cloudformation.stacks", "_provision_resource", wrap)


def compare_in_conditions_as_cloudformation_does() -> None:
    """A condition compares the texts that Ref, Sub, Join, Select, Split and FindInMap give, pseudo parameters too, never a list; and
    an empty list parameter is a list of one empty text. The emulator compares such functions as they are written, lists as they were
    given, and takes an empty one in Rules for a list of none."""
    def wrap(evaluate: Hook) -> Hook:
        def resolved(template: dict, params: dict) -> dict[str, bool]:
            conditions = _compared(template.get("Conditions", {}), params, template.get("Mappings", {}))
            return evaluate({**template, "Conditions": conditions}, params)
        return resolved

    def wrap_value(value: Hook) -> Hook:
        return lambda name, defn, params: [""] if (found := value(name, defn, params)) == [] else found

    for module in ("changesets", "engine", "handlers", "stacks"):
        replace(f"services.cloudformation.{module}", "_evaluate_conditions", wrap)
    replace("services.cloudformation.engine", "_rule_param_value", wrap_value)


def _compared(node: Any, params: dict, mappings: dict) -> Any:
    """Conditions in which what is compared is resolved."""
    from ministack.services.cloudformation import engine

    if isinstance(node, list):
        return [_compared(value, params, mappings) for value in node]
    if not isinstance(node, dict):
        return node
    if "Fn::Equals" not in node:
        return {key: _compared(value, params, mappings) for key, value in node.items()}
    sides = [engine._resolve_refs(side, {}, params, {}, mappings, "", "") for side in node["Fn::Equals"]]
    if any(isinstance(side, (list, dict)) for side in sides):
        raise ValueError("Template error: every Fn::Equals object requires a list of 2 string parameters.")
    return {"Fn::Equals": sides}


def keep_permissions_boundaries() -> None:
    """CloudFormation puts a role's PermissionsBoundary on the role; the emulator drops the property, so nothing enforces it."""
    from ministack.services import iam
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    create, update = handlers["create"], handlers["update"]

    def bind(role_name: str, props: dict) -> None:
        role = iam._roles[role_name]
        role.pop("PermissionsBoundary", None)
        if props.get("PermissionsBoundary"):
            role["PermissionsBoundary"] = props["PermissionsBoundary"]

    def create_bound(logical_id: str, props: dict, stack_name: str) -> Any:
        answer = create(logical_id, props, stack_name)
        bind(answer[0], props)
        return answer

    def update_bound(physical_id: str, old: dict, new: dict, *rest: Any) -> Any:
        answer = update(physical_id, old, new, *rest)
        bind(answer[0], new)
        return answer

    handlers["create"], handlers["update"] = create_bound, update_bound


def encrypt_streams_of_templates() -> None:
    """CloudFormation encrypts a stream as its StreamEncryption says; the emulator leaves it unencrypted, and Connect's need for a
    grant on its key would not show."""
    from ministack.services import kinesis
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Kinesis::Stream"]
    create, update = handlers["create"], handlers["update"]

    def encrypt(name: str, props: dict) -> None:
        wanted = props.get("StreamEncryption") or {}
        stream = kinesis._streams[name]
        stream["EncryptionType"] = wanted.get("EncryptionType", "NONE")
        stream["KeyId"] = wanted.get("KeyId")

    def create_encrypted(logical_id: str, props: dict, stack_name: str) -> Any:
        answer = create(logical_id, props, stack_name)
        encrypt(answer[0], props)
        return answer

    def update_encrypted(physical_id: str, old: dict, new: dict, *rest: Any) -> Any:
        answer = update(physical_id, old, new, *rest)
        encrypt(answer[0], new)
        return answer

    handlers["create"], handlers["update"] = create_encrypted, update_encrypted


def delete_after_failed_create() -> None:
    """CloudFormation rolls a failed create back by a Delete of that custom resource too, with the id that it answered or, when
    it never answered, an invented one; the emulator deletes only what succeeded."""
    answered: dict[tuple[str, str], str] = {}
    failed: dict[tuple[str, str], dict[str, Any]] = {}

    def wrap_deliver(deliver: Hook) -> Hook:
        def note_id(token: str, answer: dict) -> bool:
            answered[(answer.get("StackId", ""), answer.get("LogicalResourceId", ""))] = answer.get("PhysicalResourceId", "")
            return deliver(token, answer)
        return note_id

    def wrap_invoke(invoke: Hook) -> Hook:
        def note_failure(request_type: str, logical_id: str, props: dict, stack_name: str, stack_id: str, resource_type: str,
                         **named: Any) -> Any:
            key = (stack_id, logical_id)
            answered.pop(key, None)
            try:
                return invoke(request_type, logical_id, props, stack_name, stack_id, resource_type, **named)
            except (RuntimeError, TimeoutError):
                if request_type == "Create":
                    failed[key] = {
                        "PhysicalResourceId": answered.get(key) or f"{stack_name}-{logical_id}-{uuid.uuid4().hex[:12].upper()}",
                        "ResourceType": resource_type,
                        "Properties": props,
                        "Attributes": {},
                    }
                raise
        return note_failure

    def wrap_rollback(roll_back: Hook) -> Hook:
        async def with_failed(stack_name: str, stack_id: str, stack: dict, operation: dict, *rest: Any) -> Any:
            logical_id = operation.get("failed_logical_id")
            record = failed.pop((stack_id, logical_id), None)
            if record and operation.get("failed_update") is None:
                stack.setdefault("_resources", {})[logical_id] = record
                operation["created"].append(logical_id)
            return await roll_back(stack_name, stack_id, stack, operation, *rest)
        return with_failed

    replace("services.cloudformation.custom_resource", "deliver_response", wrap_deliver)
    replace("services.cloudformation.custom_resource", "invoke_custom_resource", wrap_invoke)
    replace("services.cloudformation.stacks", "_roll_back_operation", wrap_rollback)


def show_custom_resources_in_progress() -> None:
    """CloudFormation shows a custom resource as in progress while it waits for the answer; the emulator shows it once it is there, and
    as it was before. A Delete of what was replaced does not show: the resource is the new one by then."""
    from ministack.services.cloudformation import handlers

    waiting: dict[tuple[str, str], dict[str, str]] = {}

    def wrap_invoke(invoke: Hook) -> Hook:
        def noted(request_type: str, logical_id: str, props: dict, stack_name: str, stack_id: str, resource_type: str, **named: Any) -> Any:
            key = (stack_id, logical_id)
            if request_type != "Delete":
                waiting[key] = {"ResourceType": resource_type, "ResourceStatus": f"{request_type.upper()}_IN_PROGRESS"}
            try:
                return invoke(request_type, logical_id, props, stack_name, stack_id, resource_type, **named)
            finally:
                waiting.pop(key, None)
        return noted

    describe = handlers._ACTION_HANDLERS["DescribeStackResource"]

    def described(params: dict) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        logical_id = handlers._p(params, "LogicalResourceId")
        shown = stack and waiting.get((stack["StackId"], logical_id))
        if not shown:
            return describe(params)
        resources = stack.get("_resources", {})
        before = resources.get(logical_id)
        resources[logical_id] = {"PhysicalResourceId": "", "Timestamp": "2026-01-01T00:00:00Z", **(before or {}), **shown}
        try:
            return describe(params)
        finally:
            if before is None:
                del resources[logical_id]
            else:
                resources[logical_id] = before

    replace("services.cloudformation.custom_resource", "invoke_custom_resource", wrap_invoke)
    handlers._ACTION_HANDLERS["DescribeStackResource"] = described


def check_custom_resource_answers() -> None:
    """S3 refuses an answer with a content type (it is not in the signature), and CloudFormation one that is too long or
    incomplete; the emulator takes anything."""
    prefix = "/_ministack/cfn-response/"

    def wrap(handle: Hook) -> Hook:
        async def checked(method: str, path: str, headers: dict, body: bytes, *rest: Any) -> Any:
            if method == "PUT" and path.startswith(prefix):
                if headers.get("content-type"):
                    return 403, {"Content-Type": "application/xml"}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
                body = _as_cloudformation_reads(body)
            return await handle(method, path, headers, body, *rest)
        return checked

    replace("app", "_handle_post_body_shortcuts", wrap)


def _as_cloudformation_reads(body: bytes) -> bytes:
    """The answer itself, or the failure that CloudFormation makes of a bad one."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return json.dumps({"Status": "FAILED", "Reason": "Response is not a JSON object."}).encode()
    physical_id = answer.get("PhysicalResourceId")
    problem = None
    if len(body) > _MAX_ANSWER_BYTES:
        problem = "Response object is too long."
    elif not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= _MAX_PHYSICAL_ID_BYTES:
        problem = "Invalid PhysicalResourceId."
    elif answer.get("Status") not in ("SUCCESS", "FAILED"):
        problem = "Invalid response status."
    elif answer["Status"] == "FAILED" and not answer.get("Reason"):
        problem = "A failed response needs a reason."
    elif not all(answer.get(name) for name in ("StackId", "RequestId", "LogicalResourceId")):
        problem = "Response does not name its request."
    return json.dumps({**answer, "Status": "FAILED", "Reason": problem}).encode() if problem else body
