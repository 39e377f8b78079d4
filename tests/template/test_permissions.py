"""Owns who may do what: eMite's role, the delivery role, the functions, the domain, the topic, the queue and the bucket."""

from __future__ import annotations

import functools
import json
from importlib import resources

import cfn
import checks
import pytest

KEY = checks.CASES["everything given"]["AgentEventKeyArn"]
STREAM = f"arn:aws:kinesis:{cfn.REGION}:{cfn.ACCOUNT}:stream/connect-agentevents"
DOMAIN = f"arn:aws:es:{cfn.REGION}:{cfn.ACCOUNT}:domain/emite-kinesis-connect"


@functools.cache
def _authorization_reference():
    return json.loads(resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text(encoding="utf-8"))


def known_actions(service):
    """AWS's own list of a service's actions, as cfn-lint carries it: {action in lower case: resource ARN patterns}."""
    data = _authorization_reference()[service]
    patterns = {kind.lower(): entry["ARNFormats"] for kind, entry in data["Resources"].items()}
    return {
        action: [pattern for kind in entry.get("Resources", []) for pattern in patterns[kind.lower()]]
        for action, entry in data["Actions"].items()
    }


def allowed(deployed, role, policy=None):
    """{Sid: statement} of a role's inline policies."""
    found = {}
    for document in deployed[role]["Properties"]["Policies"]:
        if policy in (None, document["PolicyName"]):
            for statement in document["PolicyDocument"]["Statement"]:
                assert statement["Sid"] not in found
                found[statement["Sid"]] = statement
    return found


def test_every_action_that_is_named_exists(template):
    # The guide's GetFederationTokens is denied as it is spelt there, whether or not AWS knows it.
    unknown = {
        action
        for _, deployed in checks.each_case(template)
        for _, statement in cfn.statements(deployed)
        for action in cfn.actions(statement)
        if action not in ("s3:*", "sqs:*") and action.split(":")[1].lower() not in known_actions(action.split(":")[0])
    }
    assert unknown == {"connect:GetFederationTokens"}


# ---- eMite's role ----------------------------------------------------------------------------------------------------------


