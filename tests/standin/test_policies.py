"""The policies of docs/policies in a local AWS that enforces IAM: a user with exactly the deployer's deploys, updates and deletes the
stack; a user with exactly the operator's runs what the documents tell an operator to run, and is denied the rest.

What this does NOT show: whether the deployer's policy is enough for the resources. The local CloudFormation makes them itself and asks IAM
about none of its calls; AWS makes them with the rights of whoever deploys. That half is a table over AWS's own lists of what its handlers call
(tests/template/test_policies.py). It does not ask for the right to use the transform either."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from people import STACK, Person, PersonWith, statements

from localaws import deployer, package, places
from localaws.clients import Clients
from localaws.launcher import LocalAws
from localaws.template import Template

DEPLOYER = ("deployer-1", "deployer-2")
TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%FT%TZ}"


def deploy(clients: Clients, **given: str) -> deployer.Result:
    return deployer.deploy(clients, Template.read(), STACK, given, lambda event: None)


def delete(clients: Clients) -> deployer.Result:
    return deployer.delete(clients, STACK, lambda event: None)


@pytest.fixture(scope="module", autouse=True)
def bucket_for_packages(local: LocalAws) -> None:
    package.upload(Template.read(), Clients.of(local.offer))


@pytest.fixture(scope="module")
def stack(local: LocalAws, person_with: PersonWith) -> Iterator[deployer.Result]:
    """Deployed, updated and deleted by a person with the deployer's policies and nothing else."""
    clients = person_with(statements(local, *DEPLOYER))
    made = deploy(clients)
    assert (made.status, made.reasons) == ("CREATE_COMPLETE", [])
    updated = deploy(clients, AgentEventShards="2")
    assert (updated.status, updated.reasons) == ("UPDATE_COMPLETE", [])
    yield updated
    gone = delete(clients)
    assert (gone.status, gone.reasons) == ("DELETE_COMPLETE", [])


@pytest.fixture(scope="module")
def operator(local: LocalAws, person_with: PersonWith) -> Person:
    return person_with(statements(local, "operator"))


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    try:
        call(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"].removesuffix("Exception")
        # As SNS calls it.
        return "AccessDenied" if code == "AuthorizationError" else code
    return "allowed"


# ---- Who deploys -----------------------------------------------------------------------------------------------------------


def test_with_the_deployers_policies_the_stack_is_made_and_changed(stack: deployer.Result) -> None:
    assert stack.outputs["EmiteRoleArn"].endswith(":role/emite-role")


@pytest.mark.parametrize("missing", ["ChangeStack", "Package"])
def test_without_one_of_the_statements_that_are_asked_for_here_nothing_is_deployed(
        local: LocalAws, person_with: PersonWith, missing: str) -> None:
    rest = [statement for statement in statements(local, *DEPLOYER) if statement["Sid"] != missing]
    clients = person_with(rest)
    try:
        refused = deploy(clients)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
    else:
        assert refused.status == "REFUSED"


def test_a_deployer_reads_no_record_and_touches_no_other_stack(local: LocalAws, person_with: PersonWith, stack: deployer.Result) -> None:
    clients = person_with(statements(local, *DEPLOYER))
    bucket = stack.outputs["BackupBucket"]
    key = "emite-connect/emite-ctrfirehose/failed/one"
    Clients.of(local.offer).s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert code_of(clients.s3.get_object, Bucket=bucket, Key=key) == "AccessDenied"
    assert code_of(clients.dynamodb.scan, TableName=stack.outputs["LedgerTable"]) == "AccessDenied"
    assert code_of(clients.cloudformation.delete_stack, StackName="payroll") == "AccessDenied"
    assert code_of(clients.iam.create_user, UserName="mallory") == "AccessDenied"
    assert code_of(clients.iam.put_role_policy, RoleName="admin", PolicyName="x", PolicyDocument="{}") == "AccessDenied"
    Clients.of(local.offer).s3.delete_object(Bucket=bucket, Key=key)


# ---- Who operates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "payload"), [
    ("HealthCheckFunctionName", {}),
    ("RepairFunctionName", {"mode": "plan"}),
    ("RepairFunctionName", {"mode": "apply", "checks": ["data-streaming"], "requestedBy": "Ada"}),
    ("ReporterFunctionName", {"test": True}),
    ("ReporterFunctionName", {"silence": {"check": "iterator-age", "until": TOMORROW, "reason": "being worked on"}}),
])
def test_an_operator_checks_repairs_and_tells(operator: Person, stack: deployer.Result, function: str, payload: dict[str, Any]) -> None:
    answer = operator.lambda_.invoke(FunctionName=stack.outputs[function], Payload=json.dumps(payload))
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_an_operator_starts_a_redrive_and_follows_it(operator: Person, stack: deployer.Result) -> None:
    machine = stack.outputs["RedriveStateMachineArn"]
    started = operator.stepfunctions.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    assert operator.stepfunctions.describe_execution(executionArn=started)["stateMachineArn"] == machine
    assert started in [found["executionArn"] for found in operator.stepfunctions.list_executions(stateMachineArn=machine)["executions"]]


