"""Owns the bridges of the search service: operations that the emulator lacks or answers otherwise, and the way to a domain."""

from __future__ import annotations

import json
import re
from typing import Any

from ..search.access import policy_of
from ..search.gate import Gate
from ..wire import LOOPBACK
from .hooks import Hook, replace


def give_domains_their_endpoints(gate: Gate) -> None:
    """Every domain answers at an endpoint of its own; the emulator names one where nobody is, or the same one for all."""
    def wrap(spawn: Hook) -> Hook:
        def at_the_gate(domain_name: str, engine_version: str) -> Any:
            return LOOPBACK, gate.open(domain_name, engine_version), None, None, None
        return at_the_gate

    replace("services.opensearch", "_spawn_dataplane", wrap)


def ask_the_policies_of_domains() -> None:
    """AWS judges a request to a domain by the domain's access policy too; the emulator keeps that and asks it nothing."""
    from ministack.core import iam_evaluator
    from ministack.services import opensearch

    opensearch.domain_policy_for_arn = lambda arn: policy_of(arn, opensearch._domains)
    iam_evaluator._RESOURCE_POLICY_LOOKUPS["es"] = ("opensearch", "domain_policy_for_arn")


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


def follow_upgrade_paths() -> None:
    """Amazon OpenSearch Service upgrades a domain only to later versions, and to another major version or engine only from some;
    the emulator offers every other version of the same engine, earlier ones too, and never one of the other engine."""
    from ministack.services import opensearch

    def wrap(answer: Hook) -> Hook:
        def along_paths(query: dict) -> Any:
            status, headers, body = answer(query)
            if status != 200:
                return status, headers, body
            found = json.loads(body)
            for entry in found["CompatibleVersions"]:
                entry["TargetVersions"] = _upgrades(entry["SourceVersion"], opensearch._SUPPORTED_VERSIONS)
            return status, headers, json.dumps(found).encode()
        return along_paths

    replace("services.opensearch", "_get_compatible_versions", wrap)


def change_one_thing_at_a_time(gate: Gate) -> None:
    """A domain that is being changed says so, and refuses another change; the emulator's changes are over at once. When one goes on is
    up to the tests."""
    def changing(name: str) -> bool:
        return name in gate.domains and gate.domains[name].changing

    def wrap_show(show: Hook) -> Hook:
        return lambda record: {**(shown := show(record)), "Processing": shown.get("Processing") or changing(record["DomainName"])}

    def wrap_update(update: Hook) -> Hook:
        def unless_changing(name: str, payload: dict) -> Any:
            if changing(name):
                # As terraform-provider-aws knows it (internal/service/opensearch/domain_policy.go).
                text = "A change/update is in progress. Please wait for it to complete before requesting another change."
                headers = {"Content-Type": "application/json", "x-amzn-errortype": "ValidationException"}
                return 400, headers, json.dumps({"__type": "ValidationException", "message": text}).encode()
            return update(name, payload)
        return unless_changing

    replace("services.opensearch", "_public", wrap_show)
    replace("services.opensearch", "_update_domain_config", wrap_update)


def describe_domains_as_the_service_does() -> None:
    """DescribeDomain says in DomainProcessingStatus what is going on, and numbers are numbers; the emulator, whose changes are
    over at once, leaves the former out, and answers the texts of a template's parameters as they are."""
    def wrap(show: Hook) -> Hook:
        def as_modelled(record: dict) -> dict[str, Any]:
            shown = show(record)
            for name in ("ClusterConfig", "EBSOptions"):
                shown[name] = _with_numbers(shown.get(name) or {})
            going_on = "Deleting" if shown.get("Deleted") else "Modifying" if shown.get("Processing") else "Active"
            return {"DomainProcessingStatus": going_on, **shown}
        return as_modelled

    def wrap_config(show: Hook) -> Hook:
        def as_modelled(record: dict) -> dict[str, Any]:
            shown = show(record)
            for name in ("ClusterConfig", "EBSOptions"):
                shown[name] = {**shown[name], "Options": _with_numbers(shown[name].get("Options") or {})}
            return shown
        return as_modelled

    replace("services.opensearch", "_public", wrap)
    replace("services.opensearch", "_domain_config", wrap_config)


def _with_numbers(options: dict[str, Any]) -> dict[str, Any]:
    return {key: int(value) if isinstance(value, str) and value.isdigit() else value for key, value in options.items()}


# Developer guide, "Supported upgrade paths", for what leads out of a major version.
_ONWARD = {
    "Elasticsearch_5.6": {"Elasticsearch_6"},
    "Elasticsearch_6.8": {"Elasticsearch_7", "OpenSearch_1"},
    "OpenSearch_1.3": {"OpenSearch_2"},
    "OpenSearch_2.19": {"OpenSearch_3"},
}


def _upgrades(source: str, offered: list[str]) -> list[str]:
    major, _, minor = source.partition(".")
    onward = {"OpenSearch_1"} if major == "Elasticsearch_7" else _ONWARD.get(source, set())

    def reached(target: str) -> bool:
        its_major, _, its_minor = target.partition(".")
        return its_major in onward or (its_major == major and int(its_minor) > int(minor))

    return [target for target in offered if reached(target)]


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