def test_emite_assumes_the_role_with_its_external_id_for_twelve_hours(guide, given):
    role = guide["EmiteRole"]["Properties"]
    assert (role["RoleName"], role["MaxSessionDuration"]) == ("emite-role", 12 * 3600)
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Sid": "AllowEmite",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "acme-support-7421"}},
        }
    ]
    (narrowed,) = given["EmiteRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert narrowed["Principal"] == {"AWS": "arn:aws:iam::444455556666:role/reader"}
    assert narrowed["Condition"] == {"StringEquals": {"sts:ExternalId": "acme-support-7421"}}


def test_emite_reads_agent_events(guide):
    statements = allowed(guide, "EmiteRole", "emite-role-policy")
    assert statements["AllowReadKinesis1"] == {
        "Sid": "AllowReadKinesis1",
        "Effect": "Allow",
        "Action": [
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
            "kinesis:ListTagsForStream",
        ],
        "Resource": STREAM,
    }
    assert statements["AllowReadKinesis2"] == {"Sid": "AllowReadKinesis2", "Effect": "Allow", "Action": "kinesis:DescribeLimits", "Resource": "*"}


def test_emite_decrypts_agent_events_only_with_their_key_and_through_kinesis(guide, given):
    assert "AllowDecryptKinesis" not in allowed(guide, "EmiteRole")
    assert allowed(given, "EmiteRole")["AllowDecryptKinesis"] == {
        "Sid": "AllowDecryptKinesis",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": KEY,
        "Condition": {"StringEquals": {"kms:ViaService": f"kinesis.{cfn.REGION}.amazonaws.com"}},
    }


def test_emite_reads_the_instance_itself_and_what_is_in_it(guide):
    statement = allowed(guide, "EmiteRole")["AllowReadAmazonConnect1"]
    assert statement["Resource"] == [cfn.INSTANCE_ARN, f"{cfn.INSTANCE_ARN}/*"]
    outside = allowed(guide, "EmiteRole")["AllowReadAmazonConnect2"]
    assert (outside["Action"], outside["Resource"]) == (["connect:ListInstances", "ds:DescribeDirectories"], "*")


def test_emite_reads_exactly_what_the_guides_wildcards_mean_today(template):
    """All of connect:Describe*, Get* and List* that can be granted on an instance or something in it, but for the login tokens. It fails
    when a newer cfn-lint knows of more: then decide whether eMite is to have them."""
    meant = {
        action
        for action, patterns in known_actions("connect").items()
        if action.startswith(("describe", "get", "list")) and any(":instance/" in pattern for pattern in patterns)
    } - {"getfederationtoken"}
    reads = template["Mappings"]["AmazonConnect"]["Instance"]["Reads"]
    assert {read.removeprefix("connect:").lower() for read in reads} == meant
    assert len(reads) == len(meant)
    assert reads == sorted(reads)


def test_emite_never_gets_a_login(guide):
    assert allowed(guide, "EmiteRole")["DenyFederationTokens"] == {
        "Sid": "DenyFederationTokens",
        "Effect": "Deny",
        "Action": ["connect:AdminGetEmergencyAccessToken", "connect:GetFederationToken", "connect:GetFederationTokens"],
        "Resource": "*",
    }


def test_that_is_all_that_emite_may_do(guide, given):
    assert [policy["PolicyName"] for policy in guide["EmiteRole"]["Properties"]["Policies"]] == ["emite-role-policy"]
    everywhere = {"AllowReadKinesis1", "AllowReadKinesis2", "AllowReadAmazonConnect1", "AllowReadAmazonConnect2", "DenyFederationTokens"}
    assert allowed(guide, "EmiteRole").keys() == everywhere
    assert allowed(given, "EmiteRole").keys() == everywhere | {"AllowDecryptKinesis"}


def test_the_boundary_is_the_policy_itself(template):
    resources = template["Resources"]
    assert resources["EmiteRoleBoundary"]["Properties"]["PolicyDocument"] == resources["EmiteRole"]["Properties"]["Policies"][0]["PolicyDocument"]


def test_the_boundary_stays_below_the_size_that_iam_takes(template):
    # 6,144 characters without white space, with the longest values that the parameters take.
    document = cfn.deployed(template, {"AgentEventStreamName": "x" * 128, "AgentEventKeyArn": KEY[:-36] + "k" * 64})["EmiteRoleBoundary"]
    assert len(json.dumps(document["Properties"]["PolicyDocument"], separators=(",", ":"))) < 6144 - 200


def test_the_customers_boundary_is_on_every_role_and_ours_only_without_it(guide, given):
    def boundaries(deployed):
        return {name: resource["Properties"].get("PermissionsBoundary") for name, resource in deployed.items() if resource["Type"] == "AWS::IAM::Role"}

    ours = ("DeliveryRole", "CustomResourceRole", "HealthCheckRole", "RedriveRole", "RedriveStateMachineRole", "RepairRole", "ReporterRole")
    assert boundaries(guide) == {"EmiteRole": "<EmiteRoleBoundary>"} | dict.fromkeys(ours)
    theirs = checks.CASES["everything given"]["PermissionsBoundaryArn"]
    assert boundaries(given) == dict.fromkeys(("EmiteRole", *ours), theirs)


# ---- The delivery role -----------------------------------------------------------------------------------------------------


def test_the_delivery_role_does_what_firehose_documents(guide):
    # Amazon Data Firehose guide, "Grant Firehose access to a public OpenSearch Service destination".
    statements = allowed(guide, "DeliveryRole")
    assert {sid: statement["Action"] for sid, statement in statements.items()} == {
        "DescribeDomain": ["es:DescribeDomain", "es:DescribeDomainConfig", "es:DescribeDomains"],
        "WriteDocuments": ["es:ESHttpPost", "es:ESHttpPut"],
        "ReadClusterState": "es:ESHttpGet",
        "FindBucket": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
        "WriteRefusedRecords": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
        "WriteErrorLog": "logs:PutLogEvents",
    }
    assert statements["WriteDocuments"]["Resource"] == [DOMAIN, f"{DOMAIN}/*"]
    assert statements["ReadClusterState"]["Resource"] == [
        f"{DOMAIN}/{path}"
        for path in (
            "_all/_settings",
            "_cluster/stats",
            "emite-contacts*/_mapping*",
            "_nodes",
            "_nodes/stats",
            "_nodes/*/stats",
            "_stats",
            "emite-contacts*/_stats",
        )
    ]


@pytest.mark.parametrize("case", checks.CASES)
def test_the_delivery_role_may_write_wherever_firehose_is_told_to(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    destination = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]
    backup, statements = destination["S3Configuration"], allowed(deployed, "DeliveryRole")
    assert statements["FindBucket"]["Resource"] == backup["BucketARN"]
    for prefix in (backup["Prefix"], backup["ErrorOutputPrefix"]):
        assert f"{backup['BucketARN']}/{prefix}".startswith(statements["WriteRefusedRecords"]["Resource"].removesuffix("*"))
    log_group = deployed["DeliveryLogGroup"]["Properties"]["LogGroupName"]
    assert statements["WriteErrorLog"]["Resource"].endswith(f":log-group:{log_group}:log-stream:*")
    assert ("UseBucketKey" in statements) == ("KMSEncryptionConfig" in backup["EncryptionConfiguration"])
    if "UseBucketKey" in statements:
        assert statements["UseBucketKey"]["Resource"] == backup["EncryptionConfiguration"]["KMSEncryptionConfig"]["AWSKMSKeyARN"]
        assert statements["UseBucketKey"]["Condition"] == {"StringEquals": {"kms:ViaService": f"s3.{cfn.REGION}.amazonaws.com"}}


def test_contact_records_stay_in_this_account(guide):
    for sid in ("FindBucket", "WriteRefusedRecords"):
        assert allowed(guide, "DeliveryRole")[sid]["Condition"] == {"StringEquals": {"aws:ResourceAccount": cfn.ACCOUNT}}


# ---- The custom resources' function ----------------------------------------------------------------------------------------

CALLS = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "connect:DescribeInstance",
    "connect:ListInstanceStorageConfigs",
    "connect:AssociateInstanceStorageConfig",
    "connect:UpdateInstanceStorageConfig",
    "connect:DisassociateInstanceStorageConfig",
    "connect:ListApprovedOrigins",
    "connect:AssociateApprovedOrigin",
    "connect:DisassociateApprovedOrigin",
    "iam:GetRole",
    "kinesis:DescribeStreamSummary",
    "es:DescribeDomain",
    "es:GetCompatibleVersions",
    "es:ListVersions",
    "es:ListInstanceTypeDetails",
    "cloudwatch:PutMetricData",
    "cloudwatch:GetMetricData",
    "events:PutEvents",
    "s3:PutObject",
}

