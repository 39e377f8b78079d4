"""The calls of custom-resource for an Update that changes nothing: what the ledger says, what is live, and the answer
to CloudFormation."""

import json
import os
import urllib.request

import boto3
from runtime import serve

connect = boto3.client("connect")
dynamodb = boto3.client("dynamodb")


def storage_configs(instance, resource_type):
    pages = connect.get_paginator("list_instance_storage_configs").paginate(InstanceId=instance, ResourceType=resource_type)
    return [config for page in pages for config in page["StorageConfigs"]]


def handle(event):
    properties = event["ResourceProperties"]
    instance, resource_type = properties["InstanceArn"].rsplit("/", 1)[1], properties["ResourceType"]
    key = {"pk": {"S": f"association#{instance}"}, "sk": {"S": resource_type}}
    claim = dynamodb.get_item(TableName=os.environ["LEDGER_TABLE"], Key=key, ConsistentRead=True)["Item"]
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
