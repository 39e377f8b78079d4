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
        assert f"\n{heading}\n" in found, f"{name} has no {heading}"
        found = re.split(rf"^#{{1,{level}}} ", found.split(f"\n{heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    return found


def sections(name: str, level: int) -> dict[str, str]:
    """What stands below each heading of a level, deeper ones included."""
    parts = re.split(rf"^#{{{level}}} (.+)$", text(name), flags=re.MULTILINE)[1:]
    return {heading.strip("` "): body for heading, body in zip(parts[::2], parts[1::2], strict=True)}


def rows(markdown: str, marks: str = "") -> list[list[str]]:
    """The cells of the rows of tables, without their heads, and without these marks around them."""
    lines = markdown.splitlines()
    body = [line for line, below in zip(lines, [*lines[1:], ""], strict=True) if line.startswith("|") and "|---" not in line + below]
    return [[cell.strip(" " + marks) for cell in line.strip("|").split("|")] for line in body]


def without_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def headings(markdown: str) -> list[str]:
    return re.findall(r"^#+ (.+?) *$", without_code(markdown), flags=re.MULTILINE)


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
    plain = re.sub(r"`[^`\n]*`", "``", without_code(markdown))
    yield from re.findall(r"\]\(([^)\s]+)\)", plain)
    yield from re.findall(r"<(https?://[^>\s]+)>", plain)
