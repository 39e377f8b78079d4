"""The calls of health-check for one run, one after another as a script would make them. It judges nothing."""

import json
import os
from datetime import UTC, datetime, timedelta

import boto3
from runtime import serve

cloudformation = boto3.client("cloudformation")
cloudwatch = boto3.client("cloudwatch")
connect = boto3.client("connect")
dynamodb = boto3.client("dynamodb")
events = boto3.client("events")
firehose = boto3.client("firehose")
iam = boto3.client("iam")
kinesis = boto3.client("kinesis")
opensearch = boto3.client("opensearch")
s3 = boto3.client("s3")
sns = boto3.client("sns")
sqs = boto3.client("sqs")
ssm = boto3.client("ssm")

STREAM, DELIVERY, CALLS, DOMAIN, TOPIC = range(5)
METRICS = [
    ("iterator_age", "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", STREAM),
    ("agent_events", "AWS/Kinesis", "IncomingRecords", "Sum", STREAM),
    ("write_throttled", "AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", STREAM),
    ("read_throttled", "AWS/Kinesis", "ReadProvisionedThroughputExceeded", "Sum", STREAM),
    ("calls", "AWS/Connect", "CallsPerInterval", "Sum", CALLS),
    ("contact_records", "AWS/Firehose", "IncomingRecords", "Sum", DELIVERY),
    ("firehose_throttled", "AWS/Firehose", "ThrottledRecords", "Sum", DELIVERY),
    ("delivery_success", "AWS/Firehose", "DeliveryToAmazonOpenSearchService.Success", "Average", DELIVERY),
    ("delivery_success_legacy", "AWS/Firehose", "DeliveryToElasticsearch.Success", "Average", DELIVERY),
    ("delivery_freshness", "AWS/Firehose", "DeliveryToAmazonOpenSearchService.DataFreshness", "Maximum", DELIVERY),
    ("delivery_freshness_legacy", "AWS/Firehose", "DeliveryToElasticsearch.DataFreshness", "Maximum", DELIVERY),
    ("backup_success", "AWS/Firehose", "DeliveryToS3.Success", "Average", DELIVERY),
    ("domain_red", "AWS/ES", "ClusterStatus.red", "Maximum", DOMAIN),
    ("domain_writes_blocked", "AWS/ES", "ClusterIndexWritesBlocked", "Maximum", DOMAIN),
    ("domain_free_storage", "AWS/ES", "FreeStorageSpace", "Minimum", DOMAIN),
    ("domain_jvm", "AWS/ES", "JVMMemoryPressure", "Maximum", DOMAIN),
    ("domain_cpu", "AWS/ES", "CPUUtilization", "Average", DOMAIN),
    ("domain_snapshot_failure", "AWS/ES", "AutomatedSnapshotFailure", "Maximum", DOMAIN),
    ("domain_kms_error", "AWS/ES", "KMSKeyError", "Maximum", DOMAIN),
    ("domain_kms_inaccessible", "AWS/ES", "KMSKeyInaccessible", "Maximum", DOMAIN),
    ("domain_nodes", "AWS/ES", "Nodes", "Minimum", DOMAIN),
    ("alerts_failed", "AWS/SNS", "NumberOfNotificationsFailed", "Sum", TOPIC),
]


def name(arn):
    return arn.rsplit("/", 1)[1]


def handle(event):
    spec = json.loads(ssm.get_parameter(Name=os.environ["SPEC_PARAMETER"])["Parameter"]["Value"])
    instance = name(spec["instanceArn"])
    seen = [cloudformation.describe_stacks(StackName=spec["stackId"]), connect.describe_instance(InstanceId=instance)]
    for resource_type in ("AGENT_EVENTS", "CONTACT_TRACE_RECORDS"):
        pages = connect.get_paginator("list_instance_storage_configs").paginate(InstanceId=instance, ResourceType=resource_type)
        seen += [config for page in pages for config in page["StorageConfigs"]]
    for page in connect.get_paginator("list_approved_origins").paginate(InstanceId=instance):
        seen += page["Origins"]
    seen.append(kinesis.describe_stream_summary(StreamName=name(spec["agentEventStream"])))
    seen.append(firehose.describe_delivery_stream(DeliveryStreamName=name(spec["deliveryStream"])))
    for folder in ("failed", "quarantine"):
        prefix = f"emite-connect/{name(spec['deliveryStream'])}/{folder}/"
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=spec["backupBucket"], Prefix=prefix):
            seen += page.get("Contents", [])
    seen.append(opensearch.describe_domain(DomainName=name(spec["domain"])))
    seen += look_at_role(name(spec["emiteRole"]))
    for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=spec["alertTopic"]):
        for subscription in page["Subscriptions"]:
            if subscription["SubscriptionArn"].startswith("arn:"):
                seen.append(sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"]))
    seen.append(sqs.get_queue_attributes(QueueUrl=spec["deadLetterQueue"], AttributeNames=["ApproximateNumberOfMessages"]))
    key = {"pk": {"S": f"latch#{spec['stackId']}"}, "sk": {"S": "watch"}}
    seen.append(dynamodb.get_item(TableName=os.environ["LEDGER_TABLE"], Key=key, ConsistentRead=True))
    seen += metrics(spec)
    report = {"stackId": spec["stackId"], "looks": len(seen)}
    entry = {"Source": "emite-connect", "DetailType": "Integration Health Report", "Resources": [spec["instanceArn"]],
             "Detail": json.dumps(report)}
    if events.put_events(Entries=[entry])["FailedEntryCount"]:
        raise ValueError("the report was refused")
    return report


def look_at_role(role):
    seen = [iam.get_role(RoleName=role)]
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for policy in page["PolicyNames"]:
            seen.append(iam.get_role_policy(RoleName=role, PolicyName=policy))
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        seen += page["AttachedPolicies"]
    return seen


def metrics(spec):
    dimensions = {
        STREAM: {"StreamName": name(spec["agentEventStream"])},
        DELIVERY: {"DeliveryStreamName": name(spec["deliveryStream"])},
        CALLS: {"InstanceId": name(spec["instanceArn"]), "MetricGroup": "VoiceCalls"},
        DOMAIN: {"DomainName": name(spec["domain"]), "ClientId": spec["domain"].split(":")[4]},
        TOPIC: {"TopicName": spec["alertTopic"].rsplit(":", 1)[1]},
    }
    queries = [
        {"Id": id, "MetricStat": {"Period": 300, "Stat": stat, "Metric": {
            "Namespace": namespace, "MetricName": metric,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions[of].items()]}}}
        for id, namespace, metric, stat, of in METRICS
    ]
    end = datetime.now(UTC)
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=end - timedelta(hours=24), EndTime=end)
    return [result for page in pages for result in page["MetricDataResults"]]


serve(handle)
