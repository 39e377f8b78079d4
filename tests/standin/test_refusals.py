"""Deployments of the real template that Preflight refuses: nothing that costs money or notifies anyone comes before the refusal."""

from __future__ import annotations

import json
from typing import Any

from localaws import deployer, package
from localaws.clients import Clients
from localaws.launcher import LocalAws
from localaws.template import Template

STACK = "refused"


def test_an_account_without_room_for_a_log_policy_is_refused_before_anyone_is_emailed(local: LocalAws) -> None:
    clients = Clients.of(local.offer)
    package.upload(Template.read(), clients)
    taken = len(clients.logs.describe_resource_policies()["resourcePolicies"])
    names = [f"of-another-product-{number}" for number in range(taken, 10)]
    events: list[dict[str, Any]] = []
    try:
        for name in names:
            clients.logs.put_resource_policy(policyName=name, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
        refused = deployer.deploy(clients, Template.read(), STACK, {"AlertEmail": "ops@example.com"}, events.append)
    finally:
        for name in names:
            clients.logs.delete_resource_policy(policyName=name)
    assert refused.status == "ROLLBACK_COMPLETE"
    [reason] = [reason for reason in refused.reasons if "DomainLogs" in reason]
    assert "already has 10 of 10" in reason and names[-1] in reason and "Set DomainLogs to Disabled" in reason
    begun = {event["LogicalResourceId"] for event in events}
    assert "Preflight" in begun
    assert not begun & {"AlertEmailSubscription", "SearchDomainLogPolicy", "SearchDomain", "AgentEventStream"}
    assert deployer.delete(clients, STACK, lambda event: None).status == "DELETE_COMPLETE"
