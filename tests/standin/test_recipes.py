"""The recipes of the Makefile that build and publish: the first command that fails ends them. GNU make 3.81, which macOS ships, runs a recipe with
`bash -c` whatever .SHELLFLAGS says, and so do these tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from localaws import places

# Stands for each program: writes its arguments down, and fails where it is told to.
STUB = """#!/bin/sh
said="$(basename "$0") $*"
echo "$said" >> "$CALLS"
case "$said" in *"$FAILS"*) exit 7;; esac
"""
# Stands for tests/venv.py: an environment's Python is a stub under the environment's name.
VENV = """
import os, pathlib, sys
bin = pathlib.Path(os.environ["STUBS"])
if sys.argv[1] == "--cache":
    print(bin)
elif sys.argv[1] == os.environ.get("MISSING"):
    sys.exit("this environment cannot be made")
else:
    print(bin / sys.argv[1])
"""
STEPS = {
    "deploy": ["cargo fetch --locked", "sam -m samcli build", "local -m package questions", "sam -m samcli deploy --guided"],
    "package": ["local -m package bundle"],
    "bench": ["cargo build --locked --release", "local -m bench"],
}


@dataclass
class Clone:
    directory: Path
    stubs: Path

    def make(self, target: str, fails: str = "nothing", missing: str = "") -> tuple[int, list[str]]:
        """The exit status of the recipe, and the calls that it made."""
        calls = self.directory / "calls"
        calls.write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        environment |= {"PATH": f"{self.stubs}{os.pathsep}{os.environ['PATH']}", "STUBS": str(self.stubs), "CALLS": str(calls), "FAILS": fails,
                        "MISSING": missing}
        done = subprocess.run(["make", ".SHELLFLAGS=-c", f"PYTHON={sys.executable}", target], cwd=self.directory, env=environment, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, calls.read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    stubs, tests = tmp_path / "stubs", tmp_path / "tests"
    stubs.mkdir()
    tests.mkdir()
    shutil.copy(places.ROOT / "Makefile", tmp_path)
    (tests / "venv.py").write_text(VENV)
    for name in ("cargo", "sam", "local", "bench"):
        (stubs / name).write_text(STUB)
        (stubs / name).chmod(0o755)
    return Clone(tmp_path, stubs)


def begun(calls: list[str], steps: list[str]) -> list[str]:
    return [step for step in steps if any(step in call for call in calls)]


@pytest.mark.parametrize("target", STEPS)
def test_a_recipe_runs_its_commands_in_order(clone: Clone, target: str) -> None:
    status, calls = clone.make(target)
    assert status == 0
    assert [step for call in calls for step in STEPS[target] if step in call] == STEPS[target]


@pytest.mark.parametrize(("target", "step"), [(target, step) for target, steps in STEPS.items() for step in steps])
def test_a_command_that_fails_ends_its_recipe(clone: Clone, target: str, step: str) -> None:
    status, calls = clone.make(target, fails=step)
    assert status != 0
    steps = STEPS[target]
    assert begun(calls, steps) == steps[: steps.index(step) + 1]


@pytest.mark.parametrize(
    ("target", "environment"), [("deploy", "local"), ("deploy", "sam"), ("package", "sam"), ("bench", "bench"), ("bench", "local")])
def test_an_environment_that_cannot_be_made_ends_the_recipe_before_anything_is_built(clone: Clone, target: str, environment: str) -> None:
    status, calls = clone.make(target, missing=environment)
    assert status != 0
    assert [call for call in calls if not call.startswith("cargo build")] == []


def test_a_deployment_that_fails_is_explained_and_one_that_works_is_not(clone: Clone) -> None:
    explained = "local -m package failures"
    assert explained not in clone.make("deploy")[1]
    for fails in ("samcli build", "package questions"):
        assert explained not in clone.make("deploy", fails=fails)[1]
    status, calls = clone.make("deploy", fails="samcli deploy")
    assert (status != 0, calls[-1]) == (True, explained)
