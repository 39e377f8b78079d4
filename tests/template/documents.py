"""Owns reading the Markdown documents: text below a heading, rows of tables, headings, links and blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def text(name: str, *headings: str) -> str:
    """A document, or what stands below a heading of it, given as `## Heading`."""
    found = (ROOT / name).read_text(encoding="utf-8")
    for heading in headings:
        level = len(heading) - len(heading.lstrip("#"))
        begins = re.search(rf"^{re.escape(heading)}$", _masked(found), re.MULTILINE)
        assert begins, f"{name} has no {heading}"
        below = found[begins.end() :]
        ends = re.search(rf"^#{{1,{level}}} ", _masked(below), re.MULTILINE)
        found = below[: ends.start()] if ends else below
    return found


def sections(name: str, level: int) -> dict[str, str]:
    """What stands below each heading of a level, deeper ones included."""
    hashes = "#" * level
    found = re.findall(rf"^{hashes} (.+)$", _masked(text(name)), re.MULTILINE)
    return {heading.strip("` "): text(name, f"{hashes} {heading}") for heading in found}


def _masked(markdown: str) -> str:
    """As long as before, with nothing in blocks of code: a comment of a shell looks like a heading."""
    return re.sub(r"^```.*?^```$", lambda block: re.sub(r"[^\n]", " ", block[0]), markdown, flags=re.MULTILINE | re.DOTALL)


def rows(markdown: str, marks: str = "") -> list[list[str]]:
    """The cells of the rows of tables, without their heads, and without these marks around them."""
    lines = markdown.splitlines()
    body = [line for line, below in zip(lines, [*lines[1:], ""], strict=True) if line.startswith("|") and "|---" not in line + below]
    return [[cell.strip(" " + marks) for cell in line.strip("|").split("|")] for line in body]


def headings(markdown: str) -> list[str]:
    return re.findall(r"^#+ (.+?) *$", _masked(markdown), flags=re.MULTILINE)


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub makes of the headings: lower case, no punctuation, hyphens for spaces, a number behind a repeated one."""
    found: set[str] = set()
    for heading in headings(markdown):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        name, number = anchor, 0
        while name in found:
            number += 1
            name = f"{anchor}-{number}"
        found.add(name)
    return found


def links(markdown: str) -> Iterator[str]:
    """The targets of links and images, outside of code."""
    plain = re.sub(r"`[^`\n]*`", "``", _masked(markdown))
    yield from re.findall(r"\]\(([^)\s]+)\)", plain)
    yield from re.findall(r"<(https?://[^>\s]+)>", plain)


def checks() -> dict[str, str]:
    """The source of each health check that is registered, by its name."""
    folder = ROOT / "shared" / "core" / "src"
    registered = re.findall(r"^    (\w+)::CHECK,$", (folder / "checks.rs").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(registered) > 10
    return {name.replace("_", "-"): (folder / "checks" / f"{name}.rs").read_text(encoding="utf-8") for name in registered}
