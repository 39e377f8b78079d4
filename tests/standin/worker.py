"""A function for these tests: prints what its event says under `print`, tells what it saw, and fails if told so under `fail`."""

import http.client
import json
import os

API = os.environ["AWS_LAMBDA_RUNTIME_API"]


def call(method, path, body=None):
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    return answer.headers, answer.read()


while True:
    headers, event = call("GET", "/2018-06-01/runtime/invocation/next")
    event = json.loads(event)
    asked = event.get("detail") or event
    for line in asked.get("print", []):
        print(line, flush=True)
    print(json.dumps({"seen": event}), flush=True)
    how, answer = ("error", {"errorMessage": "as told", "errorType": "Told"}) if asked.get("fail") else ("response", {})
    call("POST", f"/2018-06-01/runtime/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/{how}", json.dumps(answer).encode())
