"""Owns the state machine of the redrive: that it can run as it is written, and that its parts fit the function, its role and the bucket."""

from __future__ import annotations

import json
from importlib import resources

import cfn
import checks
import pytest
from cfnlint.jsonschema import StandardValidator

FUNCTION = "<RedriveFunction.Arn>"


def definition(deployed):
    return json.loads(deployed["RedriveStateMachine"]["Properties"]["DefinitionString"])


@pytest.fixture
def states(guide):
    return definition(guide)["States"]


@pytest.fixture
def batch(states):
    return states["Batches"]["ItemProcessor"]["States"]


def every(states):
    """Each state by its name, those of batches included."""
    return states | states["Batches"]["ItemProcessor"]["States"]


def next_of(state):
    found = {state[key] for key in ("Next", "Default") if key in state}
    return found | {branch["Next"] for branch in (*state.get("Choices", []), *state.get("Catch", []))}


@pytest.mark.parametrize("case", checks.CASES)
def test_it_is_written_in_the_states_language(template, case):
    schema = resources.files("cfnlint.data.schemas.other.step_functions").joinpath("statemachine.json").read_text(encoding="utf-8")
    problems = list(StandardValidator(json.loads(schema)).iter_errors(definition(cfn.deployed(template, checks.CASES[case]))))
    # The schema knows no null in a template, which the language allows.
    assert [problem.message for problem in problems if list(problem.path) != ["States", "Begin", "ResultSelector", "error"]] == []


def test_every_state_is_reached_and_leads_somewhere(guide, states, batch):
    for start, own in ((definition(guide)["StartAt"], states), (states["Batches"]["ItemProcessor"]["StartAt"], batch)):
        reached, todo = set(), {start}
        while todo:
            name = todo.pop()
            reached.add(name)
            todo |= next_of(own[name]) - reached
        assert reached == own.keys()
        for name, state in own.items():
            assert next_of(state) or state["Type"] == "Fail" or state.get("End") is True, name


