"""`make deploy`: the SAM CLI with this project's samconfig.toml guides through the parameters, keeps the answers, and begins with them the
next time. A small template stands for the project's, already built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localaws import places
from localaws.launcher import LocalAws

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
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


@pytest.fixture
def guided(sam: str, local: LocalAws, tmp_path: Path) -> Callable[..., str]:
    shutil.copy(places.ROOT / "samconfig.toml", tmp_path)
    built = tmp_path / ".aws-sam" / "build" / "template.yaml"
    built.parent.mkdir(parents=True)
    built.write_text(TEMPLATE, encoding="utf-8")
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **local.offer.environment(),
                   "SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path)}

    def run(*answers: str) -> str:
        done = subprocess.run([sam, "-m", "samcli", "deploy", "--guided"], cwd=tmp_path, env=environment, text=True, timeout=120,
                              input="\n".join([*BEFORE, *answers, *AFTER, ""]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_answers_are_kept_and_offered_the_next_time(guided: Callable[..., str], client: Callable[..., Any], tmp_path: Path) -> None:
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
