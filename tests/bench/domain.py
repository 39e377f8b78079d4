"""Owns measuring the redrive into a real search engine, beside the official Python client's bulk helper: the same object from the
same bucket into the same engine, through the same endpoint, each request signed."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from engines import libraries
from engines.engine import Engine
from localaws.clients import Clients
from localaws.errors import LocalError

from . import failed_records, figures
from .stage import Stage

_NAME = "bench-redrive"
_PARAMETER = "/bench/redrive/spec"
_INDEX = "bench-contacts-2026-11"
_BLOCKS = 5
_REPETITIONS = 3


def measure(stage: Stage, python: str, work: Path, say: Callable[[str], None]) -> list[str]:
    title = "## Redrive: into a real OpenSearch 2 node"
    reason = libraries.available()
    if reason:
        return [title, f"Not measured, since {reason}."]
    say("Redriving into a real engine, in Rust and with the Python client in turn ...")
    with Engine("opensearch-2", work / "engine") as engine:
        return [title, *_compared(_Site(stage, python, engine))]


def _compared(site: _Site) -> list[str]:
    object_bytes, records = site.put_object()
    ours, theirs, shares = [], [], {"Rust": [], "Python": []}
    for _ in range(_REPETITIONS):
        for name, run, took in (("Rust", site.rust, ours), ("Python", site.peer, theirs)):
            site.empty()
            seconds = run()
            indexed = site.count()
            if indexed != records:
                raise LocalError(f"{name} put {indexed} of {records} records into the engine.")
            took.append(seconds)
            shares[name].append(site.engine_seconds() / seconds)
    rows = [
        [name, figures.spread([records / seconds for seconds in took], 0), figures.spread(took, 1), f"{median(shares[name]):.0%}"]
        for name, took in (("Rust", ours), ("Python", theirs))
    ]
    about = (f"Rust ÷ Python: {figures.times([1 / seconds for seconds in ours], [1 / seconds for seconds in theirs])}. Medians of {_REPETITIONS} "
             f"runs, each into an empty index, of one object of {object_bytes / 1e6:.0f} MB with {records:,} records. *Engine's share*: from the "
             "moment that the domain's endpoint has a whole request until it has the engine's answer.")
    return [figures.table(["", "Records a second", "Seconds", "Engine's share"], rows), about]


class _Site:
    """A domain with the engine behind it, an object in the bucket, and settings that name both."""

    def __init__(self, stage: Stage, python: str, engine: Engine) -> None:
        self._stage, self._python, self._engine = stage, python, engine
        self._offer = stage.local.offer
        self._clients = Clients.of(self._offer)
        made = self._clients.opensearch.create_domain(DomainName=_NAME, EngineVersion="OpenSearch_2.19")["DomainStatus"]
        spec = {**stage.spec(), "domain": made["ARN"], "searchEndpoint": f"https://{made['Endpoint']}", "contactType": ""}
        self._clients.ssm.put_parameter(Name=_PARAMETER, Type="String", Tier="Intelligent-Tiering", Value=json.dumps(spec))
        self._endpoint, self._bucket = spec["searchEndpoint"], spec["backupBucket"]
        self._key = f"emite-connect/{spec['deliveryStream'].rsplit('/', 1)[1]}/failed/bench"
        self._control("POST", "engine", {"url": engine.url})
        self._content = b""

    def put_object(self) -> tuple[int, int]:
        """The bytes and the records of the object."""
        lines = list(self._lines())
        self._content = b"".join(lines)
        return len(self._content), len(lines)

    def _lines(self) -> Iterator[bytes]:
        """Each record once; with an index of its own, and no type."""
        for block in range(_BLOCKS):
            for line in failed_records.lines(self._offer.instanceArn):
                record = json.loads(line)
                record |= {"esDocumentId": f"{block}.{record['esDocumentId']}", "esIndexName": _INDEX, "esTypeName": ""}
                yield json.dumps(record).encode() + b"\n"

    def empty(self) -> None:
        """No document and no request, and the object where a run finds it."""
        self._engine.call("DELETE", f"/{_INDEX}")
        self._control("DELETE", "requests")
        self._clients.s3.put_object(Bucket=self._bucket, Key=self._key, Body=self._content)

    def rust(self) -> float:
        return self._stage.redrive({"mode": "apply", "keys": [self._key]}, _PARAMETER) / 1000

    def peer(self) -> float:
        place = urlsplit(self._endpoint)
        wish = {"host": place.hostname, "port": place.port, "authority": self._offer.searchAuthority, "region": self._offer.region,
                "bucket": self._bucket, "key": self._key}
        done = subprocess.run(
            [self._python, str(self._stage.peer("redrive_client")), json.dumps(wish)], capture_output=True, text=True, check=False,
            env={**self._offer.environment(), "PATH": "/usr/bin:/bin"})
        if done.returncode:
            raise LocalError(f"The Python client failed:\n{done.stderr}")
        return json.loads(done.stdout)["seconds"]

    def count(self) -> int:
        self._engine.call("POST", f"/{_INDEX}/_refresh")
        return self._engine.call("GET", f"/{_INDEX}/_count")[1].get("count", 0)

    def engine_seconds(self) -> float:
        return sum(request["seconds"] for request in self._control("GET", "requests"))

    def _control(self, method: str, what: str, content: dict | None = None) -> list[dict]:
        request = urllib.request.Request(
            f"{self._offer.searchControl}/domains/{_NAME}/{what}", method=method, data=json.dumps(content or {}).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
