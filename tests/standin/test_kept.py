"""What a deleted stack keeps is removed with the README's commands."""

from __future__ import annotations

import re

import pytest

from localaws import kept, network, places
from localaws.clients import Clients
from localaws.errors import LocalError


def test_the_readme_and_the_demo_name_the_same_commands():
    section = (places.ROOT / "README.md").read_text(encoding="utf-8").split("## Take it away")[1].split("\n## ")[0]
    blocks = [block.splitlines() for block in re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)]
    names = {
        "AWS::OpenSearchService::Domain": "emite-kinesis-connect",
        "AWS::DynamoDB::Table": "LEDGER_TABLE",
        "AWS::S3::Bucket": "BUCKET",
        "AWS::S3::BucketPolicy": "BUCKET",
    }
    server = {"AWS::EC2::SecurityGroup": "GROUP", "AWS::EC2::EIP": "ADDRESS", "AWS::EC2::Instance": "SERVER"}
    for block, things in ((blocks[-2], names), (blocks[-1], server)):
        events = [{"ResourceType": kind, "PhysicalResourceId": name} for kind, name in things.items()]
        assert block == [command for item in kept.kept_of(events) for command in item.commands]


def test_a_kept_server_goes_with_its_address_and_its_group(offer):
    us = Clients.of(offer)
    place = network.public_subnet(us)
    group = us.ec2.create_security_group(GroupName="kept", Description="kept", VpcId=place.vpc_id)["GroupId"]
    launched = us.ec2.run_instances(
        ImageId="ami-0abcdef1234567890", InstanceType="r5.large", MinCount=1, MaxCount=1, SubnetId=place.subnet_id, SecurityGroupIds=[group])
    server = launched["Instances"][0]["InstanceId"]
    address = us.ec2.allocate_address(Domain="vpc")
    us.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=server)
    things = {"AWS::EC2::SecurityGroup": group, "AWS::EC2::EIP": address["PublicIp"], "AWS::EC2::Instance": server}
    for item in kept.kept_of([{"ResourceType": kind, "PhysicalResourceId": name} for kind, name in things.items()]):
        item.remove(offer)
    state = us.ec2.describe_instances(InstanceIds=[server])["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "terminated"
    assert us.ec2.describe_addresses()["Addresses"] == []


def test_a_bucket_goes_with_every_version_that_it_holds(offer, monkeypatch, tmp_path):
    us = Clients.of(offer)
    bucket = _versioned_bucket(us, "kept-versions")
    for body in (b"1", b"2"):
        us.s3.put_object(Bucket="kept-versions", Key="failed/a record's key", Body=body)
    us.s3.delete_object(Bucket="kept-versions", Key="failed/a record's key")
    assert len(bucket.versions(us)) == 3
    # What the user has set leads nowhere else.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    other = tmp_path / "aws"
    other.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bucket.remove(offer)
    assert "kept-versions" not in [found["Name"] for found in us.s3.list_buckets()["Buckets"]]


def test_a_command_that_fails_says_so(offer):
    with pytest.raises(LocalError, match=r"aws dynamodb delete-table --table-name never-made\n.*ResourceNotFoundException"):
        kept.kept_of([{"ResourceType": "AWS::DynamoDB::Table", "PhysicalResourceId": "never-made"}])[0].remove(offer)


def _versioned_bucket(us: Clients, name: str) -> kept.Kept:
    us.make_bucket(name)
    us.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return kept.kept_of([{"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": name}])[0]
