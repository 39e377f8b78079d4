"""Owns the case that AWS_ENDPOINT_URL_CONNECT is set already: which instance to integrate there."""

from __future__ import annotations

import os

from botocore.exceptions import BotoCoreError, ClientError

from . import samples
from .clients import Clients
from .errors import LocalError


def instance_arn(endpoint: str) -> str:
    """The ARN of CONNECT_INSTANCE_ID, or of the first instance that the endpoint lists."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or samples.REGION
    connect = Clients(
        endpoint, endpoint, region, os.environ.get("AWS_ACCESS_KEY_ID") or samples.ACCOUNT_ID,
        os.environ.get("AWS_SECRET_ACCESS_KEY") or "local", os.environ.get("AWS_SESSION_TOKEN"), attempts=3).connect
    try:
        instance_id = os.environ.get("CONNECT_INSTANCE_ID")
        if instance_id:
            return connect.describe_instance(InstanceId=instance_id)["Instance"]["Arn"]
        listed = connect.list_instances(MaxResults=1)["InstanceSummaryList"]
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"AWS_ENDPOINT_URL_CONNECT is {endpoint}, but no instance can be read there: {error}") from error
    if not listed:
        raise LocalError(f"AWS_ENDPOINT_URL_CONNECT is {endpoint}, but no Connect instance is there.")
    return listed[0]["Arn"]
