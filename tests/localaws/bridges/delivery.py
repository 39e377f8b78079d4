"""Owns the bridges of Firehose: the description of a search domain as its destination, and streams that read another."""

from __future__ import annotations

from typing import Any

from .hooks import Hook, replace

# Both kinds of domain have the same members.
_DESCRIPTIONS = {
    "AmazonOpenSearch": "AmazonopensearchserviceDestinationDescription", "Elasticsearch": "ElasticsearchDestinationDescription"}
_HINTS = {"IntervalInSeconds": 300, "SizeInMBs": 5}


def describe_search_destinations() -> None:
    """DescribeDeliveryStream describes a search domain as a destination, with its bucket; the emulator shows the input under a
    name that no SDK knows."""
    def wrap(describe: Hook) -> Hook:
        def with_search(destination: dict) -> dict[str, Any]:
            if destination["type"] not in _DESCRIPTIONS:
                return describe(destination)
            return {
                "DestinationId": destination["id"], _DESCRIPTIONS[destination["type"]]: _search_description(destination["config"])}
        return with_search

    replace("services.firehose", "_dest_description", wrap)


def keep_to_the_source() -> None:
    """A delivery stream that reads a Kinesis stream takes no records from others, and reads no other stream unless it is replaced,
    which its name forbids; the emulator's takes records, and its update fails for another reason."""
    from ministack.services import firehose
    from ministack.services.cloudformation import provisioners

    def wrap(put: Hook) -> Hook:
        def direct_only(data: dict) -> Any:
            stream = firehose._streams.get(data.get("DeliveryStreamName", ""))
            if stream and stream["type"] == "KinesisStreamAsSource":
                return firehose._invalid("This operation is not permitted on KinesisStreamAsSource delivery stream type.")
            return put(data)
        return direct_only

    for action in ("PutRecord", "PutRecordBatch"):
        firehose._HANDLERS[action] = wrap(firehose._HANDLERS[action])
    kind = "AWS::KinesisFirehose::DeliveryStream"
    provisioners._REPLACING_PROPERTIES[kind] = ("DeliveryStreamName", "DeliveryStreamType", "KinesisStreamSourceConfiguration")
    provisioners._CUSTOM_NAME_REPLACEMENT[kind] = {"name": "DeliveryStreamName"}


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