# AWS's service authorization reference, Amazon Connect: the dependent actions of DescribeInstance, and of Associate- and
# UpdateInstanceStorageConfig with streams.
BEHIND = {
    "ds:DescribeDirectories",
    "firehose:DescribeDeliveryStream",
    "kinesis:DescribeStream",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:CreateServiceLinkedRole",
    "kms:DescribeKey",
    "kms:CreateGrant",
}


def granted(deployed, role):
    return {action for statement in allowed(deployed, role).values() for action in cfn.actions(statement)}


def test_the_function_may_do_what_it_calls_and_what_connect_asks_behind_that(guide, given):
    assert granted(guide, "CustomResourceRole") == CALLS | BEHIND
    assert granted(given, "CustomResourceRole") == CALLS | BEHIND | {
        "kms:Decrypt", "kms:GenerateDataKey", "s3:GetBucketLocation", "s3:GetEncryptionConfiguration", "sns:GetTopicAttributes"}


def test_the_function_reaches_its_own_items_only(guide):
    statement = allowed(guide, "CustomResourceRole")["ReadAndWriteOwnItems"]
    assert statement["Resource"] == "<Ledger.Arn>"
    assert statement["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["association#*", "origin#*", "handover", "preflight"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def test_the_function_touches_no_other_storage_of_an_instance(guide):
    statements = allowed(guide, "CustomResourceRole")
    assert statements["Stream"]["Condition"] == {"StringEqualsIfExists": {"connect:StorageResourceType": ["AGENT_EVENTS", "CONTACT_TRACE_RECORDS"]}}
    for sid, statement in statements.items():
        assert sid == "Stream" or not any(action.endswith("InstanceStorageConfig") for action in cfn.actions(statement))


def test_the_function_writes_roles_and_grants_for_connect_only(guide):
    statements = allowed(guide, "CustomResourceRole")
    linked = f"arn:aws:iam::{cfn.ACCOUNT}:role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect_*"
    for statement in statements.values():
        if any(action.startswith("iam:") and action != "iam:GetRole" for action in cfn.actions(statement)):
            assert statement["Resource"] == linked
    assert statements["BehindStorageConfigNewServiceRole"]["Condition"] == {"StringEquals": {"iam:AWSServiceName": "connect.amazonaws.com"}}
    assert statements["BehindStorageConfigGrant"]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_the_function_writes_no_metric_but_ours(guide):
    statement = allowed(guide, "CustomResourceRole")["WriteFirstRun"]
    assert statement["Action"] == "cloudwatch:PutMetricData"
    namespace = guide["WatchdogAlarm"]["Properties"]["Namespace"]
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": namespace}}


def test_the_function_looks_only_at_what_the_parameters_name(guide, given):
    statements, more = allowed(guide, "CustomResourceRole"), allowed(given, "CustomResourceRole")
    account = f"arn:aws:iam::{cfn.ACCOUNT}:role"
    assert statements["FindTakenRoles"]["Resource"] == [f"{account}/emite-role", f"{account}/emite-ctrfirehose-role"]
    assert statements["FindTakenStreamsAndDomain"]["Resource"] == [DOMAIN, STREAM]
    assert not statements.keys() & {"FindGivenBucket", "FindGivenTopic"}
    case = checks.CASES["everything given"]
    assert "es:GetCompatibleVersions" in statements["FindTakenStreamsAndDomain"]["Action"]
    assert more["FindGivenBucket"]["Resource"] == "arn:aws:s3:::syd-cloudbackup"
    assert more["FindGivenTopic"]["Resource"] == case["AlertTopicArn"]


def handover(bucket):
    return PUBLISHES | {("s3:PutObject", f"{bucket}/emite-connect/emite-ctrfirehose/handover/emite-handover.{form}"): INSIDE for form in ("json", "txt")}


@pytest.mark.parametrize(
    ("case", "bucket"),
    [
        ("the guide", "<BackupBucket.Arn>"),
        ("everything given", "arn:aws:s3:::syd-cloudbackup"),
        ("mail and an own bucket under a key", "<BackupBucket.Arn>"),
    ],
)
def test_the_function_stores_the_hand_over_where_it_is_told_to_and_announces_it(template, case, bucket):
    deployed = cfn.deployed(template, checks.CASES[case])
    own = [policy for policy in deployed["CustomResourceRole"]["Properties"]["Policies"] if policy["PolicyName"] == "hand-over"]
    assert table({"CustomResourceRole": {"Properties": {"Policies": own}}}, "CustomResourceRole") == handover(bucket) | with_key(case != "the guide")
    told = deployed["Handover"]["Properties"]
    assert f"arn:aws:s3:::{told['Bucket']}/{told['Prefix']}".replace("arn:aws:s3:::<BackupBucket>", "<BackupBucket.Arn>") == (
        f"{bucket}/emite-connect/emite-ctrfirehose/handover/")
    assert told["BucketKeyArn"] == checks.CASES[case].get("BackupBucketKeyArn", "")


def test_everything_else_stays_in_this_account_and_region(guide):
    for sid, statement in allowed(guide, "CustomResourceRole").items():
        if sid == "StoreHandover":
            continue
        for resource in cfn.as_list(statement["Resource"]):
            region = "" if resource.startswith("arn:aws:iam:") else cfn.REGION
            assert resource in ("*", "<Ledger.Arn>") or f":{region}:{cfn.ACCOUNT}:" in resource, sid


# ---- The health check and the reporter -------------------------------------------------------------------------------------

SPEC = f"arn:aws:ssm:{cfn.REGION}:{cfn.ACCOUNT}:parameter/emite-connect/emite/spec"
INSIDE = {"StringEquals": {"aws:ResourceAccount": cfn.ACCOUNT}}
TOPIC = checks.CASES["everything given"]["AlertTopicArn"]


def log_group(function):
    return f"arn:aws:logs:{cfn.REGION}:{cfn.ACCOUNT}:log-group:/emite-connect/emite/{function}:*"


def items(*prefixes):
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(prefixes)}, "Null": {"dynamodb:LeadingKeys": "false"}}


