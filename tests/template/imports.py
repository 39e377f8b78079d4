"""Owns which files of a crate import which, read from their text, and the circles of it. Run as a command, it prints the circles.

A path counts for the file of the deepest module that it names. A name that is re-exported counts for the file that defines it. What is
compiled for unit tests only does not count, and `mod x;` alone is no import. No macro is expanded."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

# Where the root files of crates are.
CRATES = ["*/src/lib.rs", "*/src/main.rs", "*/*/src/lib.rs", "*/*/src/main.rs", "tests/e2e/main.rs", "tests/bench/*.rs"]


class Import(NamedTuple):
    """One file names something of another file of its crate."""

    source: Path
    line: int
    name: str
    target: Path


# A circle: for each of its files, what it imports of the others, by line.
Circle = dict[Path, list[Import]]


def crates(root: Path = ROOT) -> list[Path]:
    """The root file of each crate."""
    return sorted({path for pattern in CRATES for path in root.glob(pattern)})


def files(crate: Path) -> list[Path]:
    """The files of a crate, without those that are compiled for unit tests only, given its root file."""
    return sorted({module.file for module in _modules(_read(crate, None))})


def imports(crate: Path) -> list[Import]:
    """What the files of a crate import of each other, given its root file."""
    found = set()
    for module in _modules(_read(crate, None)):
        for path, line in module.paths:
            use = module.uses.get(path[0])
            if use and len(path) > 1 and path[0] not in module.children:
                brought = _resolve(module, use.path, frozenset([use]))
                # Of an item, its `use` tells enough; by a module, more can be reached.
                if brought and not brought.is_module:
                    continue
            target = _resolve(module, path, frozenset())
            if target and target.module.file != module.file:
                found.add(Import(module.file, line, "::".join(path), target.module.file))
    return sorted(found)


def circles(found: Iterable[Import]) -> list[Circle]:
    """Files that reach each other by imports, the largest circle first."""
    graph: dict[Path, list[Import]] = {}
    for one in found:
        graph.setdefault(one.source, []).append(one)
        graph.setdefault(one.target, [])
    rings = sorted((sorted(ring) for ring in _components(graph) if len(ring) > 1), key=lambda ring: (-len(ring), ring))
    return [{file: [one for one in graph[file] if one.target in ring] for file in ring} for ring in rings]


def described(circle: Circle, root: Path = ROOT, most: int | None = None) -> str:
    """A circle's files, each with what it imports of the others, or of no more than so many of them."""
    lines = [f"A circle of {len(circle)} files:"]
    for file, found in circle.items():
        lines.append(f"  {file.relative_to(root)}")
        targets = list(dict.fromkeys(one.target for one in found))
        for target in targets[:most]:
            first: dict[str, int] = {}
            for one in found:
                if one.target == target:
                    first.setdefault(one.name, one.line)
            names = ", ".join(f"{name} (line {line})" for name, line in first.items())
            lines.append(f"    imports {target.relative_to(root)}: {names}")
    return "\n".join(lines)


def _components(graph: dict[Path, list[Import]]) -> Iterator[list[Path]]:
    """The strongly connected components, by Tarjan."""
    index: dict[Path, int] = {}
    low: dict[Path, int] = {}
    stack: list[Path] = []
    closed: set[Path] = set()

    def visit(file: Path) -> Iterator[list[Path]]:
        index[file] = low[file] = len(index)
        stack.append(file)
        for one in graph[file]:
            if one.target not in index:
                yield from visit(one.target)
                low[file] = min(low[file], low[one.target])
            elif one.target not in closed:
                low[file] = min(low[file], index[one.target])
        if low[file] == index[file]:
            component = stack[stack.index(file) :]
            del stack[-len(component) :]
            closed.update(component)
            yield component

    for file in graph:
        if file not in index:
            yield from visit(file)


# Modules and what their paths name.


@dataclass(eq=False)
class _Use:
    """A name that a module imports."""

    module: _Module
    path: tuple[str, ...]
    shared: bool


@dataclass(eq=False)
class _Module:
    file: Path
    # Where the files of its children are.
    directory: Path
    parent: _Module | None
    children: dict[str, _Module] = field(default_factory=dict)
    # Items that it defines.
    items: set[str] = field(default_factory=set)
    uses: dict[str, _Use] = field(default_factory=dict)
    globs: list[_Use] = field(default_factory=list)
    # Each path in its text, with the line.
    paths: list[tuple[tuple[str, ...], int]] = field(default_factory=list)


class _Named(NamedTuple):
    """What a path names: a module, or an item of it."""

    module: _Module
    is_module: bool


def _modules(module: _Module) -> Iterator[_Module]:
    yield module
    for child in module.children.values():
        yield from _modules(child)


