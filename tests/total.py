"""Owns `make test`: runs each suite to its end whatever the others did, and prints one total."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
_PYTEST = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|warnings?)\b.* in [\d.]+s")
# In two processes. The tests of a file stay together: they share a local AWS, or what is slow to read.
_RUN_PYTEST = ["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "--numprocesses", "2", "--dist", "loadfile"]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_E2E = ["cargo", "test", "--locked", "--workspace", "--test", "e2e"]
# Each part has its own local AWS, which keeps one core busy; the tests mostly wait for it, or for time to pass.
_THREADS = 3
# One in this many of the other tests runs in the redrive's part.
_SHARE = 3


@dataclass
class Suite:
    name: str
    command: list[str]
    takes: str
    passed: int = 0
    failed: int = 0
    _report: list[str] = field(default_factory=list)

    def run(self) -> None:
        print(f"\n--- {self.name} (usually {self.takes})", flush=True)
        begun = time.monotonic()
        process = subprocess.Popen(self.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", env=_environment())
        assert process.stdout is not None
        for line in process.stdout:
            # Failure details are printed in one piece, as another suite may be running at the same time.
            self._report.append(line)
            if not self._report[0].startswith("failures:") or line.startswith("test result:"):
                print("".join(self._report), end="", flush=True)
                self._report.clear()
            self._count(_ANSI.sub("", line.strip()))
        if process.wait() != 0 and not self.failed:
            # It did not get as far as a test: that is a failure too.
            self.failed = 1
        print(f"{''.join(self._report)}--- {self.name}: {self.passed} passed, {self.failed} failed in {time.monotonic() - begun:.0f} s", flush=True)

    def _count(self, line: str) -> None:
        if found := _CARGO.match(line):
            self.passed += int(found[1])
            self.failed += int(found[2])
        elif _PYTEST.match(line):
            for number, word in re.findall(r"(\d+) (passed|failed|errors?)\b", line):
                if word == "passed":
                    self.passed += int(number)
                else:
                    self.failed += int(number)


def _environment() -> dict[str, str]:
    """Without the user's AWS settings: tests bring their own local AWS, and order faults of their own stand-in."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _without_engines(local: str) -> str | None:
    """Gets the real search engines ready, which is long the first time; or why some tests will not run here."""
    process = subprocess.run([local, "-m", "engines", "prepare"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT / "tests")})
    # 3: they cannot run here. Whatever else is wrong (no network, say) shows in the suites as failures.
    return process.stdout.strip() if process.returncode == 3 else None


def _end_to_end() -> list[Suite]:
    """The end-to-end tests in parts that run beside each other. Real search engines run in one of them only."""
    listed = subprocess.run([*_E2E, "--", "--list", "--format", "terse"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False,
                            env=_environment())
    names = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
    if not names:
        # It fails in the same way, and counts as a failure.
        return [Suite("Rust: end-to-end tests", _E2E, "8 to 10 minutes")]
    redrive = [name for name in names if name.startswith("redrive::")]
    others = [name for name in names if name not in redrive]
    parts = [[*redrive, *others[::_SHARE]], [name for at, name in enumerate(others) if at % _SHARE]]
    options = ["--exact", "--test-threads", str(_THREADS)]
    return [Suite(f"Rust: end-to-end tests, part {number} of {len(parts)}", [*_E2E, "--", *options, *part], "8 to 10 minutes")
            for number, part in enumerate(parts, 1)]


def _beside_each_other(suites: list[Suite]) -> None:
    with ThreadPoolExecutor(len(suites)) as pool:
        list(pool.map(Suite.run, suites))


def main() -> int:
    local, lint = os.environ["EMITE_PYTHON"], os.environ["LINT_PYTHON"]
    missing = _without_engines(local)
    end_to_end = _end_to_end()
    others = [
        Suite("Rust: unit and property tests", ["cargo", "test", "--locked", "--workspace", "--no-fail-fast", "--lib", "--bins"],
              "2 minutes"),
        Suite("the local AWS against botocore's model and real search engines", [local, *_RUN_PYTEST, "tests/standin"], "3 to 4 minutes"),
        Suite("template", [lint, *_RUN_PYTEST, "tests/template"], "1 to 2 minutes"),
    ]
    for suite in others:
        suite.run()
    _beside_each_other(end_to_end)
    suites = [*others, *end_to_end]
    passed, failed = sum(suite.passed for suite in suites), sum(suite.failed for suite in suites)
    print(f"\n{passed} passed, {failed} failed", flush=True)
    if missing:
        print(f"!!! NOTHING was redriven into a real search engine, since {missing}. Those tests did NOT run.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
