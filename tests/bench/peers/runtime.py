"""Owns the Lambda side of a peer: hands events of the Runtime API to a handler, one after another. The least that works, so
that a peer's start is that of Python and boto3.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

import http.client
import json
import os


def serve(handler):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    root = "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{root}/next")
        answer = api.getresponse()
        event = json.loads(answer.read())
        request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            outcome, body = "response", handler(event)
        except Exception as error:
            outcome, body = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        api.request("POST", f"{root}/{request_id}/{outcome}", json.dumps(body))
        api.getresponse().read()
