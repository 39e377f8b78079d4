"""Owns the whole configuration of an instance that this product can touch, for comparing before and after."""

from __future__ import annotations

from typing import Any

from .clients import Clients
from .launcher import LocalAws

_STREAMED = ("CONTACT_TRACE_RECORDS", "AGENT_EVENTS")


def read(local: LocalAws, clients: Clients, instance_id: str) -> dict[str, Any]:
    """Storage configs by type, and origins. Our stand-in shows all that it has, association ids included; of a given Connect
    we read what the product writes, by its API."""
    if local.has_stand_in:
        instances = local.control("GET", "state")["instances"]
        found = next(instance for instance in instances if instance["id"] == instance_id)
        return {"storage": found["storageConfigs"], "origins": found["approvedOrigins"]}
    connect = clients.connect
    storage: dict[str, list[dict[str, Any]]] = {}
    for resource_type in _STREAMED:
        pages = connect.get_paginator("list_instance_storage_configs").paginate(InstanceId=instance_id, ResourceType=resource_type)
        configs = [config for page in pages for config in page["StorageConfigs"]]
        if configs:
            # Without ids: a config that was put back by disassociating and associating has a new one.
            storage[resource_type] = [{**config, "AssociationId": ""} for config in configs]
    pages = connect.get_paginator("list_approved_origins").paginate(InstanceId=instance_id)
    return {"storage": storage, "origins": sorted(origin for page in pages for origin in page["Origins"])}


def streams_to(state: dict[str, Any]) -> dict[str, str]:
    """Where contact records and agent events go; nothing for what goes nowhere."""
    targets = {}
    for resource_type in _STREAMED:
        for config in state["storage"].get(resource_type, []):
            stream, firehose = config.get("KinesisStreamConfig", {}), config.get("KinesisFirehoseConfig", {})
            targets[resource_type] = stream.get("StreamArn") or firehose.get("FirehoseArn") or config["StorageType"]
    return targets
