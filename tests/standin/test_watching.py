"""What watching needs of AWS, through the local AWS: metrics, rules, failed events, mail, and descriptions of what is watched."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.model
import pytest
from botocore.exceptions import ClientError
from test_access import User, allow
from test_bridges import DENIED, LAMBDA_TRUST
from test_operations import code_of

from localaws.launcher import Offer
from localaws.server import mailbox_path

Client = Callable[..., Any]
Stack = Callable[..., dict[str, Any]]
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
TRUSTS_ANYBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


def until(look: Callable[[], Any], holds: Callable[[Any], bool] = bool) -> Any:
    """What the look shows once it holds."""
    deadline = time.monotonic() + 20
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"it never held: {seen!r}"
        time.sleep(0.05)
    return seen


# ---- Metrics


@pytest.fixture(params=["json", "smithy-rpc-v2-cbor"])
def cloudwatch(request: pytest.FixtureRequest, client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client in each of the protocols that SDKs choose: botocore's choice and that of the SDK for Rust."""
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (request.param, "json", "rest-json", "rest-xml", "query"))
    return client("cloudwatch")


def put(cloudwatch: Any, name: str, *points: tuple[float, float], **dimensions: str) -> None:
    """Points are minutes ago and a value."""
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    cloudwatch.put_metric_data(Namespace="AWS/Kinesis", MetricData=[
        {"MetricName": name, "Dimensions": named, "Timestamp": NOW - timedelta(minutes=ago), "Value": value} for ago, value in points])


def query(query_id: str, name: str, stat: str, **dimensions: str) -> dict[str, Any]:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Id": query_id, "MetricStat": {
        "Metric": {"Namespace": "AWS/Kinesis", "MetricName": name, "Dimensions": named}, "Period": 300, "Stat": stat}}


def asked(cloudwatch: Any, *queries: dict[str, Any], **more: Any) -> dict[str, dict[datetime, float]]:
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=list(queries), StartTime=NOW - timedelta(hours=24), EndTime=NOW + timedelta(minutes=1), **more)
    return {one["Id"]: dict(zip(one["Timestamps"], one["Values"], strict=True)) for one in answer["MetricDataResults"]}


def test_several_metrics_are_read_at_once_each_with_its_statistic_and_dimensions(cloudwatch: Any) -> None:
    base = NOW - timedelta(minutes=NOW.minute % 5)
    shift = NOW.minute % 5
    name = f"Age-{uuid.uuid4()}"
    put(cloudwatch, name, (shift + 10, 4.0), (shift + 9, 8.0), (shift + 20, 1.0), StreamName="ours")
    put(cloudwatch, name, (shift + 10, 99.0), StreamName="theirs")
    put(cloudwatch, name, (shift + 10, 99.0), StreamName="ours", ShardId="one")
    statistics = {stat.lower(): stat for stat in ("Maximum", "Minimum", "Average", "Sum")}
    found = asked(cloudwatch, *(query(stat_id, name, stat, StreamName="ours") for stat_id, stat in statistics.items()),
                  query("absent", name, "Sum", StreamName="nobody"))
    at, before = base - timedelta(minutes=10), base - timedelta(minutes=20)
    assert found == {"maximum": {at: 8, before: 1}, "minimum": {at: 4, before: 1}, "average": {at: 6, before: 1},
                     "sum": {at: 12, before: 1}, "absent": {}}


def test_what_is_before_the_start_or_at_the_end_is_left_out(cloudwatch: Any) -> None:
    put(cloudwatch, "Bounds", (24 * 60 + 10, 1.0), (60, 2.0), (-1, 4.0), StreamName="ours")
    assert list(asked(cloudwatch, query("a", "Bounds", "Maximum", StreamName="ours"))["a"].values()) == [2]


def test_the_newest_value_comes_first_unless_asked_otherwise(cloudwatch: Any) -> None:
    put(cloudwatch, "Order", (60, 1.0), (30, 2.0), StreamName="ours")
    ours = query("a", "Order", "Maximum", StreamName="ours")
    assert list(asked(cloudwatch, ours)["a"].values()) == [2, 1]
    assert list(asked(cloudwatch, ours, ScanBy="TimestampAscending")["a"].values()) == [1, 2]


