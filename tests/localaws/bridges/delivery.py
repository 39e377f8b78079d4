"""Owns the bridge of Firehose's description of a search domain as its destination."""

from __future__ import annotations

from typing import Any

from .hooks import Hook, replace

_HINTS = {"IntervalInSeconds": 300, "SizeInMBs": 5}


def describe_search_destinations() -> None:
    """DescribeDeliveryStream describes a search domain as a destination, with its bucket; the emulator shows the input under a
    name that no SDK knows."""
    def wrap(describe: Hook) -> Hook:
        def with_search(destination: dict) -> dict[str, Any]:
            if destination["type"] != "AmazonOpenSearch":
                return describe(destination)
            return {
                "DestinationId": destination["id"],
                "AmazonopensearchserviceDestinationDescription": _search_description(destination["config"]),
            }
        return with_search

    replace("services.firehose", "_dest_description", wrap)


def _search_description(config: dict[str, Any]) -> dict[str, Any]:
    shown = ("RoleARN", "DomainARN", "ClusterEndpoint", "IndexName", "TypeName", "ProcessingConfiguration", "CloudWatchLoggingOptions",
             "DocumentIdOptions")
    bucket = {**(config.get("S3Configuration") or {}), **(config.get("S3Update") or {})}
    return {
        **{name: config[name] for name in shown if name in config},
        "IndexRotationPeriod": config.get("IndexRotationPeriod", "OneDay"),
        "BufferingHints": config.get("BufferingHints", _HINTS),
        "RetryOptions": config.get("RetryOptions", {"DurationInSeconds": 300}),
        "S3BackupMode": config.get("S3BackupMode", "FailedDocumentsOnly"),
        "S3DestinationDescription": {
            "BufferingHints": _HINTS,
            "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
            **bucket,
        },
    }
