"""Owns the types of an index's fields in the stand-in: got from the first document that has them, as dynamic mapping does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_MOST_FIELDS = 1000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T[0-9:.]+(Z|[+-]\d{2}:?\d{2})?)?|\d{4}/\d{2}/\d{2}( \d{2}:\d{2}:\d{2})?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class MapperError(Exception):
    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class Mapping:
    def __init__(self) -> None:
        self._types: dict[str, str] = {}

    def take(self, document: dict[str, Any]) -> None:
        """Learns a document's new fields; a document that does not fit changes nothing."""
        learned = dict(self._types)
        for path, value in _fields("", document):
            known = learned.setdefault(path, _type(value))
            if not _fits(known, value):
                raise MapperError("mapper_parsing_exception", _misfit(path, known, value))
        # A text field has a second one for its exact value.
        if sum(2 if kind == "text" else 1 for kind in learned.values()) > _MOST_FIELDS:
            raise MapperError("illegal_argument_exception", f"Limit of total fields [{_MOST_FIELDS}] has been exceeded")
        self._types = learned


def _fields(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every field with each of its values; a list is its members, and nothing is no field."""
    if isinstance(value, list):
        for member in value:
            yield from _fields(path, member)
        return
    if value is None:
        return
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _fields(f"{path}.{name}" if path else name, member)


def _type(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "long"
    if isinstance(value, float):
        return "float"
    return "date" if _DATE.fullmatch(value) else "text"


def _fits(known: str, value: Any) -> bool:
    kind = _type(value)
    match known:
        case "object":
            return kind == "object"
        case "text":
            return kind != "object"
        case "boolean":
            return kind == "boolean" or value in ("true", "false", "")
        case "long" | "float":
            return kind in ("long", "float") or (isinstance(value, str) and bool(_NUMBER.fullmatch(value)))
    return kind in ("date", "long")


def _misfit(path: str, known: str, value: Any) -> str:
    if known == "object":
        return f"object mapping for [{path}] tried to parse field [{path.rpartition('.')[2]}] as object, but found a concrete value"
    # The engines quote the value here, and a redrive must not pass that on.
    return f"failed to parse field [{path}] of type [{known}] in document: Preview of field's value: '{value}'"
