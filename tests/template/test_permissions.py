"""Owns who may do what: eMite's role, the delivery role, the functions, the domain, the topic, the queue and the bucket."""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from importlib import resources

import cfn
import checks
import pytest
import reach

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


BY_EMITE = {
    "Sid": "AllowEmite",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"sts:ExternalId": "acme-support-7421"}},
}
BY_SERVER = {"Sid": "AllowServer", "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize(
    ("case", "trust"),
    [
        ("the guide", [BY_EMITE]),
        ("self-hosted", [BY_SERVER]),
        ("self-hosted with Remote Desktop", [BY_EMITE, BY_SERVER]),
        ("self-hosted with all addresses", [BY_SERVER]),
        ("records from an existing stream", [BY_EMITE]),
    ],
)
def test_whoever_hosts_the_server_assumes_the_role_and_nobody_else(template, case, trust):
    role = cfn.deployed(template, checks.CASES[case])["EmiteRole"]["Properties"]
    assert role["AssumeRolePolicyDocument"]["Statement"] == trust


@pytest.mark.parametrize("case", checks.CASES)
def test_a_server_of_ours_has_the_role_that_emite_reads_with(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    if "ServerProfile" in deployed:
        existing = checks.CASES[case].get("ExistingRoleName")
        assert deployed["ServerProfile"]["Properties"] == {"Roles": [existing or "<EmiteRole>"]}
        assert deployed["Server"]["Properties"]["IamInstanceProfile"] == "<ServerProfile>"


@pytest.mark.parametrize("case", [case for case in checks.CASES if "ExistingRoleName" not in checks.CASES[case]])
def test_a_server_reached_through_session_manager_may_what_that_needs(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    given = checks.CASES[case]
    sessions = given.get("HostingMode") == "SelfHosted" and given.get("ServerAccess") != "Rdp"
    # AWS Systems Manager user guide, "Verify or add instance permissions for Session Manager": this, and nothing of run command or S3.
    assert allowed(deployed, "EmiteRole").get("AllowSessions") == (
        {
            "Sid": "AllowSessions",
            "Effect": "Allow",
            "Action": [
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        }
        if sessions
        else None
    )


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


def test_that_is_all_that_emite_may_do(template, guide, given):
    assert [policy["PolicyName"] for policy in guide["EmiteRole"]["Properties"]["Policies"]] == ["emite-role-policy"]
    everywhere = {"AllowReadKinesis1", "AllowReadKinesis2", "AllowReadAmazonConnect1", "AllowReadAmazonConnect2", "DenyFederationTokens"}
    assert allowed(guide, "EmiteRole").keys() == everywhere
    assert allowed(given, "EmiteRole").keys() == everywhere | {"AllowDecryptKinesis"}
    assert allowed(cfn.deployed(template, checks.CASES["self-hosted"]), "EmiteRole").keys() == everywhere | {"AllowSessions"}
    assert allowed(cfn.deployed(template, checks.CASES["self-hosted with Remote Desktop"]), "EmiteRole").keys() == everywhere


@pytest.mark.parametrize("case", [case for case in checks.CASES if "ExistingRoleName" not in checks.CASES[case]])
def test_emite_reads_the_stream_that_events_go_to(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    assert allowed(deployed, "EmiteRole")["AllowReadKinesis1"]["Resource"] == STREAM
    named = cfn.deployed(template, {**checks.CASES[case], "ExistingAgentEventStreamName": "events"})
    assert allowed(named, "EmiteRole")["AllowReadKinesis1"]["Resource"] == STREAM.replace("connect-agentevents", "events")


def test_the_boundary_is_the_policy_itself(template):
    resources = template["Resources"]
    assert resources["EmiteRoleBoundary"]["Properties"]["PolicyDocument"] == resources["EmiteRole"]["Properties"]["Policies"][0]["PolicyDocument"]


# The longest that the parameters take, in a stack with the longest name that AWS allows.
LONGEST = {
    "AgentEventStreamName": "x" * 128,
    "AgentEventKeyArn": KEY[:-36] + "k" * 64,
    "AlertTopicArn": checks.CASES["everything given"]["AlertTopicArn"].replace("alerts", "a" * 256),
    "BackupBucketName": "b" * 63,
    "BackupBucketKeyArn": KEY[:-36] + "k" * 64,
    "ContactIndexName": "i" * 80,
    "CustomerId": "c" * 1224,
    "DeliveryStreamName": "d" * 59,
    "DomainName": "d" * 28,
    "EmiteAccountId": "444455556666",
    "ExistingContactRecordStreamName": "r" * 128,
    "RoleName": "r" * 64,
}
LONGEST_EXISTING = {
    "ExistingAgentEventStreamName": "x" * 128,
    "ExistingDeliveryStreamName": "d" * 64,
    "ExistingDomainName": "d" * 28,
    "ExistingRoleName": "r" * 64,
}
NAMED_BY_AWS = {
    "<AlertTopic>": f"arn:aws:sns:{cfn.REGION}:{cfn.ACCOUNT}:" + "t" * 153,
    "<BackupBucket.Arn>": "arn:aws:s3:::" + "b" * 63,
    "<BackupBucket>": "b" * 63,
    "<DeadLetterQueue.Arn>": f"arn:aws:sqs:{cfn.REGION}:{cfn.ACCOUNT}:" + "q" * 80,
    "<EmiteRoleBoundary>": f"arn:aws:iam::{cfn.ACCOUNT}:policy/" + "p" * 128,
    "<Ledger.Arn>": f"arn:aws:dynamodb:{cfn.REGION}:{cfn.ACCOUNT}:table/" + "t" * 148,
    "<RedriveFunction.Arn>": f"arn:aws:lambda:{cfn.REGION}:{cfn.ACCOUNT}:function:" + "f" * 64,
    "<ReporterFunction.Arn>": f"arn:aws:lambda:{cfn.REGION}:{cfn.ACCOUNT}:function:" + "f" * 64,
    "<Server>": "i-0a1b2c3d4e5f60718",
    "<ServerAddress.AllocationId>": "eipalloc-0a1b2c3d4e5f60718",
}


def size(document):
    """As IAM counts: without white space."""
    text = json.dumps(document, separators=(",", ":"))
    for name, value in NAMED_BY_AWS.items():
        text = text.replace(name, value)
    assert not re.search(r"<[A-Z]\w+[.>]", text)
    return len(text)


SELF_HOSTED = checks.CASES["self-hosted"]


@pytest.mark.parametrize("hosting", [{}, {name: SELF_HOSTED[name] for name in ("HostingMode", "VpcId", "SubnetId")}], ids=["emite", "self"])
def test_the_boundary_stays_below_the_size_that_iam_takes(template, hosting):
    boundary = cfn.deployed(template, {**LONGEST, **hosting})["EmiteRoleBoundary"]
    assert ("AllowSessions" in json.dumps(boundary)) == bool(hosting)
    assert size(boundary["Properties"]["PolicyDocument"]) < 6144 - 200


@pytest.mark.parametrize("longest", [None, LONGEST, LONGEST | LONGEST_EXISTING], ids=["as it is", "longest names", "longest names of existing things"])
@pytest.mark.parametrize("case", checks.CASES)
def test_the_policies_of_each_role_stay_below_the_size_that_iam_takes(template, case, longest, monkeypatch):
    """10,240 characters for all inline policies of a role together."""
    given = checks.CASES[case]
    if longest:
        monkeypatch.setitem(cfn.PSEUDO, "AWS::StackName", "s" * 128)
        given = {**given, **longest}
        given.pop("AlertEmail", None)
    assert cfn.broken_rules(template, cfn.parameters(template, given)) == []
    # Where Firehose puts failed records, as long as anybody will have it.
    deployed = cfn.deployed(template, given, {"FailedPrefix": "p" * 100} if longest else None)
    for name, resource in deployed.items():
        if resource["Type"] == "AWS::IAM::Role":
            assert sum(size(policy["PolicyDocument"]) for policy in resource["Properties"]["Policies"]) < 10240, name


def test_the_customers_boundary_is_on_every_role_and_ours_only_without_it(template):
    def boundaries(deployed):
        return {name: resource["Properties"].get("PermissionsBoundary") for name, resource in deployed.items() if resource["Type"] == "AWS::IAM::Role"}

    ours = ("CustomResourceRole", "HealthCheckRole", "RedriveRole", "RedriveStateMachineRole", "RepairRole", "ReporterRole")
    for case, deployed in checks.each_case(template):
        theirs = checks.CASES[case].get("PermissionsBoundaryArn")
        made = [name for name in ("DeliveryRole",) if name in deployed]
        emite = {"EmiteRole": theirs or "<EmiteRoleBoundary>"} if "EmiteRole" in deployed else {}
        assert boundaries(deployed) == emite | dict.fromkeys((*ours, *made), theirs), case


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


MAKES_DELIVERY = [case for case in checks.CASES if "ExistingDeliveryStreamName" not in checks.CASES[case]]


@pytest.mark.parametrize("case", MAKES_DELIVERY)
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


@pytest.mark.parametrize("domain", ["", "records"])
def test_the_delivery_role_writes_to_the_domain_that_firehose_is_told(template, domain):
    deployed = cfn.deployed(template, {"ExistingDomainName": domain})
    arn = f"arn:aws:es:{cfn.REGION}:{cfn.ACCOUNT}:domain/records" if domain else DOMAIN
    told = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["DomainARN"]
    assert told == (arn if domain else "<SearchDomain.Arn>")
    statements = allowed(deployed, "DeliveryRole")
    assert statements["DescribeDomain"]["Resource"] == arn
    assert statements["WriteDocuments"]["Resource"] == [arn, f"{arn}/*"]
    assert all(resource.startswith(f"{arn}/_") or resource.startswith(f"{arn}/emite-contacts*/_") for resource in statements["ReadClusterState"]["Resource"])


def test_the_delivery_role_reads_contact_records_where_there_is_a_stream_of_them_and_decrypts_only_those(template, guide):
    # Amazon Data Firehose guide, "Grant Firehose access to a Kinesis data stream" (old: "Using IAM Roles", Kinesis as the source).
    reading = {"ReadContactRecords", "DecryptContactRecords"}
    assert not allowed(guide, "DeliveryRole").keys() & reading
    deployed = cfn.deployed(template, checks.CASES["records from an existing stream"])
    statements = allowed(deployed, "DeliveryRole")
    assert statements.keys() - allowed(guide, "DeliveryRole").keys() == reading
    records = f"arn:aws:kinesis:{cfn.REGION}:{cfn.ACCOUNT}:stream/contact-records"
    assert statements["ReadContactRecords"] == {
        "Sid": "ReadContactRecords",
        "Effect": "Allow",
        "Action": ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"],
        "Resource": records,
    }
    assert statements["DecryptContactRecords"] == {
        "Sid": "DecryptContactRecords",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/*",
        "Condition": {
            "StringEquals": {
                "kms:ViaService": f"kinesis.{cfn.REGION}.amazonaws.com",
                "kms:EncryptionContext:aws:kinesis:arn": records,
            }
        },
    }
    source = deployed["DeliveryStream"]["Properties"]["KinesisStreamSourceConfiguration"]
    assert source == {"KinesisStreamARN": records, "RoleARN": "<DeliveryRole.Arn>"}


def test_contact_records_stay_in_this_account(guide):
    for sid in ("FindBucket", "WriteRefusedRecords"):
        assert allowed(guide, "DeliveryRole")[sid]["Condition"] == {"StringEquals": {"aws:ResourceAccount": cfn.ACCOUNT}}


# ---- The custom resources' function ----------------------------------------------------------------------------------------

CALLS = {
    "cloudformation:DescribeStackResource",
    "cloudformation:DescribeStacks",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "dynamodb:DescribeTable",
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


# For the server in this account.
FOR_THE_SERVER = {
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSubnets",
    "ssm:GetParameter",
}


@pytest.mark.parametrize("case", checks.CASES)
def test_the_function_may_do_what_it_calls_and_what_connect_asks_behind_that(template, case):
    given, more = checks.CASES[case], set()
    if "BackupBucketKeyArn" in given:
        more |= {"kms:Decrypt", "kms:GenerateDataKey"}
    if "BackupBucketName" in given:
        more |= {"s3:GetBucketLocation", "s3:GetEncryptionConfiguration"}
    if "AlertTopicArn" in given:
        more |= {"sns:GetTopicAttributes"}
    if "HostingMode" in given:
        more |= FOR_THE_SERVER
    if given.get("DomainLogs") != "Disabled" and "ExistingDomainName" not in given:
        more |= {"logs:DescribeResourcePolicies"}
    assert granted(cfn.deployed(template, given), "CustomResourceRole") == CALLS | BEHIND | more


def test_each_call_of_preflight_is_allowed():
    """What its code names as the action that a call needs."""
    folder = cfn.TEMPLATE.parents[1] / "functions" / "custom-resource" / "src"
    sources = [*(folder / "preflight").rglob("*.rs"), folder / "preflight.rs"]
    named = set().union(*(reach.actions(reach.code(path), path) for path in sources))
    named = {action for action in named if action.split(":")[0] not in ("cloudformation", "dynamodb")}
    assert {"iam:GetRole", "ec2:DescribeSubnets", "firehose:DescribeDeliveryStream"} <= named
    # sns:Publish is what it looks for in the policy of a topic.
    allowed_somewhere = CALLS | BEHIND | FOR_THE_SERVER | {"logs:DescribeResourcePolicies", "s3:GetBucketLocation", "s3:GetEncryptionConfiguration", "sns:GetTopicAttributes"}
    assert named - allowed_somewhere == {"sns:Publish"}


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


@pytest.mark.parametrize("case", checks.CASES)
def test_the_function_looks_only_at_what_the_parameters_name(template, case):
    statements, given = allowed(cfn.deployed(template, checks.CASES[case]), "CustomResourceRole"), checks.CASES[case]

    def existing(name, *patterns):
        return [pattern.format(given[name]) for pattern in patterns if name in given]

    role, kinesis = f"arn:aws:iam::{cfn.ACCOUNT}:role", f"arn:aws:kinesis:{cfn.REGION}:{cfn.ACCOUNT}:stream"
    assert statements["FindTakenRoles"]["Resource"] == [
        f"{role}/emite-role",
        f"{role}/emite-ctrfirehose-role",
        # A role has its path in its ARN, and the parameter is the name.
        *existing("ExistingRoleName", f"{role}/{{}}", f"{role}/*/{{}}"),
    ]
    assert statements["FindTakenStreamsAndDomain"]["Resource"] == [
        DOMAIN,
        STREAM,
        *existing("ExistingDomainName", f"arn:aws:es:{cfn.REGION}:{cfn.ACCOUNT}:domain/{{}}"),
        *existing("ExistingAgentEventStreamName", f"{kinesis}/{{}}"),
        *existing("ExistingContactRecordStreamName", f"{kinesis}/{{}}"),
    ]
    assert statements["FindTakenStreamsAndDomain"]["Action"] == ["es:DescribeDomain", "es:GetCompatibleVersions", "kinesis:DescribeStreamSummary"]
    assert statements.get("FindGivenBucket", {}).get("Resource") == (f"arn:aws:s3:::{given['BackupBucketName']}" if "BackupBucketName" in given else None)
    assert statements.get("FindGivenTopic", {}).get("Resource") == given.get("AlertTopicArn")
    images = f"arn:aws:ssm:{cfn.REGION}::parameter/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-SQL_2022_Express"
    assert statements.get("FindImageOfServer", {}).get("Resource") == (images if "HostingMode" in given else None)
    # An existing Firehose stream is looked at with what Amazon Connect asks for anyway.
    streams = statements["BehindStorageConfigStreams"]
    assert "firehose:DescribeDeliveryStream" in streams["Action"]
    assert f"arn:aws:firehose:{cfn.REGION}:{cfn.ACCOUNT}:deliverystream/*" in streams["Resource"]


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
    assert table({"CustomResourceRole": {"Properties": {"Policies": own}}}, "CustomResourceRole") == handover(bucket) | with_key(case)
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


def existing_folders(prefix):
    """Patterns of what is below an existing stream's folder of failed records."""
    return [f"{prefix}AmazonOpenSearchService?failed/*", f"{prefix}elasticsearch?failed/*"]


def looks(case):
    """What seeing every link of the chain takes."""
    given = checks.CASES[case]
    says = cfn.preflight({**DEFAULTS, **cfn.REQUIRED, **given})
    bucket, topic = bucket_of(case), given.get("AlertTopicArn", "<AlertTopic>")
    folder = f"emite-connect/{says['DeliveryStreamName']}"
    found = existing_folders(says["FailedPrefix"]) if "ExistingDeliveryStreamName" in given else []
    role = says["EmiteRoleArn"]
    prefixes = [f"{folder}/*", *found]
    table = {
        ("cloudformation:DescribeStacks", cfn.PSEUDO["AWS::StackId"]): None,
        ("connect:DescribeInstance", cfn.INSTANCE_ARN): None,
        ("connect:ListApprovedOrigins", cfn.INSTANCE_ARN): None,
        ("connect:ListInstanceStorageConfigs", cfn.INSTANCE_ARN): None,
        ("ds:DescribeDirectories", "*"): None,
        ("es:DescribeDomain", says["DomainArn"]): None,
        ("firehose:DescribeDeliveryStream", says["DeliveryStreamArn"]): None,
        ("kinesis:DescribeStreamSummary", says["AgentEventStreamArn"]): None,
        ("iam:GetRole", role): None,
        ("iam:GetRolePolicy", role): None,
        ("iam:ListAttachedRolePolicies", role): None,
        ("iam:ListRolePolicies", role): None,
        ("cloudwatch:GetMetricData", "*"): None,
        ("s3:ListBucket", bucket): INSIDE | {"StringLike": {"s3:prefix": prefixes}},
        **{("s3:GetObject", f"{bucket}/{below}"): INSIDE for below in (f"{folder}/failed/*", *found)},
        ("sns:GetSubscriptionAttributes", topic): None,
        ("sns:GetSubscriptionAttributes", f"{topic}:*"): None,
        ("sns:ListSubscriptionsByTopic", topic): None,
        ("sns:ListSubscriptionsByTopic", f"{topic}:*"): None,
        ("sqs:GetQueueAttributes", "<DeadLetterQueue.Arn>"): None,
    }
    if "ExistingContactRecordStreamName" in given:
        table["kinesis:DescribeStreamSummary", says["ContactRecordStreamArn"]] = None
    if "HostingMode" in given:
        table |= {
            (f"ec2:Describe{what}", "*"): None
            for what in ("Addresses", "IamInstanceProfileAssociations", "Instances", "InstanceStatus", "SecurityGroups")
        }
    if "BackupBucketKeyArn" in given:
        table["kms:Decrypt", given["BackupBucketKeyArn"]] = {"StringEquals": {"kms:ViaService": f"s3.{cfn.REGION}.amazonaws.com"}}
    return table


def bucket_of(case):
    name = checks.CASES[case].get("BackupBucketName")
    return f"arn:aws:s3:::{name}" if name else "<BackupBucket.Arn>"


DEFAULTS = {name: str(parameter.get("Default")) for name, parameter in cfn.source()["Parameters"].items()}


PUBLISHES = {("events:PutEvents", f"arn:aws:events:{cfn.REGION}:{cfn.ACCOUNT}:event-bus/default"): {"StringEquals": {"events:source": "emite-connect"}}}


def health_check(case):
    return looks(case) | PUBLISHES | {
        ("logs:CreateLogStream", log_group("health-check")): None,
        ("logs:PutLogEvents", log_group("health-check")): None,
        ("ssm:GetParameter", SPEC): None,
        ("dynamodb:GetItem", "<Ledger.Arn>"): items("latch#*"),
        ("dynamodb:PutItem", "<Ledger.Arn>"): items("latch#*"),
        ("lambda:InvokeFunction", "<ReporterFunction.Arn>"): None,
    }


@pytest.mark.parametrize("case", checks.CASES)
def test_the_health_check_may_look_and_tell_and_nothing_else(template, case):
    assert table(cfn.deployed(template, checks.CASES[case]), "HealthCheckRole") == health_check(case)


def test_each_read_of_a_run_is_allowed(template):
    """What `observe` names as the action that a call needs, followed through shared/aws."""
    named = reach.of_function(reach.AWS / "observe.rs", "observe")
    assert {"ec2:DescribeSecurityGroups", "kinesis:DescribeStreamSummary", "sns:ListSubscriptionsByTopic"} <= named
    deployed = cfn.deployed(template, checks.CASES["self-hosted"])
    for role in ("HealthCheckRole", "RepairRole"):
        # Only the health check writes the latch.
        assert named - granted(deployed, role) - {"dynamodb:PutItem"} == set(), role


@pytest.mark.parametrize(("function", "role"), [("health-check", "HealthCheckRole"), ("repair", "RepairRole"), ("redrive", "RedriveRole"), ("reporter", "ReporterRole")])
def test_each_call_that_a_function_can_reach_is_allowed(template, function, role):
    named = reach.of_crate(function)
    if function == "reporter":
        # It only reads in reports whether another function could make this call.
        named.remove("sns:ListSubscriptionsByTopic")
    deployed = cfn.deployed(template, checks.CASES["self-hosted"])
    assert sorted(named - granted(deployed, role)) == []


def firehoses_folders():
    """The spellings that AWS's pages have for a folder of failed records, as the code looks for them."""
    source = (cfn.TEMPLATE.parents[1] / "shared" / "core" / "src" / "layout.rs").read_text(encoding="utf-8")
    folders = re.findall(r'"([^"]+)"', source.split("FIREHOSE_FOLDERS: [&str; 4] = [")[1].split("]")[0])
    assert len(folders) == 4
    return folders


@pytest.mark.parametrize("role", ["HealthCheckRole", "RepairRole"])
@pytest.mark.parametrize("case", checks.CASES)
def test_those_who_look_find_what_firehose_was_told_to_write(template, case, role):
    deployed = cfn.deployed(template, checks.CASES[case])
    listed = allowed(deployed, role)["FindFailedRecords"]
    read = cfn.as_list(allowed(deployed, role)["ReadFailedRecords"]["Resource"])
    if "DeliveryStream" in deployed:
        backup = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]
        bucket, folders = backup["BucketARN"], [backup["Prefix"]]
    else:
        bucket, folders = bucket_of(case), [f"{cfn.FOUND['FailedPrefix']}{folder}" for folder in firehoses_folders()]
    assert listed["Resource"] == bucket
    for folder in folders:
        assert any(fnmatch.fnmatchcase(folder, prefix) for prefix in listed["Condition"]["StringLike"]["s3:prefix"]), folder
        assert any(fnmatch.fnmatchcase(f"{bucket}/{folder}2026/11/24/01/object", resource) for resource in read), folder
    # Nothing else of a bucket that others use too.
    assert not any(fnmatch.fnmatchcase(f"{bucket}/{other}", resource) for other in ("invoices/1.pdf", "refused/records/other/1") for resource in read)


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


CONNECTS_ROLE = f"arn:aws:iam::{cfn.ACCOUNT}:role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect_*"


def repair(case):
    given = checks.CASES[case]
    says = cfn.preflight({**DEFAULTS, **cfn.REQUIRED, **given})
    role = says["EmiteRoleArn"]
    streams = {"StringEqualsIfExists": {"connect:StorageResourceType": ["AGENT_EVENTS", "CONTACT_TRACE_RECORDS"]}}
    key = f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/*"
    mends = {
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
        ("kinesis:IncreaseStreamRetentionPeriod", says["AgentEventStreamArn"]): None,
        ("es:DescribeDomainConfig", says["DomainArn"]): None,
        ("es:UpdateDomainConfig", says["DomainArn"]): None,
        ("iam:PutRolePolicy", role): None,
        ("iam:UpdateAssumeRolePolicy", role): None,
        ("iam:UpdateRole", role): None,
    }
    # A role that was there already and has no boundary of the stack's is held by none.
    if boundary := given.get("PermissionsBoundaryArn") or ("" if "ExistingRoleName" in given else "<EmiteRoleBoundary>"):
        mends["iam:PutRolePermissionsBoundary", role] = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    if "HostingMode" in given:
        ec2 = f"arn:aws:ec2:{cfn.REGION}:{cfn.ACCOUNT}"
        mends |= {
            ("ec2:AssociateIamInstanceProfile", f"{ec2}:instance/<Server>"): None,
            ("ec2:ReplaceIamInstanceProfileAssociation", f"{ec2}:instance/<Server>"): None,
            ("iam:PassRole", role): {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            ("ec2:AssociateAddress", f"{ec2}:elastic-ip/<ServerAddress.AllocationId>"): None,
            ("ec2:AssociateAddress", f"{ec2}:instance/<Server>"): None,
            ("ec2:AssociateAddress", f"{ec2}:network-interface/*"): None,
        }
    return looks(case) | PUBLISHES | mends


@pytest.mark.parametrize("case", checks.CASES)
def test_repair_may_look_and_mend_what_is_the_stacks_and_nothing_else(template, case):
    assert table(cfn.deployed(template, checks.CASES[case]), "RepairRole") == repair(case)


@pytest.mark.parametrize("case", checks.CASES)
def test_no_function_passes_a_role_but_the_repair_that_of_the_server_to_ec2(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    passes = [place for place, statement in cfn.statements(deployed) if statement["Effect"] == "Allow" and "iam:PassRole" in cfn.actions(statement)]
    assert [place.split("/")[1] for place in passes] == (["RepairRole"] if "Server" in deployed else [])


def test_each_right_on_ec2_is_on_resources_that_the_action_takes(template):
    """AWS's own list says which kinds of resources an action is decided on: one that is not named would never be allowed."""
    kinds = {
        action: {pattern.split(":")[5].split("/")[0] for pattern in patterns}
        for action, patterns in known_actions("ec2").items()
    }
    rights = table(cfn.deployed(template, checks.CASES["self-hosted"]), "RepairRole")
    on = {}
    for action, resource in rights:
        if action.startswith("ec2:") and resource != "*":
            on.setdefault(action, set()).add(resource.split(":")[5].split("/")[0])
    assert on.keys() == {"ec2:AssociateAddress", "ec2:AssociateIamInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation"}
    for action, named in on.items():
        assert named == kinds[action.split(":")[1].lower()], action


# ---- Redrive ---------------------------------------------------------------------------------------------------------------

FAILED, QUARANTINE = "emite-connect/emite-ctrfirehose/failed/*", "emite-connect/emite-ctrfirehose/quarantine/*"
REDRIVEN, RESULTS = "emite-connect/emite-ctrfirehose/redriven/*", "emite-connect/emite-ctrfirehose/results/*"
# Firehose's own names for the folder of refused records, where a stream has no prefix for it (API reference and guide, old and new).
FIREHOSES_OWN = ("AmazonOpenSearchService-failed/*", "AmazonOpenSearchService_failed/*", "elasticsearch-failed/*", "elasticsearch_failed/*")
THROUGH_S3 = {"StringEquals": {"kms:ViaService": f"s3.{cfn.REGION}.amazonaws.com"}}


def with_key(case):
    key = checks.CASES[case].get("BackupBucketKeyArn")
    return {("kms:Decrypt", key): THROUGH_S3, ("kms:GenerateDataKey", key): THROUGH_S3} if key else {}


def plain_bucket(case):
    """As Fn::Sub names it."""
    return bucket_of(case).replace("<BackupBucket.Arn>", "arn:aws:s3:::<BackupBucket>")


def refused(case):
    """The folders that a redrive may name, below the bucket: ours, and Firehose's own, which are in the stream's folder if it has one."""
    given = checks.CASES[case]
    name = given.get("ExistingDeliveryStreamName", "emite-ctrfirehose")
    folder = cfn.FOUND["FailedPrefix"] if "ExistingDeliveryStreamName" in given else ""
    return [below.replace("emite-ctrfirehose", name) for below in (FAILED, QUARANTINE)] + [f"{folder}{own}" for own in FIREHOSES_OWN]


def redrive(case):
    bucket, sources = plain_bucket(case), refused(case)
    says = cfn.preflight({**DEFAULTS, **cfn.REQUIRED, **checks.CASES[case]})
    quarantine = sources[1]
    redriven, results = (below.replace("emite-ctrfirehose", says["DeliveryStreamName"]) for below in (REDRIVEN, RESULTS))
    return PUBLISHES | with_key(case) | {
        ("logs:CreateLogStream", log_group("redrive")): None,
        ("logs:PutLogEvents", log_group("redrive")): None,
        ("ssm:GetParameter", SPEC): None,
        **{("s3:GetObject", f"{bucket}/{folder}"): INSIDE for folder in (*sources, results)},
        **{("s3:DeleteObject", f"{bucket}/{folder}"): INSIDE for folder in sources},
        **{(action, f"{bucket}/{folder}"): INSIDE for action in ("s3:PutObject", "s3:AbortMultipartUpload") for folder in (quarantine, redriven)},
        ("s3:ListBucket", bucket): INSIDE,
        ("es:ESHttpPost", f"{says['DomainArn']}/_bulk"): None,
    }


@pytest.mark.parametrize("case", checks.CASES)
def test_redrive_may_move_refused_records_and_write_them_to_the_domain_and_nothing_else(template, case):
    assert table(cfn.deployed(template, checks.CASES[case]), "RedriveRole") == redrive(case)


def state_machine(case):
    bucket, arn = plain_bucket(case), f"arn:aws:states:{cfn.REGION}:{cfn.ACCOUNT}"
    executions = (f"{arn}:execution:emite-redrive:*", f"{arn}:execution:emite-redrive/Batches:*")
    results = RESULTS.replace("emite-ctrfirehose", checks.CASES[case].get("ExistingDeliveryStreamName", "emite-ctrfirehose"))
    return with_key(case) | {
        ("lambda:InvokeFunction", "<RedriveFunction.Arn>"): None,
        # AWS Step Functions developer guide, "IAM policies for using Distributed Map states".
        ("states:StartExecution", f"{arn}:stateMachine:emite-redrive"): None,
        **{(f"states:{action}Execution", execution): None for action in ("Describe", "Stop") for execution in executions},
        ("s3:ListBucket", bucket): INSIDE | {"StringLike": {"s3:prefix": refused(case)}},
        **{
            (f"s3:{action}", f"{bucket}/{results}"): INSIDE
            for action in ("AbortMultipartUpload", "GetObject", "ListMultipartUploadParts", "PutObject")
        },
    }


@pytest.mark.parametrize("case", checks.CASES)
def test_the_state_machine_may_list_run_and_keep_results_and_nothing_else(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    assert table(deployed, "RedriveStateMachineRole") == state_machine(case)
    (trust,) = deployed["RedriveStateMachineRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}


def test_redrive_finds_what_firehose_was_told_to_write(template):
    for case in MAKES_DELIVERY:
        deployed = cfn.deployed(template, checks.CASES[case])
        backup = deployed["DeliveryStream"]["Properties"]["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]
        assert backup["Prefix"] == FAILED.removesuffix("*"), case
    assert [f"{folder}*" for folder in firehoses_folders()] == list(FIREHOSES_OWN)


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


@pytest.mark.parametrize(
    ("given", "admitted"),
    [
        ({}, ["203.0.113.10/32", "203.0.113.11/32"]),
        ({"EmiteServerCidrs": "203.0.113.10"}, ["203.0.113.10"]),
        (checks.CASES["self-hosted"], ["<ServerAddress>/32"]),
        (checks.CASES["self-hosted with Remote Desktop"], ["<ServerAddress>/32", "203.0.113.10/32", "203.0.113.11/32"]),
        ({**checks.CASES["self-hosted"], "EmiteServerCidrs": "203.0.113.10"}, ["<ServerAddress>/32", "203.0.113.10"]),
    ],
    ids=["guide", "one", "self-hosted", "both", "both, one"],
)
def test_a_server_of_ours_is_let_in_by_its_elastic_ip_alone_and_beside_those_of_emite(template, given, admitted):
    emite, account = cfn.deployed(template, given)["SearchDomain"]["Properties"]["AccessPolicies"]["Statement"]
    assert emite["Condition"] == {"IpAddress": {"aws:SourceIp": admitted}}
    assert account["Sid"] == "ThisAccount"


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
