"""Owns checking a raw answer against botocore's model: parsers are lenient, so unknown members or wrong types would pass them."""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel, Shape

# Answered by AWS's front for any operation, modelled or not.
ANY_OPERATION = {
    "AccessDeniedException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
}
_TYPES = {"structure": dict, "list": list, "map": dict, "string": str, "integer": int, "boolean": bool, "timestamp": (int, float)}

seen_operations: set[str] = set()


def check_answer(http_response: AWSResponse, parsed: dict[str, Any], model: OperationModel, **_: Any) -> None:
    """An `after-call` handler."""
    seen_operations.add(model.name)
    content = json.loads(http_response.content)
    assert http_response.headers["content-type"] == "application/json"
    assert http_response.headers["x-amzn-requestid"]
    if http_response.status_code < 300:
        assert http_response.status_code == model.http.get("responseCode", 200)
        check_shape(model.output_shape, content, model.name)
        return
    code = http_response.headers["x-amzn-errortype"]
    assert parsed["Error"]["Code"] == code
    assert parsed["Error"]["Message"]
    modelled = {shape.error_code: shape for shape in model.error_shapes}
    if code not in modelled:
        assert ANY_OPERATION.get(code) == http_response.status_code, f"{model.name} has no {code}"
        return
    assert http_response.status_code == modelled[code].metadata["error"]["httpStatusCode"]
    check_shape(modelled[code], content, code)


def check_shape(shape: Shape | None, value: Any, path: str) -> None:
    if shape is None:
        assert value == {}, f"{path} has no output"
        return
    assert isinstance(value, _TYPES[shape.type_name]), f"{path} is not a {shape.type_name}: {value!r}"
    match shape.type_name:
        case "structure":
            unknown = value.keys() - {member.serialization.get("name", name) for name, member in shape.members.items()}
            assert not unknown, f"{path} has unknown members: {unknown}"
            missing = set(shape.required_members) - value.keys()
            assert not missing, f"{path} lacks {missing}"
            for name, member in shape.members.items():
                if name in value:
                    check_shape(member, value[name], f"{path}.{name}")
        case "list":
            for index, item in enumerate(value):
                check_shape(shape.member, item, f"{path}[{index}]")
        case "string":
            check_string(shape, value, path)


def check_string(shape: Shape, value: str, path: str) -> None:
    rules = shape.metadata
    assert rules.get("min", 0) <= len(value) <= rules.get("max", len(value)), f"{path} has a bad length: {value!r}"
    assert not rules.get("enum") or value in rules["enum"], f"{path} is none of its enum: {value!r}"
    assert not rules.get("pattern") or re.fullmatch(rules["pattern"], value), f"{path} breaks its pattern: {value!r}"
