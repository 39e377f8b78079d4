"""Owns `policies`: what each function of the template may do, as the deployed roles say it, with every reference resolved."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from . import deployer, samples
from .clients import Clients
from .errors import LocalError
from .launcher import LocalAws
from .template import Template


def print_policies() -> int:
    template = Template.read()
    with LocalAws() as local:
        clients = Clients.of(local.offer)
        given = {"ConnectInstanceArn": local.offer.instanceArn}
        result = deployer.deploy(clients, template, samples.STACK_NAME, given, lambda event: None)
        if not result.succeeded:
            raise LocalError("\n".join([f"The template was not deployed: {result.status}", *result.reasons]))
        functions = {logical_id: result.resources[logical_id]["physicalId"] for logical_id in template.binaries()}
        print(json.dumps({logical_id: _statements(clients, name) for logical_id, name in functions.items()}))
    return 0


def _statements(clients: Clients, function_name: str) -> list[dict[str, Any]]:
    role_arn = clients.lambda_.get_function_configuration(FunctionName=function_name)["Role"]
    role = role_arn.rsplit("/", 1)[1]
    documents = [
        clients.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in clients.iam.list_role_policies(RoleName=role)["PolicyNames"]]
    for attached in clients.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        policy = clients.iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
        version = clients.iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        documents.append(version["PolicyVersion"]["Document"])
    return [statement for document in documents for statement in _parsed(document)["Statement"]]


def _parsed(document: Any) -> dict[str, Any]:
    return json.loads(unquote(document)) if isinstance(document, str) else document
