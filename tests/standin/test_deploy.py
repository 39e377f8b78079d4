"""`make deploy`: the SAM CLI with this project's samconfig.toml guides through the parameters, keeps the answers, and begins with them the
next time; for a person with exactly the documented policies too; and what is printed when a deployment fails. A small template stands for the
project's, already built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError
from botocore.stub import Stubber
from people import Person, PersonWith, statements

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

from package import failures
from package import template as marketplace

from localaws import places
from localaws.clients import Clients
from localaws.launcher import LocalAws

# Too long to be sent with a call, as the project's is: the SAM CLI uploads it.
TEMPLATE = f"""
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Metadata: {{ Long: {"x" * 60_000} }}
""" + """
Parameters:
  StreamName: { Type: String }
  Shards: { Type: Number, Default: 1 }
Resources:
  Stream: { Type: AWS::Kinesis::Stream, Properties: { Name: !Ref StreamName, ShardCount: !Ref Shards } }
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: guided-role
      AssumeRolePolicyDocument: { Statement: [{ Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: sts:AssumeRole }] }
"""
# Name of the stack and region; to confirm the changes, to let roles be made, not to disable the rollback, to save, where, as what; to deploy.
BEFORE, AFTER = ["", ""], ["", "", "", "", "", "", "y"]


@pytest.fixture(scope="module")
def sam() -> str:
    command = [sys.executable, str(places.ROOT / "tests" / "venv.py"), "sam"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@dataclass
class Guided:
    """A clone with the template built, and a person in front of it."""

    sam: str
    local: LocalAws
    directory: Path

    def environment(self, person: Person | None = None) -> dict[str, str]:
        """The account's root, unless a person is given."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        keys = person.environment if person else {}
        return plain | self.local.offer.environment() | keys | {"SAM_CLI_TELEMETRY": "0", "HOME": str(self.directory)}

    def attempt(self, *answers: str, person: Person | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.sam, "-m", "samcli", "deploy", "--guided"], cwd=self.directory, env=self.environment(person), text=True, timeout=120,
            input="\n".join([*BEFORE, *answers, *AFTER, ""]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __call__(self, *answers: str, person: Person | None = None) -> str:
        done = self.attempt(*answers, person=person)
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture
def guided(sam: str, local: LocalAws, tmp_path: Path) -> Guided:
    shutil.copy(places.ROOT / "samconfig.toml", tmp_path)
    built = tmp_path / ".aws-sam" / "build" / "template.yaml"
    built.parent.mkdir(parents=True)
    built.write_text(TEMPLATE, encoding="utf-8")
    return Guided(sam, local, tmp_path)


MANAGED = "aws-sam-cli-managed-default"


@pytest.fixture
def packages(sam: str, local: LocalAws, tmp_path: Path) -> Iterator[None]:
    """The SAM CLI's bucket, created by an administrator with the commands of docs/permissions.md."""
    text = (places.ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    commands = re.search(r"```sh\n(.*?sam package.*?)```", text, re.DOTALL)
    assert commands
    program = tmp_path / "bin" / "sam"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sam}" -m samcli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = Guided(sam, local, tmp_path).environment()
    environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
    script = commands[1].replace("REGION", local.offer.region).replace("/tmp/", f"{tmp_path}/")
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, env=environment, text=True, timeout=120, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    yield
    remove(Clients.of(local.offer), MANAGED)


def remove(clients: Clients, stack: str) -> None:
    """Deletes a stack with all that its buckets hold."""
    for resource in clients.cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]:
        if resource["ResourceType"] == "AWS::S3::Bucket":
            bucket = resource["PhysicalResourceId"]
            page = clients.s3.list_object_versions(Bucket=bucket)
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                clients.s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    clients.cloudformation.delete_stack(StackName=stack)
    clients.cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


@pytest.fixture
def person(local: LocalAws, person_with: PersonWith) -> Person:
    """With the documented policies of a deployer, and no others."""
    return person_with(policies(local))


def policies(local: LocalAws) -> list[dict[str, Any]]:
    return statements(local, "deployer-1", "deployer-2", packages=f"{MANAGED}-samclisourcebucket-*")


