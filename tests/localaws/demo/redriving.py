"""Owns the act in which the search domain refuses contact records and they are put back: what waits is counted, sent again, found in
the index, and what the domain refuses for good is in quarantine."""

from __future__ import annotations

import base64
import copy
import json
import ssl
import time
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .. import kept, sample_data
from ..clients import Clients
from ..launcher import LocalAws
from ..mailbox import Mail, mails_to
from .stage import DemoFailed, Stage
from .watching import ADDRESS

_OBJECTS = 24
_PATIENCE_SECONDS = 60


class Redriving:
    """The domain is the local AWS's own stand-in, which takes documents and refuses them as real engines do; the tests use real
    ones."""

    def __init__(self, stage: Stage, local: LocalAws, outputs: dict[str, str]) -> None:
        self._stage = stage
        self._offer = local.offer
        self._us = Clients.of(local.offer)
        self._outputs = outputs
        self._bucket = outputs["BackupBucket"]
        self._stream = outputs["DeliveryStreamArn"].rsplit("/", 1)[1]

    def play(self) -> None:
        stage = self._stage
        self._deliver_a_record()
        records = self._leave_refused_records()
        stage.say(f"{_OBJECTS} objects with {records} records that the domain refused lie in the bucket, in Firehose's stead")
        plan = self._run({})
        stage.check(plan["records"] == records and plan["mode"] == "plan", f"the redrive counts them by what refused them: {plan['byError']}")
        stage.check(self._count("failed") == _OBJECTS and self._indexed() == 1, "counting changes nothing")
        before = len(self._mails())
        done = self._run({"mode": "apply"})
        stage.check(
            (done["indexed"], done["quarantined"], done["remainingObjects"]) == (records - 1, 1, 0),
            f"{done['indexed']} records are put back, and the one that no index would take is in quarantine", json.dumps(done))
        stage.check(self._indexed() == records, f"the index of the domain has {records} documents, with the one that was there before")
        stage.check(
            (self._count("failed"), self._count("quarantine"), self._count("redriven")) == (0, 1, _OBJECTS), "nothing waits any more")
        again = self._run({"mode": "apply"})
        stage.check(again["records"] == 0 and self._indexed() == records, "a second redrive finds nothing, and doubles nothing")
        told = self._await_mail(before)
        stage.check(told.subject.startswith("[Redrive]"), f"one message tells what came of it: {told.subject}")

    def _deliver_a_record(self) -> None:
        """One that the domain took, as Firehose sends it: the index knows from it which field is of which type."""
        record = next(sample_data.contact_records(self._offer.instanceArn, datetime.now(UTC)))
        action = {"create": {"_index": self._index(), "_id": "demo.delivered", "_type": "contacts"}}
        answer = self._ask("POST", "/_bulk", f"{json.dumps(action)}\n{json.dumps(record)}\n".encode())
        self._stage.check(not answer["errors"], "the domain takes a record of the usual kind")

    def _leave_refused_records(self) -> int:
        """As Firehose puts them aside; one record has a field of a type that the index cannot take."""
        now, records = datetime.now(UTC), 0
        for number in range(_OBJECTS):
            lines = list(self._refused(number, now))
            records += len(lines)
            name = f"{self._stream}-1-{now:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"
            key = f"emite-connect/{self._stream}/failed/AmazonOpenSearchService-failed/{now:%Y/%m/%d/%H}/{name}"
            self._us.s3.put_object(Bucket=self._bucket, Key=key, Body=b"".join(lines))
        return records

    def _refused(self, number: int, now: datetime) -> Iterator[bytes]:
        for place, record in enumerate(sample_data.contact_records(self._offer.instanceArn, now)):
            document = copy.deepcopy(record)
            if (number, place) == (_OBJECTS - 1, 0):
                document["Queue"] = "not an object"
            yield json.dumps({
                "attemptsMade": 4, "arrivalTimestamp": int(now.timestamp() * 1000), "errorCode": "429",
                "errorMessage": '{"type":"es_rejected_execution_exception","reason":"rejected execution"}',
                "attemptEndingTimestamp": int(now.timestamp() * 1000) + 300_000,
                "rawData": base64.b64encode(json.dumps(document).encode()).decode(),
                "esDocumentId": f"demo.{number}.{place}", "esIndexName": self._index(), "esTypeName": "contacts",
            }).encode() + b"\n"

    def _run(self, wish: dict[str, Any]) -> dict[str, Any]:
        """By the command line, as people do; the output of the execution once it has ended."""
        machine = self._outputs["RedriveStateMachineArn"]
        command = f"aws stepfunctions start-execution --state-machine-arn {machine} --input '{json.dumps(wish)}' --output json"
        execution = json.loads(kept.run(command, self._offer))["executionArn"]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            described = self._us.stepfunctions.describe_execution(executionArn=execution)
            if described["status"] == "SUCCEEDED":
                return json.loads(described["output"])
            if described["status"] != "RUNNING" or time.monotonic() > deadline:
                raise DemoFailed(f"The redrive {described['status']}: {described.get('error')} {described.get('cause')}")
            time.sleep(0.1)

    def _count(self, folder: str) -> int:
        prefix = f"emite-connect/{self._stream}/{folder}/"
        pages = self._us.s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return sum(page["KeyCount"] for page in pages)

    def _indexed(self) -> int:
        return self._ask("GET", f"/{self._index()}/_count")["count"]

    def _index(self) -> str:
        return f"emite-contacts-{datetime.now(UTC):%Y-%m}"

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Asks the domain, signed by somebody of this account."""
        headers = {"content-type": "application/x-ndjson"} if body else {}
        request = AWSRequest(method, self._outputs["SearchEndpoint"] + path, data=body, headers=headers)
        SigV4Auth(Credentials(self._offer.accessKeyId, self._offer.secretAccessKey), "es", self._offer.region).add_auth(request)
        signed = urllib.request.Request(request.url, method=method, data=body, headers=dict(request.headers.items()))
        with urllib.request.urlopen(signed, context=ssl.create_default_context(cafile=self._offer.searchAuthority)) as answer:
            return json.load(answer)

    def _mails(self) -> list[Mail]:
        return mails_to(self._offer, ADDRESS)

    def _await_mail(self, before: int) -> Mail:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            redrives = [mail for mail in self._mails()[before:] if "[Redrive]" in mail.subject]
            if redrives:
                return redrives[0]
            time.sleep(0.1)
        raise DemoFailed("No message tells what came of the redrive.")
