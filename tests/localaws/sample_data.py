"""Owns sample agent events and contact records in the shapes that Connect streams. All values are invented.

Shapes: Connect administrator guide, "Agent event streams data model" and "Data model for contact records"."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

_AGENTS = (("Mia", "Tran", "mtran"), ("Noah", "Singh", "nsingh"), ("Ruby", "Okafor", "rokafor"))
_HEARTBEAT = timedelta(seconds=120)


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def _moment(at: datetime, precision: str = "milliseconds") -> str:
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def agent_events(instance_arn: str, now: datetime) -> Iterator[dict[str, Any]]:
    """A short shift of each agent: login, available, a call, heartbeats, logout. In order for each agent."""
    for first, last, user in _AGENTS:
        agent = _Agent(instance_arn, first, last, user)
        at = now - timedelta(minutes=30)
        offline = agent.snapshot("Offline", "OFFLINE", at)
        available = agent.snapshot("Available", "ROUTABLE", at)
        call = agent.contact(at + timedelta(minutes=3))
        in_call = {**available, "Contacts": [call]}
        yield agent.event("LOGIN", at, None, offline)
        yield agent.event("STATE_CHANGE", at + timedelta(seconds=5), offline, available)
        yield agent.event("HEART_BEAT", at + _HEARTBEAT, None, available)
        yield agent.event("STATE_CHANGE", at + timedelta(minutes=3), available, in_call)
        yield agent.event("HEART_BEAT", at + timedelta(minutes=5), None, in_call)
        yield agent.event("STATE_CHANGE", at + timedelta(minutes=7), in_call, available)
        yield agent.event("LOGOUT", at + timedelta(minutes=20), available, offline)


class _Agent:
    def __init__(self, instance_arn: str, first: str, last: str, user: str) -> None:
        self.instance_arn = instance_arn
        self.arn = f"{instance_arn}/agent/{_id(instance_arn, user)}"
        self._names = {"FirstName": first, "LastName": last, "Username": user}
        self._queue = {"ARN": f"{instance_arn}/queue/{_id(instance_arn, 'support')}", "Channels": ["VOICE", "CHAT"], "Name": "Support"}

    def snapshot(self, status: str, kind: str, since: datetime) -> dict[str, Any]:
        return {
            "AgentStatus": {
                "ARN": f"{self.instance_arn}/agent-state/{_id(self.instance_arn, status)}",
                "Name": status,
                "StartTimestamp": _moment(since),
                "Type": kind,
            },
            "NextAgentStatus": None,
            "Configuration": {
                **self._names,
                "AgentHierarchyGroups": None,
                "RoutingProfile": {
                    "ARN": f"{self.instance_arn}/routing-profile/{_id(self.instance_arn, 'basic')}",
                    "Name": "Basic Routing Profile",
                    "Concurrency": [{"AvailableSlots": 1, "Channel": "VOICE", "MaximumSlots": 1}],
                    "DefaultOutboundQueue": self._queue,
                    "InboundQueues": [
                        self._queue,
                        {"ARN": f"{self.instance_arn}/queue/agent/{self.arn.rsplit('/', 1)[1]}", "Channels": ["VOICE"], "Name": None},
                    ],
                },
            },
            "Contacts": [],
        }

    def contact(self, at: datetime) -> dict[str, Any]:
        return {
            "ContactId": _id(self.arn, _moment(at)),
            "InitialContactId": None,
            "Channel": "VOICE",
            "InitiationMethod": "INBOUND",
            "State": "CONNECTED",
            "StateStartTimestamp": _moment(at),
            "ConnectedToAgentTimestamp": _moment(at),
            "QueueTimestamp": _moment(at - timedelta(seconds=10)),
            "Queue": {"ARN": self._queue["ARN"], "Name": self._queue["Name"]},
        }

    def event(self, kind: str, at: datetime, before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
        return {
            "AWSAccountId": self.instance_arn.split(":")[4],
            "AgentARN": self.arn,
            "CurrentAgentSnapshot": now,
            "EventId": _id(self.arn, kind, _moment(at)),
            "EventTimestamp": _moment(at),
            "EventType": kind,
            "InstanceARN": self.instance_arn,
            "PreviousAgentSnapshot": before,
            "Version": "2017-10-01",
        }


def contact_records(instance_arn: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Finished calls of the last hour; the last one was abandoned in the queue, so no agent is in it."""
    for number in range(5):
        yield _contact_record(instance_arn, number, now - timedelta(minutes=55 - 10 * number), abandoned=number == 4)


def _contact_record(instance_arn: str, number: int, at: datetime, abandoned: bool) -> dict[str, Any]:
    first, last, user = _AGENTS[number % len(_AGENTS)]
    agent = _Agent(instance_arn, first, last, user)
    connected, ended = at + timedelta(seconds=12), at + timedelta(minutes=4)
    return {
        "AWSAccountId": instance_arn.split(":")[4],
        "AWSContactTraceRecordFormatVersion": "2017-03-10",
        "ContactId": _id(instance_arn, "contact", str(number)),
        "InitialContactId": None,
        "PreviousContactId": None,
        "NextContactId": None,
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": _moment(at, "seconds"),
        "ConnectedToSystemTimestamp": _moment(at, "seconds"),
        "DisconnectTimestamp": _moment(ended, "seconds"),
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "LastUpdateTimestamp": _moment(ended + timedelta(seconds=90), "seconds"),
        "Agent": None if abandoned else {
            "ARN": agent.arn,
            "Username": user,
            "AgentInteractionDuration": int((ended - connected).total_seconds()),
            "AfterContactWorkDuration": 60,
            "AfterContactWorkStartTimestamp": _moment(ended, "seconds"),
            "AfterContactWorkEndTimestamp": _moment(ended + timedelta(seconds=60), "seconds"),
            "ConnectedToAgentTimestamp": _moment(connected, "seconds"),
            "CustomerHoldDuration": 0,
            "LongestHoldDuration": 0,
            "NumberOfHolds": 0,
            "HierarchyGroups": None,
            "RoutingProfile": {"ARN": f"{instance_arn}/routing-profile/{_id(instance_arn, 'basic')}", "Name": "Basic Routing Profile"},
        },
        "AgentConnectionAttempts": 0 if abandoned else 1,
        "Attributes": {"language": "en-AU"},
        "CustomerEndpoint": {"Address": f"+6100000000{number}", "Type": "TELEPHONE_NUMBER"},
        "SystemEndpoint": {"Address": "+61111111111", "Type": "TELEPHONE_NUMBER"},
        "Queue": {
            "ARN": f"{instance_arn}/queue/{_id(instance_arn, 'support')}",
            "Name": "Support",
            "EnqueueTimestamp": _moment(at, "seconds"),
            "DequeueTimestamp": _moment(connected, "seconds"),
            "Duration": 12,
        },
        "MediaStreams": [{"Type": "AUDIO"}],
        "Recording": None,
        "Recordings": None,
        "TransferCompletedTimestamp": None,
        "TransferredToEndpoint": None,
        "InstanceARN": instance_arn,
    }
