"""The redrive's state machine as the template has it, run on a function of these tests: batches, rights, results, and how it ends."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import clients_of, zipped
from test_bridges import LAMBDA_TRUST

from localaws import places, short_forms
from localaws.launcher import LocalAws, Offer

Client = Callable[..., Any]
Run = Callable[..., dict[str, Any]]
Seen = Callable[[], list[dict[str, Any]]]
FAILED = "emite-connect/records/failed/elasticsearch-failed/2026/11/24/01/"
COUNTER = itertools.count(1)


@pytest.fixture(scope="module")
def outputs(local: LocalAws) -> Iterator[dict[str, str]]:
    """A stack of what the template says of the state machine and its role, a bucket, and the function of these tests."""
    client = clients_of(local.offer)
    cloudformation, s3 = client("cloudformation"), client("s3")
    s3.create_bucket(Bucket="redriver", CreateBucketConfiguration={"LocationConstraint": local.offer.region})
    s3.put_object(Bucket="redriver", Key="redriver.zip", Body=zipped("redriver.py"))
    whole = yaml.load(places.TEMPLATE.read_text(encoding="utf-8"), short_forms.Loader)
    template = {
        "Parameters": {
            "DeliveryStreamName": {"Type": "String", "Default": "records"},
            **{name: {"Type": "String", "Default": ""} for name in (
                "PermissionsBoundaryArn", "BackupBucketName", "BackupBucketKeyArn", "ExistingDeliveryStreamName", "FailedPrefix")},
        },
        "Conditions": {name: whole["Conditions"][name] for name in ("HasBoundary", "HasBackupKey", "OwnBucket", "ExistingDeliveryStream")},
        "Resources": {
            **{name: whole["Resources"][name] for name in ("RedriveStateMachineRole", "RedriveStateMachine")},
            "BackupBucket": {"Type": "AWS::S3::Bucket"},
            "FunctionRole": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": LAMBDA_TRUST}},
            "RedriveFunction": {"Type": "AWS::Lambda::Function", "Properties": {
                "Handler": "bootstrap", "Runtime": "provided.al2023", "Timeout": 20, "Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]},
                "Code": {"S3Bucket": "redriver", "S3Key": "redriver.zip"}}},
        },
        "Outputs": {
            "Machine": {"Value": {"Ref": "RedriveStateMachine"}},
            "Role": {"Value": {"Ref": "RedriveStateMachineRole"}},
            "Bucket": {"Value": {"Ref": "BackupBucket"}},
            "Function": {"Value": {"Ref": "RedriveFunction"}},
        },
    }
    # What Preflight says stands here as parameters.
    text = json.dumps(template).replace("${Preflight.", "${").replace('{"Fn::GetAtt": ["Preflight", "FailedPrefix"]}', '{"Ref": "FailedPrefix"}')
    cloudformation.create_stack(StackName="machine", TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])
    stack = _rest(cloudformation, "machine")
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    yield outputs
    _empty(s3, outputs["Bucket"])
    cloudformation.delete_stack(StackName="machine")
    assert _rest(cloudformation, stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    _empty(s3, "redriver")
    s3.delete_bucket(Bucket="redriver")


def _rest(cloudformation: Any, name: str) -> dict[str, Any]:
    while True:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(0.05)


def _empty(s3: Any, bucket: str) -> None:
    for found in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=found["Key"])


@pytest.fixture
def run(client: Client, outputs: dict[str, str]) -> Iterator[Run]:
    """Puts objects of these names, starts an execution and answers how it ended."""

    s3, states = client("s3"), client("stepfunctions")

    def until_the_end(*names: str, **given: Any) -> dict[str, Any]:
        for name in names:
            s3.put_object(Bucket=outputs["Bucket"], Key=f"{FAILED}{name}", Body=b"{}\n")
        arn = states.start_execution(stateMachineArn=outputs["Machine"], input=json.dumps(given))["executionArn"]
        return _end(states, arn)

    yield until_the_end
    _empty(s3, outputs["Bucket"])


def _end(states: Any, arn: str) -> dict[str, Any]:
    while True:
        found = states.describe_execution(executionArn=arn)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.05)


@pytest.fixture
def seen(client: Client, outputs: dict[str, str]) -> Seen:
    """What the function was given since the test began, in order."""

    logs = client("logs")
    before: list[dict[str, Any]] = []

    def events() -> list[dict[str, Any]]:
        try:
            logged = logs.filter_log_events(logGroupName=f"/aws/lambda/{outputs['Function']}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        lines = [line for entry in logged for line in entry["message"].splitlines() if line.startswith('{"seen"')]
        return [json.loads(line)["seen"] for line in lines][len(before):]

    before = events()
    return events


def results(client: Client, execution: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The manifest, and the entries of the files that it names."""
    details = json.loads(execution["output"])["seen"]["results"]["ResultWriterDetails"]
    s3 = client("s3")

    def read(key: str) -> Any:
        return json.load(s3.get_object(Bucket=details["Bucket"], Key=key)["Body"])

    manifest = read(details["Key"])
    return manifest, {status: [entry for file in files for entry in read(file["Key"])] for status, files in manifest["ResultFiles"].items()}