def table(deployed, role):
    """{(action, resource): condition} of all that a role is allowed."""
    found = {}
    for statement in allowed(deployed, role).values():
        assert statement["Effect"] == "Allow"
        for action in cfn.actions(statement):
            for resource in cfn.as_list(statement["Resource"]):
                # Several kinds of resources in one statement: each action goes with those of its service only.
                if resource == "*" or not resource.startswith("arn:") or resource.split(":")[2] == action.split(":")[0]:
                    assert (action, resource) not in found
                    found[action, resource] = statement.get("Condition")
    return found


def looks(bucket, topic):
    """What seeing every link of the chain takes."""
    return {
        ("cloudformation:DescribeStacks", cfn.PSEUDO["AWS::StackId"]): None,
        ("connect:DescribeInstance", cfn.INSTANCE_ARN): None,
        ("connect:ListApprovedOrigins", cfn.INSTANCE_ARN): None,
        ("connect:ListInstanceStorageConfigs", cfn.INSTANCE_ARN): None,
        ("ds:DescribeDirectories", "*"): None,
        ("es:DescribeDomain", DOMAIN): None,
        ("firehose:DescribeDeliveryStream", f"arn:aws:firehose:{cfn.REGION}:{cfn.ACCOUNT}:deliverystream/emite-ctrfirehose"): None,
        ("kinesis:DescribeStreamSummary", STREAM): None,
        ("iam:GetRole", f"arn:aws:iam::{cfn.ACCOUNT}:role/emite-role"): None,
        ("iam:GetRolePolicy", f"arn:aws:iam::{cfn.ACCOUNT}:role/emite-role"): None,
        ("iam:ListAttachedRolePolicies", f"arn:aws:iam::{cfn.ACCOUNT}:role/emite-role"): None,
        ("iam:ListRolePolicies", f"arn:aws:iam::{cfn.ACCOUNT}:role/emite-role"): None,
        ("cloudwatch:GetMetricData", "*"): None,
        ("s3:ListBucket", bucket): INSIDE | {"StringLike": {"s3:prefix": "emite-connect/emite-ctrfirehose/*"}},
        ("s3:GetObject", f"{bucket}/emite-connect/emite-ctrfirehose/failed/*"): INSIDE,
        ("sns:GetSubscriptionAttributes", topic): None,
        ("sns:GetSubscriptionAttributes", f"{topic}:*"): None,
        ("sns:ListSubscriptionsByTopic", topic): None,
        ("sns:ListSubscriptionsByTopic", f"{topic}:*"): None,
        ("sqs:GetQueueAttributes", "<DeadLetterQueue.Arn>"): None,
    }