@pytest.mark.usefixtures("cloudwatch")
def test_metrics_are_read_with_the_right_to_only(client: Client, user: User) -> None:
    ours = query("a", "Order", "Sum", StreamName="ours")
    with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:GetMetricData"):
        asked(client("cloudwatch", **user(allow("cloudwatch:PutMetricData"))), ours)
    asked(client("cloudwatch", **user(allow("cloudwatch:GetMetricData"))), ours)


@pytest.mark.usefixtures("cloudwatch")
def test_metrics_are_written_into_the_allowed_namespace_only(client: Client, user: User) -> None:
    ours = client("cloudwatch", **user(allow(
        "cloudwatch:PutMetricData", Condition={"StringEquals": {"cloudwatch:namespace": "AWS/Kinesis"}})))
    put(ours, "Order", (0, 1.0), StreamName="ours")
    metric = [{"MetricName": "Order", "Value": 1.0}]
    assert code_of(ours.put_metric_data, Namespace="AWS/Other", MetricData=metric) in DENIED


# ---- Functions


@pytest.fixture
def function(stack: Stack, client: Client, packed: Callable[[str], dict[str, str]]) -> Iterator[Callable[..., str]]:
    """Makes a stack with the function of `worker.py` and whatever else is given; answers the function's ARN."""
    code = packed("worker.py")

    def make(name: str, *rights: dict[str, Any], **resources: Any) -> str:
        policy = {"PolicyName": "rights", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(rights)}}
        made = stack(
            name,
            Role={"Type": "AWS::IAM::Role", "Properties": {
                "AssumeRolePolicyDocument": LAMBDA_TRUST, **({"Policies": [policy]} if rights else {})}},
            Function={"Type": "AWS::Lambda::Function", "Properties": {
                "Handler": "bootstrap", "Runtime": "provided.al2023", "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "FunctionName": name,
                "Code": code}},
            **resources)
        assert made["StackStatus"] == "CREATE_COMPLETE", made["reasons"]
        return client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]

    yield make


def seen_by(client: Client, name: str) -> list[dict[str, Any]]:
    """The events that the function saw, oldest first."""
    logs = client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]:
        return []
    messages = [event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]
    return [json.loads(line)["seen"] for line in messages if line.startswith('{"seen"')]


def embedded(**values: Any) -> str:
    return json.dumps({"_aws": {"Timestamp": int(NOW.timestamp() * 1000), "CloudWatchMetrics": [
        {"Namespace": "emite", "Dimensions": [["Stack"]], "Metrics": [{"Name": "Completed", "Unit": "Count"}, {"Name": "Open"}]}]},
        "message": "checked", **values})


def test_metrics_in_log_lines_are_metrics(function: Callable[..., str], client: Client) -> None:
    name = function("embedding").rsplit(":", 1)[1]
    lines = [embedded(Stack="one", Completed=1, Open=[2, 4]), embedded(Stack="one", Completed=1), embedded(Stack=5, Completed=1, Open=1)]
    client("lambda").invoke(FunctionName=name, Payload=json.dumps({"print": ["no JSON", "{}", *lines]}))
    queries = [{"Id": metric.lower(), "MetricStat": {"Stat": "Sum", "Period": 300, "Metric": {
        "Namespace": "emite", "MetricName": metric, "Dimensions": [{"Name": "Stack", "Value": "one"}]}}} for metric in ("Completed", "Open")]
    found = until(lambda: asked(client("cloudwatch"), *queries), lambda found: found["open"] != {})
    assert [list(values.values()) for values in found.values()] == [[2], [6]]


RULE = {"Type": "AWS::Events::Rule", "Properties": {
    "EventPattern": {"source": ["emite"], "detail": {"stackId": ["ours"]}},
    "Targets": [{"Id": "function", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}}]}}