def _resolve(module: _Module, path: tuple[str, ...], seen: frozenset[_Use]) -> _Named | None:
    """What a path in a module names; none if that is of another crate, or no module is named."""
    own, rest = module, list(path)
    if rest[0] == "crate":
        while own.parent:
            own = own.parent
        rest.pop(0)
    elif rest[0] in ("self", "super"):
        while rest and rest[0] in ("self", "super"):
            own = own.parent or own if rest.pop(0) == "super" else own
    else:
        named = _step(own, rest[0], seen, inside=True)
        return named and _walk(named, rest[1:], seen)
    return _walk(_Named(own, True), rest, seen, own is module)


def _walk(named: _Named, rest: list[str], seen: frozenset[_Use], inside: bool = False) -> _Named:
    for name in rest:
        if not named.is_module:
            break
        # What is not found is an item, or comes from another crate.
        named = _step(named.module, name, seen, inside) or _Named(named.module, False)
        inside = False
    return named


def _step(module: _Module, name: str, seen: frozenset[_Use], inside: bool) -> _Named | None:
    """What a name of a module stands for; from outside, its private imports are not followed."""
    if name in module.children:
        return _Named(module.children[name], True)
    use = module.uses.get(name)
    if use and use not in seen and (inside or use.shared):
        return _resolve(module, use.path, seen | {use})
    for use in module.globs:
        if use not in seen and (inside or use.shared):
            source = _resolve(module, use.path, seen | {use})
            if source and source.is_module and source.module is not module:
                if name in source.module.items:
                    return _Named(source.module, False)
                if found := _step(source.module, name, seen | {use}, inside=False):
                    return found
    return None