def test_objects_arrive_in_batches_of_ten_with_what_they_share(client: Client, run: Run, seen: Seen) -> None:
    ended = run(*(f"o{number:02}" for number in range(25)), mode="apply", **{"from": "2026-11-24"})
    assert ended["status"] == "SUCCEEDED"
    batches = [event for event in seen() if "Items" in event]
    assert sorted(len(batch["Items"]) for batch in batches) == [5, 10, 10]
    shared = {"mode": "apply", "from": "2026-11-24", "to": None}
    for batch in batches:
        assert batch["BatchInput"] == {**shared, "prefix": "emite-connect/records/failed/"}
        for item in batch["Items"]:
            assert item.keys() == {"Key", "Size", "LastModified", *shared}
            assert item.items() >= shared.items()
            assert isinstance(item["LastModified"], float)
    assert sorted(item["Key"] for batch in batches for item in batch["Items"]) == [f"{FAILED}o{number:02}" for number in range(25)]
    _, entries = results(client, ended)
    assert sum(json.loads(entry["Output"])["objects"] for entry in entries["SUCCEEDED"]) == 25


def test_results_are_in_the_bucket_as_aws_writes_them(client: Client, run: Run, outputs: dict[str, str], offer: Offer) -> None:
    ended = run(*(f"o{number:02}" for number in range(11)), "exhausted", mode="apply")
    given = json.loads(ended["output"])["seen"]
    assert (given["error"], given["execution"]) == (None, ended["executionArn"])
    # The eleven and the one that ends its process make two batches, and the latter is in the first: keys are sorted.
    manifest, entries = results(client, ended)
    map_run = given["results"]["MapRunArn"]
    assert map_run.startswith(outputs["Machine"].replace(":stateMachine:", ":mapRun:") + "/Batches:")
    folder = f"emite-connect/records/results/{map_run.rsplit(':', 1)[1]}"
    assert given["results"]["ResultWriterDetails"] == {"Bucket": outputs["Bucket"], "Key": f"{folder}/manifest.json"}
    assert (manifest["DestinationBucket"], manifest["MapRunArn"]) == (outputs["Bucket"], map_run)
    files = {status: [file["Key"] for file in named] for status, named in manifest["ResultFiles"].items()}
    assert files == {"FAILED": [f"{folder}/FAILED_0.json"], "PENDING": [], "SUCCEEDED": [f"{folder}/SUCCEEDED_0.json"]}
    (failed,), (succeeded,) = entries["FAILED"], entries["SUCCEEDED"]
    assert (failed["Status"], "Output" in failed) == ("FAILED", False)
    assert len(json.loads(failed["Input"])["Items"]) == 10
    assert failed["Error"]
    assert failed["Cause"]
    assert json.loads(succeeded["Output"])["objects"] == 2
    prefix = f"arn:aws:states:{offer.region}:{offer.accountId}:execution:"
    assert succeeded["ExecutionArn"].startswith(f"{prefix}{outputs['Machine'].rsplit(':', 1)[1]}/Batches:")


def test_a_batch_goes_on_until_nothing_remains_and_its_last_answer_is_the_sum(client: Client, run: Run, seen: Seen) -> None:
    ended = run("a", "slow-1", "slow-2", mode="apply")
    (again,) = [event for event in seen() if "keys" in event]
    assert (again["mode"], again["soFar"]["objects"]) == ("apply", 1)
    assert again["keys"] == [{"key": f"{FAILED}slow-{number}", "offset": 7} for number in (1, 2)]
    (entry,) = results(client, ended)[1]["SUCCEEDED"]
    answer = json.loads(entry["Output"])
    assert (answer["objects"], answer["records"], answer["remaining"]) == (3, 9, [])


def test_a_batch_that_stopped_does_not_go_on(client: Client, run: Run, seen: Seen) -> None:
    run("full", "slow", mode="apply")
    assert [event for event in seen() if "keys" in event] == []


def test_two_batches_run_at_a_time(client: Client, run: Run) -> None:
    ended = run(*(f"o{number:03}" for number in range(60)))
    spans = [(entry["StartDate"], entry["StopDate"]) for entry in results(client, ended)[1]["SUCCEEDED"]]
    assert len(spans) == 6
    assert max(sum(start <= other < stop for start, stop in spans) for other, _ in spans) <= 2


def test_nothing_to_do_is_a_good_end(run: Run, seen: Seen) -> None:
    ended = run()
    assert ended["status"] == "SUCCEEDED"
    assert [event["mode"] for event in seen()] == ["begin", "summarise"]
    assert seen()[1] == {"mode": "summarise", "input": {"mode": "plan", "from": None, "to": None, "prefix": "emite-connect/records/failed/"},
                         "results": [], "error": None, "execution": ended["executionArn"]}


