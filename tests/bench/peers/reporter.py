"""The calls of reporter for a test message: what the stack set up, the ledger's entry, which the message is stored in before
it is published and taken out of afterwards."""

import json
import os

import boto3
from runtime import serve

dynamodb = boto3.client("dynamodb")
sns = boto3.client("sns")
ssm = boto3.client("ssm")


def handle(event):
    spec = json.loads(ssm.get_parameter(Name=os.environ["SPEC_PARAMETER"])["Parameter"]["Value"])
    rewrite(spec["stackId"])
    attributes = {name: {"DataType": "String", "StringValue": "test"} for name in ("severity", "check", "state")}
    sns.publish(TopicArn=spec["alertTopic"], Subject="[eMite] Test", Message="This is a test.", MessageAttributes=attributes)
    rewrite(spec["stackId"])
    return {"messages": 1}


def rewrite(stack_id):
    """Reads the entry and writes it back as the next version, unless somebody else wrote in between."""
    table, key = os.environ["LEDGER_TABLE"], {"pk": {"S": "alert#episodes"}, "sk": {"S": stack_id}}
    item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    version = item["version"]
    dynamodb.put_item(
        TableName=table, Item={**item, "version": {"N": str(int(version["N"]) + 1)}},
        ConditionExpression="version = :version", ExpressionAttributeValues={":version": version})


serve(handle)
