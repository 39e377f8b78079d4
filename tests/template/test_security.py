"""Owns that docs/security.md is true of the template: who may do what, where copies lie and for how long, what is encrypted."""

from __future__ import annotations

import cfn
import documents
import proofs
import pytest

TABLES = ["## Who can do what", "## Where copies of personal data lie, and for how long", "## Encryption"]


def _rows(heading):
    return documents.rows(documents.text("docs/security.md", heading))


def _all_rows():
    return [row for heading in TABLES for row in _rows(heading)]


def test_each_row_has_a_proof():
    assert len(_all_rows()) > 25
    assert [param.id for param in proofs.of(_all_rows()) if not proofs.FORM.fullmatch(param.values[0])] == []


@pytest.mark.parametrize("proof", proofs.of(_all_rows()))
def test_a_row_is_true_of_the_template(template, proof):
    proofs.check(template, proof)


def test_every_place_where_records_are_kept_has_a_row(template):
    """Whatever the stack makes that holds data, by type: a new one has to be told."""
    keeps = {
        "AWS::DynamoDB::Table": "ledger",
        "AWS::Kinesis::Stream": "agent event stream",
        "AWS::KinesisFirehose::DeliveryStream": "Firehose's buffer",
        "AWS::OpenSearchService::Domain": "search domain",
        "AWS::S3::Bucket": "bucket",
        "AWS::SQS::Queue": "dead-letter queue",
        "AWS::Logs::LogGroup": "log",
        "AWS::StepFunctions::StateMachine": "history of redrives",
        "AWS::EC2::Instance": "eMite server",
    }
    holds_none = {
        "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role",
        "AWS::IAM::InstanceProfile", "AWS::EC2::EIP", "AWS::EC2::EIPAssociation", "AWS::EC2::SecurityGroup", "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Logs::LogStream", "AWS::Logs::ResourcePolicy", "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::SSM::Parameter",
    }  # fmt: skip
    places = " ".join(row[0] for row in _rows(TABLES[1]))
    kinds = {resource["Type"] for resource in template["Resources"].values() if not resource["Type"].startswith("Custom::")}
    assert kinds - holds_none - keeps.keys() == set()
    assert [kind for kind, place in keeps.items() if place not in places] == []


def test_each_lifetime_of_the_bucket_is_told(template):
    rules = cfn.deployed(template)["BackupBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    told = "".join(proof for row in _rows(TABLES[1]) for proof in row[-1:])
    assert [rule["Id"] for rule in rules if f"Rules/{rules.index(rule)}" not in told] == []
    # What waits to be put back never expires.
    assert [rule["Id"] for rule in rules if "failed" in rule.get("Prefix", "")] == []


def test_each_log_group_is_kept_as_long_as_is_told(template):
    groups = {name: resource["Properties"] for name, resource in cfn.deployed(template).items() if resource["Type"] == "AWS::Logs::LogGroup"}
    of_aws = {"DeliveryLogGroup", "SearchDomainLogGroup"}
    assert {properties["RetentionInDays"] for name, properties in groups.items() if name in of_aws} == {30}
    assert {properties["RetentionInDays"] for name, properties in groups.items() if name not in of_aws} == {90}
