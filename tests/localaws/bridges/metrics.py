"""Owns the bridges of CloudWatch: metrics in log lines, the order of what is read back, and what an alarm looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from .hooks import Hook, replace

_oldest_first: ContextVar[bool] = ContextVar("oldest_first", default=False)
# The dimensions that the alarm being evaluated watches.
_watched: ContextVar[str | None] = ContextVar("watched", default=None)


def take_metrics_from_logs() -> None:
    """CloudWatch makes metrics of log lines in Embedded Metric Format; the emulator keeps the lines and makes none."""
    from ministack.services import cloudwatch

    def wrap(emit: Hook) -> Hook:
        def with_metrics(func: dict, request_id: str, log_text: str, *rest: Any, **named: Any) -> None:
            emit(func, request_id, log_text, *rest, **named)
            found = [datum for line in (log_text or "").splitlines() for datum in _embedded(line)]
            for datum in found:
                cloudwatch._store_datum(*datum)
            if found:
                cloudwatch._evaluate_all_alarms()
        return with_metrics

    replace("services.lambda_svc", "_emit_lambda_logs", wrap)


def _embedded(line: str) -> Iterator[tuple[Any, ...]]:
    """What the emulator stores for each metric of a line; nothing for a line that breaks the specification."""
    try:
        root = json.loads(line) if line.startswith("{") else {}
        about = root.get("_aws") or {}
        for directive in about.get("CloudWatchMetrics", []):
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: root[name] for name in names}
                if not all(isinstance(value, str) and value for value in dimensions.values()):
                    raise TypeError("dimensions are texts")
                for metric in directive["Metrics"]:
                    value = root[metric["Name"]]
                    values = value if isinstance(value, list) else None
                    yield (directive["Namespace"], metric["Name"], dimensions, about["Timestamp"] / 1000,
                           metric.get("Unit", "None"), None if values else float(value), values, None, None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def read_newest_first() -> None:
    """GetMetricData answers the newest value first unless ScanBy says otherwise; the emulator always the oldest. (In JSON and
    CBOR, which the SDKs and the `aws` CLI speak.)"""
    def wrap_operation(answer: Hook) -> Hook:
        def asked(params: dict, given: dict, is_cbor: bool, is_json: bool = False) -> Any:
            token = _oldest_first.set((given or {}).get("ScanBy") == "TimestampAscending")
            try:
                status, headers, body = answer(params, given, is_cbor, is_json)
                if is_json and status == 200:
                    body = json.dumps({"MetricDataResults": [
                        _in_order(result) for result in json.loads(body)["MetricDataResults"]]}).encode()
                return status, headers, body
            finally:
                _oldest_first.reset(token)
        return asked

    replace("services.cloudwatch", "_get_metric_data", wrap_operation)
    replace("services.cloudwatch", "_cbor_metric_data_result", lambda encode: lambda result: encode(_in_order(result)))


def _in_order(result: dict[str, Any]) -> dict[str, Any]:
    if _oldest_first.get():
        return result
    return {**result, "Timestamps": result["Timestamps"][::-1], "Values": result["Values"][::-1]}


def watch_one_metric_per_alarm() -> None:
    """An alarm watches the metric with exactly its dimensions, and reaches only topics whose policy admits CloudWatch; the
    emulator mixes all metrics of that name, those of other stacks too, and asks no policy."""
    from ministack.services import cloudwatch, sns

    class Metrics(type(cloudwatch._metrics)):
        __slots__ = ()

        def items(self) -> Any:
            watched = _watched.get()
            return [found for found in super().items() if watched is None or found[0][2] == watched]

    cloudwatch._metrics = Metrics()

    def wrap_evaluation(evaluate: Hook) -> Hook:
        def on_its_own(alarm: dict) -> None:
            named = {entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions") or []}
            token = _watched.set(cloudwatch._dims_key(named))
            try:
                evaluate(alarm)
            finally:
                _watched.reset(token)
        return on_its_own

    def wrap_action(is_topic: Hook) -> Hook:
        def that_admits_us(action: str) -> bool:
            return is_topic(action) and sns.topic_policy_allows(
                action, "cloudwatch.amazonaws.com", "*", action.split(":")[4])
        return that_admits_us

    replace("services.cloudwatch", "_evaluate_alarm", wrap_evaluation)
    replace("services.cloudwatch", "_is_sns_action_arn", wrap_action)
