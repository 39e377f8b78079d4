"""Owns packaging: each function's debug binary, stripped and zipped as `bootstrap`, in a bucket of the local AWS."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from . import places
from .clients import Clients
from .errors import LocalError
from .template import Template

_ZIPS_KEPT = 8


def upload(template: Template, clients: Clients) -> str:
    """Uploads code and template; answers the template's URL."""
    bucket = _bucket(clients)
    uris = {}
    for logical_id, name in template.binaries().items():
        code = zipped(places.binary(name))
        _put(clients, bucket, code.name, code.read_bytes())
        uris[logical_id] = f"s3://{bucket}/{code.name}"
    body = json.dumps(template.with_code(uris)).encode()
    key = f"{hashlib.sha256(body).hexdigest()[:16]}.template.json"
    _put(clients, bucket, key, body)
    return f"{clients.endpoint}/{bucket}/{key}"


def _bucket(clients: Clients) -> str:
    name = f"local-packages-{clients.account_id}-{clients.region}"
    clients.make_bucket(name)
    return name


def _put(clients: Clients, bucket: str, key: str, body: bytes) -> None:
    clients.s3.put_object(Bucket=bucket, Key=key, Body=body)


def zipped(binary: Path) -> Path:
    """The zip of a binary, made once per content: stripping and deflating take longer than a deployment."""
    if not binary.exists():
        raise LocalError(f"{binary} is not built yet. Run `make build` first.")
    with binary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    directory = places.cache_dir() / "packages"
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / f"{binary.name}-{digest[:16]}.zip"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=directory) as work:
            stripped = Path(work) / "bootstrap"
            shutil.copy2(binary, stripped)
            _strip(stripped)
            unfinished = Path(work) / "code.zip"
            with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.write(stripped, "bootstrap")
            os.replace(unfinished, made)
    _forget_old(directory, made)
    return made


def _strip(binary: Path) -> None:
    """Smaller is faster to unpack; a machine without `strip` can do without."""
    if shutil.which("strip"):
        subprocess.run(["strip", str(binary)], check=False, capture_output=True)


def _forget_old(directory: Path, used: Path) -> None:
    os.utime(used)
    by_age = sorted(directory.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_age[_ZIPS_KEPT:]:
        old.unlink(missing_ok=True)
