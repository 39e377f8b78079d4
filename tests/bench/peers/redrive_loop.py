"""Makes bulk requests of failed records, as one would write it down. Measures itself as tests/bench/redrive.rs does: the text
is in memory, and nothing is sent."""

import json
import sys
import time
from base64 import b64decode
from datetime import UTC, datetime

LONGEST_BODY = 5 << 20


def bulk_requests(lines):
    parts, size = [], 0
    for line in lines:
        record = json.loads(line)
        index = record["esIndexName"]
        if index == "emite-contacts":
            index += datetime.fromtimestamp(record["arrivalTimestamp"] / 1000, UTC).strftime("-%Y-%m")
        action = {"create": {"_index": index, "_id": record["esDocumentId"], "_type": record["esTypeName"]}}
        document = b64decode(record["rawData"]).replace(b"\n", b" ")
        part = json.dumps(action).encode() + b"\n" + document + b"\n"
        if size + len(part) > LONGEST_BODY:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    yield b"".join(parts)


records = total = requests = 0
seconds = 0.0
with open(sys.argv[1], "rb") as file:
    while lines := file.readlines(64 << 20):
        began = time.perf_counter()
        requests += sum(1 for _ in bulk_requests(lines))
        seconds += time.perf_counter() - began
        records += len(lines)
        total += sum(map(len, lines))
print(json.dumps({"records": records, "requests": requests, "bytes": total, "seconds": seconds}))
