"""Owns looking up what a table of a document claims of the template: `Logical/path = value`, `Logical/path has text` (anywhere below)
or `Logical/path is absent`, with the defaults or, after the name of a case, with that case's parameters."""

from __future__ import annotations

import json
import re
from typing import Any

import cfn
import pytest

Json = Any

CASES = {
    "with-origin": {"EmiteUrl": "https://emite.example.com"},
    "self-hosted": {"HostingMode": "SelfHosted", "VpcId": "vpc-0a1b2c3d4e5f60718", "SubnetId": "subnet-0a1b2c3d4e5f60718"},
}
FORM = re.compile(rf"(?:({'|'.join(CASES)}) )?([A-Z]\w+(?:/\S+)?) (?:(=|has) (.+)|is absent)")


def of(rows: list[list[str]]) -> list[Any]:
    """The proofs in the last cells of rows, for parametrize."""
    return [
        pytest.param(proof.strip("` "), id=f"{row[0]}-{number}") for row in rows for number, proof in enumerate(row[-1].split("<br>"))
    ]


def check(template: Json, proof: str) -> None:
    case, path, operator, value = FORM.fullmatch(proof).groups()
    given = CASES.get(case, {})
    root, *keys = path.split("/")
    places = (
        {"Parameters": template["Parameters"]}
        if root == "Parameters"
        else {**cfn.deployed(template, given), "Outputs": cfn.outputs(template, given)}
    )
    found = _at(places, [root, *keys], absent=operator is None)
    if operator is None:
        assert found is None
    elif operator == "has":
        assert value in json.dumps(found, ensure_ascii=False)
    else:
        assert found == _typed(value, found)


def _at(node: Json, keys: list[str], absent: bool) -> Json:
    for key in keys:
        if isinstance(node, list):
            node = node[int(key)]
        elif absent and key not in node:
            return None
        else:
            node = node[key]
    return node


def _typed(text: str, like: Json) -> Json:
    """The value that a proof names, in the type of the one that was found: numbers of parameters are texts after resolution."""
    if isinstance(like, str):
        return "" if text == '""' else text
    return json.loads(text)