def test_the_answers_are_kept_and_offered_the_next_time(guided: Guided, packages: None, client: Callable[..., Any], tmp_path: Path) -> None:
    said = guided("from-the-guide", "")
    assert "Parameter StreamName []" in said
    # All that the guide asks beside the parameters has an answer that fits.
    assert "Stack Name [emite-connect]" in said
    saved = tomllib.loads((tmp_path / "samconfig.toml").read_text(encoding="utf-8"))["default"]["deploy"]["parameters"]
    assert 'StreamName="from-the-guide"' in saved["parameter_overrides"]
    assert saved["capabilities"].split() == ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    stack = client("cloudformation").describe_stacks(StackName="emite-connect")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {"Key": "application", "Value": "emite-connect"} in stack["Tags"]

    # Nothing but Enter: nothing changes, which is no failure.
    assert "Parameter StreamName [from-the-guide]" in guided("", "")
    # And one other answer changes that alone.
    guided("", "2")
    stack = client("cloudformation").describe_stacks(StackName="emite-connect")["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]} == {"StreamName": "from-the-guide", "Shards": "2"}
    client("cloudformation").delete_stack(StackName="emite-connect")
    client("cloudformation").get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], WaiterConfig={"Delay": 1})


# ---- With the documented policies, IAM enforced ----------------------------------------------------------------------------


def test_a_person_with_the_documented_policies_deploys_and_updates(
        guided: Guided, packages: None, person: Person, client: Callable[..., Any]) -> None:
    guided("from-the-guide", "", person=person)
    said = guided("", "2", person=person)
    assert f"Managed S3 bucket: {MANAGED}-samclisourcebucket-" in said
    assert client("cloudformation").describe_stacks(StackName="emite-connect")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    remove(person, "emite-connect")


