"""Deployments by the real deployer, of a small template: what is kept, what is refused and why, and `up` and `down`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localaws import deployer, places, updown
from localaws.clients import Clients
from localaws.errors import LocalError
from localaws.launcher import LocalAws
from localaws.template import Template, parse_parameters

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  ConnectInstanceArn: { Type: String }
  Answer: { Type: String, Default: SUCCESS }
  StreamName: { Type: String, Default: small, AllowedPattern: "[a-z]+" }
  Ranges: { Type: CommaDelimitedList, Default: "a,b" }
Rules:
  NotThatName:
    Assertions:
      - Assert: !Not [!Equals [!Ref StreamName, forbidden]]
        AssertDescription: Choose another name.
Resources:
  Function:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda }
    Properties: { CodeUri: ../functions/small, Handler: bootstrap, Runtime: provided.al2023 }
  Stream:
    Type: AWS::Kinesis::Stream
    Properties: { Name: !Ref StreamName, ShardCount: 1 }
  Thing:
    Type: Custom::Thing
    DependsOn: Stream
    Properties: { ServiceToken: !GetAtt Function.Arn, ServiceTimeout: 20, Answer: !Ref Answer, Ranges: !Ref Ranges }
Outputs:
  StreamArn: { Value: !GetAtt Stream.Arn }
"""


@pytest.fixture(autouse=True)
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of one function and this template, with places of its own."""
    binary = tmp_path / "debug" / "small"
    binary.parent.mkdir()
    binary.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("bootstrap.py").read_text(encoding="utf-8"), encoding="utf-8")
    binary.chmod(0o755)
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE, encoding="utf-8")
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path))
    monkeypatch.setenv("EMITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AWS_ENDPOINT_URL_CONNECT", raising=False)
    monkeypatch.setattr(places, "TEMPLATE", template)
    for name, file in (("LOCAL_STATE", "local.json"), ("LOCAL_ENV", "local.env"), ("LOCAL_LOG", "local.log")):
        monkeypatch.setattr(places, name, tmp_path / file)


@pytest.fixture
def deploy(local: LocalAws) -> Callable[..., deployer.Result]:
    return lambda name, **given: deployer.deploy(Clients.of(local.offer), Template.read(), name, given, lambda event: None)


@pytest.fixture
def delete(local: LocalAws) -> Callable[[str], deployer.Result]:
    return lambda name: deployer.delete(Clients.of(local.offer), name, lambda event: None)


def parameters_of(local: LocalAws, name: str) -> dict[str, str]:
    stack = Clients.of(local.offer).cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}


def test_an_update_keeps_what_is_not_given(
        local: LocalAws, deploy: Callable[..., deployer.Result], delete: Callable[[str], deployer.Result]) -> None:
    made = deploy("kept", Ranges="c,d", StreamName="kept")
    assert (made.status, made.outputs["StreamArn"].rsplit("/", 1)[1]) == ("CREATE_COMPLETE", "kept")
    assert made.resources["Thing"] == {"type": "Custom::Thing", "physicalId": "thing-1", "status": "CREATE_COMPLETE"}
    assert parameters_of(local, "kept")["ConnectInstanceArn"] == local.offer.instanceArn
    assert deploy("kept", Ranges="e").status == "UPDATE_COMPLETE"
    assert (parameters_of(local, "kept")["StreamName"], parameters_of(local, "kept")["Ranges"]) == ("kept", "e")
    assert deploy("kept").succeeded, "nothing to change is success"
    assert delete("kept").succeeded
    assert delete("kept").succeeded, "already gone is success"


def test_a_failed_creation_says_why_and_can_be_repeated(deploy: Callable[..., deployer.Result], delete: Callable[[str], deployer.Result]) -> None:
    failed = deploy("failed", Answer="FAILED", StreamName="failed")
    assert (failed.status, failed.reasons, failed.succeeded) == ("ROLLBACK_COMPLETE", ["Thing: as told"], False)
    assert deploy("failed", StreamName="failed").status == "CREATE_COMPLETE"
    assert delete("failed").succeeded


@pytest.mark.parametrize(("given", "reason"), [
    ({"StreamName": "forbidden"}, "Choose another name."),
    ({"StreamName": "UPPER"}, "StreamName"),
])
def test_what_cloudformation_refuses_leaves_no_stack(
        deploy: Callable[..., deployer.Result], local: LocalAws, given: dict[str, str], reason: str) -> None:
    refused = deploy("refused", **given)
    assert (refused.status, refused.succeeded) == ("REFUSED", False)
    assert reason in refused.reasons[0]
    stacks = Clients.of(local.offer).cloudformation.list_stacks()["StackSummaries"]
    assert not [stack for stack in stacks if stack["StackName"] == "refused" and stack["StackStatus"] != "DELETE_COMPLETE"]


def test_a_binary_that_is_not_built_is_said_so(deploy: Callable[..., deployer.Result], tmp_path: Path) -> None:
    (tmp_path / "debug" / "small").unlink()
    with pytest.raises(LocalError, match="make build"):
        deploy("unbuilt")


@pytest.mark.parametrize(("pairs", "given"), [
    (["A=1", "B=two words", "C=x,y", "D=a=b", "E="], {"A": "1", "B": "two words", "C": "x,y", "D": "a=b", "E": ""}),
    ([], {}),
])
def test_parameters_may_hold_anything(pairs: list[str], given: dict[str, str]) -> None:
    assert parse_parameters(pairs) == given


def test_up_stays_and_down_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PARAMS", "Ranges='a b,c' StreamName=up")
    assert updown.up() == 0
    running = json.loads(places.LOCAL_STATE.read_text(encoding="utf-8"))
    exported = dict(line.removeprefix("export ").split("=", 1) for line in places.LOCAL_ENV.read_text(encoding="utf-8").splitlines())
    assert exported["AWS_ENDPOINT_URL"] == running["offer"]["endpoint"]
    assert exported["AWS_ENDPOINT_URL_CONNECT"] == running["offer"]["connectEndpoint"]
    assert exported["CONNECT_INSTANCE_ARN"] == running["offer"]["instanceArn"]
    assert exported["STACK_NAME"] == "emite-connect"
    monkeypatch.setenv("PARAMS", "Ranges=d")
    assert updown.up() == 0
    assert "up already" in capsys.readouterr().out
    monkeypatch.setenv("PARAMS", "Answer=FAILED StreamName=again")
    assert updown.up() == 0, "an update does not create the thing again"
    assert updown.down() == 0
    assert not places.LOCAL_ENV.exists()
    assert updown.down() == 0
    assert "No local AWS is up" in capsys.readouterr().out


@pytest.mark.parametrize(("parameters", "message"), [
    ("Answer=FAILED", "Thing: as told"),
    ("StreamName=forbidden", "Choose another name."),
])
def test_a_failed_up_says_why_and_leaves_nothing(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parameters: str, message: str) -> None:
    monkeypatch.setenv("PARAMS", parameters)
    assert updown.up() == 1
    assert message in capsys.readouterr().out
    assert not places.LOCAL_STATE.exists()
    assert not places.LOCAL_ENV.exists()


@pytest.mark.parametrize("parameters", ["Range=x", "Ranges='x", "Ranges"])
def test_bad_params_are_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch, parameters: str) -> None:
    monkeypatch.setenv("PARAMS", parameters)
    with pytest.raises(LocalError):
        updown.up()
    assert not places.LOCAL_LOG.exists()
