#!/usr/bin/env python3
"""Owns a wrapper of rustc (Cargo's RUSTC_WRAPPER) for release builds that lets the linker drop exception tables together with their
functions.

For each function that has to clean up when it panics there is a table in a section of its own, `.gcc_except_table.NAME`. Only with the
flag SHF_LINK_ORDER does lld, the linker of these builds, see which function a table belongs to; without, it keeps all of them, 11 MB in
each binary. LLVM sets the flag only if it is told that the linker is new enough (clang's `-fbinutils-version`), which rustc has no
option for. So it is set here, in each library, right after rustc has written it. What the linker makes of it: "SHF_LINK_ORDER" in
https://maskray.me/blog/2021-02-28-linker-garbage-collection

A table that is dropped by mistake would fail the build: the linker refuses references to what it dropped."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

# The wrapper in RUSTC_WRAPPER, such as sccache, which still has to run. One that is set in Cargo's configuration is not used for these builds.
INNER = "EMITE_INNER_RUSTC_WRAPPER"

_TABLES = b".gcc_except_table"
# Where the code of a function is; LLVM sets apart what is rarely called.
_CODE = (b".text.unlikely.", b".text.")
_SHF_LINK_ORDER = 0x80
_HEADER_BYTES = 64
_MEMBER_BYTES = 60


def main(arguments: list[str]) -> int:
    inner = [os.environ[INNER]] if os.environ.get(INNER) else []
    # With the descriptors by which Cargo limits how much runs at once.
    done = subprocess.run([*inner, *arguments], check=False, close_fds=False)
    if done.returncode < 0:
        # Cargo is to see that it was killed, not that it failed.
        os.kill(os.getpid(), -done.returncode)
    library = written(arguments)
    if done.returncode == 0 and library:
        content = bytearray(library.read_bytes())
        if mark(content):
            library.write_bytes(content)
    return done.returncode


def written(arguments: list[str]) -> Path | None:
    """The library that rustc writes when called like this, if it writes one for AWS Lambda. Build scripts and the like are not for another
    platform, and whatever links them may not know the flag."""
    given = {name: value for name, value in pairwise(arguments) if name.startswith("--")}
    suffix = [value.partition("=")[2] for value in arguments if value.startswith("extra-filename=")]
    emits_code = any(argument.startswith("--emit=") and "link" in argument for argument in arguments)
    if not emits_code or given.get("--crate-type") not in ("lib", "rlib") or not {"--out-dir", "--target"} <= given.keys():
        return None
    return Path(given["--out-dir"]) / f"lib{given['--crate-name']}{''.join(suffix)}.rlib"


def mark(archive: bytearray) -> int:
    """Marks each table of a library with the function it belongs to, and returns the number of tables."""
    return sum(_mark(archive, begin) for begin in _objects(archive))


def tables_bytes(program: bytes) -> int:
    """How long the tables are in a program of 64 bits."""
    return sum(struct.unpack_from("<Q", program, header + 0x20)[0] for name, header in _sections(program, 0) if name == _TABLES)


def _objects(archive: bytearray) -> Iterator[int]:
    """Where each object of an `ar` archive begins, if it is ELF of 64 bits, as all of AWS Lambda's are."""
    if archive[:8] != b"!<arch>\n":
        raise ValueError("rustc wrote a library of another form")
    at = 8
    while at < len(archive):
        size = int(archive[at + 48:at + 58])
        begin = at + _MEMBER_BYTES
        if archive[begin:begin + 6] == b"\x7fELF\x02\x01":
            yield begin
        at = begin + size + size % 2


def _sections(content: bytes | bytearray, begin: int) -> Iterator[tuple[bytes, int]]:
    """The name of each section of an object, and where its header is (https://www.sco.com/developers/gabi/latest/ch4.sheader.html)."""
    table, = struct.unpack_from("<Q", content, begin + 0x28)
    header_bytes, count, names = struct.unpack_from("<3H", content, begin + 0x3A)
    if not table or header_bytes != _HEADER_BYTES:
        return
    table += begin
    # Where there are too many for these fields, the first section has them.
    count = count or struct.unpack_from("<Q", content, table + 0x20)[0]
    names = names if names != 0xFFFF else struct.unpack_from("<I", content, table + 0x28)[0]
    texts, texts_bytes = struct.unpack_from("<2Q", content, table + names * _HEADER_BYTES + 0x18)
    texts += begin
    for header in range(table, table + count * _HEADER_BYTES, _HEADER_BYTES):
        at, = struct.unpack_from("<I", content, header)
        yield bytes(content[texts + at:content.index(b"\0", texts + at, texts + texts_bytes)]), header


def _mark(archive: bytearray, begin: int) -> int:
    code, tables = {}, []
    for number, (name, header) in enumerate(_sections(archive, begin)):
        if name.startswith(_TABLES + b"."):
            tables.append((name.removeprefix(_TABLES + b"."), header))
        elif prefix := next((prefix for prefix in _CODE if name.startswith(prefix)), None):
            code[name.removeprefix(prefix)] = number
    for name, header in tables:
        if name in code:
            flags, = struct.unpack_from("<Q", archive, header + 0x08)
            struct.pack_into("<Q", archive, header + 0x08, flags | _SHF_LINK_ORDER)
            struct.pack_into("<I", archive, header + 0x28, code[name])
    return len(tables)


if __name__ == "__main__":
    # Whoever interrupts Cargo interrupts this too; rustc says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
