"""Owns the bridge of Step Functions' Distributed Map: batches, rights, and results in a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .hooks import Hook, replace
from .machines import demand


def run_as_step_functions_does() -> None:
    """A Distributed Map over a bucket lists it with the role of its state machine, hands each batch to an execution of its own, and
    writes what those came to into a bucket; the emulator runs an execution for each object, knows neither ItemBatcher nor
    ResultWriter, and asks for no right. (Developer guide, "ItemReader (Map)", "ItemBatcher (Map)", "ResultWriter (Map)" and "IAM policies
    for using Distributed Map states". They do not say what a map over nothing comes to: here its manifest names no files.)"""
    from ministack.services import stepfunctions as states

    def wrap(run: Hook) -> Hook:
        def as_the_service(state: dict, raw_input: Any, effective: Any, processor: dict, execution: dict, ctx: dict) -> Any:
            if states._state_query_language(state, ctx) != "JSONPath" or not state.get("ItemReader"):
                return run(state, raw_input, effective, processor, execution, ctx)
            batches = list(_batches(_selected(state, effective, execution, ctx), state.get("ItemBatcher"), effective, ctx))
            demand(execution, "states:StartExecution", execution["stateMachineArn"], "States.Permissions")
            kept = ("Label", "MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount")
            plain = {**{name: state[name] for name in kept if name in state}, "ItemsPath": "$.items"}
            failure = None
            try:
                result, _ = run(plain, raw_input, {"items": batches}, processor, execution, ctx)
            except states._ExecutionError as error:
                failure = error
            if state.get("ResultWriter"):
                result = _write_results(states._resolve_params_obj(state["ResultWriter"]["Parameters"], effective, ctx), execution)
            if failure:
                raise failure
            output = states._apply_result_path(state, raw_input, states._apply_result_selector(state, result))
            return states._apply_output_path(state, output, ctx), states._next_or_end(state)
        return as_the_service

    replace("services.stepfunctions", "_run_distributed_map", wrap)


def _selected(state: dict, effective: Any, execution: dict, ctx: dict) -> Iterator[Any]:
    """The items, each as ItemSelector makes it."""
    from ministack.services import stepfunctions as states

    reader = state["ItemReader"]
    where = states._resolve_params_obj(reader["Parameters"], effective, ctx)
    if reader["Resource"].endswith(":s3:listObjectsV2"):
        demand(execution, "s3:ListBucket", f"arn:aws:s3:::{where['Bucket']}", "States.ItemReaderFailed", {"s3:prefix": where.get("Prefix", "")})
    else:
        demand(execution, "s3:GetObject", f"arn:aws:s3:::{where['Bucket']}/{where['Key']}", "States.ItemReaderFailed")
    for index, item in enumerate(states._read_map_items(reader, effective, ctx)):
        if "LastModified" in item:
            # 1.789180622E9, as AWS writes it.
            item["LastModified"] = float(item["LastModified"])
        item_ctx = {**ctx, "Map": {"Item": {"Index": index, "Value": item}}}
        yield states._resolve_params_obj(state["ItemSelector"], effective, item_ctx) if "ItemSelector" in state else item


def _batches(items: Iterator[Any], batcher: dict | None, effective: Any, ctx: dict) -> Iterator[Any]:
    """A batch ends when its number of items, or the bytes of its input, would be exceeded by the next."""
    from ministack.services import stepfunctions as states

    if batcher is None:
        yield from items
        return
    common = {"BatchInput": states._resolve_params_obj(batcher["BatchInput"], effective, ctx)} if "BatchInput" in batcher else {}
    most, most_bytes = batcher.get("MaxItemsPerBatch"), batcher.get("MaxInputBytesPerBatch")
    batch: list[Any] = []
    for item in items:
        too_long = most_bytes and len(json.dumps({"Items": [*batch, item], **common}).encode()) > most_bytes
        if batch and (too_long or len(batch) == most):
            yield {"Items": batch, **common}
            batch = []
        batch.append(item)
    if batch:
        yield {"Items": batch, **common}


def _write_results(where: dict, execution: dict) -> dict[str, Any]:
    """Writes what the executions came to, and the manifest that names those files; answers what the map state then gives."""
    from ministack.services import stepfunctions as states

    map_run = [arn for arn, run in states._map_runs.items() if run["executionArn"] == execution["executionArn"]][-1]
    folder = f"{where['Prefix']}/{map_run.rsplit(':', 1)[1]}"
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status, named in files.items():
        came_to_this = [_record(child) for child in list(states._executions.values())
                        if child.get("mapRunArn") == map_run and child["status"] == status]
        if came_to_this:
            # AWS begins another file after 5 GB.
            named.append(_put(where["Bucket"], f"{folder}/{status}_0.json", came_to_this, execution))
    manifest = {"DestinationBucket": where["Bucket"], "MapRunArn": map_run, "ResultFiles": files}
    key = _put(where["Bucket"], f"{folder}/manifest.json", manifest, execution)["Key"]
    return {"MapRunArn": map_run, "ResultWriterDetails": {"Bucket": where["Bucket"], "Key": key}}


def _record(child: dict) -> dict[str, Any]:
    succeeded = child["status"] == "SUCCEEDED"
    return {
        "ExecutionArn": child["executionArn"],
        "Input": child["input"],
        "InputDetails": {"Included": True},
        "Name": child["name"],
        **({"Output": child["output"]} if succeeded else {"Error": child["error"], "Cause": child["cause"]}),
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE" if succeeded else "REDRIVABLE",
        "StartDate": child["startDate"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": child["stopDate"],
    }


def _put(bucket: str, key: str, content: Any, execution: dict) -> dict[str, Any]:
    from ministack.services import s3
    from ministack.services.stepfunctions import _ExecutionError

    demand(execution, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", "States.ResultWriterFailed")
    body = json.dumps(content).encode()
    status, _, answer = s3._put_object(bucket, key, body, {})
    if status != 200:
        raise _ExecutionError("States.ResultWriterFailed", answer.decode("utf-8", "replace"))
    return {"Key": key, "Size": len(body)}
