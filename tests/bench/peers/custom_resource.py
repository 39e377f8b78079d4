"""The calls of custom-resource for an Update that changes nothing: whether CloudFormation waits for it, what the ledger says, that
it came, what is live, and the answer to CloudFormation."""

import json
import os
import urllib.request

import boto3
from runtime import serve

cloudformation = boto3.client("cloudformation")
connect = boto3.client("connect")
dynamodb = boto3.client("dynamodb")


def storage_configs(instance, resource_type):
    pages = connect.get_paginator("list_instance_storage_configs").paginate(InstanceId=instance, ResourceType=resource_type)
    return [config for page in pages for config in page["StorageConfigs"]]


def handle(event):
    properties = event["ResourceProperties"]
    instance, resource_type = properties["InstanceArn"].rsplit("/", 1)[1], properties["ResourceType"]
    key = {"pk": {"S": f"association#{instance}"}, "sk": {"S": resource_type}}
    table = os.environ["LEDGER_TABLE"]
    claim = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    stack = cloudformation.describe_stacks(StackName=event["StackId"])["Stacks"][0]
    resources = {
        name: cloudformation.describe_stack_resource(StackName=event["StackId"], LogicalResourceId=name)["StackResourceDetail"]
        for name in (event["LogicalResourceId"], "AgentEventStream")}
    stream = resources["AgentEventStream"]["PhysicalResourceId"]
    waits = resources[event["LogicalResourceId"]]["ResourceStatus"] == stack["StackStatus"] == "UPDATE_IN_PROGRESS"
    if not waits or not properties["TargetArn"].endswith(f"/{stream}"):
        raise ValueError("CloudFormation does not ask for this")
    extension = json.loads(claim["extension"]["S"])
    extension["requests"] = [*extension["requests"], event["RequestId"]][-50:]
    version = int(claim["version"]["N"])
    dynamodb.put_item(
        TableName=table, Item={**claim, "extension": {"S": json.dumps(extension)}, "version": {"N": str(version + 1)}},
        ConditionExpression="version = :replaced", ExpressionAttributeValues={":replaced": {"N": str(version)}})
    claim = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    live = storage_configs(instance, resource_type)[0]
    if live["KinesisStreamConfig"]["StreamArn"] != properties["TargetArn"] or json.loads(claim["body"]["S"])["life"] != "held":
        raise ValueError("an Update that changes nothing was expected")
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event["PhysicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"AssociationId": live["AssociationId"]},
    }
    # Without a content type, which is not in the signature of the address.
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(request).read()


serve(handle)
