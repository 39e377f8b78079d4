"""The check of what is depended on: each part fails it, and an unreachable database of advisories is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localaws import places

# Stands for cargo-deny, and fails where it is told to.
STUB = """#!/bin/sh
case "$*" in --version) echo "cargo-deny $VERSION"; exit;; esac
echo "$*" >> "$CALLS"
for part in $FAILS; do case "$*" in *"$part"*) exit 1;; esac; done
"""


@pytest.mark.parametrize(("fails", "status", "warned"), [
    ("", 0, False), ("licenses", 1, False), ("advisories", 1, False), ("fetch", 0, True), ("fetch advisories", 0, True), ("fetch licenses", 1, True)])
def test_each_part_is_checked_whatever_the_others_find(tmp_path: Path, fails: str, status: int, warned: bool) -> None:
    program, calls = tmp_path / "cargo-deny", tmp_path / "calls"
    program.write_text(STUB)
    program.chmod(0o755)
    deny = places.ROOT / "tests" / "deny.py"
    version = next(line.split('"')[1] for line in deny.read_text(encoding="utf-8").splitlines() if line.startswith("VERSION"))
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "VERSION": version, "CALLS": str(calls), "FAILS": fails}
    done = subprocess.run([sys.executable, deny], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == status, done.stdout
    assert ("NOT checked" in done.stdout) == warned
    made = calls.read_text()
    assert "check licenses bans sources" in made
    assert ("check --disable-fetch advisories" in made) == (not warned)


def test_a_cargo_deny_that_cannot_be_installed_fails(tmp_path: Path) -> None:
    cargo = tmp_path / "bin" / "cargo"
    cargo.parent.mkdir()
    cargo.write_text("#!/bin/sh\nexit 1\n")
    cargo.chmod(0o755)
    environment = {"PATH": f"{cargo.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "EMITE_CACHE": str(tmp_path / "cache")}
    deny = places.ROOT / "tests" / "deny.py"
    done = subprocess.run([sys.executable, deny], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1
    assert "could not be installed" in done.stdout
