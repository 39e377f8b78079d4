"""Owns the faults that tests order: which call they hit, and whether before or after its effect."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ApiError

_ANSWERS = {
    "throttle": ("ThrottlingException", "Too Many Requests"),
    "internal": ("InternalServiceException", "Ordered by the test."),
    "denied": ("AccessDeniedException", "Ordered by the test."),
    "conflict": ("ResourceConflictException", "Ordered by the test."),
    "invalid": ("InvalidRequestException", "Ordered by the test."),
}
# Faults without an answer: the connection is cut before the effect, never answered, or cut after the effect.
_SILENT = ("reset", "silence", "lost")
KINDS = (*_ANSWERS, *_SILENT)


@dataclass
class Fault:
    """Hits `times` calls of `operation` (`*`: any) after letting `skip` pass; `after` lets the call take effect first."""

    operation: str
    kind: str
    times: int = 1
    skip: int = 0
    after: bool = False

    @property
    def takes_effect(self) -> bool:
        return self.after or self.kind == "lost"

    @property
    def cuts(self) -> bool:
        return self.kind in ("reset", "lost")

    @property
    def answer(self) -> ApiError | None:
        return ApiError(*_ANSWERS[self.kind]) if self.kind in _ANSWERS else None


class Faults:
    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def next_for(self, operation: str) -> Fault | None:
        for fault in self._ordered:
            if fault.operation not in ("*", operation):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._ordered.remove(fault)
            return fault
        return None
