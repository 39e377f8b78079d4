"""Owns the act in which something breaks between Connect and eMite: it is told in one mail, mended with that mail's own command,
and told once more as soon as the repair has seen that it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import connect_state, kept
from ..clients import Clients
from ..launcher import LocalAws
from ..mailbox import Mail, mails_to
from .stage import DemoFailed, Stage

ADDRESS = "admin@example.com"
_INTERVAL = timedelta(minutes=5)
_PATIENCE_SECONDS = 20


class Watching:
    """Reports come minutes apart, and what they tell depends on that. The real health check looks; its report is put onto the
    bus with a time in the past, five minutes after the one before it."""

    def __init__(self, stage: Stage, local: LocalAws, resources: dict[str, str]) -> None:
        self._stage = stage
        self._local = local
        self._offer = local.offer
        self._us = Clients.of(local.offer)
        self._resources = resources
        self._now = datetime.now(UTC) - timedelta(hours=1)

    def play(self) -> None:
        stage = self._stage
        token = self._mails()[0].token
        self._us.sns.confirm_subscription(TopicArn=self._resources["AlertTopic"], Token=token)
        stage.check(True, f"{ADDRESS} confirms the subscription")
        with self._rule_closed("HealthCheckSchedule"), self._rule_closed("ReportRule"):
            self._looks_well("Deployed")
            self._break()
            (opened,) = self._tell(self._check(), 1)
            stage.check(opened.subject.startswith("[Critical]") and "agent events" in opened.body, "one message says what is wrong")
            self._show(opened)
            self._plan()
            self._mend(opened)

    def _break(self) -> None:
        """Somebody switches the streaming of agent events off."""
        connect, of = self._us.connect, {"InstanceId": self._offer.instanceId, "ResourceType": "AGENT_EVENTS"}
        (config,) = connect.list_instance_storage_configs(**of)["StorageConfigs"]
        connect.disassociate_instance_storage_config(**of, AssociationId=config["AssociationId"])
        self._stage.say("Somebody switches data streaming of agent events off in Amazon Connect")

    def _plan(self) -> None:
        """What a repair would do, and that asking for that changes nothing."""
        before = connect_state.read(self._local, self._us, self._offer.instanceId)
        plan = self._invoke("RepairFunction", {"mode": "plan"})
        (change,) = plan["planned"]
        after = connect_state.read(self._local, self._us, self._offer.instanceId)
        self._stage.check(after == before, f"a repair plans to {change['action']} {change['to']}, and changes nothing yet")

    def _mend(self, mail: Mail) -> None:
        """By the mail's own command; people hear of it at once."""
        commands = [line.strip() for line in mail.body.splitlines() if '"mode":"apply"' in line]
        if not commands:
            raise DemoFailed(f"The message has no command that mends it:\n{mail.body}")
        before, ended = len(self._mails()), self._reporter_runs()
        self._us.events.enable_rule(Name=self._rule("ReportRule"))
        printed = kept.run(commands[0], self._offer)
        self._us.events.disable_rule(Name=self._rule("ReportRule"))
        answer, _ = json.JSONDecoder().raw_decode(printed)
        targets = connect_state.streams_to(connect_state.read(self._local, self._us, self._offer.instanceId))
        results = [outcome["result"] for outcome in answer["outcomes"]]
        self._stage.check(
            results == ["Applied"] and "AGENT_EVENTS" in targets, "its command, pasted as it stands, mends it", json.dumps(answer["outcomes"]))
        after = answer["after"]
        self._stage.check(after["status"] == "Healthy", "its answer proves that: every check was made again, and nothing is wrong")
        self._tell_over(self._await(before, 1, ended), "Resolved")

    def _looks_well(self, subject: str) -> None:
        """A good report, of which people are told in one message of that subject."""
        report = self._check()
        wrong = [finding["summary"] for finding in report["findings"] if finding["severity"] != "Info"]
        self._stage.check(not wrong, "the health check finds nothing wrong", "\n".join(wrong))
        self._tell_over(self._tell(report, 1), subject)

    def _tell_over(self, mails: list[Mail], subject: str) -> None:
        self._stage.check(
            [mail.subject.split("]")[0] for mail in mails] == [f"[{subject}"], f"one message tells that: {mails[0].subject}",
            "\n".join(mail.subject for mail in mails))

    def _check(self) -> dict[str, Any]:
        """What the health check says now."""
        return self._invoke("HealthCheckFunction", {})

    def _invoke(self, logical_id: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = self._us.lambda_.invoke(FunctionName=self._resources[logical_id], Payload=json.dumps(event).encode())
        said = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise DemoFailed(f"{logical_id} failed: {said}")
        return said

    def _tell(self, report: dict[str, Any], expected: int) -> list[Mail]:
        """Puts the report onto the bus, and answers what was mailed once the reporter has seen it."""
        self._now += _INTERVAL
        before, ended = len(self._mails()), self._reporter_runs()
        now, then = f"{self._now:%Y-%m-%dT%H:%M:%SZ}", report["checkedAt"]
        findings = [{**finding, "dataLossAt": now} if finding["dataLossAt"] == then else finding for finding in report["findings"]]
        detail = {**report, "checkedAt": now, "findings": findings}
        self._us.events.enable_rule(Name=self._rule("ReportRule"))
        self._us.events.put_events(Entries=[{
            "Source": "emite-connect", "DetailType": "Integration Health Report", "Detail": json.dumps(detail)}])
        self._us.events.disable_rule(Name=self._rule("ReportRule"))
        return self._await(before, expected, ended)

    def _await(self, before: int, expected: int, ended: int) -> list[Mail]:
        """What is mailed once the reporter has run again."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._reporter_runs() == ended or len(self._mails()) < before + expected:
            if time.monotonic() > deadline:
                raise DemoFailed(f"{len(self._mails()) - before} messages instead of {expected}")
            time.sleep(0.05)
        return self._mails()[before:]

    def _reporter_runs(self) -> int:
        configuration = self._us.lambda_.get_function_configuration(FunctionName=self._resources["ReporterFunction"])
        group = configuration["LoggingConfig"]["LogGroup"]
        pages = self._us.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return sum(event["message"].startswith("REPORT RequestId: ") for page in pages for event in page["events"])

    def _mails(self) -> list[Mail]:
        return mails_to(self._offer, ADDRESS)

    @contextmanager
    def _rule_closed(self, logical_id: str) -> Iterator[None]:
        self._us.events.disable_rule(Name=self._rule(logical_id))
        yield
        self._us.events.enable_rule(Name=self._rule(logical_id))

    def _rule(self, logical_id: str) -> str:
        return self._resources[logical_id].rpartition("|")[2].rpartition("/")[2]

    def _show(self, mail: Mail) -> None:
        paint = self._stage.screen.paint
        self._stage.screen.line()
        self._stage.say(f"  {paint('Subject: ' + mail.subject, 'yellow', 'bold')}")
        for line in mail.body.splitlines():
            self._stage.say(f"  {paint(line, 'yellow')}".rstrip())
        self._stage.screen.line()
