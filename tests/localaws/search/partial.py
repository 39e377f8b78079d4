"""Owns what a full write queue does to a bulk request: some of its documents are refused, and the others are done."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ..wire import Reply, Request

Refusals = dict[int, dict[str, Any]]  # by place


def split(request: Request) -> tuple[Request, Refusals]:
    """The request with every second document only, and the engines' words about the others."""
    lines = [line for line in request.body.split(b"\n") if line]
    pairs = list(zip(lines[::2], lines[1::2], strict=False))
    if len(pairs) < 2:
        return request, {}
    refusals = {}
    for place, (head, _) in enumerate(pairs):
        if place % 2:
            (action, named), = json.loads(head).items()
            refusals[place] = {action: {**named, "status": 429, "error": {
                "type": "es_rejected_execution_exception", "reason": "rejected execution of primary operation: queue capacity reached"}}}
    kept = b"".join(head + b"\n" + source + b"\n" for place, (head, source) in enumerate(pairs) if place not in refusals)
    return replace(request, body=kept), refusals


def joined(reply: Reply, refusals: Refusals) -> Reply:
    if reply.status != 200:
        return reply
    answer = json.loads(reply.content)
    done = iter(answer["items"])
    items = [refusals.get(place) or next(done) for place in range(len(answer["items"]) + len(refusals))]
    return replace(reply, content=json.dumps({**answer, "errors": True, "items": items}).encode())