PERMISSION = {"Type": "AWS::Lambda::Permission", "Properties": {
    "FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com",
    "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}}


def send(events: Any, **detail: Any) -> None:
    entry = {"Source": "emite", "DetailType": "Report", "Detail": json.dumps({"stackId": "ours", **detail})}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_events_are_put_on_a_bus_with_the_right_to_only(client: Client, user: User, offer: Offer) -> None:
    bus = f"arn:aws:events:{offer.region}:{offer.accountId}:event-bus/default"
    send(client("events", **user(allow("events:PutEvents", resource=bus))), number=1)
    entry = {"Source": "emite", "DetailType": "Report", "Detail": "{}"}
    other = user(allow("events:PutEvents", resource=f"{bus}-other"))
    assert code_of(client("events", **other).put_events, Entries=[entry]) in DENIED


def test_only_events_of_the_allowed_source_are_put(client: Client, user: User) -> None:
    ours = client("events", **user(allow("events:PutEvents", Condition={"StringEquals": {"events:source": "emite"}})))
    send(ours, number=1)
    entry = {"Source": "emite", "DetailType": "Report", "Detail": "{}"}
    assert code_of(ours.put_events, Entries=[entry, {**entry, "Source": "other"}]) in DENIED


def test_a_rule_invokes_a_function_that_admits_it_and_no_other(function: Callable[..., str], client: Client) -> None:
    function("admitting", Rule=RULE, Permission=PERMISSION)
    function("closed", Rule=RULE)
    send(client("events"), number=7)
    (event,) = until(lambda: seen_by(client, "admitting"))
    assert (event["source"], event["detail-type"], event["detail"]["number"]) == ("emite", "Report", 7)
    assert event["time"].endswith("Z")
    assert seen_by(client, "closed") == []


def retries(number: int, destination: Any) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {
        "FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": number,
        "DestinationConfig": {"OnFailure": {"Destination": destination}}}}


QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failures", "MessageRetentionPeriod": 1209600}}


TLS_ONLY = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {
    "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}}}


def test_a_failed_event_is_tried_again_and_ends_in_the_queue(function: Callable[..., str], client: Client) -> None:
    arn = function("failing", allow("sqs:SendMessage"), Rule=RULE, Permission=PERMISSION, Queue=QUEUE, Policy=TLS_ONLY,
                   Retries=retries(1, {"Fn::GetAtt": ["Queue", "Arn"]}))
    send(client("events"), fail=True)
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="failures")["QueueUrl"]
    counted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    until(lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counted)["Attributes"],
          lambda found: found["ApproximateNumberOfMessages"] == "1" and len(found) == 3)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    record = json.loads(message["Body"])
    assert record["requestPayload"]["detail"] == {"stackId": "ours", "fail": True}
    assert record["responsePayload"] == {"errorMessage": "as told", "errorType": "Told"}
    assert record["requestContext"]["functionArn"] == f"{arn}:$LATEST"
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == ("RetriesExhausted", 2)
    assert (record["version"], record["responseContext"]["functionError"]) == ("1.0", "Unhandled")
    assert len(seen_by(client, "failing")) == 2


def test_a_failed_event_goes_nowhere_without_the_right(function: Callable[..., str], client: Client, offer: Offer) -> None:
    function("helpless", Rule=RULE, Permission=PERMISSION, Queue=QUEUE, Retries=retries(0, {"Fn::GetAtt": ["Queue", "Arn"]}))
    send(client("events"), fail=True)

    def decided() -> list[dict[str, Any]]:
        calls = [json.loads(line) for line in Path(offer.callLog).read_text(encoding="utf-8").splitlines()]
        return [call for call in calls if call["principal"].endswith("/helpless") and call["action"] == "sqs:SendMessage"]

    (call,) = until(decided)
    assert (call["decision"], call["resource"].rsplit(":", 1)[1]) == ("ImplicitDeny", "failures")


