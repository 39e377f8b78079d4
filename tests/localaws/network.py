"""Owns places for a server in a local AWS: a public subnet, as every account has, and a private one, made for the while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .clients import Clients


@dataclass(frozen=True)
class Place:
    """Where a server can be put: `VpcId` and `SubnetId` of the template."""

    vpc_id: str
    subnet_id: str
    zone: str


def public_subnets(clients: Clients) -> list[Place]:
    """The subnets of the default VPC, one a zone. The last one's zone offers few instance types."""
    found = clients.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    return sorted(map(_place, found), key=lambda place: place.zone)


def public_subnet(clients: Clients) -> Place:
    return public_subnets(clients)[0]


@contextlib.contextmanager
def private_subnet(clients: Clients, cidr: str = "172.31.96.0/20") -> Iterator[Place]:
    """A subnet of the default VPC whose own route table leads nowhere else."""
    ec2 = clients.ec2
    place = _place(ec2.create_subnet(VpcId=public_subnet(clients).vpc_id, CidrBlock=cidr)["Subnet"])
    table = ec2.create_route_table(VpcId=place.vpc_id)["RouteTable"]["RouteTableId"]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=place.subnet_id)["AssociationId"]
    yield place
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=place.subnet_id)


def _place(subnet: dict[str, Any]) -> Place:
    return Place(subnet["VpcId"], subnet["SubnetId"], subnet["AvailabilityZone"])
