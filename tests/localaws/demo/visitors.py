"""Owns the acts in which others come: Connect, which writes, eMite, which reads, and those who may do neither."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from .. import sample_data, samples
from ..clients import Clients
from ..launcher import LocalAws
from .stage import DemoFailed, Stage

_SESSION_SECONDS = 12 * 3600


class Visitors:
    def __init__(self, stage: Stage, local: LocalAws, outputs: dict[str, str]) -> None:
        self._stage = stage
        self._local = local
        self._offer = local.offer
        self._us = Clients.of(local.offer)
        self._outputs = outputs

    def use(self) -> None:
        """Connect streams in, eMite reads out."""
        stage, now = self._stage, datetime.now(UTC)
        as_connect = self._as_connect()
        events = list(sample_data.agent_events(self._offer.instanceArn, now))
        records = list(sample_data.contact_records(self._offer.instanceArn, now))
        put = as_connect.kinesis.put_records(
            StreamARN=self._outputs["AgentEventStreamArn"],
            Records=[{"Data": json.dumps(event).encode(), "PartitionKey": event["AgentARN"]} for event in events])
        stage.check(put["FailedRecordCount"] == 0, f"Connect puts {len(events)} agent events, each under its agent's ARN")
        put = as_connect.firehose.put_record_batch(
            DeliveryStreamName=self._outputs["DeliveryStreamArn"].rsplit("/", 1)[1],
            Records=[{"Data": json.dumps(record).encode() + b"\n"} for record in records])
        stage.check(put["FailedPutCount"] == 0, f"Connect puts {len(records)} contact records into Firehose")
        stage.say("    (this emulator's Firehose takes records and does not deliver them; on AWS they appear in the domain)")
        emite = self._as_emite(self._outputs["EmiteRoleArn"])
        stage.check(True, "eMite assumes emite-role for 12 hours with its external ID")
        read = list(_read_stream(emite, self._outputs["AgentEventStreamArn"]))
        stage.check(_by_agent(read) == _by_agent(events), f"eMite reads the {len(read)} agent events back, in order for each agent")
        described = emite.connect.describe_instance(InstanceId=self._offer.instanceId)["Instance"]
        stage.check(described["Arn"] == self._offer.instanceArn, f"eMite describes the Connect instance {described.get('InstanceAlias', '')}")

    def leave_refused_record(self) -> str:
        """Puts a record that the domain refused where Firehose would put it, and returns its key."""
        now = datetime.now(UTC)
        name = self._outputs["DeliveryStreamArn"].rsplit("/", 1)[1]
        key = f"emite-connect/{name}/failed/AmazonOpenSearchService-failed/{now:%Y/%m/%d/%H}/{name}-1-{now:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"
        record = next(sample_data.contact_records(self._offer.instanceArn, now))
        refusal = {"errorCode": "400", "errorMessage": "mapper_parsing_exception",
                   "rawData": base64.b64encode(json.dumps(record).encode()).decode()}
        self._us.s3.put_object(Bucket=self._outputs["BackupBucket"], Key=key, Body=json.dumps(refusal).encode() + b"\n")
        self._stage.say("A record that the domain refused is put into the backup bucket, in Firehose's stead")
        return key

    def _as_connect(self) -> Clients:
        """As Connect's own role, which may only write where Connect let itself; a given Connect has no role here."""
        if not self._local.has_stand_in:
            return self._us
        role = self._us.connect.describe_instance(InstanceId=self._offer.instanceId)["Instance"]["ServiceRole"]
        return self._us.assumed(self._us.sts.assume_role(RoleArn=role, RoleSessionName="connect")["Credentials"])

    def _as_emite(self, role_arn: str) -> Clients:
        session = self._somebody_of(samples.EMITE_ACCOUNT_ID).sts.assume_role(
            RoleArn=role_arn, RoleSessionName="emite-kinesis-adapter", ExternalId=samples.EXTERNAL_ID, DurationSeconds=_SESSION_SECONDS)
        return self._us.assumed(session["Credentials"])

    def _somebody_of(self, account_id: str) -> Clients:
        """A user of that account whose own administrator allows everything."""
        root = self._us.assumed({"AccessKeyId": account_id, "SecretAccessKey": "local"})
        name = f"demo-{uuid.uuid4().hex[:8]}"
        root.iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        root.iam.put_user_policy(
            UserName=name, PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        key = root.iam.create_access_key(UserName=name)["AccessKey"]
        return self._us.assumed({"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]})

    def refuse(self) -> None:
        """Everybody else is denied, and eMite is denied everything else."""
        role_arn = self._outputs["EmiteRoleArn"]
        emite_user, stranger = self._somebody_of(samples.EMITE_ACCOUNT_ID).sts, self._somebody_of("777788889999").sts
        assume = {"RoleArn": role_arn, "RoleSessionName": "demo"}
        self._denied("eMite without the external ID", lambda: emite_user.assume_role(**assume))
        self._denied("eMite with another customer's external ID", lambda: emite_user.assume_role(**assume, ExternalId="another-customer"))
        self._denied("another account with the right external ID", lambda: stranger.assume_role(**assume, ExternalId=samples.EXTERNAL_ID))
        emite = self._as_emite(role_arn)
        outside = self._outside_the_policy(emite)
        for what, call in outside.items():
            self._denied(f"eMite {what}", call)
        role = {"RoleName": role_arn.rsplit("/", 1)[1], "PolicyName": "grown"}
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        self._us.iam.put_role_policy(**role, PolicyDocument=json.dumps(everything))
        for what, call in outside.items():
            self._denied(f"eMite {what}, even with a policy that allows everything", call, quietly=True)
        self._us.iam.delete_role_policy(**role)
        self._stage.check(True, "none of these is allowed either when somebody adds a policy that allows everything: the boundary holds")

    def _outside_the_policy(self, emite: Clients) -> dict[str, Callable[[], Any]]:
        instance_id = self._offer.instanceId
        calls: dict[str, Callable[[], Any]] = {
            "writes into the agent event stream": lambda: emite.kinesis.put_record(
                StreamARN=self._outputs["AgentEventStreamArn"], Data=b"{}", PartitionKey="x"),
            "deletes the agent event stream": lambda: emite.kinesis.delete_stream(StreamARN=self._outputs["AgentEventStreamArn"]),
            "writes contact records": lambda: emite.firehose.put_record(
                DeliveryStreamName=self._outputs["DeliveryStreamArn"].rsplit("/", 1)[1], Record={"Data": b"{}"}),
            "lists buckets": lambda: emite.s3.list_buckets(),
            "reads its own role": lambda: emite.iam.get_role(RoleName=self._outputs["EmiteRoleArn"].rsplit("/", 1)[1]),
        }
        if self._local.has_stand_in:
            calls["approves an origin"] = lambda: emite.connect.associate_approved_origin(
                InstanceId=instance_id, Origin="https://elsewhere.example.com")
        return calls

    def _denied(self, what: str, call: Callable[[], Any], quietly: bool = False) -> None:
        code = "it was allowed"
        try:
            call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
        if code not in ("AccessDenied", "AccessDeniedException"):
            raise DemoFailed(f"Not denied: {what} ({code})")
        if not quietly:
            self._stage.check(True, f"denied: {what}")


def _read_stream(reader: Clients, stream_arn: str) -> Iterator[dict[str, Any]]:
    """All records of all shards, as a consumer reads them."""
    for shard in reader.kinesis.list_shards(StreamARN=stream_arn)["Shards"]:
        iterator = reader.kinesis.get_shard_iterator(
            StreamARN=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            batch = reader.kinesis.get_records(ShardIterator=iterator, Limit=100)
            for record in batch["Records"]:
                event = json.loads(record["Data"])
                if record["PartitionKey"] != event["AgentARN"]:
                    raise DemoFailed(f"A record's partition key is {record['PartitionKey']}, not its agent.")
                yield event
            iterator = batch.get("NextShardIterator") if batch["Records"] else None


def _by_agent(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    agents: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        agents.setdefault(event["AgentARN"], []).append(event)
    return agents
