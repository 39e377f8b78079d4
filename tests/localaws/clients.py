"""Owns the boto3 clients of a local AWS. They are made from the environment, which must name a loopback endpoint."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from .errors import LocalError
from .launcher import Offer

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Clients:
    """Clients of one account and identity, each made when first used."""

    def __init__(self, endpoint: str, connect_endpoint: str, region: str, access_key_id: str, secret_access_key: str,
                 session_token: str | None = None, attempts: int = 8) -> None:
        self.endpoint = endpoint
        self.region = region
        self._connect_endpoint = connect_endpoint
        self._attempts = attempts
        self._session = boto3.Session(
            aws_access_key_id=access_key_id, aws_secret_access_key=secret_access_key, aws_session_token=session_token,
            region_name=region)

    @classmethod
    def of(cls, offer: Offer) -> Clients:
        return cls(offer.endpoint, offer.connectEndpoint, offer.region, offer.accessKeyId, offer.secretAccessKey)

    @classmethod
    def from_environment(cls) -> Clients:
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        if urlsplit(endpoint).hostname not in _LOOPBACK:
            raise LocalError(
                "AWS_ENDPOINT_URL does not name a local AWS. Start one with `make up` and read its `target/local.env`; "
                "a real account is `make deploy`.")
        return cls(
            endpoint,
            os.environ.get("AWS_ENDPOINT_URL_CONNECT") or endpoint,
            os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "",
            os.environ.get("AWS_ACCESS_KEY_ID", ""),
            os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
            os.environ.get("AWS_SESSION_TOKEN"))

    def assumed(self, credentials: dict[str, str]) -> Clients:
        """The same places as somebody else."""
        return Clients(
            self.endpoint, self._connect_endpoint, self.region, credentials["AccessKeyId"], credentials["SecretAccessKey"],
            credentials.get("SessionToken"))

    @cached_property
    def account_id(self) -> str:
        return self.sts.get_caller_identity()["Account"]

    def make_bucket(self, name: str) -> None:
        """Makes a bucket in our region, unless it is there; S3 wants us-east-1 not to be named."""
        elsewhere = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=name, **elsewhere)

    def __getattr__(self, service: str) -> Any:
        if service.startswith("_"):
            raise AttributeError(service)
        config = Config(retries={"mode": "standard", "max_attempts": self._attempts}, s3={"addressing_style": "path"},
                        connect_timeout=5, read_timeout=60)
        endpoint = self._connect_endpoint if service == "connect" else self.endpoint
        client = self._session.client(service.rstrip("_"), endpoint_url=endpoint, config=config)
        setattr(self, service, client)
        return client
