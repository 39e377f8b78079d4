"""Owns who may call a domain: the signature over the request as it came, and IAM together with the domain's own policy.

The emulator trusts root's signatures unseen and a body hash as it is given; a domain trusts neither."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from ministack.app import _request_account_scope
from ministack.core import iam_evaluator, sigv4
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.core.router import extract_access_key_id

from ..calllog import CallLog
from ..wire import Request

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_MISMATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
             "signing method. Consult the service documentation for details.")


@dataclass(frozen=True)
class Owner:
    """Whose domains these are; `secret` is root's."""

    account_id: str
    region: str
    secret: str


class Refused(Exception):
    """The domain never hears of the request."""

    def __init__(self, content: dict[str, str], status: int = 403) -> None:
        super().__init__(content)
        self.content = content
        self.status = status


def admit(request: Request, domain: str, owner: Owner, log: CallLog) -> str:
    """Answers who calls, or says why not as the service does."""
    if request.method not in _METHODS:
        raise Refused({"message": f"{request.method} is not supported."}, 405)
    action = f"es:ESHttp{request.method.capitalize()}"
    resource = f"arn:aws:es:{owner.region}:{owner.account_id}:domain/{domain}{request.raw_path}"
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
    set_request_account_id(owner.account_id)
    set_request_region(owner.region)
    iam_evaluator.pin_request_origin("127.0.0.1", True)
    if "authorization" not in headers:
        return _admit_stranger(action, resource, owner, log)
    try:
        access_key = _check_signature(request, headers, owner)
    except Refused as refused:
        log.record("unknown", action, resource, refused.content["message"])
        raise
    return _ask(access_key, action, resource, owner)


def _check_signature(request: Request, headers: dict[str, str], owner: Owner) -> str:
    """What is the same for every key, and all of it for root's; the emulator checks the keys of others when it is asked."""
    signature = sigv4.parse_header_signature(headers)
    if isinstance(signature, tuple):
        raise Refused({"message": signature[1]})
    if signature.service != "es":
        raise Refused({"message": "Credential should be scoped to correct service: 'es'."})
    if signature.region != owner.region:
        raise Refused({"message": f"Credential should be scoped to a valid region, not '{signature.region}'."})
    signed = signature.signed_headers.lower().split(";")
    unsigned = {"host", *(name for name in headers if name.startswith("x-amz-"))} - set(signed)
    if unsigned or "x-amz-date" not in headers:
        raise Refused({"message": f"'{', '.join(sorted(unsigned or {'x-amz-date'}))}' must be a 'SignedHeader' in the AWS Authorization."})
    if headers.get("x-amz-content-sha256", _hash(request.body)) != _hash(request.body):
        raise Refused({"message": _MISMATCH})
    query = parse_qs(request.raw_query, keep_blank_values=True)
    access_key = extract_access_key_id(headers, query)
    if iam_evaluator.is_root_access_key(access_key):
        failure = sigv4.request_time_failure(signature) or sigv4.header_signature_failure(
            signature, owner.secret, request.method, request.raw_path, query, headers, request.body)
        if failure:
            raise Refused({"message": failure[1]})
    set_request_account_id(_request_account_scope(access_key))
    iam_evaluator.pin_signed_request(request.method, request.raw_path, query, request.headers)
    iam_evaluator.pin_signed_body(request.body)
    return access_key


def _ask(access_key: str, action: str, resource: str, owner: Owner) -> str:
    denied = iam_evaluator.enforce(access_key, action, "es", owner.region, resource_arn=resource)
    if isinstance(denied, iam_evaluator.AuthError):
        raise Refused({"message": denied.message})
    principal = iam_evaluator.resolve_principal(access_key, owner.account_id)
    name = "unknown" if isinstance(principal, iam_evaluator.AuthError) else principal.arn
    if denied:
        why = "with an explicit deny" if denied.decision == "Deny" else f"because no identity-based policy allows the {action} action"
        raise Refused({"Message": f"User: {name} is not authorized to perform: {action} on resource: {resource} {why}"})
    return name


def _admit_stranger(action: str, resource: str, owner: Owner, log: CallLog) -> str:
    """Whoever signs nothing is judged by the domain's policy alone, by address for example."""
    found = iam_evaluator._resource_policy("es", resource)
    context = iam_evaluator.EvalContext(
        principal_arn="anonymous", principal_type="Anonymous", principal_account="", action=action, resource_arn=resource,
        region=owner.region, service_context={}, principal_keys={})
    decision = iam_evaluator.evaluate_resource_policy(found[0], context).decision if found and found[0] else "ImplicitDeny"
    log.record("anonymous", action, resource, decision)
    if decision != "Allow":
        raise Refused({"Message": f"User: anonymous is not authorized to perform: {action} on resource: {resource} because no "
                                  f"resource-based policy allows the {action} action"})
    return "anonymous"


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def policy_of(arn: str, domains: dict[str, Any]) -> tuple[Any, str] | None:
    """The policy of the domain that an ARN is in, and its account, as the emulator's evaluator looks one up."""
    parts = arn.split(":", 5)
    record = domains.get(parts[5].split("/")[1]) if len(parts) > 5 and parts[5].startswith("domain/") else None
    return (record.get("AccessPolicies") or None, parts[4]) if record else None