def test_a_bad_input_ends_it_at_once_with_the_functions_words(run: Run, seen: Seen) -> None:
    ended = run("a", mode="aply")
    assert (ended["status"], ended["error"]) == ("FAILED", "BadInput")
    assert json.loads(ended["cause"])["errorMessage"] == "mode is aply: must be plan or apply"
    assert len(seen()) == 1


def test_a_function_that_ends_by_itself_is_tried_three_times(run: Run, seen: Seen) -> None:
    run("exhausted")
    assert len([event for event in seen() if "Items" in event]) == 3


def test_bad_settings_are_not_tried_again(run: Run, seen: Seen) -> None:
    run("bad")
    assert len([event for event in seen() if "Items" in event]) == 1


STOPPED = {"status": 403, "errorType": "cluster_block_exception", "remedy": "Free storage."}


def test_an_execution_ends_as_its_summary_says(run: Run) -> None:
    for mode, say, error, cause in (
        ("apply", {}, None, ""),
        ("plan", {"remainingObjects": 2}, None, ""),
        ("apply", {"remainingObjects": 2}, "Incomplete", "stay where they are"),
        ("plan", {"failedBatches": 1, "remainingObjects": 9}, "Incomplete", "stay where they are"),
        ("apply", {"stopped": STOPPED, "remainingObjects": 2}, "Stopped", "Free storage."),
    ):
        ended = run(mode=mode, say=say)
        assert (ended["status"], ended.get("error")) == ("FAILED" if error else "SUCCEEDED", error), say
        assert cause in ended.get("cause", "")


def _calls(offer: Offer, outputs: dict[str, str]) -> list[dict[str, str]]:
    """What IAM was asked for the state machine's role."""
    return [json.loads(line) for line in Path(offer.callLog).read_text(encoding="utf-8").splitlines() if outputs["Role"] in line]


@pytest.mark.parametrize(("action", "error", "summarised"), [
    ("lambda:InvokeFunction", "Lambda.AWSLambdaException", False),
    ("s3:ListBucket", "S3.S3Exception", True),
    ("states:StartExecution", "States.Permissions", True),
    ("s3:PutObject", "States.ResultWriterFailed", True),
])
def test_it_calls_with_the_rights_of_its_role(
        client: Client, run: Run, seen: Seen, outputs: dict[str, str], offer: Offer, action: str, error: str, summarised: bool) -> None:
    iam, before = client("iam"), len(_calls(offer, outputs))
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_role_policy(RoleName=outputs["Role"], PolicyName="denied", PolicyDocument=json.dumps(document))
    ended = run("a")
    iam.delete_role_policy(RoleName=outputs["Role"], PolicyName="denied")
    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert action in ended["cause"]
    assert any(event["mode"] == "summarise" and event["error"]["Error"] == error for event in seen() if "mode" in event) == summarised
    assert {line["action"] for line in _calls(offer, outputs)[before:] if line["decision"] != "Allow"} == {action}


def test_what_it_calls_is_in_the_call_log(run: Run, outputs: dict[str, str], offer: Offer) -> None:
    before = len(_calls(offer, outputs))
    run("a", mode="apply")
    mine = _calls(offer, outputs)[before:]
    assert {line["action"] for line in mine} == {"lambda:InvokeFunction", "s3:ListBucket", "s3:PutObject", "states:StartExecution"}
    assert {line["decision"] for line in mine} == {"Allow"}


@pytest.mark.parametrize(("state", "error"), [
    ({"Type": "Pass", "Parameters": {"gone.$": "$.gone"}, "End": True}, "States.ParameterPathFailure"),
    ({"Type": "Pass", "Parameters": {"here.$": "$.here[0].name"}, "End": True}, None),
    ({"Type": "Choice", "Choices": [{"Variable": "$.gone", "IsNull": True, "Next": "End"}], "Default": "End"}, "States.Runtime"),
    ({"Type": "Choice", "Choices": [{"Variable": "$.gone", "IsPresent": False, "Next": "End"}]}, None),
    ({"Type": "Map", "ItemsPath": "$.here", "Iterator": {"StartAt": "Long", "States": {
        "Long": {"Type": "Pass", "Result": "x" * 262_144, "End": True}}}, "End": True}, "States.DataLimitExceeded"),
])
def test_what_aws_does_not_forgive_ends_an_execution(client: Client, state: dict[str, Any], error: str | None) -> None:
    iam, states = client("iam"), client("stepfunctions")
    role = iam.create_role(RoleName="small", AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST))["Role"]["Arn"]
    definition = {"StartAt": "First", "States": {"First": state, "End": {"Type": "Succeed"}}}
    arn = states.create_state_machine(name=f"small-{next(COUNTER)}", definition=json.dumps(definition), roleArn=role)["stateMachineArn"]
    started = states.start_execution(stateMachineArn=arn, input=json.dumps({"here": [{"name": "x"}]}))
    assert _end(states, started["executionArn"]).get("error") == error
    states.delete_state_machine(stateMachineArn=arn)
    iam.delete_role(RoleName="small")
