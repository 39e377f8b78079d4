"""The recipes of the Makefile that build and publish: the first command that fails ends them. GNU make 3.81, which macOS ships, runs a recipe with
`bash -c` whatever .SHELLFLAGS says, and so do these tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from localaws import places

# Stands for each program: writes its arguments down, and fails where it is told to.
STUB = """#!/bin/sh
said="$(basename "$0") $*"
echo "$said" >> "$CALLS"
case "$said" in
    *"$FAILS"*) exit 7;;
    # Takes an interruption as the SAM CLI does.
    *"$HANGS"*) trap 'exit 1' INT; while :; do sleep 0.1; done;;
esac
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
# Stands for tests/target.py.
TARGET = """
import os
with open(os.environ["CALLS"], "a") as calls:
    calls.write("target.py\\n")
raise SystemExit(7 if os.environ["FAILS"] == "target.py" else 0)
"""
STEPS = {
    "deploy": ["target.py", "local -m package deployable", "local -m package questions", "sam -m samcli deploy --guided"],
    "package": ["target.py", "local -m package bundle"],
    "bench": ["target.py", "local -m package build", "local -m bench"],
    "e2e": ["target.py", "cargo build --locked --workspace --bins --test e2e", "cargo test --locked --workspace --test e2e"],
    "unit": ["target.py", "cargo test --locked --workspace --lib --bins"],
}


@dataclass
class Clone:
    directory: Path
    stubs: Path

    @property
    def calls(self) -> Path:
        return self.directory / "calls"

    def start(self, target: str, *variables: str, fails: str = "nothing", hangs: str = "nothing", missing: str = "") -> subprocess.Popen[str]:
        """In a process group of its own, which an interruption of the terminal reaches as a whole."""
        self.calls.write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        environment |= {"PATH": f"{self.stubs}{os.pathsep}{os.environ['PATH']}", "STUBS": str(self.stubs), "CALLS": str(self.calls), "FAILS": fails,
                        "HANGS": hangs, "MISSING": missing}
        return subprocess.Popen(
            ["make", ".SHELLFLAGS=-c", f"PYTHON={sys.executable}", target, *variables], cwd=self.directory, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            # Whoever runs these tests in the background ignores interruptions.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))

    def make(self, target: str, *variables: str, **stubbed: str) -> tuple[int, list[str]]:
        """The exit status of the recipe, and the calls that it made."""
        process = self.start(target, *variables, **stubbed)
        process.communicate(timeout=60)
        return process.returncode, self.calls.read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    stubs, tests = tmp_path / "stubs", tmp_path / "tests"
    stubs.mkdir()
    tests.mkdir()
    shutil.copy(places.ROOT / "Makefile", tmp_path)
    (tests / "venv.py").write_text(VENV)
    (tests / "target.py").write_text(TARGET)
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
    ("target", "environment"),
    [("deploy", "local"), ("deploy", "sam"), ("package", "local"), ("package", "sam"), ("bench", "bench"), ("bench", "local")])
def test_an_environment_that_cannot_be_made_ends_the_recipe_before_anything_is_built(clone: Clone, target: str, environment: str) -> None:
    status, calls = clone.make(target, missing=environment)
    assert status != 0
    assert calls == ["target.py"]


def test_a_deployment_that_fails_is_explained_and_one_that_works_is_not(clone: Clone) -> None:
    def explained(calls: list[str]) -> list[str]:
        return [call for call in calls if call.startswith("local -m package failures")]

    before = int(time.time())
    assert explained(clone.make("deploy")[1]) == []
    for fails in ("package deployable", "package questions"):
        assert explained(clone.make("deploy", fails=fails)[1]) == []
    status, calls = clone.make("deploy", fails="samcli deploy")
    [call] = explained(calls)
    assert (status, calls[-1]) == (2, call)
    assert before <= int(call.removeprefix("local -m package failures --since ")) <= time.time()


def test_an_interrupted_deployment_ends_without_an_explanation(clone: Clone) -> None:
    process = clone.start("deploy", hangs="samcli deploy")
    deadline = time.monotonic() + 60
    while "samcli deploy" not in clone.calls.read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert clone.calls.read_text().splitlines()[-1] == "sam -m samcli deploy --guided"


def test_the_answers_in_samconfig_can_be_deployed_without_questions(clone: Clone) -> None:
    _, calls = clone.make("deploy", "DEPLOY_OPTIONS=")
    assert [call.strip() for call in calls if "samcli deploy" in call] == ["sam -m samcli deploy"]


def test_each_recipe_of_several_commands_begins_by_setting_its_flags() -> None:
    text = (places.ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    recipes = [line.strip() for line in text.splitlines() if line.startswith("\t")]
    several = [line for line in recipes if ";" in line]
    assert len(several) >= 4
    assert [line for line in several if not line.startswith("@$(strict) ")] == []
