"""Owns how things look on a terminal; plain text where there is none, or where NO_COLOR is set."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# Steps of a stack that tell a reader nothing.
_TOO_FINE = ("REVIEW_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")


class Terminal:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pretty = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, *styles: str) -> str:
        if not self._pretty:
            return text
        return f"\033[{';'.join(_CODES[style] for style in styles)}m{text}\033[0m"

    def line(self, text: str = "") -> None:
        print(text, file=self._stream, flush=True)

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Two columns; the second is never cut, since people copy it."""
        widest = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.line(f"  {self.paint(name.ljust(widest), 'cyan')}  {value}")

    def failures(self, headline: str, reasons: Sequence[str]) -> None:
        self.line(self.paint(headline, "red", "bold"))
        for reason in reasons:
            self.line(f"  {self.paint('✗' if self._pretty else '-', 'red')} {reason}")


class ResourceProgress:
    """One line for each resource that came to rest: when, how it ended, how long it took."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._start = time.monotonic()
        self._started: dict[str, float] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        logical_id, status = event["LogicalResourceId"], event["ResourceStatus"]
        now = time.monotonic()
        is_stack = event.get("PhysicalResourceId") == event["StackId"]
        if status.endswith("_IN_PROGRESS"):
            self._started[logical_id] = now
            if not is_stack or status in _TOO_FINE:
                return
        took = now - self._started.get(logical_id, now)
        failed = status.endswith("_FAILED") or "ROLLBACK" in status
        style = "red" if failed else "yellow" if status.endswith(("_IN_PROGRESS", "_SKIPPED")) else "green"
        paint = self._terminal.paint
        kind = "stack" if is_stack else event["ResourceType"].removeprefix("AWS::")
        time_column = paint(f"{now - self._start:6.1f}s", "dim")
        duration = "" if status.endswith("_IN_PROGRESS") else f"{took:5.1f}s"
        line = f"  {time_column}  {paint(status.ljust(18), style)} {duration:>6}  {logical_id.ljust(30)} {paint(kind, 'dim')}"
        self._terminal.line(line.rstrip())
        if failed and event.get("ResourceStatusReason"):
            self._terminal.line(f"            {paint(event['ResourceStatusReason'], 'red')}")


def stderr() -> Terminal:
    return Terminal(sys.stderr)


def stdout() -> Terminal:
    return Terminal(sys.stdout)
