"""Owns what stays when a stack is deleted, why, and the README's commands that remove it, which it can also run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clients import Clients
from .errors import LocalError
from .launcher import Offer

_VERSION_2_ONLY = " --cli-binary-format raw-in-base64-out"
_UNTIL_EMPTY = "   # repeat until it is empty"


@dataclass(frozen=True)
class Kept:
    what: str
    why: str
    commands: list[str]
    resource_type: str
    physical_id: str

    def remove(self, offer: Offer) -> None:
        """Runs the commands as they are printed, with our own `aws`, against the local AWS."""
        for command in self.commands:
            if command.endswith(_UNTIL_EMPTY):
                self._empty(command, offer)
            else:
                run(command, offer)

    def versions(self, clients: Clients) -> list[tuple[str, str]]:
        """The keys and versions that the bucket holds, delete markers too; its first page of them."""
        page = clients.s3.list_object_versions(Bucket=self.physical_id)
        return [(version["Key"], version["VersionId"]) for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]

    def _empty(self, command: str, offer: Offer) -> None:
        clients = Clients.of(offer)
        # Not even once for an empty bucket: S3 refuses an empty list.
        left = self.versions(clients)
        while left:
            run(command, offer)
            before, left = left, self.versions(clients)
            if left == before:
                raise LocalError(f"This deleted nothing: {command}")


def kept_of(skipped_events: list[dict[str, Any]]) -> list[Kept]:
    """What CloudFormation left behind, from its DELETE_SKIPPED events, in an order in which it can be removed. A bucket's policy goes
    with its bucket, and an address leaves its server by itself."""
    kept = []
    order = {"AWS::EC2::Instance": 1, "AWS::EC2::EIP": 2, "AWS::EC2::SecurityGroup": 3}
    for event in sorted(skipped_events, key=lambda event: order.get(event["ResourceType"], 0)):
        resource_type, name = event["ResourceType"], event["PhysicalResourceId"]
        match resource_type:
            case "AWS::OpenSearchService::Domain":
                what, why, commands = f"search domain {name}", "it holds your contact records", [
                    f"aws opensearch delete-domain --domain-name {name}"]
            case "AWS::S3::Bucket":
                versions = f"aws s3api list-object-versions --bucket {name} --no-paginate --output json --query"
                what, why, commands = f"bucket {name}", "it may hold records that the domain refused", [
                    f"aws s3api delete-objects --bucket {name} --delete \"$({versions} "
                    f"'{{Objects: [Versions, DeleteMarkers][].{{Key: Key, VersionId: VersionId}}}}')\"{_UNTIL_EMPTY}",
                    f"aws s3api delete-bucket --bucket {name}"]
            case "AWS::EC2::Instance":
                what, why, commands = f"server {name}", "it is your eMite server, with all that is on it", [
                    f"aws ec2 terminate-instances --instance-ids {name}", f"aws ec2 wait instance-terminated --instance-ids {name}"]
            case "AWS::EC2::EIP":
                allocation = f"aws ec2 describe-addresses --public-ips {name} --query 'Addresses[].AllocationId' --output text"
                what, why, commands = f"Elastic IP {name}", "your eMite server is known by it", [
                    f"aws ec2 release-address --allocation-id \"$({allocation})\""]
            case "AWS::EC2::SecurityGroup":
                what, why, commands = f"security group {name}", "your eMite server is in it", [
                    f"aws ec2 delete-security-group --group-id {name}"]
            case "AWS::DynamoDB::Table":
                what, why, commands = f"table {name}", "it remembers what Amazon Connect streamed to before", [
                    f"aws dynamodb delete-table --table-name {name}"]
            case _:
                continue
        kept.append(Kept(what, why, commands, resource_type, name))
    return kept


def run(command: str, offer: Offer) -> str:
    """As it stands, by a shell with our own `aws`, against the local AWS; what it printed. That is version 1 of the command line,
    which does not know the one option of version 2 that our commands use, and never needs it."""
    ran = subprocess.run(
        ["bash", "-c", command.replace(_VERSION_2_ONLY, "")], env=environment(offer), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace")
    if ran.returncode != 0:
        raise LocalError(f"This failed with {ran.returncode}: {command}\n{ran.stdout.strip()}")
    return ran.stdout


def environment(offer: Offer) -> dict[str, str]:
    """Nothing of the user's AWS settings, since those could lead elsewhere; the `aws` that is locked with this Python first."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **others,
        **offer.environment(),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_PAGER": "",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
