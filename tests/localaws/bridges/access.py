"""Owns the bridges of authorisation: which action and resource a call is, what its conditions see, and a record of decisions."""

from __future__ import annotations

import contextvars
import hashlib
import json
import re
from typing import Any
from urllib.parse import parse_qs

from ..calllog import CallLog
from .hooks import Hook, behind, replace

# The access key of the call that is being answered; nothing while CloudFormation calls for itself.
calling: contextvars.ContextVar[str | None] = contextvars.ContextVar("calling", default=None)


def log_decisions(log: CallLog) -> None:
    """AWS records each call in CloudTrail with its caller; the emulator keeps no record of what IAM decided."""
    from ministack.core.iam_evaluator import AuthError

    def wrap(enforce: Hook) -> Hook:
        def logged(access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*",
                   service_context: dict[str, Any] | None = None) -> Any:
            calling.set(access_key_id)
            denied = enforce(access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=service_context)
            decision = "Allow" if denied is None else denied.code if isinstance(denied, AuthError) else denied.decision
            log.record(caller(), iam_action, resource_arn, decision, behind.get())
            return denied
        return logged

    replace("core.iam_evaluator", "enforce", wrap)


def caller() -> str:
    """The ARN of whoever makes the call that is being answered."""
    from ministack.core.iam_evaluator import AuthError, resolve_principal
    from ministack.core.responses import get_account_id

    found = resolve_principal(calling.get() or "", get_account_id())
    return "unknown" if isinstance(found, AuthError) else found.arn


def pass_role(role_arn: str, service: str) -> Any:
    """Nothing if the caller may pass the role to the service, which AWS asks before it takes one; else the service's refusal."""
    from ministack.core import iam_actions, iam_evaluator
    from ministack.core.responses import get_region, new_uuid

    if calling.get() is None:
        return None
    denied = iam_evaluator.enforce(
        calling.get(), "iam:PassRole", service, get_region(), resource_arn=role_arn,
        service_context={"iam:PassedToService": f"{service}.amazonaws.com"})
    return denied and iam_actions.access_denied_response(
        service, "iam:PassRole", caller(), new_uuid(), resource_arn=role_arn, explicit_deny=denied.decision == "Deny")