PUBLISHES = {("events:PutEvents", f"arn:aws:events:{cfn.REGION}:{cfn.ACCOUNT}:event-bus/default"): {"StringEquals": {"events:source": "emite-connect"}}}


def health_check(bucket, topic):
    return looks(bucket, topic) | PUBLISHES | {
        ("logs:CreateLogStream", log_group("health-check")): None,
        ("logs:PutLogEvents", log_group("health-check")): None,
        ("ssm:GetParameter", SPEC): None,
        ("dynamodb:GetItem", "<Ledger.Arn>"): items("latch#*"),
        ("dynamodb:PutItem", "<Ledger.Arn>"): items("latch#*"),
        ("lambda:InvokeFunction", "<ReporterFunction.Arn>"): None,
    }


def test_the_health_check_may_look_and_tell_and_nothing_else(guide, given):
    key = checks.CASES["everything given"]["BackupBucketKeyArn"]
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{cfn.REGION}.amazonaws.com"}}
    assert table(guide, "HealthCheckRole") == health_check("<BackupBucket.Arn>", "<AlertTopic>")
    assert table(given, "HealthCheckRole") == health_check("arn:aws:s3:::syd-cloudbackup", TOPIC) | {("kms:Decrypt", key): through_s3}


def test_the_health_check_finds_what_firehose_was_told_to_write(template):
    for case, deployed in checks.each_case(template):
        backup = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]
        statements = allowed(deployed, "HealthCheckRole")
        assert statements["ReadFailedRecords"]["Resource"] == f"{backup['BucketARN']}/{backup['Prefix']}*", case