def test_a_failed_event_reaches_another_function_which_is_tried_again_too(function: Callable[..., str], client: Client) -> None:
    other = function("told", allow("sqs:SendMessage"), Queue=QUEUE, Retries=retries(1, {"Fn::GetAtt": ["Queue", "Arn"]}))
    function("telling", allow("lambda:InvokeFunction", resource=other), Retries=retries(0, other))
    client("lambda").invoke(FunctionName="telling", InvocationType="Event", Payload=json.dumps({"fail": True}))
    (record,) = until(lambda: seen_by(client, "told"))
    assert record["requestPayload"] == {"fail": True}


def test_a_schedule_of_a_template_is_an_enabled_rule(function: Callable[..., str], client: Client) -> None:
    made = client("events").list_rules()["Rules"]
    function("ticking", Rule={"Type": "AWS::Events::Rule", "Properties": {
        "ScheduleExpression": "rate(1 minute)", "State": "ENABLED", "Targets": [
            {"Id": "function", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}, "Input": "{\"tick\": true}"}]}}, Permission=PERMISSION)
    (rule,) = [rule for rule in client("events").list_rules()["Rules"] if rule not in made]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")


# ---- Mail


@pytest.fixture
def topic(client: Client) -> Iterator[str]:
    sns = client("sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


def mail_to(offer: Offer, address: str) -> list[dict[str, str]]:
    path = mailbox_path(Path(offer.stateDir))
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [mail for mail in map(json.loads, lines) if mail["to"] == address]


def test_email_is_confirmed_before_it_is_mailed_to(topic: str, client: Client, user: User, offer: Offer) -> None:
    sns, address = client("sns"), "admin@example.com"
    assert sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)["SubscriptionArn"] == "pending confirmation"
    reader = client("sns", **user(allow("sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes", resource=topic)))

    def listed() -> str:
        (found,) = reader.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert (found["Protocol"], found["Endpoint"]) == ("email", address)
        return found["SubscriptionArn"]

    assert listed() == "PendingConfirmation"
    sns.publish(TopicArn=topic, Subject="lost", Message="nobody hears")
    (asked_to,) = mail_to(offer, address)
    sns.confirm_subscription(TopicArn=topic, Token=asked_to["token"])
    assert listed().startswith(f"{topic}:")
    attributes = reader.get_subscription_attributes(SubscriptionArn=listed())["Attributes"]
    assert (attributes["PendingConfirmation"], attributes["Endpoint"], attributes["RawMessageDelivery"]) == ("false", address, "false")
    assert "FilterPolicy" not in attributes
    sns.set_subscription_attributes(SubscriptionArn=listed(), AttributeName="FilterPolicy", AttributeValue='{"severity": ["Critical"]}')
    assert "Critical" in reader.get_subscription_attributes(SubscriptionArn=listed())["Attributes"]["FilterPolicy"]
    sns.publish(TopicArn=topic, Subject="filtered", Message="not this one")
    sns.publish(TopicArn=topic, Subject="heard", Message="this one",
                MessageAttributes={"severity": {"DataType": "String", "StringValue": "Critical"}})
    assert [mail["subject"] for mail in mail_to(offer, address)[1:]] == ["heard"]
    assert mail_to(offer, address)[1]["body"] == "this one"
    other = client("sns", **user(allow("sns:GetSubscriptionAttributes", resource=f"{topic}-other")))
    assert code_of(other.get_subscription_attributes, SubscriptionArn=listed()) == "AuthorizationError"


def test_email_of_a_template_is_confirmed_first_too(stack: Stack, client: Client, offer: Offer) -> None:
    address = "template@example.com"
    stack("mailing",
          Topic={"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "mailing"}},
          Mail={"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": address}})
    arn = f"arn:aws:sns:{offer.region}:{offer.accountId}:mailing"
    (found,) = client("sns").list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert found["SubscriptionArn"] == "PendingConfirmation"
    client("sns").confirm_subscription(TopicArn=arn, Token=mail_to(offer, address)[0]["token"])
    (found,) = client("sns").list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    attributes = client("sns").get_subscription_attributes(SubscriptionArn=found["SubscriptionArn"])["Attributes"]
    assert (attributes["Protocol"], attributes["TopicArn"], "FilterPolicy" in attributes) == ("email", arn, False)


