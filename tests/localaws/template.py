"""Owns reading the template: its parameters and functions, and the copy that points at packaged code. Nothing else changes."""

from __future__ import annotations

import copy
import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from . import places, short_forms
from .errors import LocalError

FUNCTION = "AWS::Serverless::Function"


@dataclass(frozen=True)
class Template:
    content: dict[str, Any]

    @classmethod
    def read(cls) -> Template:
        try:
            text = places.TEMPLATE.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise LocalError(f"{places.TEMPLATE} is missing.") from None
        return cls(yaml.load(text, short_forms.Loader))

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        return self.content.get("Parameters", {})

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        return self.content.get("Outputs", {})

    def binaries(self) -> dict[str, str]:
        """The binary of each function, by logical id: as its build says, or as its folder is called."""
        found = {}
        for logical_id, resource in self.content["Resources"].items():
            if resource["Type"] == FUNCTION:
                build = (resource.get("Metadata") or {}).get("BuildProperties") or {}
                found[logical_id] = build.get("Binary") or PurePosixPath(resource["Properties"]["CodeUri"]).name
        return found

    def with_code(self, code_uris: dict[str, str]) -> dict[str, Any]:
        """A copy whose functions take their code from these places."""
        content = copy.deepcopy(self.content)
        for logical_id, uri in code_uris.items():
            content["Resources"][logical_id]["Properties"]["CodeUri"] = uri
        return content

    def check_names(self, given: dict[str, str]) -> None:
        """Refuses parameters that the template does not have, and says which were meant."""
        problems = []
        for name in given:
            if name not in self.parameters:
                near = difflib.get_close_matches(name, self.parameters, 1)
                problems.append(f"{name} is not a parameter of the template" + (f"; did you mean {near[0]}?" if near else "."))
        if problems:
            problems.append(f"The parameters are: {', '.join(self.parameters)}.")
            raise LocalError("\n".join(problems))


def parse_parameters(pairs: list[str]) -> dict[str, str]:
    """`Key=Value` pairs; a value may hold anything, `=` and commas too."""
    given = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise LocalError(f"{pair!r} is not Key=Value. Quote a value with spaces: PARAMS=\"Key='two words'\"")
        if name in given:
            raise LocalError(f"{name} is given twice.")
        given[name] = value
    return given