def test_an_operator_reads_the_handover_document(operator: Person, stack: deployer.Result) -> None:
    bucket, _, key = stack.outputs["HandoverDocument"].removeprefix("s3://").partition("/")
    assert stack.outputs["EmiteRoleArn"] in operator.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def test_an_operator_looks_at_what_the_mails_commands_look_at(local: LocalAws, operator: Person, stack: deployer.Result) -> None:
    instance, outputs = local.offer.instanceId, stack.outputs
    looks = [
        (operator.connect.describe_instance, {"InstanceId": instance}),
        (operator.connect.list_approved_origins, {"InstanceId": instance}),
        (operator.connect.list_instance_storage_configs, {"InstanceId": instance, "ResourceType": "AGENT_EVENTS"}),
        (operator.kinesis.describe_stream_summary, {"StreamName": "connect-agentevents"}),
        (operator.firehose.describe_delivery_stream, {"DeliveryStreamName": "emite-ctrfirehose"}),
        (operator.opensearch.describe_domain, {"DomainName": "emite-kinesis-connect"}),
        (operator.opensearch.describe_domain_config, {"DomainName": "emite-kinesis-connect"}),
        (operator.iam.get_role, {"RoleName": "emite-role"}),
        (operator.iam.list_role_policies, {"RoleName": "emite-role"}),
        (operator.s3.list_objects_v2, {"Bucket": outputs["BackupBucket"], "Prefix": "emite-connect/emite-ctrfirehose/failed/"}),
        (operator.sns.list_subscriptions_by_topic, {"TopicArn": outputs["AlertTopicArn"]}),
        (operator.lambda_.get_function_configuration, {"FunctionName": outputs["HealthCheckFunctionName"]}),
        (operator.logs.filter_log_events, {"logGroupName": f"/emite-connect/{STACK}/health-check"}),
        (operator.cloudwatch.describe_alarms, {}),
    ]
    assert {call.__name__: code_of(call, **arguments) for call, arguments in looks} == {call.__name__: "allowed" for call, _ in looks}


# Commands of the runbook that change something by hand, or are about what is not here: a server, a stream of one's own. The CLI that is locked
# with these tests is version 1, which has no `logs tail`.
NOT_AN_OPERATORS = re.compile(
    r"set_parameter|aws (ec2|kinesis (create|stop|update)|sns subscribe|sqs purge|logs tail)|SERVER=|YOUR_STREAM|EXECUTION_ARN")


def test_an_operator_runs_each_command_of_the_runbook(local: LocalAws, operator: Person, stack: deployer.Result) -> None:
    text = (places.ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    before, *blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines() if line and not line.startswith("#")]
    run = [line for line in lines if not NOT_AN_OPERATORS.search(line)]
    assert len(run) > 35
    quiet = [f"{line} >/dev/null" if line.startswith("aws ") else line for line in run]
    script = "\n".join([before, "trap 'echo \"$BASH_COMMAND\" >&2' ERR", *quiet])
    # What version 1 of the CLI does not know, and where it looks for SQS.
    here = script.replace(" --cli-binary-format raw-in-base64-out", "").replace("aws sqs ", f"aws --endpoint-url {local.offer.endpoint} sqs ")
    ran = subprocess.run(["bash", "-c", here], env=operator.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    # An empty folder is a failure to `s3 ls`.
    assert [line for line in ran.stderr.splitlines() if line and not line.startswith("aws s3 ls ")] == []


def test_an_operator_is_denied_everything_else(local: LocalAws, operator: Person, stack: deployer.Result) -> None:
    bucket, root = stack.outputs["BackupBucket"], Clients.of(local.offer)
    key = "emite-connect/emite-ctrfirehose/quarantine/one"
    root.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    calls = [
        (operator.lambda_.invoke, {"FunctionName": stack.resources["CustomResourceFunction"]["physicalId"], "Payload": "{}"}),
        (operator.lambda_.invoke, {"FunctionName": stack.outputs["RedriveFunctionName"], "Payload": "{}"}),
        (operator.lambda_.delete_function, {"FunctionName": stack.outputs["RepairFunctionName"]}),
        (operator.s3.get_object, {"Bucket": bucket, "Key": key}),
        (operator.s3.delete_object, {"Bucket": bucket, "Key": key}),
        (operator.s3.list_objects_v2, {"Bucket": bucket}),
        (operator.dynamodb.scan, {"TableName": stack.outputs["LedgerTable"]}),
        (operator.cloudformation.delete_stack, {"StackName": STACK}),
        (operator.iam.put_role_policy, {"RoleName": "emite-role", "PolicyName": "x", "PolicyDocument": "{}"}),
        (operator.kinesis.delete_stream, {"StreamName": "connect-agentevents"}),
        (operator.firehose.delete_delivery_stream, {"DeliveryStreamName": "emite-ctrfirehose"}),
        (operator.opensearch.delete_domain, {"DomainName": "emite-kinesis-connect"}),
        (operator.connect.disassociate_approved_origin, {"InstanceId": local.offer.instanceId, "Origin": "https://emite.example.com"}),
        (operator.stepfunctions.delete_state_machine, {"stateMachineArn": stack.outputs["RedriveStateMachineArn"]}),
        (operator.sns.publish, {"TopicArn": stack.outputs["AlertTopicArn"], "Message": "x"}),
    ]
    assert [(call.__name__, code_of(call, **arguments)) for call, arguments in calls] == [(call.__name__, "AccessDenied") for call, _ in calls]
    root.s3.delete_object(Bucket=bucket, Key=key)
