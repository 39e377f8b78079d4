"""The redrive function of the tests of its state machine: answers in the shapes of the real one, and does what keys and input tell it."""

import http.client
import json
import os

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ZERO = {"objects": 0, "records": 0, "indexed": 0, "alreadyPresent": 0, "quarantined": 0}


def call(method, path, body=None):
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    return answer.headers, answer.read()


class Bad(Exception):
    pass


def begin(given):
    if given.get("mode", "plan") not in ("plan", "apply"):
        raise Bad("BadInput", f"mode is {given['mode']}: must be plan or apply")
    return {"mode": "plan", "from": None, "to": None, "prefix": "emite-connect/records/failed/", **given}


def redrive(event):
    keys = event.get("keys") or event.get("Items") or [event]
    names = [key if isinstance(key, str) else key.get("Key") or key["key"] for key in keys]
    so_far = event.get("soFar") or {**ZERO, "byError": {}, "left": []}
    if any("exhausted" in name for name in names):
        os._exit(1)
    if any("bad" in name for name in names):
        raise Bad("BadSpec", "as told")
    # An object that is slow is finished when it comes a second time.
    again = [name for name in names if "slow" in name and "keys" not in event]
    settled = len(names) - len(again)
    answer = {**so_far, "objects": so_far["objects"] + settled, "records": so_far["records"] + 3 * settled, "oldest": None, "newest": None}
    stop = {"status": 403, "errorType": "cluster_block_exception", "remedy": "Free storage."} if any("full" in name for name in names) else None
    return {**answer, "remaining": [{"key": name, "offset": 7} for name in again], "stopped": stop}


def summarise(event):
    return {**ZERO, "remainingObjects": 0, "failedBatches": 0, "stopped": None, **event["input"].get("say", {}), "seen": event}


while True:
    headers, event = call("GET", "/2018-06-01/runtime/invocation/next")
    event = json.loads(event)
    print(json.dumps({"seen": event}), flush=True)
    try:
        mode = event.get("mode")
        answer = begin(event["input"]) if mode == "begin" else summarise(event) if mode == "summarise" else redrive(event)
        how = "response"
    except Bad as problem:
        how, answer = "error", dict(zip(("errorType", "errorMessage"), problem.args, strict=True))
    call("POST", f"/2018-06-01/runtime/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/{how}", json.dumps(answer).encode())