def test_a_topic_that_wants_tls_is_published_to(topic: str, client: Client, user: User) -> None:
    refuse = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": topic,
              "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [refuse]})
    client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    client("sns", **user(allow("sns:Publish", resource=topic))).publish(TopicArn=topic, Message="x")


def queue_on(client: Client, topic: str, name: str) -> str:
    """A queue that hears the topic; its URL."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = allow("sqs:SendMessage", resource=arn, Principal={"Service": "sns.amazonaws.com"})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def test_an_alarm_watches_its_own_dimensions_and_reaches_a_topic_that_admits_it(
        stack: Stack, topic: str, client: Client, offer: Offer) -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {
        "AlarmName": "errors", "AlarmDescription": "The whole text.", "Namespace": "AWS/Kinesis", "MetricName": "Errors", "Statistic": "Sum",
        "Dimensions": [{"Name": "FunctionName", "Value": "ours"}], "Period": 300, "EvaluationPeriods": 1, "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching", "AlarmActions": [topic]}}
    stack("alarming", Alarm=alarm)
    url, sqs, cloudwatch = queue_on(client, topic, "heard"), client("sqs"), client("cloudwatch")

    def state() -> str:
        (found,) = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
        return found["StateValue"]

    # An alarm looks back from the moment at which it is judged.
    just_now = (NOW - datetime.now(UTC)) / timedelta(minutes=1)
    put(cloudwatch, "Errors", (just_now, 5.0), FunctionName="theirs")
    assert state() == "INSUFFICIENT_DATA"
    statement = allow("sns:Publish", resource=topic, Principal={"Service": "cloudwatch.amazonaws.com"},
                      Condition={"StringEquals": {"aws:SourceAccount": offer.accountId}})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    put(cloudwatch, "Errors", (just_now, 5.0), FunctionName="ours")
    assert state() == "ALARM"
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    notification = json.loads(message["Body"])
    assert notification["Subject"].startswith("ALARM: ")
    assert json.loads(notification["Message"])["AlarmDescription"] == "The whole text."
    client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy.replace("cloudwatch.", "other."))
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)


# ---- What is watched


def test_a_delivery_stream_of_a_template_describes_its_search_domain(stack: Stack, client: Client, offer: Offer) -> None:
    role, domain = f"arn:aws:iam::{offer.accountId}:role/any", f"arn:aws:es:{offer.region}:{offer.accountId}:domain/any"
    bucket = {"BucketARN": "arn:aws:s3:::any", "RoleARN": role, "Prefix": "failed/", "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/",
              "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 5}}
    stack("delivering", Stream={"Type": "AWS::KinesisFirehose::DeliveryStream", "Properties": {
        "DeliveryStreamName": "delivering", "DeliveryStreamType": "DirectPut", "AmazonopensearchserviceDestinationConfiguration": {
            "DomainARN": domain, "RoleARN": role, "IndexName": "contacts", "TypeName": "", "IndexRotationPeriod": "OneMonth",
            "BufferingHints": {"IntervalInSeconds": 300, "SizeInMBs": 5}, "S3BackupMode": "FailedDocumentsOnly", "S3Configuration": bucket}}})
    firehose = client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName="delivering")["DeliveryStreamDescription"]
    (destination,) = described["Destinations"]
    search = destination["AmazonopensearchserviceDestinationDescription"]
    assert described["DeliveryStreamStatus"] == "ACTIVE"
    assert (search["DomainARN"], search["RoleARN"], search["IndexName"], search["TypeName"]) == (domain, role, "contacts", "")
    assert (search["IndexRotationPeriod"], search["BufferingHints"]["IntervalInSeconds"]) == ("OneMonth", 300)
    assert {name: search["S3DestinationDescription"][name] for name in bucket} == bucket
    firehose.update_destination(
        DeliveryStreamName="delivering", CurrentDeliveryStreamVersionId=described["VersionId"], DestinationId=destination["DestinationId"],
        AmazonopensearchserviceDestinationUpdate={"IndexName": "other", "S3Update": {"ErrorOutputPrefix": "elsewhere/"}})
    (destination,) = firehose.describe_delivery_stream(DeliveryStreamName="delivering")["DeliveryStreamDescription"]["Destinations"]
    search = destination["AmazonopensearchserviceDestinationDescription"]
    assert (search["IndexName"], search["DomainARN"]) == ("other", domain)
    assert search["S3DestinationDescription"]["ErrorOutputPrefix"] == "elsewhere/"
    assert search["S3DestinationDescription"]["BucketARN"] == "arn:aws:s3:::any"


def test_a_domain_of_a_template_is_described_as_it_is(stack: Stack, client: Client, offer: Offer) -> None:
    stack("searching",
          Count={"Type": "AWS::SSM::Parameter", "Properties": {"Name": "count", "Type": "String", "Value": "2"}},
          Domain={"Type": "AWS::OpenSearchService::Domain", "Properties": {
              "DomainName": "searching", "EngineVersion": "Elasticsearch_6.8", "AccessPolicies": TRUSTS_ANYBODY,
              "ClusterConfig": {"InstanceType": "m5.large.search", "InstanceCount": {"Fn::GetAtt": ["Count", "Value"]}},
              "EBSOptions": {"EBSEnabled": True, "VolumeType": "gp3", "VolumeSize": {"Fn::Sub": "5${Count.Value}"}}}})
    opensearch = client("opensearch")
    # As it came: botocore makes numbers of texts, other SDKs refuse them.
    raw: list[bytes] = []
    opensearch.meta.events.register("after-call.opensearch", lambda http_response, **_: raw.append(http_response.content))
    opensearch.describe_domain(DomainName="searching")
    status = json.loads(raw[0])["DomainStatus"]
    assert (status["EngineVersion"], status["Deleted"], status["Processing"], status["DomainProcessingStatus"]) == (
        "Elasticsearch_6.8", False, False, "Active")
    assert (status["ClusterConfig"]["InstanceCount"], status["EBSOptions"]["VolumeSize"]) == (2, 52)
    assert json.loads(status["AccessPolicies"]) == TRUSTS_ANYBODY
    assert "OptionalDeployment" in status["ServiceSoftwareOptions"]
    opensearch.update_domain_config(DomainName="searching", AccessPolicies="")
    config = json.loads(raw[1])["DomainConfig"]
    assert (config["ClusterConfig"]["Options"]["InstanceCount"], config["EBSOptions"]["Options"]["VolumeSize"]) == (2, 52)
    assert not opensearch.describe_domain(DomainName="searching")["DomainStatus"].get("AccessPolicies")


def test_a_parameter_and_a_dashboard_of_a_template_can_be_read(stack: Stack, client: Client, user: User, offer: Offer) -> None:
    widget = json.dumps({"widgets": []})
    stack("told",
          Topic={"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "told"}},
          Parameter={"Type": "AWS::SSM::Parameter", "Properties": {
              "Name": "/emite-connect/told/spec", "Type": "String",
              "Value": {"Fn::Sub": "{\"stackId\":\"${AWS::StackId}\",\"topic\":\"${Topic}\"}"}}},
          Dashboard={"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardName": "told", "DashboardBody": {"Fn::Sub": widget}}})
    arn = f"arn:aws:ssm:{offer.region}:{offer.accountId}:parameter/emite-connect/told/spec"
    reader = client("ssm", **user(allow("ssm:GetParameter", resource=arn)))
    spec = json.loads(reader.get_parameter(Name="/emite-connect/told/spec")["Parameter"]["Value"])
    assert spec["topic"].endswith(":told")
    assert ":stack/told/" in spec["stackId"]
    assert code_of(reader.get_parameter, Name="/emite-connect/other/spec") in DENIED
    assert client("cloudwatch").get_dashboard(DashboardName="told")["DashboardBody"] == widget
