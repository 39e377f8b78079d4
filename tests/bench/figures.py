"""Owns the arithmetic and the tables: medians, ratios, and their place in docs/benchmarks.md. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

BEGIN = "<!-- make bench: begin -->"
END = "<!-- make bench: end -->"


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, with the smallest and the largest behind it."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def times(slow: Sequence[float], fast: Sequence[float]) -> str:
    """How many times as much the one takes, by medians."""
    ratio = median(slow) / median(fast)
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.1f} x"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that reads as plain text too: text to the left, figures to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def text(line: Sequence[str]) -> str:
        first, *others = (cell.rjust(width) if column else cell.ljust(width)
                          for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        return f"| {' | '.join([first, *others])} |"

    rule = f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (width + 1) + ':' for width in widths[1:])}|"
    return "\n".join([text(header), rule, *map(text, rows)])


def put_between_marks(document: str, content: str) -> str:
    """The document with `content` in place of what is between the marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{content.strip()}\n{END}{after}"


def longest_chain(spans: Sequence[tuple[float, float]]) -> int:
    """How many of these (beginning, end) came one after another, at most."""
    longest, ended = 0, float("-inf")
    for began, end in sorted(spans, key=lambda span: span[1]):
        if began >= ended:
            longest, ended = longest + 1, end
    return longest
