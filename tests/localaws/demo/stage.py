"""Owns what the audience sees: acts with their times, and what was checked in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .. import terminal


class DemoFailed(Exception):
    """Something that the demo promises did not hold."""


class Stage:
    def __init__(self, screen: terminal.Terminal) -> None:
        self.screen = screen
        self._acts: list[tuple[str, float]] = []
        self._checks = 0

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        begun = time.monotonic()
        self.screen.line()
        self.screen.line(self.screen.paint(f"Act {len(self._acts) + 1}: {title}", "bold"))
        yield
        took = time.monotonic() - begun
        self._acts.append((title, took))
        self.screen.line(self.screen.paint(f"  ({took:.1f} s)", "dim"))

    def say(self, text: str) -> None:
        self.screen.line(f"  {text}")

    def check(self, holds: bool, claim: str, otherwise: str = "") -> None:
        if not holds:
            raise DemoFailed(f"This does not hold: {claim}" + (f"\n{otherwise}" if otherwise else ""))
        self._checks += 1
        self.screen.line(f"  {self.screen.paint('ok', 'green')}  {claim}")

    def summary(self, took: float) -> None:
        self.screen.line(self.screen.paint(f"Every step held: {self._checks} checks in {took:.0f} s.", "green", "bold"))
        self.screen.table([(title, f"{seconds:5.1f} s") for title, seconds in self._acts])
