"""Owns where things are: the clone, the cache that outlives it, and what a local run leaves in `target/`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
TARGET = ROOT / "target"
LOCAL_ENV = TARGET / "local.env"
LOCAL_STATE = TARGET / "local.json"
LOCAL_LOG = TARGET / "local.log"
DEMO_LOG = TARGET / "demo.log"
# Not on every system.
PROC = Path("/proc")


def cache_dir() -> Path:
    """The cache shared by clones; inside this one where that is not writable, so that a read-only home still works."""
    named = os.environ.get("EMITE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(named or Path(base) / "emite-connect").expanduser()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        directory = TARGET / "cache"
        directory.mkdir(parents=True, exist_ok=True)
    return directory


def made_once(name: str, ingredients: bytes, make: Callable[[Path], None]) -> Path:
    """The directory of the cache that `make` fills, once for each version of what it is made of."""
    directory = cache_dir() / f"{name}-{hashlib.sha256(ingredients).hexdigest()[:12]}"
    complete = directory / ".complete"
    if not complete.exists():
        # One at a time; whoever waited finds it made.
        with open(f"{directory}.lock", "w", encoding="ascii") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not complete.exists():
                shutil.rmtree(directory, ignore_errors=True)
                make(directory)
                complete.touch()
    return directory


def binary(name: str) -> Path:
    """A function's debug binary, as `make build` leaves it."""
    target = os.environ.get("CARGO_TARGET_DIR")
    return (Path(target) if target else cache_dir() / "target") / "debug" / name
