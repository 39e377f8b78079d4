"""Owns reading a request by botocore's Connect model: which operation it is, and whether its input keeps the model's rules."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import OperationModel, Shape

from .errors import ApiError

OPERATIONS = (
    "AssociateApprovedOrigin",
    "AssociateInstanceStorageConfig",
    "DescribeInstance",
    "DescribeInstanceStorageConfig",
    "DisassociateApprovedOrigin",
    "DisassociateInstanceStorageConfig",
    "ListApprovedOrigins",
    "ListInstances",
    "ListInstanceStorageConfigs",
    "UpdateInstanceStorageConfig",
)
# Model types that JSON can carry here.
_JSON_TYPES = {"structure": dict, "list": list, "string": str, "integer": int, "boolean": bool}


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: re.Pattern[str]
    model: OperationModel

    @property
    def error_codes(self) -> set[str]:
        return {shape.error_code for shape in self.model.error_shapes}

    def invalid(self, message: str) -> ApiError:
        """A bad value, by the most exact code that the model has for this operation."""
        exact = "InvalidParameterException"
        return ApiError(exact if exact in self.error_codes else "InvalidRequestException", message)


@cache
def operations() -> tuple[Operation, ...]:
    service = botocore.session.get_session().get_service_model("connect")
    found = []
    for name in OPERATIONS:
        model = service.operation_model(name)
        uri = model.http["requestUri"].partition("?")[0]
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]*)", re.escape(uri))
        found.append(Operation(name, model.http["method"], re.compile(path), model))
    return tuple(found)


def match(method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
    """The operation, and the members in its path. Matched undecoded, so that an ARN in a label stays one label."""
    for operation in operations():
        found = operation.path.fullmatch(raw_path)
        if found and operation.method == method:
            return operation, {name: unquote(value) for name, value in found.groupdict().items()}
    raise ApiError("UnknownOperationException", f"The stand-in has no operation {method} {raw_path}.")


def read_input(operation: Operation, labels: dict[str, str], query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
    """The operation's input, checked against every rule of the model."""
    shape = operation.model.input_shape
    content = _json(body)
    given: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = member.serialization.get("name", name)
        if location == "uri":
            given[name] = labels[wire_name]
        elif location == "querystring":
            if wire_name in query:
                given[name] = _from_text(operation, name, member, query[wire_name][0])
        elif content.get(wire_name) is not None:
            given[name] = content[wire_name]
    _check(operation, shape, given, "")
    return given


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        raise ApiError("InvalidRequestException", "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise ApiError("InvalidRequestException", "The body is not a JSON object.")
    return content


def _from_text(operation: Operation, name: str, shape: Shape, text: str) -> str | int:
    if shape.type_name != "integer":
        return text
    try:
        return int(text)
    except ValueError:
        raise operation.invalid(f"{name} is not a number: {text!r}") from None


def _check(operation: Operation, shape: Shape, value: Any, path: str) -> None:
    expected = _JSON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise ApiError("InvalidRequestException", f"{path or 'input'} is not a {shape.type_name}.")
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                raise ApiError("InvalidRequestException", f"{_join(path, name)} is required.")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _check(operation, member, value[name], _join(path, name))
        return
    size = value if shape.type_name == "integer" else len(value) if expected in (str, list) else None
    smallest, largest = shape.metadata.get("min"), shape.metadata.get("max")
    if size is not None and ((smallest is not None and size < smallest) or (largest is not None and size > largest)):
        raise operation.invalid(f"{path} is out of range: {smallest} to {largest}, not {size}.")
    if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        raise operation.invalid(f"{path} is not one of {', '.join(shape.metadata['enum'])}.")
    pattern = shape.metadata.get("pattern")
    if pattern and expected is str and not re.fullmatch(pattern, value):
        raise operation.invalid(f"{path} does not match {pattern}.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
