"""Owns the failed records that the redrive is measured with: contact records of 3 to 4 KB in the form in which Firehose puts
them aside. All values are invented.

https://docs.aws.amazon.com/firehose/latest/dev/retry.html"""

from __future__ import annotations

import gzip
import json
import random
import uuid
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from localaws.sample_data import contact_records

_ARRIVED = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
# So many different ones that no cache holds them.
_DIFFERENT = 4000


def lines(instance_arn: str) -> Iterator[bytes]:
    """Different records, each one line."""
    chance = random.Random(2026)
    templates = list(contact_records(instance_arn, _ARRIVED))
    for number in range(_DIFFERENT):
        identity = uuid.UUID(int=chance.getrandbits(128))
        attributes = {f"attribute{index}": str(uuid.UUID(int=chance.getrandbits(128))) for index in range(chance.randint(8, 20))}
        record = {**templates[number % len(templates)], "ContactId": str(identity), "Attributes": attributes}
        yield _refused(json.dumps(record).encode(), f"4967{number:052d}.0", _ARRIVED.timestamp() * 1000 + number)


def write(path: Path, size: int, instance_arn: str) -> None:
    """A file of about `size` bytes."""
    block = b"".join(lines(instance_arn))
    with path.open("wb") as file:
        for _ in range(max(1, size // len(block))):
            file.write(block)


def pack(path: Path, packed: Path, most: int) -> None:
    """The beginning of a file, packed as Firehose does."""
    with path.open("rb") as file, gzip.open(packed, "wb", compresslevel=6) as out:
        out.write(file.read(most))


def _refused(document: bytes, identity: str, arrived_ms: float) -> bytes:
    reason = {"type": "es_rejected_execution_exception", "reason": "rejected execution of coordinating operation"}
    return json.dumps({
        "attemptsMade": 8,
        "arrivalTimestamp": int(arrived_ms),
        "errorCode": "429",
        "errorMessage": json.dumps(reason),
        "attemptEndingTimestamp": int(arrived_ms) + 300_000,
        "rawData": b64encode(document).decode(),
        "esDocumentId": identity,
        "esIndexName": "emite-contacts",
        "esTypeName": "contacts",
    }).encode() + b"\n"
