"""What the emulator would not do by itself, and AWS does: one test for each bridge."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from test_access import User, allow
from test_operations import code_of

from localaws.launcher import Offer

Client = Callable[..., Any]
LAMBDA_TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
DENIED = ("AccessDenied", "AccessDeniedException")


def test_a_call_in_cbor_is_authorised(client: Client, user: User) -> None:
    metric = {"Namespace": "test", "MetricData": [{"MetricName": "m", "Value": 1.0}]}
    assert code_of(client("cloudwatch", **user()).put_metric_data, **metric) in DENIED
    client("cloudwatch", **user(allow("cloudwatch:PutMetricData"))).put_metric_data(**metric)


def test_a_search_call_is_authorised_on_its_domain(client: Client, user: User, offer: Offer) -> None:
    client("opensearch").create_domain(DomainName="mine")
    arn = f"arn:aws:es:{offer.region}:{offer.accountId}:domain/mine"
    limited = client("opensearch", **user(allow("es:DescribeDomain", resource=arn)))
    assert limited.describe_domain(DomainName="mine")["DomainStatus"]["ARN"] == arn
    assert code_of(limited.describe_domain, DomainName="another") in DENIED
    assert code_of(limited.get_compatible_versions, DomainName="mine") in DENIED
    upgrading = client("opensearch", **user(allow("es:GetCompatibleVersions", resource=arn)))
    assert upgrading.get_compatible_versions(DomainName="mine")["CompatibleVersions"]
    assert code_of(upgrading.get_compatible_versions, DomainName="another") in DENIED
    client("opensearch").delete_domain(DomainName="mine")


def test_records_are_read_with_rights_on_their_stream_only(client: Client, user: User, stream: str) -> None:
    iterator = client("kinesis").get_shard_iterator(
        StreamARN=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    reader = client("kinesis", **user(allow("kinesis:GetRecords", resource=stream)))
    assert reader.get_records(ShardIterator=iterator)["Records"] == []
    stranger = client("kinesis", **user(allow("kinesis:GetRecords", resource=f"{stream}-other")))
    assert code_of(stranger.get_records, ShardIterator=iterator) in DENIED


def test_leading_keys_limit_items(client: Client, user: User, offer: Offer) -> None:
    client("dynamodb").create_table(
        TableName="ledger", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}])
    limited = client("dynamodb", **user(allow(
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:TransactWriteItems",
        resource=f"arn:aws:dynamodb:{offer.region}:{offer.accountId}:table/ledger",
        Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine#*"]}})))
    mine, other = ({"pk": {"S": f"{owner}#1"}, "sk": {"S": "x"}} for owner in ("mine", "other"))
    limited.put_item(TableName="ledger", Item=mine)
    assert limited.get_item(TableName="ledger", Key=mine)["Item"] == mine
    assert code_of(limited.put_item, TableName="ledger", Item=other) in DENIED
    assert code_of(limited.get_item, TableName="ledger", Key=other) in DENIED
    both = [{"Put": {"TableName": "ledger", "Item": item}} for item in (mine, other)]
    assert code_of(limited.transact_write_items, TransactItems=both) in DENIED
    client("dynamodb").delete_table(TableName="ledger")


def test_only_the_boundary_that_a_policy_names_is_set(client: Client, user: User, offer: Offer) -> None:
    iam = client("iam")
    iam.create_role(RoleName="bounded", AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST))
    mine, other = "arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/AdministratorAccess"
    limited = client("iam", **user(allow(
        "iam:PutRolePermissionsBoundary", resource=f"arn:aws:iam::{offer.accountId}:role/bounded",
        Condition={"StringEquals": {"iam:PermissionsBoundary": mine}})))
    assert code_of(limited.put_role_permissions_boundary, RoleName="bounded", PermissionsBoundary=other) in DENIED
    limited.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=mine)
    assert iam.get_role(RoleName="bounded")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == mine
    iam.delete_role_permissions_boundary(RoleName="bounded")
    iam.delete_role(RoleName="bounded")


def test_a_session_is_not_longer_than_its_role_allows(client: Client, user: User, offer: Offer) -> None:
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{offer.accountId}:root"}, "Action": "sts:AssumeRole"}]}
    iam = client("iam")
    arn = iam.create_role(RoleName="brief", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    sts = client("sts", **user(allow("sts:AssumeRole")))
    assume = {"RoleArn": arn, "RoleSessionName": "test"}
    assert code_of(sts.assume_role, **assume, DurationSeconds=43200) == "ValidationError"
    assert sts.assume_role(**assume, DurationSeconds=3600)["Credentials"]
    iam.update_role(RoleName="brief", MaxSessionDuration=43200)
    assert sts.assume_role(**assume, DurationSeconds=43200)["Credentials"]
    iam.delete_role(RoleName="brief")


@pytest.mark.parametrize(("resource_type", "properties"), [
    ("AWS::IAM::Role", {"RoleName": "taken", "AssumeRolePolicyDocument": LAMBDA_TRUST}),
    ("AWS::Kinesis::Stream", {"Name": "taken", "ShardCount": 1}),
    ("AWS::OpenSearchService::Domain", {"DomainName": "taken"}),
    ("AWS::Logs::LogGroup", {"LogGroupName": "taken"}),
    ("AWS::SNS::Topic", {"TopicName": "taken"}),
    ("AWS::StepFunctions::StateMachine", {
        "StateMachineName": "taken", "RoleArn": "arn:aws:iam::111122223333:role/any",
        "DefinitionString": '{"StartAt":"End","States":{"End":{"Type":"Succeed"}}}'}),
    ("AWS::DynamoDB::Table", {
        "TableName": "taken", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}),
])
def test_a_taken_name_fails_a_create(stack: Callable[..., dict[str, Any]], resource_type: str, properties: dict[str, Any]) -> None:
    resource = {"Type": resource_type, "Properties": properties}
    assert stack("first", Thing=resource)["StackStatus"] == "CREATE_COMPLETE"
    second = stack("second", Thing=resource)
    assert second["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "already exists" in second["reasons"][0]


@pytest.fixture
def decide(client: Client) -> Callable[..., bool]:
    """What a condition of a stack comes to with these values of its parameters."""
    cloudformation = client("cloudformation")

    def decide(condition: dict[str, Any], rule: dict[str, Any] | None = None, **given: str) -> bool:
        template = {
            "Parameters": {
                "Text": {"Type": "String", "Default": ""},
                "Ranges": {"Type": "CommaDelimitedList", "Default": "", "AllowedPattern": "^([0-9.]+/32)?$"}},
            "Mappings": {"Map": {"one": {"name": "first"}}},
            "Rules": {"Rule": {"Assertions": [{"Assert": rule, "AssertDescription": "The rule."}]}} if rule else {},
            "Conditions": {"It": condition},
            "Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
            "Outputs": {"It": {"Value": {"Fn::If": ["It", "true", "false"]}}},
        }
        cloudformation.create_stack(
            StackName="deciding", TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()])
        cloudformation.get_waiter("stack_create_complete").wait(StackName="deciding", WaiterConfig={"Delay": 1})
        answer = cloudformation.describe_stacks(StackName="deciding")["Stacks"][0]["Outputs"][0]["OutputValue"]
        cloudformation.delete_stack(StackName="deciding")
        cloudformation.get_waiter("stack_delete_complete").wait(StackName="deciding", WaiterConfig={"Delay": 1})
        return answer == "true"

    return decide


TEXT, RANGES = {"Ref": "Text"}, {"Ref": "Ranges"}
ALWAYS = {"Fn::Equals": ["", ""]}


@pytest.mark.parametrize(("left", "right", "given", "holds"), [
    ({"Fn::Join": ["", RANGES]}, "", {}, True),
    ({"Fn::Join": ["", RANGES]}, "", {"Ranges": "10.0.0.1/32"}, False),
    ({"Fn::Join": ["-", RANGES]}, "10.0.0.1/32-10.0.0.2/32", {"Ranges": "10.0.0.1/32, 10.0.0.2/32"}, True),
    ({"Fn::Select": [0, RANGES]}, "", {}, True),
    ({"Fn::Select": [1, {"Fn::Split": ["-", TEXT]}]}, "b", {"Text": "a-b"}, True),
    ({"Fn::Select": ["0", {"Fn::Split": ["-", {"Fn::Join": ["", [TEXT, "-x"]]}]}]}, "", {}, True),
    ({"Fn::Sub": "${Text}!"}, "a!", {"Text": "a"}, True),
    ({"Fn::FindInMap": ["Map", TEXT, "name"]}, "first", {"Text": "one"}, True),
    ({"Ref": "AWS::Partition"}, "aws", {}, True),
], ids=str)
def test_conditions_compare_what_functions_give(
        decide: Callable[..., bool], left: dict[str, Any], right: str, given: dict[str, str], holds: bool) -> None:
    assert decide({"Fn::And": [ALWAYS, {"Fn::Or": [{"Fn::Equals": [left, right]}]}]}, **given) == holds
    assert decide({"Fn::Not": [{"Fn::Equals": [left, right]}]}, **given) != holds


def test_a_condition_compares_no_list(decide: Callable[..., bool]) -> None:
    assert code_of(decide, condition={"Fn::Equals": [RANGES, ""]}) == "ValidationError"


@pytest.mark.parametrize(("rule", "given", "accepted"), [
    ({"Fn::Contains": [RANGES, ""]}, {}, True),
    ({"Fn::EachMemberIn": [RANGES, [""]]}, {}, True),
    ({"Fn::EachMemberIn": [RANGES, [""]]}, {"Ranges": "10.0.0.1/32"}, False),
    ({"Fn::EachMemberIn": [["a", "b"], ["b", "a", "c"]]}, {}, True),
    ({"Fn::EachMemberIn": [["a", "d"], ["b", "a", "c"]]}, {}, False),
    ({"Fn::Not": [{"Fn::Contains": [RANGES, "10.0.0.2/32"]}]}, {"Ranges": "10.0.0.1/32,10.0.0.2/32"}, False),
    ({"Fn::Or": [{"Fn::Equals": [TEXT, "a"]}, {"Fn::And": [ALWAYS, {"Fn::Equals": [TEXT, "b"]}]}]}, {"Text": "b"}, True),
    ({"Fn::Contains": [RANGES, "10.0.0.1/32"]}, {"Ranges": "10.0.0.1/32,10.0.0.2"}, False),
], ids=str)
def test_rules_refuse_what_they_do_not_assert(
        decide: Callable[..., bool], rule: dict[str, Any], given: dict[str, str], accepted: bool) -> None:
    if accepted:
        assert decide(ALWAYS, rule, **given)
    else:
        assert code_of(decide, condition=ALWAYS, rule=rule, **given) == "ValidationError"


def test_a_permissions_boundary_of_a_template_holds(stack: Callable[..., dict[str, Any]], client: Client, offer: Offer, user: User) -> None:
    everything = {"Version": "2012-10-17", "Statement": [allow("*")]}
    made = stack(
        "bounded",
        Boundary={"Type": "AWS::IAM::ManagedPolicy", "Properties": {
            "ManagedPolicyName": "boundary", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]}}},
        Role={"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": "bounded", "PermissionsBoundary": {"Ref": "Boundary"},
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": offer.accountId}, "Action": "sts:AssumeRole"}]},
            "Policies": [{"PolicyName": "all", "PolicyDocument": everything}]}})
    assert made["StackStatus"] == "CREATE_COMPLETE"
    session = client("sts", **user(allow("sts:AssumeRole"))).assume_role(
        RoleArn=f"arn:aws:iam::{offer.accountId}:role/bounded", RoleSessionName="test")["Credentials"]
    keys = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"]}
    client("s3", **keys).list_buckets()
    assert code_of(client("kinesis", **keys).list_streams) in DENIED


def test_a_stream_of_a_template_is_encrypted_with_its_key(stack: Callable[..., dict[str, Any]], client: Client) -> None:
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    stack("encrypted", Stream={"Type": "AWS::Kinesis::Stream", "Properties": {
        "Name": "encrypted", "ShardCount": 1, "StreamEncryption": {"EncryptionType": "KMS", "KeyId": key}}})
    described = client("kinesis").describe_stream_summary(StreamName="encrypted")["StreamDescriptionSummary"]
    assert (described["EncryptionType"], described["KeyId"]) == ("KMS", key)


def test_instance_types_are_listed_for_an_engine(client: Client) -> None:
    opensearch = client("opensearch")

    def types(engine: str) -> set[str]:
        found: set[str] = set()
        token: dict[str, str] = {}
        while True:
            page = opensearch.list_instance_type_details(EngineVersion=engine, MaxResults=5, **token)
            found |= {one["InstanceType"] for one in page["InstanceTypeDetails"]}
            if "NextToken" not in page:
                return found
            token = {"NextToken": page["NextToken"]}

    assert "m5.large.search" in types("Elasticsearch_6.3")
    assert "m6g.large.search" not in types("Elasticsearch_6.8")
    assert "m6g.large.search" in types("OpenSearch_2.19")
    only = opensearch.list_instance_type_details(EngineVersion="Elasticsearch_6.8", InstanceType="m5.large.search")
    assert [one["InstanceType"] for one in only["InstanceTypeDetails"]] == ["m5.large.search"]


@pytest.mark.parametrize(("engine", "reached"), [
    ("Elasticsearch_6.3", {"Elasticsearch_6.8"}),
    ("Elasticsearch_6.8", {"Elasticsearch_7.10", "OpenSearch_1.3"}),
    ("Elasticsearch_7.10", {"OpenSearch_1.3"}),
    ("OpenSearch_1.3", {"OpenSearch_2.19"}),
    ("OpenSearch_2.19", set()),
])
def test_an_engine_is_upgraded_along_awss_paths_only(client: Client, engine: str, reached: set[str]) -> None:
    opensearch = client("opensearch")
    opensearch.create_domain(DomainName="aging", EngineVersion=engine)
    (found,) = opensearch.get_compatible_versions(DomainName="aging")["CompatibleVersions"]
    opensearch.delete_domain(DomainName="aging")
    assert found["SourceVersion"] == engine
    ours = {"Elasticsearch_6.3", "Elasticsearch_6.8", "Elasticsearch_7.10", "OpenSearch_1.3", "OpenSearch_2.19"}
    assert ours & set(found["TargetVersions"]) == reached


@pytest.mark.parametrize(("answer", "reason", "deleted_id"), [
    ("FAILED", "as told", "thing-1"),
    ("too long", "Response object is too long.", "thing-1"),
    ("no id", "Invalid PhysicalResourceId.", None),
    ("content type", "timed out", None),
    ("silence", "timed out", None),
])
def test_a_failed_create_is_followed_by_a_delete(
        stack: Callable[..., dict[str, Any]], client: Client, code: dict[str, str], answer: str, reason: str, deleted_id: str | None) -> None:
    name = f"failing-{answer.replace(' ', '-')}"
    made = stack(
        name,
        Role={"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": LAMBDA_TRUST}},
        Function={"Type": "AWS::Lambda::Function", "Properties": {
            "Handler": "bootstrap", "Runtime": "provided.al2023", "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "FunctionName": name,
            "Code": code}},
        Thing={"Type": "Custom::Thing", "Properties": {
            "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "ServiceTimeout": 1, "Answer": answer}})
    assert made["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in made["reasons"][0]
    seen = _seen(client, name)
    assert [request for request, _ in seen] == ["Create", "Delete"]
    assert seen[1][1] == deleted_id if deleted_id else seen[1][1].startswith(f"{name}-Thing-")


def _seen(client: Client, function_name: str) -> list[list[Any]]:
    """The requests that the function logged."""
    logs = client("logs")
    group = f"/aws/lambda/{function_name}"
    messages = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    return [json.loads(line)["seen"] for message in messages for line in message.splitlines() if line.startswith('{"seen"')]
