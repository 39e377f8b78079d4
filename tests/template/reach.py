"""Owns which IAM actions a piece of our code can need: those that are named in it, or in what it calls of `shared/aws`.

Calls are followed by name, as text: `kinesis::data_stream(…)`, `described(…)` within a file, or `.read(…)` where the crate names the type that
has this method, such as `Ledger`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import imports

ROOT = Path(__file__).resolve().parents[2]
AWS = ROOT / "shared" / "aws" / "src"

ACTION = re.compile(r'"([a-z0-9]+:[A-Z][A-Za-z]+)"')
_IMPL = re.compile(r"^impl (\w+)[^{\n]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_METHOD = re.compile(r"^    (?:pub(?:\([a-z]+\))? )?(?:async )?fn (\w+)", re.MULTILINE)
_FUNCTION = re.compile(r"^(?:pub(?:\([a-z]+\))? )?(?:async )?fn (\w+)", re.MULTILINE)
_CONSTANT = re.compile(r"^(?:pub(?:\([a-z]+\))? )?const (\w+): [^=]+= ([^;]+);", re.MULTILINE)
_USE = re.compile(r"^(?:pub(?:\([a-z]+\))? )?use ([^;]+);", re.MULTILINE)
# A function that is called, or handed on by its path, or a constant.
_NAMED = re.compile(r"\b(?:(\w+)::)?(?:(\w+)(?=\()|(?<=::)(\w+)|([A-Z][A-Z_]+)\b)")


class Definition(NamedTuple):
    """A function or a constant at the top level of a file, or a method of a type."""

    file: Path
    name: str
    text: str
    type: str = ""

    @property
    def modules(self) -> set[str]:
        """The names by which other files may call it: those of its file and of the folders above."""
        return set(self.file.relative_to(AWS).with_suffix("").parts)


def code(path: Path) -> str:
    """The source of a file without its unit tests and comments."""
    text = re.sub(r"#\[cfg\(test\)\]\nmod \w+;\n", "", path.read_text(encoding="utf-8"))
    text = text.split("#[cfg(test)]\nmod ")[0]
    return re.sub(r"(?m)^\s*//.*$", "", text)


def _uses(text: str) -> dict[str, str]:
    """The names that a file brings in, each with the module that it is of."""
    found = {}
    for path in _USE.findall(text):
        module, _, names = path.rpartition("::{") if "{" in path else path.rpartition("::")
        for name in re.findall(r"\w+", names):
            found[name] = module.rpartition("::")[2]
    return found


@cache
def definitions() -> list[Definition]:
    """All functions, constants and methods of `shared/aws`."""
    found = []
    for path in sorted(AWS.rglob("*.rs")):
        text = code(path)
        for match in _FUNCTION.finditer(text):
            found.append(Definition(path, match[1], text[match.start() : text.find("\n}\n", match.start())]))
        found += [Definition(path, match[1], match[2]) for match in _CONSTANT.finditer(text)]
        for name, body in _IMPL.findall(text):
            found += [Definition(path, match[1], body[match.start() : body.find("\n    }\n", match.start())], name) for match in _METHOD.finditer(body)]
    return found


def _types(text: str) -> set[str]:
    """The types of `shared/aws` that this text names."""
    found = {one.type for one in definitions() if one.type and re.search(rf"\b{one.type}\b", text)}
    # Most get it as a field of `Services`.
    return found | {"Ledger"} if re.search(r"\bledger\b", text) else found


def _named(text: str, file: Path, types: set[str] | None = None) -> list[Definition]:
    """What this text, which stands in `file`, names of `shared/aws`, with the methods of these types, or else of those that the file names."""
    uses = _uses(code(file))
    types = _types(code(file)) if types is None else types
    found = [one for one in definitions() if one.type in types and re.search(rf"(?:\.|\b{one.type}::|\bSelf::){one.name}\(", text)]
    for module, call, handed, constant in set(_NAMED.findall(text)):
        name = call or handed or constant
        module = module or uses.get(name, "")
        found += [one for one in definitions() if not one.type and one.name == name and (module in one.modules if module else one.file == file)]
    return found


def actions(text: str, file: Path, types: set[str] | None = None) -> set[str]:
    """The IAM actions that `text`, which stands in `file`, names itself or in whatever it calls."""
    found, waiting, seen = set(ACTION.findall(text)), _named(text, file, types), set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            found |= set(ACTION.findall(one.text))
            waiting += _named(one.text, one.file)
    return found


def of_crate(name: str) -> set[str]:
    """The IAM actions that any code of the crate `functions/<name>` can reach."""
    files = imports.files(ROOT / "functions" / name / "src" / "lib.rs")
    types = set().union(*(_types(code(path)) for path in files))
    return set().union(*(actions(code(path), path, types) for path in files))


def of_function(file: Path, name: str) -> set[str]:
    """The same of one function of `shared/aws`."""
    (one,) = [one for one in definitions() if one.file == file and one.name == name]
    return actions(one.text, one.file)