def role_may(role_arn: str, used_by: str, action: str, resource: str, context: dict[str, Any] | None = None,
             for_whom: str | None = None) -> bool:
    """Asks the emulator's evaluator about a role, as AWS does when a service calls with it; `used_by` is the ARN of the function or
    state machine whose role it is."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import set_request_account_id, set_request_region
    from ministack.services import sts

    def ask() -> bool:
        region, account_id = used_by.split(":")[3:5]
        set_request_account_id(account_id)
        set_request_region(region)
        # AWS's services come over TLS, which policies of queues and buckets ask for.
        iam_evaluator.pin_request_origin("127.0.0.1", True)
        behind.set(for_whom)
        role, session = role_arn.rsplit("/", 1)[1], used_by.rsplit(":", 1)[1]
        secret = hashlib.sha256(f"{used_by} as {role_arn}".encode()).hexdigest()
        key = f"ASIA{secret[:16].upper()}"
        sts.register_session(key, {
            "Arn": f"arn:aws:sts::{account_id}:assumed-role/{role}/{session}", "UserId": f"{role}:{session}",
            "SecretAccessKey": secret, "SessionToken": secret})
        return iam_evaluator.enforce(
            key, action, action.split(":")[0], region, resource_arn=resource, service_context=context) is None

    # A context of its own: this one still holds the signature of whoever invoked.
    return contextvars.Context().run(ask)


def authorize_cbor_calls() -> None:
    """AWS authorises a call whatever its wire format; the emulator finds no action in a CBOR one and lets it pass, and fails
    where it looks for a resource in one."""
    from ministack.core.iam_actions import SERVICE_TO_IAM_NAMESPACE

    operation = re.compile(r"/service/[^/]+/operation/(\w+)$")

    def wrap_action(extract: Hook) -> Hook:
        def with_cbor(service: str, method: str, path: str, *rest: Any, **named: Any) -> str | None:
            action = extract(service, method, path, *rest, **named)
            found = operation.search(path)
            if action is None and found and service in SERVICE_TO_IAM_NAMESPACE:
                return f"{SERVICE_TO_IAM_NAMESPACE[service]}:{found.group(1)}"
            return action
        return with_cbor

    def wrap_resource(extract: Hook) -> Hook:
        def with_cbor(service: str, method: str, path: str, headers: dict, body: bytes, *rest: Any) -> str:
            return extract(service, method, path, headers, _as_json(body) if operation.search(path) else body, *rest)
        return with_cbor

    def wrap_tags(tags: Hook) -> Hook:
        def with_cbor(service: str, iam_action: str, body: bytes, params: dict) -> dict:
            return tags(service, iam_action, _as_json(body) if service == "monitoring" else body, params)
        return with_cbor

    replace("core.iam_actions", "extract_iam_action", wrap_action)
    replace("core.iam_actions", "extract_resource_arn", wrap_resource)
    replace("core.iam_actions", "request_tag_context", wrap_tags)


def offer_what_is_published() -> None:
    """AWS offers `cloudwatch:namespace` with PutMetricData, and the `events:source` and `events:detail-type` of each entry with
    PutEvents; the emulator leaves them out, and a policy that asks for one never allows."""
    def wrap(context: Hook) -> Hook:
        def with_keys(service: str, iam_action: str, body: bytes, params: dict) -> dict[str, Any]:
            return {**context(service, iam_action, body, params), **_published(iam_action, body, params)}
        return with_keys

    replace("core.iam_actions", "request_tag_context", wrap)


def offer_the_boundary() -> None:
    """AWS offers `iam:PermissionsBoundary` with the calls that set one; the emulator leaves it out."""
    def wrap(context: Hook) -> Hook:
        def with_boundary(service: str, iam_action: str, body: bytes, params: dict) -> dict[str, Any]:
            given = {**params, **parse_qs(body.decode("utf-8", "replace"))} if service == "iam" else {}
            boundary = {"iam:PermissionsBoundary": given["PermissionsBoundary"][0]} if "PermissionsBoundary" in given else {}
            return {**context(service, iam_action, body, params), **boundary}
        return with_boundary

    replace("core.iam_actions", "request_tag_context", wrap)


def _published(iam_action: str, body: bytes, params: dict) -> dict[str, Any]:
    if iam_action not in ("cloudwatch:PutMetricData", "events:PutEvents"):
        return {}
    try:
        given = json.loads(_as_json(body))
    except ValueError:
        given = {name: values[0] for name, values in params.items()}
    if iam_action == "cloudwatch:PutMetricData":
        return {"cloudwatch:namespace": given.get("Namespace", "")}
    entries = given.get("Entries") or [{}]
    # Each entry is authorised by itself. Here all of them are at once: several kinds match no text.
    kinds = {(entry.get("Source", ""), entry.get("DetailType", "")) for entry in entries}
    source, detail_type = kinds.pop() if len(kinds) == 1 else ("", "")
    return {"events:source": source, "events:detail-type": detail_type}


def _as_json(body: bytes) -> bytes:
    """The body in JSON, if it is CBOR."""
    import cbor2

    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return json.dumps(cbor2.loads(body), default=str).encode()
    return body


def come_over_tls() -> None:
    """AWS is reached over TLS, and policies refuse whoever comes without; the emulator is reached in the clear, on the loopback
    only, and such a policy would refuse everybody."""
    def wrap(pin: Hook) -> Hook:
        return lambda source_ip, secure_transport: pin(source_ip, True)

    replace("app", "pin_request_origin", wrap)


def name_the_search_domain() -> None:
    """AWS authorises a search call on the domain in its path or query; the emulator looks for the name in the body only."""
    in_path = re.compile(r"^/2021-01-01/opensearch/domain/([a-z][a-z0-9-]{2,27})(?:/|$)")

    def wrap(extract: Hook) -> Hook:
        def with_domain(service: str, method: str, path: str, headers: dict, body: bytes, query: dict, region: str,
                        account_id: str) -> str:
            if service == "opensearch":
                found = in_path.match(path)
                name = found.group(1) if found else (query.get("domainName") or [None])[0]
                if name:
                    return f"arn:aws:es:{region}:{account_id}:domain/{name}"
            return extract(service, method, path, headers, body, query, region, account_id)
        return with_domain

    replace("core.iam_actions", "extract_resource_arn", wrap)


def name_the_topic_of_a_subscription() -> None:
    """AWS authorises GetSubscriptionAttributes on the topic of the subscription; the emulator on nothing in particular."""
    def wrap(extract: Hook) -> Hook:
        def with_topic(service: str, method: str, path: str, headers: dict, body: bytes, query: dict, region: str,
                       account_id: str) -> str:
            arn = extract(service, method, path, headers, body, query, region, account_id)
            subscription = (query.get("SubscriptionArn") or [""])[0]
            if service == "sns" and arn == "*" and subscription.count(":") > 5:
                return subscription.rpartition(":")[0]
            return arn
        return with_topic

    replace("core.iam_actions", "extract_resource_arn", wrap)


def name_roles_with_their_paths() -> None:
    """AWS authorises a call about a role on its ARN, in which its path stands; the emulator leaves the path out."""
    from ministack.services import iam

    def wrap(extract: Hook) -> Hook:
        def with_path(service: str, *rest: Any) -> str:
            arn = extract(service, *rest)
            before, role, name = arn.partition(":role/")
            known = iam._roles.get(name) if service == "iam" and role and "/" not in name else None
            return known["Arn"] if known and known["Arn"].startswith(before) else arn
        return with_path

    replace("core.iam_actions", "extract_resource_arn", wrap)


def name_the_stream_of_an_iterator() -> None:
    """AWS authorises GetRecords on the stream that the iterator belongs to; the emulator looks for a stream in the body only,
    and consumers name none there."""
    from ministack.services import kinesis

    def wrap(extract: Hook) -> Hook:
        def with_stream(service: str, method: str, path: str, headers: dict, body: bytes, query: dict, region: str,
                        account_id: str) -> str:
            arn = extract(service, method, path, headers, body, query, region, account_id)
            if service == "kinesis" and arn == "*" and headers.get("x-amz-target", "").endswith(".GetRecords"):
                iterator = kinesis._shard_iterators.get(json.loads(body).get("ShardIterator"))
                if iterator:
                    return f"arn:aws:kinesis:{region}:{account_id}:stream/{iterator['stream']}"
            return arn
        return with_stream

    replace("core.iam_actions", "extract_resource_arn", wrap)


def offer_leading_keys() -> None:
    """AWS offers `dynamodb:LeadingKeys` with each item call; the emulator leaves it out, and ForAllValues then always holds."""
    def wrap(context: Hook) -> Hook:
        def with_leading_keys(body: bytes) -> dict[str, Any]:
            keys = _leading_keys(body)
            return {**context(body), **({"dynamodb:LeadingKeys": keys} if keys else {})}
        return with_leading_keys

    replace("core.iam_actions", "dynamodb_service_context", wrap)


def _leading_keys(body: bytes) -> list[str]:
    """The partition key values that an item call names (GetItem, PutItem, UpdateItem, DeleteItem and transactions of them)."""
    from ministack.services import dynamodb

    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return []
    parts = [part for item in request.get("TransactItems") or [] for part in item.values()] or [request]
    keys = []
    for part in parts:
        table = dynamodb._tables.get(str(part.get("TableName", "")).rsplit("/", 1)[-1])
        schema = (table or {}).get("KeySchema") or []
        name = next((entry["AttributeName"] for entry in schema if entry.get("KeyType") == "HASH"), None)
        value = (part.get("Key") or part.get("Item") or {}).get(name)
        if isinstance(value, dict):
            keys += [str(text) for text in value.values()]
    return keys


def limit_session_duration() -> None:
    """AWS refuses AssumeRole for longer than the role's MaxSessionDuration; the emulator grants any duration."""
    from ministack.core.responses import error_response_xml
    from ministack.services import iam

    def wrap(handle: Hook) -> Hook:
        async def limited(method: str, path: str, headers: dict, body: bytes, query: dict) -> Any:
            form = {**query, **parse_qs(body.decode("utf-8", "replace"))}
            if form.get("Action") == ["AssumeRole"] and form.get("DurationSeconds"):
                arn = form.get("RoleArn", [""])[0]
                account = arn.split(":")[4] if arn.count(":") > 4 else ""
                role = iam._roles.get_scoped(account, None, arn.rsplit("/", 1)[-1])
                if role and int(form["DurationSeconds"][0]) > int(role.get("MaxSessionDuration", 3600)):
                    return error_response_xml(
                        "ValidationError",
                        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                        400, "https://sts.amazonaws.com/doc/2011-06-15/")
            return await handle(method, path, headers, body, query)
        return limited

    replace("services.sts", "handle_request", wrap)
