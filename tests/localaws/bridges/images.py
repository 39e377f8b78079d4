"""Owns the bridge of the images that AWS publishes: the public parameters that name the latest of each kind."""

from __future__ import annotations

import json
from typing import Any

from .access import caller
from .hooks import Hook, replace

_PREFIX = "/aws/service/ami-windows-latest/"
_SQL_SERVERS = {2016: (2017, 2019), 2019: (2017, 2019, 2022), 2022: (2017, 2019, 2022)}
_NAMES = [f"Windows_Server-{year}-English-Full-{edition}" for year, servers in _SQL_SERVERS.items()
          for edition in ("Base", *(f"SQL_{server}_Express" for server in servers))]


def publish_windows_images() -> None:
    """AWS publishes the latest Windows images in public parameters, which belong to no account; the emulator has two of Linux only,
    and authorises reading one as if it were the account's. Whoever writes one as the account's root stands for AWS, which publishes."""
    from ministack.services import ssm

    ssm._PUBLIC_AMI_PARAMETERS.update({f"{_PREFIX}{name}": f"ami-{number:017x}" for number, name in enumerate(_NAMES, 0xA0)})

    def wrap_put(put: Hook) -> Hook:
        def or_publish(data: dict) -> Any:
            name = data.get("Name", "")
            if name in ssm._PUBLIC_AMI_PARAMETERS and caller().endswith(":root"):
                ssm._PUBLIC_AMI_PARAMETERS[name] = data["Value"]
                return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"Version": 1, "Tier": "Standard"}).encode()
            return put(data)
        return or_publish

    def wrap_resource(extract: Hook) -> Hook:
        def of_nobody(service: str, method: str, path: str, headers: dict, body: bytes, query: dict, region: str, account_id: str) -> str:
            arn = extract(service, method, path, headers, body, query, region, account_id)
            public = f"arn:aws:ssm:{region}:{account_id}:parameter/aws/"
            return arn.replace(f":{account_id}:", "::", 1) if arn.startswith(public) else arn
        return of_nobody

    replace("services.ssm", "_put_parameter", wrap_put)
    replace("core.iam_actions", "extract_resource_arn", wrap_resource)