def reporter(topic):
    return {
        ("logs:CreateLogStream", log_group("reporter")): None,
        ("logs:PutLogEvents", log_group("reporter")): None,
        ("ssm:GetParameter", SPEC): None,
        ("dynamodb:GetItem", "<Ledger.Arn>"): items("alert#*"),
        ("dynamodb:PutItem", "<Ledger.Arn>"): items("alert#*"),
        ("sns:Publish", topic): None,
        ("sqs:SendMessage", "<DeadLetterQueue.Arn>"): None,
    }


def test_the_reporter_may_remember_and_publish_and_nothing_else(guide, given):
    assert table(guide, "ReporterRole") == reporter("<AlertTopic>")
    assert table(given, "ReporterRole") == reporter(TOPIC)


EMITE_ROLE = f"arn:aws:iam::{cfn.ACCOUNT}:role/emite-role"
CONNECTS_ROLE = f"arn:aws:iam::{cfn.ACCOUNT}:role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect_*"


def repair(bucket, topic, boundary):
    streams = {"StringEqualsIfExists": {"connect:StorageResourceType": ["AGENT_EVENTS", "CONTACT_TRACE_RECORDS"]}}
    key = f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/*"
    return looks(bucket, topic) | PUBLISHES | {
        ("logs:CreateLogStream", log_group("repair")): None,
        ("logs:PutLogEvents", log_group("repair")): None,
        ("ssm:GetParameter", SPEC): None,
        ("dynamodb:GetItem", "<Ledger.Arn>"): items("association#*", "audit#*", "latch#*", "lock#*", "origin#*"),
        ("dynamodb:PutItem", "<Ledger.Arn>"): items("association#*", "audit#*", "lock#*", "origin#*"),
        ("connect:AssociateApprovedOrigin", cfn.INSTANCE_ARN): None,
        ("connect:DisassociateApprovedOrigin", cfn.INSTANCE_ARN): None,
        ("connect:AssociateInstanceStorageConfig", cfn.INSTANCE_ARN): streams,
        ("connect:UpdateInstanceStorageConfig", cfn.INSTANCE_ARN): streams,
        ("connect:DisassociateInstanceStorageConfig", cfn.INSTANCE_ARN): streams,
        ("firehose:DescribeDeliveryStream", f"arn:aws:firehose:{cfn.REGION}:{cfn.ACCOUNT}:deliverystream/*"): None,
        ("kinesis:DescribeStream", f"arn:aws:kinesis:{cfn.REGION}:{cfn.ACCOUNT}:stream/*"): None,
        ("iam:AttachRolePolicy", CONNECTS_ROLE): None,
        ("iam:PutRolePolicy", CONNECTS_ROLE): None,
        ("iam:CreateServiceLinkedRole", CONNECTS_ROLE): {"StringEquals": {"iam:AWSServiceName": "connect.amazonaws.com"}},
        ("kms:DescribeKey", key): None,
        ("kms:CreateGrant", key): {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ("kinesis:IncreaseStreamRetentionPeriod", STREAM): None,
        ("es:DescribeDomainConfig", DOMAIN): None,
        ("es:UpdateDomainConfig", DOMAIN): None,
        ("iam:PutRolePolicy", EMITE_ROLE): None,
        ("iam:UpdateAssumeRolePolicy", EMITE_ROLE): None,
        ("iam:UpdateRole", EMITE_ROLE): None,
        ("iam:PutRolePermissionsBoundary", EMITE_ROLE): {"StringEquals": {"iam:PermissionsBoundary": boundary}},
    }


def test_repair_may_look_and_mend_what_is_the_stacks_and_nothing_else(guide, given):
    case = checks.CASES["everything given"]
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{cfn.REGION}.amazonaws.com"}}
    assert table(guide, "RepairRole") == repair("<BackupBucket.Arn>", "<AlertTopic>", "<EmiteRoleBoundary>")
    theirs = repair("arn:aws:s3:::syd-cloudbackup", TOPIC, case["PermissionsBoundaryArn"])
    assert table(given, "RepairRole") == theirs | {("kms:Decrypt", case["BackupBucketKeyArn"]): through_s3}
# ---- Redrive ---------------------------------------------------------------------------------------------------------------

FAILED, QUARANTINE = "emite-connect/emite-ctrfirehose/failed/*", "emite-connect/emite-ctrfirehose/quarantine/*"
REDRIVEN, RESULTS = "emite-connect/emite-ctrfirehose/redriven/*", "emite-connect/emite-ctrfirehose/results/*"
# Firehose's own names for the folder of refused records, where a stream has no prefix for it (API reference and guide, old and new).
FIREHOSES_OWN = ("AmazonOpenSearchService-failed/*", "AmazonOpenSearchService_failed/*", "elasticsearch-failed/*", "elasticsearch_failed/*")
THROUGH_S3 = {"StringEquals": {"kms:ViaService": f"s3.{cfn.REGION}.amazonaws.com"}}


def with_key(given):
    key = checks.CASES["everything given"]["BackupBucketKeyArn"]
    return {("kms:Decrypt", key): THROUGH_S3, ("kms:GenerateDataKey", key): THROUGH_S3} if given else {}


def redrive(bucket):
    sources = (FAILED, QUARANTINE, *FIREHOSES_OWN)
    return PUBLISHES | {
        ("logs:CreateLogStream", log_group("redrive")): None,
        ("logs:PutLogEvents", log_group("redrive")): None,
        ("ssm:GetParameter", SPEC): None,
        **{("s3:GetObject", f"{bucket}/{folder}"): INSIDE for folder in (*sources, RESULTS)},
        **{("s3:DeleteObject", f"{bucket}/{folder}"): INSIDE for folder in sources},
        **{(action, f"{bucket}/{folder}"): INSIDE for action in ("s3:PutObject", "s3:AbortMultipartUpload") for folder in (QUARANTINE, REDRIVEN)},
        ("s3:ListBucket", bucket): INSIDE,
        ("es:ESHttpPost", f"{DOMAIN}/_bulk"): None,
    }


@pytest.mark.parametrize(("case", "bucket"), [("the guide", "arn:aws:s3:::<BackupBucket>"), ("everything given", "arn:aws:s3:::syd-cloudbackup")])
def test_redrive_may_move_refused_records_and_write_them_to_the_domain_and_nothing_else(template, case, bucket):
    deployed = cfn.deployed(template, checks.CASES[case])
    assert table(deployed, "RedriveRole") == redrive(bucket) | with_key(case == "everything given")


def state_machine(bucket):
    arn = f"arn:aws:states:{cfn.REGION}:{cfn.ACCOUNT}"
    executions = (f"{arn}:execution:emite-redrive:*", f"{arn}:execution:emite-redrive/Batches:*")
    return {
        ("lambda:InvokeFunction", "<RedriveFunction.Arn>"): None,
        # AWS Step Functions developer guide, "IAM policies for using Distributed Map states".
        ("states:StartExecution", f"{arn}:stateMachine:emite-redrive"): None,
        **{(f"states:{action}Execution", execution): None for action in ("Describe", "Stop") for execution in executions},
        ("s3:ListBucket", bucket): INSIDE | {"StringLike": {"s3:prefix": [FAILED, QUARANTINE, *FIREHOSES_OWN]}},
        **{
            (f"s3:{action}", f"{bucket}/{RESULTS}"): INSIDE
            for action in ("AbortMultipartUpload", "GetObject", "ListMultipartUploadParts", "PutObject")
        },
    }


@pytest.mark.parametrize(("case", "bucket"), [("the guide", "arn:aws:s3:::<BackupBucket>"), ("everything given", "arn:aws:s3:::syd-cloudbackup")])
def test_the_state_machine_may_list_run_and_keep_results_and_nothing_else(template, case, bucket):
    deployed = cfn.deployed(template, checks.CASES[case])
    assert table(deployed, "RedriveStateMachineRole") == state_machine(bucket) | with_key(case == "everything given")
    (trust,) = deployed["RedriveStateMachineRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}


def test_redrive_finds_what_firehose_was_told_to_write(template):
    for case, deployed in checks.each_case(template):
        backup = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]
        assert backup["Prefix"] == FAILED.removesuffix("*"), case


def test_no_function_reaches_the_items_of_another(guide):
    prefixes = [
        prefix
        for role in ("CustomResourceRole", "HealthCheckRole", "ReporterRole")
        for prefix in allowed(guide, role)["ReadAndWriteOwnItems"]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    ]
    assert len(prefixes) == len(set(prefixes)) == 6


def test_each_function_is_started_by_its_rules_and_by_nobody_else(guide):
    permissions = [resource["Properties"] for resource in guide.values() if resource["Type"] == "AWS::Lambda::Permission"]
    assert {(p["FunctionName"], p["SourceArn"]) for p in permissions} == {
        ("<HealthCheckFunction>", "<HealthCheckSchedule.Arn>"),
        ("<HealthCheckFunction>", "<ServiceNotificationRule.Arn>"),
        ("<ReporterFunction>", "<ReportRule.Arn>"),
    }
    assert {(p["Principal"], p["Action"]) for p in permissions} == {("events.amazonaws.com", "lambda:InvokeFunction")}
    targets = {
        (target["Arn"].replace(".Arn>", ">"), f"<{name}.Arn>")
        for name, rule in guide.items()
        if rule["Type"] == "AWS::Events::Rule"
        for target in rule["Properties"]["Targets"]
    }
    assert {(p["FunctionName"], p["SourceArn"]) for p in permissions} == targets


# ---- Domain, topic, queue, bucket, logs ------------------------------------------------------------------------------------

ALL_ES_HTTP = ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPatch", "es:ESHttpPost", "es:ESHttpPut"]


def test_the_domain_admits_emites_addresses_and_this_account_and_names_no_role(guide):
    assert guide["SearchDomain"]["Properties"]["AccessPolicies"]["Statement"] == [
        {
            "Sid": "EmiteServers",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ALL_ES_HTTP,
            "Resource": f"{DOMAIN}/*",
            "Condition": {"IpAddress": {"aws:SourceIp": ["203.0.113.10/32", "203.0.113.11/32"]}},
        },
        {
            "Sid": "ThisAccount",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{cfn.ACCOUNT}:root"},
            "Action": ALL_ES_HTTP,
            "Resource": f"{DOMAIN}/*",
        },
    ]


def test_the_six_http_actions_are_all_that_there_are():
    assert sorted(action for action in known_actions("es") if action.startswith("eshttp")) == [a.removeprefix("es:").lower() for a in ALL_ES_HTTP]


def test_only_alarms_of_this_account_are_published_and_only_over_tls(guide):
    assert guide["AlertTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"] == [
        {
            "Sid": "AlarmsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": "<AlertTopic>",
            "Condition": {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}},
        },
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": "<AlertTopic>",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]


def test_only_the_rule_of_reports_and_only_over_tls_fills_the_queue(guide):
    policy = guide["DeadLetterQueuePolicy"]["Properties"]
    assert policy["Queues"] == ["<DeadLetterQueue>"]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Sid": "ReportsThatCouldNotBeHandedOver",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "<DeadLetterQueue.Arn>",
            "Condition": {"ArnEquals": {"aws:SourceArn": "<ReportRule.Arn>"}},
        },
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": "<DeadLetterQueue.Arn>",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]


def test_the_bucket_is_reached_over_tls_only(guide):
    assert guide["BackupBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"] == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["<BackupBucket.Arn>", "<BackupBucket.Arn>/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_only_our_domain_writes_its_log(guide):
    policy = json.loads(guide["SearchDomainLogPolicy"]["Properties"]["PolicyDocument"])
    log_group = guide["SearchDomainLogGroup"]["Properties"]["LogGroupName"]
    assert policy["Statement"] == [
        {
            "Sid": "WriteErrorLog",
            "Effect": "Allow",
            "Principal": {"Service": "es.amazonaws.com"},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:{cfn.REGION}:{cfn.ACCOUNT}:log-group:{log_group}:*",
            "Condition": {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}, "ArnEquals": {"aws:SourceArn": DOMAIN}},
        }
    ]
