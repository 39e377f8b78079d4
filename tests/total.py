"""Owns `make test`: runs each suite to its end whatever the others did, and prints one total."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
_PYTEST = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|warnings?)\b.* in [\d.]+s")
# In two processes. The tests of a file stay together: they share a local AWS, or what is slow to read.
_RUN_PYTEST = ["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "--numprocesses", "2", "--dist", "loadfile"]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Suite:
    name: str
    command: list[str]
    takes: str
    passed: int = 0
    failed: int = 0

    def run(self) -> None:
        print(f"\n--- {self.name} (usually {self.takes})", flush=True)
        begun = time.monotonic()
        # Without the user's AWS settings: tests bring their own local AWS, and order faults of their own stand-in.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        process = subprocess.Popen(self.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", env=environment)
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            self._count(_ANSI.sub("", line.strip()))
        if process.wait() != 0 and not self.failed:
            # It did not get as far as a test: that is a failure too.
            self.failed = 1
        print(f"--- {self.name}: {self.passed} passed, {self.failed} failed in {time.monotonic() - begun:.0f} s", flush=True)

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


def _without_engines(local: str) -> str | None:
    """Gets the real search engines ready, which is long the first time; or why some tests will not run here."""
    process = subprocess.run([local, "-m", "engines", "prepare"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT / "tests")})
    # 3: they cannot run here. Whatever else is wrong (no network, say) shows in the suites as failures.
    return process.stdout.strip() if process.returncode == 3 else None


def main() -> int:
    local, lint = os.environ["EMITE_PYTHON"], os.environ["LINT_PYTHON"]
    missing = _without_engines(local)
    suites = [
        Suite("Rust: unit, property, boundary and end-to-end tests", ["cargo", "test", "--locked", "--workspace", "--no-fail-fast"],
              "15 to 20 minutes"),
        Suite("the local AWS against botocore's model and real search engines", [local, *_RUN_PYTEST, "tests/standin"], "3 to 4 minutes"),
        Suite("template", [lint, *_RUN_PYTEST, "tests/template"], "1 to 2 minutes"),
    ]
    for suite in suites:
        suite.run()
    passed, failed = sum(suite.passed for suite in suites), sum(suite.failed for suite in suites)
    print(f"\n{passed} passed, {failed} failed", flush=True)
    if missing:
        print(f"!!! NOTHING was redriven into a real search engine, since {missing}. Those tests did NOT run.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
