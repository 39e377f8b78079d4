"""Owns the functions as AWS Lambda runs them: built in one pass, checked, and named in the copy of the template that `make deploy` deploys.

One pass, since `sam build` builds them one after another and takes twice as long. One `--package` each: with `--workspace` Cargo would unite
the functions' features with those that only tests need."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import template

# What the instruction set is called by AWS, by cargo-lambda, and in the head of a binary.
ARCHITECTURES = {"x86_64": ("--x86-64", 0x3E), "arm64": ("--arm64", 0xB7)}
# Of Amazon Linux 2023, which provided.al2023 is made of (https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html).
NEWEST_GLIBC = (2, 34)
# AWS Lambda's limit of what a zip unpacks to.
_LARGEST_CODE = 250 * 1024 * 1024
# Where the SAM CLI looks for what it deploys.
DEPLOYED = template.ROOT / ".aws-sam" / "build" / "template.yaml"


class Unusable(Exception):
    """Why what was built cannot run in AWS Lambda."""


def build(cargo_lambda: Path, architecture: str, packages: list[str]) -> Path:
    """Builds these packages as releases, and answers the folder with their binaries: NAME/bootstrap."""
    directory = Path(os.environ.get("CARGO_TARGET_DIR") or template.ROOT / "target") / "lambda" / architecture
    chosen = [part for name in packages for part in ("--package", name)]
    subprocess.run(
        ["cargo", "lambda", "build", "--release", "--locked", ARCHITECTURES[architecture][0], "--lambda-dir", str(directory), *chosen],
        cwd=template.ROOT, check=True, stdout=sys.stderr, env={**os.environ, "PATH": f"{cargo_lambda.parent}{os.pathsep}{os.environ['PATH']}"})
    return directory


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
    made = copy.deepcopy(source)
    for logical_id, name in template.functions(source).items():
        function = made["Resources"][logical_id]
        function["Properties"] |= {"CodeUri": name, "Architectures": [architecture]}
        # It is built already.
        for key in ("BuildMethod", "BuildProperties"):
            function["Metadata"].pop(key, None)
    return made
