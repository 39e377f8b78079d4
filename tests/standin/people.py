"""Owns the people of the documents: users of the local AWS with exactly the policies of docs/policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from localaws import kept, places
from localaws.clients import Clients
from localaws.launcher import LocalAws, Offer

STACK = "emite-connect"


def statements(local: LocalAws, *names: str, packages: str | None = None) -> list[dict[str, Any]]:
    """What these files of docs/policies allow, for the local AWS. `packages` is the bucket for the packages of functions."""
    offer = local.offer
    values = {
        "<account>": offer.accountId,
        "<region>": offer.region,
        "<stack>": STACK,
        "<packages>": packages or f"local-packages-{offer.accountId}-{offer.region}",
        "<instance>": offer.instanceId,
        "<bucket>": f"{STACK}-backupbucket-*",
    }
    found: list[dict[str, Any]] = []
    for name in names:
        text = (places.ROOT / "docs" / "policies" / f"{name}.json").read_text(encoding="utf-8")
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        found += json.loads(text)["Statement"]
    return found


class Person(Clients):
    """A user with keys of their own."""

    def __init__(self, offer: Offer, key: dict[str, str]) -> None:
        super().__init__(offer.endpoint, offer.connectEndpoint, offer.region, key["AccessKeyId"], key["SecretAccessKey"], attempts=1)
        self.environment = {
            **kept.environment(offer), "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def make_bucket(self, name: str) -> None:
        """The bucket for packages is there before, as the documents say."""


PersonWith = Callable[[list[dict[str, Any]]], Person]


@contextmanager
def person_with(local: LocalAws) -> Iterator[PersonWith]:
    """Makes users with managed policies of these statements, as many to a policy as fit."""
    offer, iam = local.offer, Clients.of(local.offer).iam
    made: list[tuple[str, str, list[str]]] = []

    def make(allowed: list[dict[str, Any]]) -> Person:
        name = f"person-{len(made)}"
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        arns = []
        half = (len(allowed) + 1) // 2
        for number, part in enumerate(part for part in (allowed[:half], allowed[half:]) if part):
            document = json.dumps({"Version": "2012-10-17", "Statement": part})
            arns.append(iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=document)["Policy"]["Arn"])
            iam.attach_user_policy(UserName=name, PolicyArn=arns[-1])
        made.append((name, key["AccessKeyId"], arns))
        return Person(offer, key)

    yield make
    for name, key_id, arns in made:
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)
        for arn in arns:
            iam.detach_user_policy(UserName=name, PolicyArn=arn)
            iam.delete_policy(PolicyArn=arn)
        iam.delete_user(UserName=name)
