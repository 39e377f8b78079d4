"""Owns whose crates are in the target directory that clones share. Cargo judges by file times whether a crate is up to date, so it could take
what another clone built for this one's. Where another clone was the last to build there, its crates are removed; dependencies stay.

Standard library only, as it runs before anything is set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from localaws import places

# Has the clone that built last.
STAMP = ".clone"


def main() -> int:
    target = Path(os.environ["CARGO_TARGET_DIR"])
    stamp, clone = target / STAMP, str(places.ROOT)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == clone:
        return 0
    # Whoever is interrupted in between begins anew.
    stamp.unlink(missing_ok=True)
    built = list(_built(target))
    if built:
        print("Another clone built here last: its crates are removed.", file=sys.stderr, flush=True)
    members = [part for name in _members() for part in ("--package", name)] if built else []
    for arguments in built:
        done = subprocess.run(["cargo", "clean", "--quiet", *arguments, *members], cwd=places.ROOT, check=False)
        if done.returncode:
            return done.returncode
    target.mkdir(parents=True, exist_ok=True)
    stamp.write_text(clone, encoding="utf-8")
    return 0


def _built(target: Path) -> Iterator[list[str]]:
    """What was built there: the profile, and the platform if one was named."""
    for directory in sorted([*target.glob("*/.fingerprint"), *target.glob("*/*/.fingerprint")]):
        *platform, profile = directory.parent.relative_to(target).parts
        yield ["--profile", "dev" if profile == "debug" else profile, *(part for name in platform for part in ("--target", name))]


def _members() -> list[str]:
    metadata = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=places.ROOT, check=True, stdout=subprocess.PIPE)
    return [package["name"] for package in json.loads(metadata.stdout)["packages"]]


if __name__ == "__main__":
    sys.exit(main())
