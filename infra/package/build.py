"""Owns the functions as AWS Lambda runs them: built in one pass, checked, and named in the copy of the template that `make deploy` deploys.

One pass, since `sam build` builds them one after another and takes longer. One `--package` each: with `--workspace` Cargo would unite
the functions' features with those that only tests need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from localaws.template import Template

from . import exception_tables, template

# What the instruction set is called by AWS, by cargo-lambda, and in the head of a binary.
ARCHITECTURES = {"x86_64": ("--x86-64", 0x3E), "arm64": ("--arm64", 0xB7)}
# Of Amazon Linux 2023, which provided.al2023 is made of (https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html).
NEWEST_GLIBC = (2, 34)
# AWS Lambda's limit of what a zip unpacks to.
_LARGEST_CODE = 250 * 1024 * 1024
# The exception tables of what is linked take 1 MB; those of all libraries 11 MB.
_LONGEST_TABLES = 2 * 1024 * 1024
# Where the SAM CLI looks for what it deploys.
DEPLOYED = template.ROOT / ".aws-sam" / "build" / "template.yaml"


class Unusable(Exception):
    """Why what was built cannot run in AWS Lambda."""


def build(cargo_lambda: Path, architecture: str, packages: list[str]) -> Path:
    """Builds these packages as releases, and answers the folder with their binaries: NAME/bootstrap."""
    directory = _target() / "lambda" / architecture
    chosen = [part for name in packages for part in ("--package", name)]
    environment = {
        **os.environ,
        "PATH": f"{cargo_lambda.parent}{os.pathsep}{os.environ['PATH']}",
        "RUSTC_WRAPPER": exception_tables.__file__,
        exception_tables.INNER: os.environ.get("RUSTC_WRAPPER", ""),
    }
    subprocess.run(
        ["cargo", "lambda", "build", "--release", "--locked", ARCHITECTURES[architecture][0], "--lambda-dir", str(directory), *chosen],
        cwd=template.ROOT, check=True, stdout=sys.stderr, env=environment)
    return directory


def _target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or template.ROOT / "target")


def code(binary: Path, architecture: str) -> bytes:
    """A binary that can run in AWS Lambda, whole."""
    try:
        content = binary.read_bytes()
    except FileNotFoundError:
        raise Unusable(f"{binary} is not built.") from None
    if content[:4] != b"\x7fELF" or int.from_bytes(content[18:20], "little") != ARCHITECTURES[architecture][1]:
        raise Unusable(f"{binary} is no Linux program for {architecture}.")
    if len(content) > _LARGEST_CODE:
        raise Unusable(f"{binary} has {len(content)} bytes; AWS Lambda takes {_LARGEST_CODE}.")
    if exception_tables.tables_bytes(content) > _LONGEST_TABLES:
        raise Unusable(f"{binary} has the exception tables of functions that are not in it, since parts of it were built without "
                       f"{Path(exception_tables.__file__).name}. Remove them: cargo clean --release --target-dir {_target()}")
    needed = max(((int(major), int(minor)) for major, minor in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", content)), default=(0, 0))
    if needed > NEWEST_GLIBC:
        raise Unusable(f"{binary} needs glibc {'.'.join(map(str, needed))}; AWS Lambda has {'.'.join(map(str, NEWEST_GLIBC))}.")
    return content


def write_deployable(binaries: dict[str, Path], architecture: str, into: Path = DEPLOYED) -> Path:
    """Writes a copy of the template whose functions are these binaries to where the SAM CLI looks for it, and answers that place."""
    # What was deployed last stays in place if one of them is unusable.
    contents = {name: code(binary, architecture) for name, binary in binaries.items()}
    shutil.rmtree(into.parent, ignore_errors=True)
    for name, content in contents.items():
        place = into.parent / name / "bootstrap"
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        place.chmod(0o755)
    into.write_text(template.dump(_deployable(template.source(), architecture)), encoding="utf-8")
    return into


def _deployable(source: Any, architecture: str) -> Any:
    """The template with the code of each function in a folder beside it, which has the binary's name."""
    binaries = template.functions(source)
    made = Template(source).with_code(binaries)
    for logical_id in binaries:
        function = made["Resources"][logical_id]
        function["Properties"]["Architectures"] = [architecture]
        # It is built already.
        for key in ("BuildMethod", "BuildProperties"):
            function["Metadata"].pop(key, None)
    return made
