"""Owns the Python environments: `venv.py NAME` makes the one locked in requirements-NAME.txt if need be, and prints its Python.

Kept in the cache under the hash of the lock, so it is made once per lock, and works offline from then on. Standard library
only, and parseable by old Pythons, so that those get the message below rather than a syntax error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from localaws import places

OLDEST = (3, 11)


def main() -> int:
    if sys.version_info < OLDEST:
        print(f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed; {sys.executable} is {sys.version.split()[0]}. "
              "Name another one: make PYTHON=/path/to/python3", file=sys.stderr)
        return 1
    if sys.argv[1:] == ["--cache"]:
        print(places.cache_dir())
        return 0
    print(environment(sys.argv[1]) / "bin" / "python")
    return 0


def environment(name: str) -> Path:
    lock = Path(__file__).with_name(f"requirements-{name}.txt")
    return places.made_once(f"venv-{name}", lock.read_bytes(), lambda directory: _make(name, lock, directory))


def _make(name: str, lock: Path, directory: Path) -> None:
    print(f"Setting up Python packages ({name}) in {directory}: once, usually under a minute ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    subprocess.run(
        [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--require-hashes", "-r", str(lock)],
        check=True, env={**os.environ, "PIP_NO_INPUT": "1"}, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
