"""What a deleted stack keeps is removed with the README's commands."""

from __future__ import annotations

import re

import pytest

from localaws import kept, places
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
    events = [{"ResourceType": kind, "PhysicalResourceId": name} for kind, name in names.items()]
    assert blocks[-1] == [command for item in kept.kept_of(events) for command in item.commands]


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
