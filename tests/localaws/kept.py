"""Owns what stays when a stack is deleted, why, and the commands with which the README removes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .clients import Clients


@dataclass(frozen=True)
class Kept:
    what: str
    why: str
    commands: list[str]
    resource_type: str
    physical_id: str

    def remove(self, clients: Clients) -> None:
        """Makes the calls that the commands make."""
        match self.resource_type:
            case "AWS::OpenSearchService::Domain":
                clients.opensearch.delete_domain(DomainName=self.physical_id)
            case "AWS::S3::Bucket":
                for page in clients.s3.get_paginator("list_object_versions").paginate(Bucket=self.physical_id):
                    for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                        clients.s3.delete_object(Bucket=self.physical_id, Key=version["Key"], VersionId=version["VersionId"])
                clients.s3.delete_bucket(Bucket=self.physical_id)
            case "AWS::DynamoDB::Table":
                clients.dynamodb.delete_table(TableName=self.physical_id)


def kept_of(skipped_events: list[dict[str, Any]]) -> list[Kept]:
    """What CloudFormation left behind, from its DELETE_SKIPPED events. A bucket's policy goes with its bucket."""
    kept = []
    for event in skipped_events:
        resource_type, name = event["ResourceType"], event["PhysicalResourceId"]
        match resource_type:
            case "AWS::OpenSearchService::Domain":
                what, why, commands = f"search domain {name}", "it holds your contact records", [
                    f"aws opensearch delete-domain --domain-name {name}"]
            case "AWS::S3::Bucket":
                versions = f"aws s3api list-object-versions --bucket {name} --output json --query"
                what, why, commands = f"bucket {name}", "it may hold records that the domain refused", [
                    f"aws s3api delete-objects --bucket {name} --delete \"$({versions} "
                    "'{Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}}')\"   # unless it is empty",
                    f"aws s3api delete-bucket --bucket {name}"]
            case "AWS::DynamoDB::Table":
                what, why, commands = f"table {name}", "it remembers what Amazon Connect streamed to before", [
                    f"aws dynamodb delete-table --table-name {name}"]
            case _:
                continue
        kept.append(Kept(what, why, commands, resource_type, name))
    return kept
