"""The target directory that clones share: a clone never runs what another one built. With Cargo itself, and a workspace of one crate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localaws import places


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(params=["debug", "release", "x86_64-unknown-linux-gnu/debug"])
def clones(request: pytest.FixtureRequest, tmp_path: Path, shared: Path) -> tuple[Clone, Clone]:
    """Two, of which the first is newer by its files' times."""
    older = Clone(tmp_path / "older", shared, request.param)
    newer = Clone(tmp_path / "newer", shared, request.param)
    for path in older.directory.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return newer, older


class Clone:
    def __init__(self, directory: Path, target: Path, built: str) -> None:
        self.directory = directory
        *platform, self.profile = built.split("/")
        self.platform = platform
        self.program = target / built / "says-where"
        self.environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "0"}
        for name in ("tests/target.py", "tests/localaws/places.py", "tests/localaws/__init__.py"):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(places.ROOT / name, directory / name)
        (directory / "src").mkdir()
        (directory / "src" / "main.rs").write_text(f'fn main() {{ print!("{directory.name}"); }}')
        (directory / "Cargo.toml").write_text('[package]\nname = "says-where"\nversion = "0.1.0"\nedition = "2024"\n')

    def owns(self) -> None:
        subprocess.run([sys.executable, "tests/target.py"], cwd=self.directory, check=True, env=self.environment)

    def build(self) -> None:
        arguments = [*(["--release"] if self.profile == "release" else []), *(part for name in self.platform for part in ("--target", name))]
        subprocess.run(["cargo", "build", "--quiet", "--offline", *arguments], cwd=self.directory, check=True, env=self.environment)

    def runs(self) -> str:
        return subprocess.run([self.program], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_cargo_alone_takes_what_another_clone_built(clones: tuple[Clone, Clone]) -> None:
    newer, older = clones
    newer.build()
    older.build()
    assert older.runs() == "newer", "then tests/target.py is not needed any more"


def test_each_clone_runs_its_own_in_turn(clones: tuple[Clone, Clone]) -> None:
    newer, older = clones
    for clone in (newer, older, newer):
        clone.owns()
        clone.build()
        assert clone.runs() == clone.directory.name


def test_a_clone_that_built_last_builds_nothing_anew(clones: tuple[Clone, Clone]) -> None:
    clone, _ = clones
    times = []
    for _ in range(2):
        clone.owns()
        clone.build()
        times.append(clone.program.stat().st_mtime_ns)
    assert times[0] == times[1]
