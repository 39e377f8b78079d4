"""Owns the append-only record of every authorisation: what was asked of IAM, for whom, and the answer.

Allowed by a template minus seen here is the list of permissions that somebody has to justify."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


class CallLog:
    """JSON lines {time, principal, action, resource, decision}, and `behind`: the operation for which AWS asked it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)

    def record(self, principal: str, action: str, resource: str, decision: str, behind: str | None = None) -> None:
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "principal": principal,
            "action": action,
            "resource": resource,
            "decision": decision,
        }
        if behind:
            entry["behind"] = behind
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
