"""Owns Connect's default throttle: 2 requests a second with a burst of 5, per account and operation."""

from __future__ import annotations

import time
from collections.abc import Callable

RATE_PER_SECOND = 2.0
BURST = 5.0


class Throttle:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def admits(self, account_id: str, operation: str) -> bool:
        """Takes a token of the bucket, if there is one."""
        now = self._clock()
        tokens, since = self._buckets.get((account_id, operation), (BURST, now))
        tokens = min(BURST, tokens + (now - since) * RATE_PER_SECOND)
        admitted = tokens >= 1
        self._buckets[(account_id, operation)] = (tokens - 1 if admitted else tokens, now)
        return admitted

    def reset(self) -> None:
        self._buckets.clear()
