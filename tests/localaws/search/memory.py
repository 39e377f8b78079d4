"""Owns the stand-in for an engine, for machines that cannot run a real one: documents in memory, and the few requests that a
redrive and the reading of its outcome need.

As strict as the engines where a redrive depends on it: document types in 6.x only, a field keeps the type it got first, the
fields of an index are limited. What else it is asked, it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from .mappings import MapperError, Mapping

Answer = tuple[int, dict[str, Any]]
_INDEX_NAME = re.compile(r"[a-z0-9.][^A-Z\\/*?\"<>| ,#:]{0,254}")
_KINDS = ("application/json", "application/x-ndjson")


@dataclass
class Index:
    type_name: str
    mapping: Mapping = field(default_factory=Mapping)
    documents: dict[str, Any] = field(default_factory=dict)


class Memory:
    """One domain's engine. `typed`: Elasticsearch 6."""

    def __init__(self, typed: bool) -> None:
        self._typed = typed
        self.indices: dict[str, Index] = {}

    def answer(self, method: str, path: str, content_type: str, body: bytes) -> Answer:
        parts = path.strip("/").split("/")
        if body and content_type.partition(";")[0].strip() not in _KINDS:
            return _error(406, "media_type_header_exception", f"Content-Type header [{content_type}] is not supported")
        match method, parts:
            case "POST" | "PUT", ["_bulk"]:
                return self._bulk(body)
            case "GET" | "POST", [name, "_count"]:
                return self._with(name, lambda index: {"count": len(index.documents), "_shards": _SHARDS})
            case "GET" | "POST", [name, "_refresh"]:
                return self._with(name, lambda index: {"_shards": _SHARDS})
            case "GET" | "POST", [name, "_search"] if _all(body):
                return self._with(name, lambda index: {"hits": self._hits(name, index)})
        return _error(400, "illegal_argument_exception", f"the stand-in has no {method} {path}")

    def _with(self, name: str, say: Any) -> Answer:
        index = self.indices.get(name)
        if index is None:
            return _error(404, "index_not_found_exception", f"no such index [{name}]")
        return 200, say(index)

    def _hits(self, name: str, index: Index) -> dict[str, Any]:
        found = [{"_index": name, "_id": key, "_source": source, **({"_type": index.type_name} if self._typed else {})}
                 for key, source in index.documents.items()]
        return {"total": len(found) if self._typed else {"value": len(found), "relation": "eq"}, "hits": found}

    def _bulk(self, body: bytes) -> Answer:
        """A request is refused as a whole before any of its documents is looked at, and otherwise each document by itself."""
        if not body.endswith(b"\n"):
            return _error(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        lines = [line for line in body.split(b"\n") if line]
        actions = []
        for number, (head, source) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
            refused = self._refused(head, 2 * number + 1)
            if refused:
                return refused
            actions.append((json.loads(head)["create"], source))
        if len(lines) % 2 or not actions:
            return _error(400, "action_request_validation_exception", "Validation Failed: 1: no requests added;")
        items = [self._create(action, source) for action, source in actions]
        return 200, {"took": 1, "errors": any(item["status"] > 299 for item in items), "items": [{"create": item} for item in items]}

    def _refused(self, head: bytes, number: int) -> Answer | None:
        try:
            (action, given), = json.loads(head).items()
        except (ValueError, AttributeError):
            return _error(400, "illegal_argument_exception",
                          f"Malformed action/metadata line [{number}], expected START_OBJECT or END_OBJECT")
        if action != "create":
            return _error(400, "illegal_argument_exception", f"the stand-in only takes create, not {action}")
        unknown = set(given) - {"_index", "_id", *(["_type"] if self._typed else [])}
        if unknown:
            return _error(400, "illegal_argument_exception",
                          f"Action/metadata line [{number}] contains an unknown parameter [{min(unknown)}]")
        missing = [name for name in ("_index", *(["_type"] if self._typed else [])) if not given.get(name)]
        if missing:
            return _error(400, "action_request_validation_exception", f"Validation Failed: 1: {missing[0].strip('_')} is missing;")
        return None

    def _create(self, action: dict[str, str], source: bytes) -> dict[str, Any]:
        name, key, type_name = action["_index"], action.get("_id", ""), action.get("_type", "")
        item = {"_index": name, "_id": key, **({"_type": type_name} if self._typed else {})}
        if not _INDEX_NAME.fullmatch(name):
            return {**item, "status": 400, "error": {"type": "invalid_index_name_exception", "reason": f"Invalid index name [{name}]"}}
        index = self.indices.get(name) or Index(type_name)
        if key in index.documents:
            return {**item, "status": 409, "error": {
                "type": "version_conflict_engine_exception",
                "reason": f"[{key}]: version conflict, document already exists (current version [1])"}}
        try:
            if index.type_name != type_name:
                raise MapperError("illegal_argument_exception", f"Rejecting mapping update to [{name}] as the final mapping would have "
                                  f"more than 1 type: [{index.type_name}, {type_name}]")
            document = _document(source)
            index.mapping.take(document)
        except MapperError as error:
            return {**item, "status": 400, "error": {"type": error.kind, "reason": error.reason}}
        self.indices[name] = index
        index.documents[key] = document
        return {**item, "_version": 1, "result": "created", "_shards": _SHARDS, "_seq_no": len(index.documents) - 1, "_primary_term": 1,
                "status": 201}


_SHARDS = {"total": 2, "successful": 1, "failed": 0}


def _document(source: bytes) -> dict[str, Any]:
    try:
        document = json.loads(source)
    except ValueError as error:
        raise MapperError("mapper_parsing_exception", "failed to parse") from error
    if not isinstance(document, dict):
        raise MapperError("mapper_parsing_exception", "Malformed content, must start with an object")
    return document


def _all(body: bytes) -> bool:
    try:
        return not body or set(json.loads(body).get("query", {"match_all": {}})) == {"match_all"}
    except (ValueError, AttributeError):
        return False


def _error(status: int, kind: str, reason: str) -> Answer:
    error = {"type": kind, "reason": reason}
    return status, {"error": {"root_cause": [error], **error}, "status": status}
