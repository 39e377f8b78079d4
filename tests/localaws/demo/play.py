"""Owns `make demo`: acts that deploy, use and remove the integration. Every check is made; the first that fails ends the demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .. import connect_state, deployer, kept, places, samples, terminal
from ..clients import Clients
from ..errors import LocalError
from ..launcher import LocalAws
from ..template import Template
from . import redriving, watching
from .stage import DemoFailed, Stage
from .visitors import Visitors


def demo() -> int:
    screen = terminal.stdout()
    begun = time.monotonic()
    stage = Stage(screen)
    try:
        template = Template.read()
        with ExitStack() as ending:
            with stage.act("Start a local AWS, with IAM enforced"):
                places.TARGET.mkdir(exist_ok=True)
                places.DEMO_LOG.unlink(missing_ok=True)
                local = ending.enter_context(LocalAws(log=places.DEMO_LOG))
                stage.say(f"Amazon Connect instance: {local.offer.instanceArn}")
            Demo(stage, local, template).play()
    except (DemoFailed, BotoCoreError, ClientError) as failure:
        screen.line()
        screen.failures("The demo failed.", str(failure).splitlines())
        screen.line(f"The emulator's log: {places.DEMO_LOG}")
        return 1
    screen.line()
    stage.summary(time.monotonic() - begun)
    return 0


@dataclass
class _Teardown:
    """Progress that also notes what CloudFormation skips."""

    show: Callable[[dict[str, Any]], None]
    skipped: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> None:
        if event["ResourceStatus"] == "DELETE_SKIPPED":
            self.skipped.append(event)
        self.show(event)


class Demo:
    def __init__(self, stage: Stage, local: LocalAws, template: Template) -> None:
        self._stage = stage
        self._local = local
        self._offer = local.offer
        self._template = template
        self._us = Clients.of(local.offer)

    def play(self) -> None:
        stage, instance = self._stage, self._offer.instanceArn
        self._furnish(self._offer.instanceId)
        before = self._state(self._offer.instanceId)
        with stage.act("Deploy infra/template.yaml"):
            result = self._deploy(instance, "Replace" if connect_state.streams_to(before) else "Fail", {"AlertEmail": watching.ADDRESS})
        with stage.act("Hand it over to the eMite team"):
            self._hand_over(result.outputs)
        visitors = Visitors(stage, self._local, result.outputs)
        with stage.act("Use it: Connect streams in, eMite reads out"):
            visitors.use()
        with stage.act("Something breaks: people are told, mend it, and are told that it is over"):
            watching.Watching(stage, self._local, {name: found["physicalId"] for name, found in result.resources.items()}).play()
        with stage.act("The domain refuses records: they are put back"):
            redriving.Redriving(stage, self._local, result.outputs).play()
        with stage.act("Who may not"):
            visitors.refuse()
        with stage.act("Take it away"):
            visitors.leave_refused_record()
            self._remove(self._offer.instanceId, before, holds_records=True)
        with stage.act("An instance that streams elsewhere already"):
            self._existing_streaming()

    def _state(self, instance_id: str) -> dict[str, Any]:
        return connect_state.read(self._local, self._us, instance_id)

    def _furnish(self, instance_id: str) -> None:
        """Gives our own stand-in a configuration of its own, so that leaving it alone means something."""
        if not self._local.has_stand_in:
            return
        bucket = f"call-recordings-{self._offer.accountId}"
        self._us.make_bucket(bucket)
        self._us.connect.associate_instance_storage_config(
            InstanceId=instance_id, ResourceType="CALL_RECORDINGS",
            StorageConfig={"StorageType": "S3", "S3Config": {"BucketName": bucket, "BucketPrefix": "connect/recordings"}})
        self._us.connect.associate_approved_origin(InstanceId=instance_id, Origin="https://crm.example.com")

    def _deploy(self, instance_arn: str, on_existing: str, more: dict[str, str] | None = None) -> deployer.Result:
        given = {"ConnectInstanceArn": instance_arn, "OnExistingStreaming": on_existing, **(more or {})}
        result = deployer.deploy(self._us, self._template, samples.STACK_NAME, given, terminal.ResourceProgress(self._stage.screen))
        if not result.succeeded:
            raise DemoFailed("\n".join([f"The stack was not deployed: {result.status}", *result.reasons]))
        self._stage.screen.line()
        self._stage.screen.table([(name, result.outputs[name]) for name in self._template.outputs if name in result.outputs])
        self._stage.screen.line()
        targets = connect_state.streams_to(self._state(instance_arn.rsplit("/", 1)[1]))
        ours = {"CONTACT_TRACE_RECORDS": result.outputs["DeliveryStreamArn"], "AGENT_EVENTS": result.outputs["AgentEventStreamArn"]}
        self._stage.check(targets == ours, "Connect streams contact records to Firehose and agent events to Kinesis", f"It streams to {targets}")
        return result

    def _hand_over(self, outputs: dict[str, str]) -> None:
        """The document that the stack's output names, printed by the command that the README offers."""
        stage = self._stage
        command = f"aws s3 cp {outputs['HandoverDocument']} -"
        text = kept.run(command, self._offer)
        stage.say(stage.screen.paint(command, "cyan"))
        stage.screen.line()
        for line in text.splitlines():
            stage.say(f"  {stage.screen.paint(line, 'yellow')}".rstrip())
        stage.screen.line()
        wanted = [outputs[name] for name in ("EmiteRoleArn", "ConnectInstanceArn", "AgentEventStreamArn", "SearchEndpoint", "TimeZone")]
        missing = [value for value in wanted if f"  {value}\n  verified\n" not in text]
        stage.check(not missing and "NOT VERIFIED" not in text, "the whole list is in it, each item verified in AWS", f"Not so: {missing}")

    def _remove(self, instance_id: str, before: dict[str, Any], holds_records: bool) -> None:
        """Deletes the stack, then what it keeps."""
        stage = self._stage
        progress = _Teardown(terminal.ResourceProgress(stage.screen))
        result = deployer.delete(self._us, samples.STACK_NAME, progress)
        if not result.succeeded:
            raise DemoFailed("\n".join([f"The stack was not deleted: {result.status}", *result.reasons]))
        after = self._state(instance_id)
        stage.check(after == before, "Connect is configured exactly as before", f"before: {before}\nafter:  {after}")
        left = kept.kept_of(progress.skipped)
        stage.say("Kept on purpose, until you remove it:")
        for item in left:
            stage.say(f"  {item.what} ({item.why})")
            for command in item.commands:
                stage.say(stage.screen.paint(f"    {command}", "cyan"))
        stage.check(len(left) == 3, "the domain, the bucket and the ledger are kept, and nothing else", f"Kept: {[item.what for item in left]}")
        held = [key for item in left if item.resource_type == "AWS::S3::Bucket" for key, _ in item.versions(self._us)]
        waits = [key for key in held if "/failed/" in key]
        stage.check(
            bool(waits) == holds_records and all(key.startswith("emite-connect/") for key in held),
            "the bucket holds what was refused and what came of it, and nothing else", f"It holds {held}")
        try:
            for item in left:
                item.remove(self._offer)
        except LocalError as failure:
            raise DemoFailed(str(failure)) from failure
        stage.check(self._leftovers() == [], "those commands were run as printed, and nothing is left", f"Left: {self._leftovers()}")

    def _leftovers(self) -> list[str]:
        """What the stack makes, wherever it still is."""
        us = self._us
        return [
            *(domain["DomainName"] for domain in us.opensearch.list_domain_names()["DomainNames"]),
            *us.dynamodb.list_tables()["TableNames"],
            *(bucket["Name"] for bucket in us.s3.list_buckets()["Buckets"] if bucket["Name"].startswith(samples.STACK_NAME)),
            *(role["RoleName"] for role in us.iam.list_roles()["Roles"]
              if role["RoleName"].startswith(("emite-", samples.STACK_NAME))),
            *(name for name in us.kinesis.list_streams()["StreamNames"] if not name.startswith("previous-")),
            *(name for name in us.firehose.list_delivery_streams()["DeliveryStreamNames"] if not name.startswith("previous-")),
        ]

    def _existing_streaming(self) -> None:
        stage = self._stage
        instance_arn = self._second_instance()
        instance_id = instance_arn.rsplit("/", 1)[1]
        found = self._state(instance_id)
        self._stream_elsewhere(instance_id, found)
        before = self._state(instance_id)
        stage.say(f"Instance {instance_id} streams to {', '.join(connect_state.streams_to(before).values())}")

        quiet = _Teardown(lambda event: None)
        given = {"ConnectInstanceArn": instance_arn, "OnExistingStreaming": "Fail"}
        result = deployer.deploy(self._us, self._template, samples.STACK_NAME, given, quiet)
        stage.check(
            result.status == "ROLLBACK_COMPLETE", "OnExistingStreaming=Fail refuses, and CloudFormation says why:",
            "\n".join([f"It ended in {result.status}", *result.reasons]))
        for reason in result.reasons:
            stage.say(f"    {stage.screen.paint(reason, 'yellow')}")
        named = all(any(arn in reason for reason in result.reasons) for arn in connect_state.streams_to(before).values())
        stage.check(named, "the message names where it streams today")
        stage.check(self._state(instance_id) == before, "nothing was changed")
        stage.check(self._leftovers() == [], "nothing was left behind", f"Left: {self._leftovers()}")

        stage.screen.line()
        self._deploy(instance_arn, "Replace")
        stage.check(True, "OnExistingStreaming=Replace took over")
        self._remove(instance_id, before, holds_records=False)
        stage.check(self._state(instance_id) == before, "the previous streaming is back")
        self._stop_streaming_elsewhere(instance_id, found)

    def _second_instance(self) -> str:
        """One of its own from our stand-in; a given Connect has to do with the one that it has."""
        if not self._local.has_stand_in:
            return self._offer.instanceArn
        return self._local.control("POST", "instances", {"alias": "acme-sales"})["arn"]

    def _stream_elsewhere(self, instance_id: str, found: dict[str, Any]) -> None:
        """Has the instance stream to streams of the same account that are not ours, unless it does already."""
        us = self._us
        us.kinesis.create_stream(StreamName="previous-agent-events", ShardCount=1)
        stream = us.kinesis.describe_stream_summary(StreamName="previous-agent-events")["StreamDescriptionSummary"]["StreamARN"]
        us.make_bucket("previous-contact-records")
        delivery_stream = us.firehose.create_delivery_stream(
            DeliveryStreamName="previous-contact-records",
            ExtendedS3DestinationConfiguration={
                "RoleARN": f"arn:aws:iam::{self._offer.accountId}:role/previous", "BucketARN": "arn:aws:s3:::previous-contact-records"},
        )["DeliveryStreamARN"]
        elsewhere = {
            "AGENT_EVENTS": {"StorageType": "KINESIS_STREAM", "KinesisStreamConfig": {"StreamArn": stream}},
            "CONTACT_TRACE_RECORDS": {"StorageType": "KINESIS_FIREHOSE", "KinesisFirehoseConfig": {"FirehoseArn": delivery_stream}},
        }
        for resource_type, config in elsewhere.items():
            if resource_type not in found["storage"]:
                us.connect.associate_instance_storage_config(InstanceId=instance_id, ResourceType=resource_type, StorageConfig=config)

    def _stop_streaming_elsewhere(self, instance_id: str, found: dict[str, Any]) -> None:
        """Leaves a given Connect as it was found."""
        if self._local.has_stand_in:
            return
        for resource_type in ("AGENT_EVENTS", "CONTACT_TRACE_RECORDS"):
            if resource_type in found["storage"]:
                continue
            listed = self._us.connect.list_instance_storage_configs(InstanceId=instance_id, ResourceType=resource_type)
            for config in listed["StorageConfigs"]:
                self._us.connect.disassociate_instance_storage_config(
                    InstanceId=instance_id, ResourceType=resource_type, AssociationId=config["AssociationId"])
        self._stage.check(self._state(instance_id) == found, "the given Connect is as the demo found it")
