"""A custom resource's function for these tests: answers what its property `Answer` says, as `bootstrap` of a custom runtime."""

import http.client
import json
import os

API = os.environ["AWS_LAMBDA_RUNTIME_API"]


def call(host, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(host)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    return answer.headers, answer.read()


while True:
    headers, event = call(API, "GET", "/2018-06-01/runtime/invocation/next")
    event = json.loads(event)
    print(json.dumps({"seen": [event["RequestType"], event.get("PhysicalResourceId")]}), flush=True)
    wanted = event["ResourceProperties"]["Answer"] if event["RequestType"] == "Create" else "SUCCESS"
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "thing-1", "Data": {}}
    if wanted == "FAILED":
        answer |= {"Status": "FAILED", "Reason": "as told"}
    elif wanted == "too long":
        answer["Data"] = {"Text": "x" * 4096}
    elif wanted == "no id":
        del answer["PhysicalResourceId"]
    if wanted != "silence":
        content_type = "application/json" if wanted == "content type" else ""
        host, _, path = event["ResponseURL"].removeprefix("http://").partition("/")
        call(host, "PUT", f"/{path}", json.dumps(answer).encode(), {"content-type": content_type})
    call(API, "POST", f"/2018-06-01/runtime/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response", b"{}")
