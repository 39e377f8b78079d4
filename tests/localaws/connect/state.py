"""Owns what the stand-in remembers: instances with their storage configs and origins, and the state before the last write."""

from __future__ import annotations

import copy
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from .. import samples


@dataclass
class Association:
    association_id: str
    resource_type: str
    storage_config: dict[str, Any]

    def as_storage_config(self) -> dict[str, Any]:
        return {**self.storage_config, "AssociationId": self.association_id}


@dataclass
class Instance:
    instance_id: str
    arn: str
    alias: str
    status: str
    service_role: str | None
    created: float
    associations: dict[str, Association] = field(default_factory=dict)
    origins: list[str] = field(default_factory=list)

    def of_type(self, resource_type: str) -> list[Association]:
        return [found for found in self.associations.values() if found.resource_type == resource_type]


@dataclass
class Options:
    """What tests may change; the defaults are AWS."""

    throttle: bool = True
    check_targets: bool = True
    conflict_code: str = "ResourceConflictException"
    missing_target_code: str = "InvalidRequestException"
    refuse_storage_type_change: bool = False
    origin_quota: int = 50


class World:
    """All instances of one account and region."""

    def __init__(self, account_id: str, region: str) -> None:
        self.account_id = account_id
        self.region = region
        self.reset()

    def reset(self) -> None:
        self.options = Options()
        self.instances: dict[str, Instance] = {}
        self.client_tokens: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}
        self._before_last_write: dict[str, Instance] = {}
        self.stale_reads = 0
        self.add_instance(samples.INSTANCE_ALIAS, "ACTIVE", instance_id=samples.INSTANCE_ID)

    def add_instance(self, alias: str, status: str, service_role: bool = True, instance_id: str | None = None) -> Instance:
        instance_id = instance_id or str(uuid.uuid4())
        suffix = instance_id.replace("-", "")[:20]
        role = (f"arn:aws:iam::{self.account_id}:role/aws-service-role/connect.amazonaws.com/"
                f"AWSServiceRoleForAmazonConnect_{suffix}")
        instance = Instance(
            instance_id=instance_id,
            arn=samples.instance_arn(self.account_id, instance_id, self.region),
            alias=alias,
            status=status,
            service_role=role if service_role else None,
            created=time.time())
        self.instances[instance_id] = instance
        return instance

    def before_write(self, instance_id: str | None) -> None:
        """Keeps what the one instance that is about to change looks like, for stale reads."""
        self._before_last_write = dict(self.instances)
        if instance_id is not None and instance_id in self.instances:
            self._before_last_write[instance_id] = copy.deepcopy(self.instances[instance_id])

    def for_read(self) -> dict[str, Instance]:
        """The instances as a read sees them: those before the last write, while stale reads are asked for."""
        if self.stale_reads > 0:
            self.stale_reads -= 1
            return self._before_last_write
        return self.instances

    def as_json(self) -> dict[str, Any]:
        return {
            "instances": [
                {
                    "id": instance.instance_id,
                    "arn": instance.arn,
                    "alias": instance.alias,
                    "status": instance.status,
                    "serviceRole": instance.service_role,
                    "storageConfigs": {
                        resource_type: [found.as_storage_config() for found in instance.of_type(resource_type)]
                        for resource_type in sorted({found.resource_type for found in instance.associations.values()})
                    },
                    "approvedOrigins": sorted(instance.origins),
                }
                for instance in self.instances.values()
            ],
            "options": vars(self.options),
        }
