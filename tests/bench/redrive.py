"""Owns measuring the redrive: how fast text becomes bulk requests on one core, and how much memory the function takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from localaws.errors import LocalError

from . import failed_records, figures
from .stage import Stage

_TEXT_BYTES = 1_000_000_000
_PACKED_OF = 200_000_000
_REPETITIONS = 5
_OBJECT_SIZES = (10_000_000, 100_000_000, _TEXT_BYTES)


def measure(stage: Stage, work: Path, say: Callable[[str], None]) -> list[str]:
    text, packed = work / "failed", work / "failed.gz"
    try:
        say("Writing 1 GB of failed records ...")
        failed_records.write(text, _TEXT_BYTES, stage.local.offer.instanceArn)
        failed_records.pack(text, packed, _PACKED_OF)
        say(f"Making bulk requests of them {_REPETITIONS} times, in Rust and in Python in turn ...")
        decoding = _decoding(text, packed, stage.release("bench-redrive"), stage.peer("redrive_loop"))
        say("Planning the redrive of objects of up to 1 GB ...")
        return ["## Redrive: from failed records to bulk requests, on one core", *decoding,
                "## Redrive: memory of the function", _memory(stage, text)]
    finally:
        text.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)


def _decoding(text: Path, packed: Path, program: Path, peer: Path) -> list[str]:
    rust, python = [], []
    for _ in range(_REPETITIONS):
        rust.append(_run([program, text, packed]))
        python.append(_run([sys.executable, peer, text]))
    if {run["records"] for run in rust} != {run["records"] for run in python}:
        raise LocalError(f"Rust and Python found different numbers of records: {rust[0]['records']}, {python[0]['records']}")
    ours, theirs = [_rate(run["decode"]) for run in rust], [_rate(run) for run in python]
    rows = [
        ["Decode and frame, Rust", figures.spread(ours, 2)],
        ["Decode and frame, a Python loop", figures.spread(theirs, 3)],
        ["SHA-256 of the requests, Rust", figures.spread([_rate(run["sha256"]) for run in rust], 2)],
        ["Unpack gzip, Rust", figures.spread([_rate(run["gunzip"]) for run in rust], 2)],
    ]
    average = text.stat().st_size / rust[0]["records"]
    return [figures.table(["", "GB/s"], rows), f"Rust ÷ Python: {figures.times(ours, theirs)}. Medians of {_REPETITIONS} passes over "
            f"{text.stat().st_size / 1e9:.2f} GB in {rust[0]['records']:,} records of {average / 1000:.1f} KB; gzip over {_PACKED_OF / 1e9:.1f} GB."]


def _memory(stage: Stage, text: Path) -> str:
    rows = []
    for size in _OBJECT_SIZES:
        took, peak = stage.plan_redrive(text, size)
        rows.append([f"{size / 1e6:,.0f} MB", f"{peak:.1f}", f"{took / 1000:.1f}"])
    return figures.table(["A plan over an object of", "Peak memory, MiB", "Seconds"], rows)


def _run(command: Sequence[object]) -> dict:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalError(f"{command[0]} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _rate(measured: dict) -> float:
    return measured["bytes"] / measured["seconds"] / 1e9
