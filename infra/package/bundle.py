"""Owns the release bundle in dist/: what is uploaded to be launched or listed, each file the same whenever it is made from the same source
and the same binaries."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from pathlib import Path

from . import build, diagram, launch, sbom, template

DIST = template.ROOT / "dist"
COSTS = template.ROOT / "docs" / "costs.md"
# The earliest that a zip can say.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(binaries: dict[str, Path], release: template.Release, icons: Path | None = None, into: Path = DIST) -> Path:
    """Makes the bundle anew, and answers its folder."""
    source = template.source()
    zips = {f"{name}.zip": zipped(binaries[name], release.architecture) for name in sorted(set(template.functions(source).values()))}
    release = template.Release(
        release.version, release.architecture, {name: hashlib.sha256(body).hexdigest() for name, body in zips.items()}, release.published)
    files = {f"{release.version}/{name}": body for name, body in zips.items()}
    files["marketplace.yaml"] = template.generate(source, release).encode()
    files["sbom.cdx.json"] = sbom.make(list(template.functions(source).values()), release.version, release.architecture).encode()
    files["LAUNCH.md"] = launch.text(release).encode()
    files["architecture.svg"] = diagram.draw(diagram.SOURCE.read_text(encoding="utf-8"), icons).encode()
    files["costs.md"] = COSTS.read_bytes()
    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()
    directory = into / f"emite-connect-{release.version}"
    shutil.rmtree(directory, ignore_errors=True)
    for name, body in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return directory


def zipped(binary: Path, architecture: str) -> bytes:
    """The zip of a function: its binary as AWS Lambda starts it, without a time or an owner."""
    entry = zipfile.ZipInfo("bootstrap", _TIME)
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100755 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, build.code(binary, architecture), compresslevel=9)
    return buffer.getvalue()