def test_it_is_a_standard_one_named_as_its_role_says(guide):
    machine = guide["RedriveStateMachine"]["Properties"]
    assert (machine["StateMachineType"], machine["StateMachineName"]) == ("STANDARD", "emite-redrive")
    assert machine["RoleArn"] == "<RedriveStateMachineRole.Arn>"
    # Batches run longer than the five minutes of an express one.
    assert definition(guide)["States"]["Batches"]["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    # No log: the history of an execution says the same, and only people who may read executions see it.
    assert not machine.keys() & {"LoggingConfiguration", "TracingConfiguration"}


def test_the_function_is_given_its_time_and_tried_again(guide, states):
    tasks = {name: state for name, state in every(states).items() if state.get("Resource", "").endswith(":lambda:invoke")}
    assert tasks.keys() == {"Begin", "Redrive", "Again", "Summarise"}
    timeout = guide["RedriveFunction"]["Properties"]["Timeout"]
    for name, task in tasks.items():
        assert timeout < task["TimeoutSeconds"] <= timeout + 60, name
        assert task["Parameters"]["FunctionName"] == FUNCTION
        never, held_back, others = task["Retry"]
        assert never == {"ErrorEquals": ["BadInput", "BadSettings", "BadSpec", "OtherStack"], "MaxAttempts": 0}
        assert "Lambda.TooManyRequestsException" in held_back["ErrorEquals"]
        assert others["ErrorEquals"] == ["States.ALL"]
        assert {held_back["JitterStrategy"], others["JitterStrategy"]} == {"FULL"}


def test_what_the_function_is_given_is_its_contract(states, batch):
    assert states["Begin"]["Parameters"]["Payload"] == {"mode": "begin", "input.$": "$$.Execution.Input"}
    assert states["Summarise"]["Parameters"]["Payload"] == {
        "mode": "summarise",
        "input.$": "$.input",
        "results.$": "$.results",
        "error.$": "$.error",
        "execution.$": "$$.Execution.Id",
    }
    assert batch["Redrive"]["Parameters"]["Payload.$"] == "$"
    assert batch["Again"]["Parameters"]["Payload"] == {
        "mode.$": "$.BatchInput.mode",
        "from.$": "$.BatchInput.from",
        "to.$": "$.BatchInput.to",
        "keys.$": "$.answer.Payload.remaining",
        "soFar.$": "$.answer.Payload",
    }
    assert states["Batches"]["ItemBatcher"]["BatchInput"].keys() == {"mode.$", "from.$", "to.$", "prefix.$"}
    assert states["Batches"]["ItemSelector"].keys() == {"Key.$", "Size.$", "LastModified.$", "mode.$", "from.$", "to.$"}


def test_batches_are_small_few_at_a_time_and_may_fail(states):
    batches = states["Batches"]
    assert (batches["MaxConcurrency"], batches["ToleratedFailurePercentage"]) == (2, 100)
    assert batches["ItemBatcher"]["MaxItemsPerBatch"] == 10
    # A batch, its answer so far and its input stay together below the 256 KiB of a state.
    assert batches["ItemBatcher"]["MaxInputBytesPerBatch"] <= 128 * 1024


def test_it_adds_up_and_publishes_whatever_happened(states):
    for name in ("Look", "Batches"):
        assert states[name]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Summarise"}]
    assert states["Batches"]["Next"] == states["Anything"]["Default"] == "Summarise"
    # What Summarise asks for is there on every way to it.
    assert states["Begin"]["ResultSelector"] == {"input.$": "$.Payload", "results": [], "error": None}
    ways = {name for name, state in states.items() if "Summarise" in next_of(state)}
    assert ways == {"Look", "Anything", "Batches"}


def test_whoever_looks_at_an_execution_sees_whether_something_is_left(states):
    outcome = [(choice.get("Variable", "apply"), choice["Next"]) for choice in states["Outcome"]["Choices"]]
    assert outcome == [
        ("$.error", "Failed"),
        ("$.summary.Payload.stopped", "Stopped"),
        ("$.summary.Payload.failedBatches", "Incomplete"),
        ("apply", "Incomplete"),
    ]
    assert {states[name]["Type"] for name in ("Failed", "Stopped", "Incomplete")} == {"Fail"}
    assert states["Outcome"]["Default"] == "Done"


@pytest.mark.parametrize("case", checks.CASES)
def test_it_reads_and_writes_where_its_role_may(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    states = definition(deployed)["States"]
    bucket = states["Batches"]["ItemReader"]["Parameters"]["Bucket"]
    if "DeliveryStream" in deployed:
        stream = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]["BucketARN"]
        assert stream in (f"arn:aws:s3:::{bucket}", bucket.replace(">", ".Arn>"))
    else:
        assert bucket == checks.CASES[case]["BackupBucketName"]
    assert states["Look"]["Parameters"] == {"Bucket": bucket, "Prefix.$": "$.input.prefix", "MaxKeys": 1}
    assert states["Batches"]["ItemReader"]["Parameters"] == {"Bucket": bucket, "Prefix.$": "$.input.prefix"}
    results = states["Batches"]["ResultWriter"]["Parameters"]
    assert results["Prefix"] == f"emite-connect/{checks.CASES[case].get('ExistingDeliveryStreamName', 'emite-ctrfirehose')}/results"
    (policy,) = deployed["RedriveStateMachineRole"]["Properties"]["Policies"]
    statements = {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    assert statements["WriteResults"]["Resource"] == f"arn:aws:s3:::{results['Bucket']}/{results['Prefix']}/*"
    assert statements["ListRefusedRecords"]["Resource"] == f"arn:aws:s3:::{bucket}"
    assert f"/{states['Batches']['Label']}:" in statements["FollowBatches"]["Resource"][1]


# ---- The samples -----------------------------------------------------------------------------------------------------------


def sample(name):
    return json.loads((cfn.TEMPLATE.parent / "events" / f"redrive-{name}.json").read_text(encoding="utf-8"))


def names(template):
    return {name.removesuffix(".$") for name in template}


def test_the_samples_are_what_the_function_is_given(states, batch):
    assert sample("begin") == {"mode": "begin", "input": sample("execution")}
    given = sample("batch")
    assert given.keys() == {"Items", "BatchInput"}
    assert given["BatchInput"].keys() == names(states["Batches"]["ItemBatcher"]["BatchInput"])
    for item in (*given["Items"], sample("object")):
        assert item.keys() == names(states["Batches"]["ItemSelector"])
    assert sample("again").keys() == names(batch["Again"]["Parameters"]["Payload"])
    assert sample("again")["soFar"]["remaining"] == sample("again")["keys"]
    assert sample("summarise").keys() == names(states["Summarise"]["Parameters"]["Payload"])
    assert sample("summarise")["input"] == given["BatchInput"]
    results = states["Batches"]["ResultWriter"]["Parameters"]["Prefix"]
    assert sample("summarise")["results"]["ResultWriterDetails"]["Key"].startswith(f"{results}/")
