"""Owns the check of all crates that are depended on: licences, bans, sources, and the advisories of RustSec. Takes the cargo-deny of this machine
in the version below, or installs that into the cache, once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from localaws import places

VERSION = "0.20.2"


def main() -> int:
    try:
        program = _program()
    except subprocess.CalledProcessError as error:
        print(f"cargo-deny {VERSION} could not be installed: {error}", file=sys.stderr)
        return 1
    failed = _run(program, "check", "licenses", "bans", "sources")
    if _run(program, "fetch", "db") == 0:
        failed += _run(program, "check", "--disable-fetch", "advisories")
    else:
        print("!!! The database of advisories is out of reach: whether a crate has a known vulnerability was NOT checked.", file=sys.stderr)
    return 1 if failed else 0


def _program() -> Path:
    found = shutil.which("cargo-deny")
    if found and _version(Path(found)) == VERSION:
        return Path(found)
    return places.made_once("cargo-deny", VERSION.encode(), _install) / "bin" / "cargo-deny"


def _version(program: Path) -> str:
    return subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]


def _install(directory: Path) -> None:
    print(f"Installing cargo-deny {VERSION} into {directory}: once, 3 to 8 minutes ...", file=sys.stderr, flush=True)
    # Not among the crates of the project, whose target directory others may be using.
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    subprocess.run(["cargo", "install", "--quiet", "--locked", "--version", VERSION, "--root", str(directory), "cargo-deny"],
                   check=True, stdout=sys.stderr, env=environment)


def _run(program: Path, *arguments: str) -> int:
    return subprocess.run([program, "--locked", *arguments], cwd=places.ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