def test_a_bucket_of_ones_own_needs_no_stack_of_the_sam_cli(
        guided: Guided, local: LocalAws, person_with: PersonWith, client: Callable[..., Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="our-packages", CreateBucketConfiguration={"LocationConstraint": local.offer.region})
    config = guided.directory / "samconfig.toml"
    answers = f"""region = "{local.offer.region}"
s3_bucket = "our-packages"
resolve_s3 = false
parameter_overrides = "StreamName=from-the-file"
"""
    config.write_text(config.read_text().replace("confirm_changeset = true", "confirm_changeset = false").replace("resolve_s3 = true\n", answers))
    allowed = [one for one in statements(local, "deployer-1", "deployer-2", packages="our-packages") if one["Sid"] != "FindSamStacks"]
    done = subprocess.run([guided.sam, "-m", "samcli", "deploy"], cwd=guided.directory, env=guided.environment(person_with(allowed)), text=True,
                          timeout=120, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    remove(Clients.of(local.offer), "emite-connect")
    for found in s3.list_objects_v2(Bucket="our-packages")["Contents"]:
        s3.delete_object(Bucket="our-packages", Key=found["Key"])
    s3.delete_bucket(Bucket="our-packages")


def test_without_the_bucket_for_packages_a_deployer_may_not_create_it(guided: Guided, person: Person) -> None:
    done = guided.attempt("from-the-guide", "", person=person)
    assert done.returncode != 0
    assert "Failed to create managed resources" in done.stdout and "AccessDenied" in done.stdout


@pytest.mark.parametrize(("stack", "denied"), [(MANAGED, "CreateChangeSet"), ("CompanionStack", "DescribeStacks")])
def test_without_the_right_to_find_either_stack_of_the_sam_cli_nothing_is_deployed(
        guided: Guided, packages: None, local: LocalAws, person_with: PersonWith, stack: str, denied: str) -> None:
    rest = policies(local)
    find = next(statement for statement in rest if statement["Sid"] == "FindSamStacks")
    find["Resource"] = [arn for arn in find["Resource"] if stack not in arn]
    done = guided.attempt("from-the-guide", "", person=person_with(rest))
    assert done.returncode != 0
    assert f"(AccessDenied) when calling the {denied} operation" in done.stdout


# ---- What is printed when a deployment fails -------------------------------------------------------------------------------

TAKEN = "Resources: { BackupBucket: { Type: AWS::S3::Bucket, Properties: { BucketName: deploy-taken } } }"


def test_a_person_with_the_documented_policies_reads_why_a_name_is_refused(person: Person, client: Callable[..., Any], local: LocalAws) -> None:
    # Not through a change set: the local CloudFormation validates those, but keeps no events of them.
    s3, before = client("s3"), datetime.now(UTC)
    s3.create_bucket(Bucket="deploy-taken", CreateBucketConfiguration={"LocationConstraint": local.offer.region})
    person.cloudformation.create_stack(StackName="emite-connect", TemplateBody=TAKEN)
    with pytest.raises(WaiterError):
        person.cloudformation.get_waiter("stack_create_complete").wait(StackName="emite-connect", WaiterConfig={"Delay": 1})
    deployment = failures.Deployment(region=local.offer.region)
    said = failures.explain(marketplace.source(), deployment, before, lambda: person.cloudformation)
    later = failures.explain(marketplace.source(), deployment, before + timedelta(hours=1), lambda: person.cloudformation)
    person.cloudformation.delete_stack(StackName="emite-connect")
    s3.delete_bucket(Bucket="deploy-taken")
    assert re.search(r"^  \d\d:\d\d:\d\d BackupBucket: .*deploy-taken.* already exists", said, re.MULTILINE), said
    assert later.startswith("CloudFormation reports no failure of the stack emite-connect in ")


def test_what_iam_denies_is_left_to_someone_else_with_the_command(local: LocalAws, person_with: PersonWith) -> None:
    stranger = person_with([{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}])
    said = failures.explain({}, failures.Deployment(region=local.offer.region), AT, lambda: stranger.cloudformation)
    assert "AccessDenied" in said and "cloudformation:ListChangeSets" in said
    assert f"aws cloudformation describe-events --stack-name emite-connect --region {local.offer.region} --filters FailedEvents=true" in said


def test_a_stack_that_was_never_reached_is_said_to_be_none(local: LocalAws) -> None:
    said = failures.explain({}, failures.Deployment("never-made"), AT, lambda: Clients.of(local.offer).cloudformation)
    assert said.startswith("CloudFormation has no stack never-made")


@pytest.mark.parametrize("deployment", [failures.Deployment(region="eu-west-2", profile="no-such-profile"), failures.Deployment()])
def test_settings_that_boto_refuses_are_said(deployment: failures.Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    said = failures.explain({}, deployment, AT)
    assert said.startswith("Could not read the failure details of emite-connect in ") and "Once that is solved, run:" in said


def test_where_the_stack_is_comes_from_the_saved_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    # As it is in a new clone.
    assert failures.Deployment.last(places.ROOT / "samconfig.toml") == failures.Deployment("emite-connect", "eu-west-2", None)
    config = tmp_path / "samconfig.toml"
    config.write_text("""
[default.global.parameters]
stack_name = "emite-connect"
region = "ap-southeast-2"
[default.deploy.parameters]
stack_name = "emite-two"
profile = "work"
""", encoding="utf-8")
    assert failures.Deployment.last(config) == failures.Deployment("emite-two", "ap-southeast-2", "work")
    for unusable in ("no TOML", "default = 1", "[default]\nglobal = 1", "[default.deploy.parameters]\nstack_name = [1]"):
        config.write_text(unusable, encoding="utf-8")
        assert failures.Deployment.last(config) == failures.Deployment("emite-connect", "eu-west-2", None), unusable
    assert failures.Deployment.last(tmp_path / "gone.toml") == failures.Deployment("emite-connect", "eu-west-2", None)


# What CloudFormation answers, in the form of its model and with the values of its user guide ("Validate stack deployments"). The local
# CloudFormation keeps no events of change sets.
AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
REFUSED = "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]."


def event(logical: str, type_name: str, name: str, operation: str = "op-2", minute: int = 0) -> dict[str, Any]:
    return {
        "EventId": f"{logical}-{minute}", "OperationId": operation, "EventType": "VALIDATION_ERROR", "LogicalResourceId": logical,
        "ResourceType": type_name, "Timestamp": AT.replace(minute=minute), "ValidationFailureMode": "FAIL",
        "ValidationName": "NAME_CONFLICT_VALIDATION", "ValidationStatus": "FAILED",
        "ValidationStatusReason": f"Resource of type '{type_name}' with identifier '{name}' already exists."}


@pytest.fixture
def stubbed() -> Iterator[Stubber]:
    with Stubber(boto3.client("cloudformation", region_name="eu-west-2", aws_access_key_id="x", aws_secret_access_key="x")) as answers:
        yield answers
        answers.assert_no_pending_responses()


def explained(stubbed: Stubber) -> list[str]:
    return failures.explain(marketplace.source(), failures.Deployment(), AT, lambda: stubbed.client).splitlines()


def change_set(name: str, status: str, at: datetime, reason: str = "") -> dict[str, Any]:
    return {"ChangeSetName": name, "Status": status, "StatusReason": reason, "CreationTime": at}


def test_a_taken_name_comes_with_the_parameters_that_decide_it(stubbed: Stubber) -> None:
    change_sets = [change_set("samcli-deploy1", "CREATE_COMPLETE", AT), change_set("samcli-deploy2", "FAILED", AT.replace(hour=13), REFUSED)]
    stubbed.add_response("list_change_sets", {"Summaries": change_sets}, {"StackName": "emite-connect"})
    asked = {"StackName": "emite-connect", "ChangeSetName": "samcli-deploy2", "Filters": {"FailedEvents": True}}
    stubbed.add_response("describe_events", {"NextToken": "more", "OperationEvents": [
        event("SearchDomain", "AWS::OpenSearchService::Domain", "emite-kinesis-connect", minute=2),
        {"EventId": "end", "OperationId": "op-2", "EventType": "STACK_EVENT", "OperationStatus": "FAILED", "Timestamp": AT.replace(minute=3)},
    ]}, asked)
    stubbed.add_response("describe_events", {"OperationEvents": [
        event("AgentEventStream", "AWS::Kinesis::Stream", "connect-agentevents", minute=1)]}, asked | {"NextToken": "more"})
    assert explained(stubbed) == [
        "CloudFormation reported for the stack emite-connect in the default region (as samconfig.toml has it):",
        "",
        "  12:01:00 AgentEventStream: Resource of type 'AWS::Kinesis::Stream' with identifier 'connect-agentevents' already exists.",
        "    Choose another AgentEventStreamName, or set ExistingAgentEventStreamName to use the existing one as it is.",
        "  12:02:00 SearchDomain: Resource of type 'AWS::OpenSearchService::Domain' with identifier 'emite-kinesis-connect' already exists.",
        "    Choose another DomainName, or set ExistingDomainName to use the existing one as it is.",
        "",
        "docs/troubleshooting.md explains the common reasons."]


def failed(logical: str, reason: str, operation: str, minute: int) -> dict[str, Any]:
    return {"EventId": f"{logical}-{minute}", "OperationId": operation, "EventType": "PROVISIONING_ERROR", "LogicalResourceId": logical,
            "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": reason, "Timestamp": AT.replace(minute=minute)}


def test_the_cause_stands_before_what_failed_in_the_rollback(stubbed: Stubber) -> None:
    stubbed.add_response("list_change_sets", {"Summaries": []}, {"StackName": "emite-connect"})
    events = [
        failed("Server", "It cannot be deleted.", "rollback", 9), failed("EmiteRole", "Resource creation cancelled", "create", 5),
        failed("Preflight", "DomainName: taken.", "create", 4), failed("Spec", "Of another day.", "long ago", 0) | {"Timestamp": AT.replace(day=1)}]
    stubbed.add_response("describe_events", {"OperationEvents": events}, {"StackName": "emite-connect", "Filters": {"FailedEvents": True}})
    assert explained(stubbed)[2:4] == ["  12:04:00 Preflight: DomainName: taken.", "  12:09:00 Server: It cannot be deleted."]


@pytest.mark.parametrize("found", [
    change_set("samcli-deploy3", "FAILED", AT, "The submitted information didn't contain changes."),
    change_set("samcli-deploy4", "FAILED", AT.replace(day=1), REFUSED),
])
def test_empty_or_earlier_change_set_is_not_the_failure(stubbed: Stubber, found: dict[str, Any]) -> None:
    stubbed.add_response("list_change_sets", {"Summaries": [found]}, {"StackName": "emite-connect"})
    stubbed.add_response("describe_events", {"OperationEvents": []}, {"StackName": "emite-connect", "Filters": {"FailedEvents": True}})
    [said] = explained(stubbed)
    assert said.startswith("CloudFormation reports no failure of the stack emite-connect in ")
