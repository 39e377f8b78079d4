"""Owns the faults that tests order of a domain: which of its requests they hit, and whether before or after the engine heard."""

from __future__ import annotations

from dataclasses import dataclass

# As Amazon OpenSearch Service says it itself, before any engine: not always in JSON.
_ANSWERS: dict[str, tuple[int, str, str]] = {
    "throttle": (429, "text/plain", "429 Too Many Requests /_bulk"),
    "internal": (500, "application/json", '{"message":null}'),
    "unavailable": (503, "text/html", "<html><body><b>Http/1.1 Service Unavailable</b></body> </html>"),
    "timeout": (504, "application/json", '{"message":"Gateway Timeout"}'),
    "too-large": (413, "application/json", '{"Message":"Request size exceeded 10485760 bytes"}'),
    "denied": (403, "application/json", '{"Message":"User: anonymous is not authorized to perform: es:ESHttpPost"}'),
}
# Cut before the engine hears; done, and the answer is cut off; not done and never answered; done and never answered.
_SILENT = ("reset", "lost", "hold", "stuck")
# Every second document is refused as by a full write queue, and the others are done.
_PARTIAL = ("busy",)
KINDS = (*_ANSWERS, *_SILENT, *_PARTIAL)
UNAVAILABLE = _ANSWERS["unavailable"]


@dataclass
class Fault:
    """Hits `times` requests after letting `skip` pass; fewer than one: every one from there on."""

    kind: str
    times: int = 1
    skip: int = 0

    @property
    def forwards(self) -> bool:
        return self.kind in ("lost", "stuck", "busy")

    @property
    def cuts(self) -> bool:
        return self.kind in ("reset", "lost")

    @property
    def holds(self) -> bool:
        return self.kind in ("hold", "stuck")

    @property
    def answer(self) -> tuple[int, str, str] | None:
        return _ANSWERS.get(self.kind)


class Faults:
    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def next(self) -> Fault | None:
        for fault in self._ordered:
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times > 0:
                fault.times -= 1
                if fault.times == 0:
                    self._ordered.remove(fault)
            return fault
        return None
