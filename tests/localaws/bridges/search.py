"""Owns the bridge of the search service's API: an operation that the emulator lacks."""

from __future__ import annotations

import json
import re
from typing import Any

from .hooks import Hook, replace


def list_instance_types() -> None:
    """Amazon OpenSearch Service lists the instance types offered for an engine; the emulator has no such operation."""
    path_of = re.compile(r"^/2021-01-01/opensearch/instanceTypeDetails/((?:Elasticsearch|OpenSearch)_\d+\.\d+)$")

    def wrap(handle: Hook) -> Hook:
        async def with_instance_types(method: str, path: str, headers: dict, body: bytes, query: dict) -> Any:
            found = path_of.match(path)
            if method != "GET" or not found:
                return await handle(method, path, headers, body, query)
            return 200, {"Content-Type": "application/json"}, json.dumps(_instance_types(found.group(1), query)).encode()
        return with_instance_types

    replace("services.opensearch", "handle_request", wrap)


def _instance_types(engine: str, query: dict) -> dict[str, Any]:
    """One page of the types that matter here: Graviton only from Elasticsearch 7.9 on, t2 never with encryption at rest."""
    family, _, version = engine.partition("_")
    graviton = family == "OpenSearch" or tuple(map(int, version.split("."))) >= (7, 9)
    families = ["c5", "i3", "m5", "r5", "t3", *(["c6g", "m6g", "r6g"] if graviton else [])]
    sizes = {"t3": ["small", "medium"]}
    names = [f"{name}.{size}.search" for name in families for size in sizes.get(name, ["large", "xlarge", "2xlarge"])]
    wanted = (query.get("instanceType") or [None])[0]
    names = [name for name in names if not wanted or name == wanted]
    start = int((query.get("nextToken") or ["0"])[0])
    size = int((query.get("maxResults") or ["100"])[0])
    page = [{
        "InstanceType": name,
        "EncryptionEnabled": True,
        "CognitoEnabled": True,
        "AppLogsEnabled": True,
        "AdvancedSecurityEnabled": family == "OpenSearch" or version.startswith("7"),
        "WarmEnabled": False,
        "InstanceRole": ["Data", "Master"],
        "AvailabilityZones": [],
    } for name in names[start:start + size]]
    more = {"NextToken": str(start + size)} if start + size < len(names) else {}
    return {"InstanceTypeDetails": page, **more}