# Reading Rust.

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|//[^\n]*)
    | (?P<comment>/\*)
    | (?P<string>[bc]?r(?P<hashes>\#*)"(?:.*?)"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*")
    | (?P<other>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'])' | '\w+ | \d\w*)
    | (?P<word>(?:r\#)?[^\W\d]\w*)
    | (?P<mark>::|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")
_DEFINES = {"fn", "struct", "enum", "union", "trait", "const", "static", "type"}
# An item that begins with one of these ends with `;`, whatever braces are in it; of the others, the first block is the end.
_TO_SEMICOLON = {"use", "let", "static", "type"}
_ITEMS = {"fn", "struct", "enum", "union", "trait", "const", "mod", "impl", "extern", "unsafe", "async", "macro_rules"}


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def _tokens(text: str) -> list[_Token]:
    found, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match
        end = match.end()
        if match["comment"]:
            level = 1
            while level:
                mark = re.compile(r"/\*|\*/").search(text, end)
                assert mark, f"line {line}: a comment does not end"
                level += 1 if mark[0] == "/*" else -1
                end = mark.end()
        elif match.lastgroup != "blank":
            kind = next(kind for kind in ("string", "other", "word", "mark") if match[kind] is not None)
            found.append(_Token(kind, match[kind].removeprefix("r#") if kind == "word" else match[kind], line))
        line += text.count("\n", at, end)
        at = end
    return found


def _read(file: Path, parent: _Module | None) -> _Module:
    """A module and those below it."""
    beside = parent is None or file.name == "mod.rs"
    module = _Module(file, file.parent if beside else file.with_suffix(""), parent)
    _Reader(_tokens(file.read_text(encoding="utf-8"))).module(module, 0)
    return module


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens

    def text(self, at: int) -> str:
        return self.tokens[at].text if at < len(self.tokens) else ""

    def closing(self, at: int) -> int:
        """The bracket that closes the one at this place."""
        depth = 0
        for end in range(at, len(self.tokens)):
            depth += (self.text(end) in _OPEN) - (self.text(end) in _CLOSE)
            if not depth:
                return end
        return len(self.tokens)

    def module(self, module: _Module, at: int) -> int:
        """Reads a module up to its end, and says where that is."""
        depth, shared = 0, False
        while at < len(self.tokens):
            token, was_shared, shared = self.tokens[at], shared, False
            if token.text == "#" and self.text(at + 1) in ("[", "!"):
                inner = self.text(at + 1) == "!"
                if inner and self.text(at + 2) != "[":
                    at += 1
                    continue
                opens = at + 1 + inner
                end = self.closing(opens)
                if self.text(opens + 1) == "cfg" and _needs_test(self.tokens[opens + 3 : end - 1]):
                    if inner and not depth:
                        module.paths.clear()
                        module.children.clear()
                        return self.end_of_block(at)
                    at = self.skip(end + 1)
                else:
                    self.attribute(module, opens, end)
                    at = end + 1
            elif token.text == "pub":
                restricted = self.text(at + 1) == "(" and self.text(at + 2) in ("crate", "super", "self", "in")
                shared = not restricted or self.text(at + 2) != "self"
                at = self.closing(at + 1) + 1 if restricted else at + 1
            elif token.text == "use" and self.text(at + 1) != "<":
                at = self.use(module, at + 1, (), was_shared) + 1
            elif token.text == "mod" and self.text(at + 2) == ";":
                name = self.text(at + 1)
                module.children.setdefault(name, _read(_file(module, name, token.line), module))
                at += 3
            elif token.text == "mod" and self.text(at + 2) == "{":
                name = self.text(at + 1)
                child = module.children.setdefault(name, _Module(module.file, module.directory / name, module))
                at = self.module(child, at + 3) + 1
            elif token.text == "}" and not depth:
                return at
            elif token.kind == "word":
                if not depth and token.text in _DEFINES:
                    module.items.add(self.text(at + 1))
                at = self.path(module, at)
            else:
                depth += (token.text == "{") - (token.text == "}")
                at += 1
        return at

    def end_of_block(self, at: int) -> int:
        depth = 0
        while at < len(self.tokens) and (depth or self.text(at) != "}"):
            depth += (self.text(at) == "{") - (self.text(at) == "}")
            at += 1
        return at

    def path(self, module: _Module, at: int) -> int:
        """Reads a path as far as it consists of names, or one word."""
        path, end = [self.text(at)], at + 1
        while self.text(end) == "::" and end + 1 < len(self.tokens) and self.tokens[end + 1].kind == "word":
            path.append(self.text(end + 1))
            end += 2
        # What begins with `::` is another crate's, or follows a type in angle brackets.
        if len(path) > 1 and (not at or self.text(at - 1) != "::"):
            module.paths.append((tuple(path), self.tokens[at].line))
        return end

    def attribute(self, module: _Module, at: int, end: int) -> None:
        """A path may stand in a string, too, as in `#[serde(with = "crate::form")]`."""
        while at < end:
            token = self.tokens[at]
            if token.kind == "string" and re.fullmatch(r'"\w+(::\w+)+"', token.text):
                module.paths.append((tuple(token.text.strip('"').split("::")), token.line))
            at = self.path(module, at) if token.kind == "word" else at + 1

    def use(self, module: _Module, at: int, before: tuple[str, ...], shared: bool) -> int:
        """Reads one tree of a `use`, and says where the mark behind it is."""
        path, line, alias = before, self.tokens[at].line, None
        outside = self.text(at) == "::" and not before
        while self.text(at) not in (",", "}", ";"):
            token = self.tokens[at]
            if token.text == "{":
                at += 1
                while self.text(at) != "}":
                    # What another crate owns is left out: with a first name that nothing here has.
                    at = self.use(module, at, ("", *path) if outside else path, shared)
                    at += self.text(at) == ","
                return at + 1
            if token.text == "*":
                module.globs.append(_Use(module, path, shared))
                module.paths.append((path, line))
                return at + 1
            if token.text == "as":
                alias = self.text(at + 1)
                at += 2
                continue
            if token.kind == "word" and not (token.text == "self" and path):
                path = (*path, token.text)
                line = token.line
            at += 1
        if outside:
            path = ("", *path)
        if path:
            module.paths.append((path, line))
            if alias != "_":
                module.uses.setdefault(alias or path[-1], _Use(module, path, shared))
        return at

    def skip(self, at: int) -> int:
        """Where what follows the item at this place begins; that may be a field, an arm or a statement, too."""
        while self.text(at) == "#":
            at = self.closing(at + 1) + 1
        if self.text(at) == "pub":
            at = self.closing(at + 1) + 1 if self.text(at + 1) == "(" else at + 1
        first = self.text(at)
        constant = first == "const" and self.text(at + 1) not in ("fn", "unsafe", "async", "extern")
        while at < len(self.tokens):
            mark = self.text(at)
            if mark in _CLOSE:
                return at
            if mark == ";" or (mark == "," and first not in _ITEMS):
                return at + 1
            if mark in _OPEN:
                at = self.closing(at)
                block = mark == "{" and first not in _TO_SEMICOLON and not constant
                if block and (first in _ITEMS or self.text(at + 1) not in (",", ";", ".", "?", "else")):
                    return at + 1
            at += 1
        return at


def _file(module: _Module, name: str, line: int) -> Path:
    for path in (module.directory / f"{name}.rs", module.directory / name / "mod.rs"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{module.file}, line {line}: the file of the module {name} is not found")


def _needs_test(predicate: list[_Token]) -> bool:
    """Whether what a `cfg` asks for is true in unit tests only."""
    words = [token.text for token in predicate]
    if words == ["test"]:
        return True
    if words[1:2] != ["("] or words[0] not in ("all", "any"):
        return False
    parts: list[list[_Token]] = [[]]
    depth = 0
    for token in predicate[2:-1]:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    needs = [_needs_test(part) for part in parts if part]
    return any(needs) if words[0] == "all" else bool(needs) and all(needs)


def _main(root: Path) -> int:
    found = [circle for crate in crates(root) for circle in circles(imports(crate))]
    for circle in found:
        print(described(circle, root))
    if not found:
        print("No file imports itself by way of others.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
