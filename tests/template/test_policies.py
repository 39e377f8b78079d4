"""Owns that docs/policies hold what they are for: whoever deploys has all that AWS's own handlers call for the resources of the template,
on these resources and on no others, and little else; the operator has what the documents' commands call.

The handlers' permissions are those that AWS publishes with each resource type (as cfn-lint carries them). A local AWS cannot show this: it
makes a stack's resources itself, without asking IAM (tests/standin/test_policies.py)."""

from __future__ import annotations

import fnmatch
import json
import re

import cfn
import checks
import documents
import pytest
import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from test_permissions import known_actions

from localaws import short_forms

PLACEHOLDERS = {
    "<account>": cfn.ACCOUNT,
    "<region>": cfn.REGION,
    "<stack>": "emite",
    "<packages>": "aws-sam-cli-managed-default-samclisourcebucket-0a1b2c3d4e5f",
    "<instance>": cfn.INSTANCE_ARN.rsplit("/", 1)[1],
    "<bucket>": "emite-backupbucket-0a1b2c3d4e5f",
    "<vpc>": "vpc-0a1b2c3d4e5f60718",
    "<subnet>": "subnet-0a1b2c3d4e5f60718",
    "<key>": "0a1b2c3d-0000-1111-2222-333344445555",
}
# The longest that a policy has to have room for.
LONG = PLACEHOLDERS | {"<stack>": "s" * 24, "<region>": "ap-southeast-2", "<packages>": "p" * 63, "<bucket>": "b" * 63}

FILES = ("deployer-1", "deployer-2", "deployer-self-hosted", "deployer-keys", "deployer-marketplace", "operator")
DEPLOYER = [name for name in FILES if name.startswith("deployer")]
MANAGED_POLICY_CHARACTERS = 6144


def statements(*names, values=PLACEHOLDERS):
    found = []
    for name in names:
        text = documents.text(f"docs/policies/{name}.json")
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        assert "<" not in text, f"{name} has an unknown placeholder"
        found += json.loads(text)["Statement"]
    return found


def allows(policy, action, resource, **context):
    """What IAM answers to statements that only allow. A condition holds if all its keys are given and match."""
    return any(
        any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in cfn.actions(statement))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in cfn.as_list(statement["Resource"]))
        and all(
            any(fnmatch.fnmatchcase(context.get(key, ""), str(value)) for value in cfn.as_list(values))
            for test in statement.get("Condition", {}).values()
            for key, values in test.items()
        )
        for statement in policy
    )


# ---- What AWS calls for each resource --------------------------------------------------------------------------------------

# Handlers' permissions that this template never comes to, and why.
NEVER = {
    "AWS::DynamoDB::Table": {
        "dynamodb:*Replica": "no global table",
        "dynamodb:ImportTable": "nothing is imported",
        "dynamodb:DescribeImport": "nothing is imported",
        "dynamodb:*Item": "nothing is imported",
        "dynamodb:Query": "nothing is imported",
        "dynamodb:Scan": "nothing is imported",
        "dynamodb:??ableKinesisStreamingDestination": "no Kinesis destination",
        "dynamodb:DisableKinesisStreamingDestination": "no Kinesis destination",
        "dynamodb:UpdateKinesisStreamingDestination": "no Kinesis destination",
        "dynamodb:UpdateContributorInsights": "no contributor insights",
        "dynamodb:PutResourcePolicy": "no resource policy",
        "dynamodb:DeleteResourcePolicy": "no resource policy",
        "iam:CreateServiceLinkedRole": "no global table, no autoscaling",
        "kinesis:*": "no Kinesis destination",
        "kms:*": "the key of DynamoDB itself",
        "logs:*": "nothing is imported",
        "s3:*": "nothing is imported",
    },
    "AWS::EC2::EIP": {"ec2:AcceptAddressTransfer": "no address is taken over"},
    "AWS::EC2::Instance": {
        "ec2:AttachVolume": "volumes are part of the instance",
        "ec2:DetachVolume": "volumes are part of the instance",
        "ec2:DescribeLaunchTemplateVersions": "no launch template",
        "ec2:ModifyInstanceCreditSpecification": "no burstable instance",
        "ec2:ModifyInstancePlacement": "no placement",
        "ec2:ModifyInstanceMaintenanceOptions": "the default stays",
        "ec2:ModifyPrivateDnsNameOptions": "the default stays",
        "ssm:CreateAssociation": "no SSM association",
        "ssm:DeleteAssociation": "no SSM association",
        "ssm:DescribeAssociation": "no SSM association",
    },
    "AWS::Events::Rule": {"iam:PassRole": "no target has a role"},
    "AWS::IAM::ManagedPolicy": {"iam:Attach*": "attached to nobody", "iam:Detach*": "attached to nobody"},
    "AWS::Kinesis::Stream": {
        "kinesis:*EnhancedMonitoring": "no enhanced monitoring",
        "kinesis:UpdateMaxRecordSize": "the default stays",
        "kinesis:UpdateStreamMode": "shards, always",
        "kinesis:UpdateStreamRecordDistributionStrategy": "the default stays",
        "kinesis:UpdateStreamWarmThroughput": "on-demand streams only",
    },
    "AWS::KinesisFirehose::DeliveryStream": {
        "firehose:StartDeliveryStreamEncryption": "no encryption of its own",
        "firehose:StopDeliveryStreamEncryption": "no encryption of its own",
        "kms:*": "no encryption of its own",
    },
    "AWS::Lambda::Function": {
        "ec2:*": "not in a VPC",
        "elasticfilesystem:*": "no file system",
        "s3files:*": "no file system",
        "kms:*": "the key of Lambda itself",
        "lambda:AssociateRuntimeAlias": "no such action",
        "lambda:GetCodeSigningConfig": "no code signing",
        "lambda:PutFunctionCodeSigningConfig": "no code signing",
        "lambda:GetLayerVersion": "no layers",
        "lambda:PassCapacityProvider": "no capacity provider",
        "lambda:PutFunctionConcurrency": "no reserved concurrency",
        "lambda:PutFunctionRecursionConfig": "the default stays",
        "lambda:PutFunctionScalingConfig": "no capacity provider",
    },
    "AWS::Logs::LogGroup": {
        "firehose:*": "no delivery",
        "logs:CreateLogDelivery": "no delivery",
        "logs:PutBearerTokenAuthentication": "not asked for",
        "logs:PutDataProtectionPolicy": "not asked for",
        "logs:PutIndexPolicy": "not asked for",
        "logs:DeleteIndexPolicy": "not asked for",
        "logs:PutLogGroupDeletionProtection": "not asked for",
        "logs:*ssociateKmsKey": "the key of CloudWatch Logs itself",
        "s3:*": "no delivery",
    },
    "AWS::OpenSearchService::Domain": {"es:UpdateDomain": "no such action; it is es:UpdateDomainConfig"},
    "AWS::S3::Bucket": {
        "iam:PassRole": "no replication",
        "s3tables:*": "no metadata table",
        "s3:*MetadataTableConfiguration": "no metadata table",
        "s3:UpdateBucketMetadata*": "no metadata table",
        "s3:DeleteObject": "no metadata table",
        "s3:*AccelerateConfiguration": "not asked for",
        "s3:*AnalyticsConfiguration": "not asked for",
        "s3:PutBucketAbac": "not asked for",
        "s3:*BucketCORS": "not asked for",
        "s3:DeleteBucketCors": "not asked for",
        "s3:PutBucketLogging": "not asked for",
        "s3:PutBucketNotification": "not asked for",
        "s3:*ObjectLockConfiguration": "not asked for",
        "s3:*Replication*": "not asked for",
        "s3:*BucketWebsite": "not asked for",
        "s3:*IntelligentTieringConfiguration": "not asked for",
        "s3:*InventoryConfiguration": "not asked for",
        "s3:*MetricsConfiguration": "not asked for",
        "s3:Put*Acl": "no ACLs: BucketOwnerEnforced",
        "s3:DeleteBucketEncryption": "always encrypted",
        "s3:DeleteBucketLifecycle": "always with a lifecycle",
    },
    "AWS::SNS::Subscription": {"iam:*": "only for Firehose subscriptions"},
    "AWS::SNS::Topic": {"iam:*": "no delivery logs", "sns:PutDataProtectionPolicy": "not asked for"},
    "AWS::StepFunctions::StateMachine": {"kms:*": "the key of Step Functions itself", "s3:*": "the definition is in the template"},
}
# What is read is read whole: a handler's read permissions are needed even where nothing is set.
READ_WHOLE = {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Lambda::Function"}
# Handlers name these otherwise than IAM does.
SPELT = {"s3:ListTagsForResource": "s3:ListTagsForResource"}


def _handlers(kind):
    # What CloudFormation itself makes, such as a wait condition's handle, has none.
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("handlers", {})


def needed(kind):
    """The actions that AWS's handlers of a type call, without those that this template never comes to."""
    found = set()
    for name in ("create", "read", "update", "delete"):
        for action in _handlers(kind).get(name, {}).get("permissions", []):
            never = any(fnmatch.fnmatchcase(action, pattern) for pattern in NEVER.get(kind, {}))
            service, _, operation = action.partition(":")
            whole = name == "read" and kind in READ_WHOLE and service == kind.split("::")[1].lower()
            known = operation.lower() in known_actions(service)
            if known and (whole or not never):
                found.add(action)
    # UpdateDomain, as IAM knows it.
    return found | ({"es:UpdateDomainConfig"} if kind == "AWS::OpenSearchService::Domain" else set())


PACKAGES = f"arn:aws:s3:::{PLACEHOLDERS['<packages>']}"
ARN = f"arn:aws:{{}}:{cfn.REGION}:{cfn.ACCOUNT}:{{}}"
GLOBAL = f"arn:aws:{{}}::{cfn.ACCOUNT}:{{}}"
RANDOM = "0A1B2C3D4E5F"


def arns(logical, resource):
    """What IAM asks about for a resource, as AWS names it: by its property, or after stack and logical ID."""
    kind, properties = resource["Type"], resource["Properties"]
    name = properties.get(checks.NAME_PROPERTY.get(kind, ""), f"emite-{logical}-{RANDOM}")
    match kind.removeprefix("AWS::"):
        case "CloudWatch::Alarm":
            return [ARN.format("cloudwatch", f"alarm:{name}")]
        case "CloudWatch::Dashboard":
            return [GLOBAL.format("cloudwatch", f"dashboard/{name}")]
        case "DynamoDB::Table":
            return [ARN.format("dynamodb", f"table/{name}")]
        case "Events::Rule":
            return [ARN.format("events", f"rule/{name}")]
        case "IAM::ManagedPolicy":
            return [GLOBAL.format("iam", f"policy/{name}")]
        case "IAM::Role":
            return [GLOBAL.format("iam", f"role/{name}")]
        case "IAM::InstanceProfile":
            return [GLOBAL.format("iam", f"instance-profile/{name}")]
        case "Kinesis::Stream":
            return [ARN.format("kinesis", f"stream/{name}")]
        case "KinesisFirehose::DeliveryStream":
            return [ARN.format("firehose", f"deliverystream/{name}")]
        case "Lambda::Function":
            return [ARN.format("lambda", f"function:{name}")]
        case "Lambda::EventInvokeConfig" | "Lambda::Permission":
            return [ARN.format("lambda", f"function:emite-{properties['FunctionName'].strip('<>')}-{RANDOM}")]
        case "Logs::LogGroup":
            return [ARN.format("logs", f"log-group:{name}")]
        case "Logs::LogStream":
            return [ARN.format("logs", f"log-group:/emite-connect/emite/delivery:log-stream:{properties['LogStreamName']}")]
        case "Logs::ResourcePolicy":
            return ["*"]
        case "OpenSearchService::Domain":
            return [ARN.format("es", f"domain/{name}")]
        case "S3::Bucket":
            return [f"arn:aws:s3:::{name.lower()}"]
        case "S3::BucketPolicy":
            return [_bucket(properties["Bucket"])]
        case "SNS::Topic":
            return [ARN.format("sns", name)]
        case "SNS::Subscription" | "SNS::TopicPolicy":
            return [ARN.format("sns", f"emite-AlertTopic-{RANDOM}")]
        case "SQS::Queue":
            return [ARN.format("sqs", name)]
        case "SQS::QueuePolicy":
            return [ARN.format("sqs", f"emite-DeadLetterQueue-{RANDOM}")]
        case "SSM::Parameter":
            return [ARN.format("ssm", f"parameter{name}")]
        case "StepFunctions::StateMachine":
            return [ARN.format("states", f"stateMachine:{name}")]
        case "EC2::Instance":
            return [ARN.format("ec2", "instance/i-0a1b2c3d4e5f60718")]
        case "EC2::SecurityGroup":
            return [ARN.format("ec2", "security-group/sg-0a1b2c3d4e5f60718")]
        case "EC2::EIP" | "EC2::EIPAssociation":
            return [ARN.format("ec2", "elastic-ip/eipalloc-0a1b2c3d4e5f60718")]
    raise ValueError(f"{kind}: how AWS names one for IAM is not known here")


def _bucket(reference):
    return f"arn:aws:s3:::emite-{reference.strip('<>')}-{RANDOM}".lower()


def asked(template, given):
    """(logical ID, action, resource) for all that is called while the stack is made, changed and deleted."""
    for logical, resource in cfn.deployed(template, given).items():
        kind = resource["Type"]
        if kind.startswith("Custom::"):
            function = resource["Properties"]["ServiceToken"].strip("<>").removesuffix(".Arn")
            yield logical, "lambda:InvokeFunction", ARN.format("lambda", f"function:emite-{function}-{RANDOM}")
            continue
        for action in sorted(needed(kind)):
            # Passing roles is asked of each role by itself, below; code is fetched from where it was packed.
            if action == "iam:PassRole":
                continue
            if kind == "AWS::Lambda::Function" and action.startswith("s3:"):
                code = resource["Properties"]["Code"].get("S3Bucket")
                if code:
                    yield logical, action, f"{_bucket(code) if code.startswith('<') else PACKAGES}/0a1b2c3d"
            elif kind == "AWS::KinesisFirehose::DeliveryStream" and action == "iam:GetRole":
                yield logical, action, GLOBAL.format("iam", "role/emite-ctrfirehose-role")
            elif not known_actions(action.split(":")[0])[action.split(":")[1].lower()]:
                yield logical, action, "*"
            else:
                for arn in arns(logical, resource):
                    yield logical, action, arn


# Granted with a condition, on what a handler makes or changes.
CONTEXT = {"aws:ResourceTag/application": "emite-connect", "ec2:CreateAction": "RunInstances"}
CASES = checks.CASES | {
    "self-hosted": {"HostingMode": "SelfHosted", "VpcId": "vpc-0a1b2c3d4e5f60718", "SubnetId": "subnet-0a1b2c3d4e5f60718"}
}


@pytest.mark.parametrize("case", CASES)
def test_a_deployer_may_do_whatever_awss_handlers_do_for_each_resource(template, case):
    policy = statements(*DEPLOYER)
    refused = [f"{logical}: {action} on {arn}" for logical, action, arn in asked(template, CASES[case]) if not allows(policy, action, arn, **CONTEXT)]
    assert refused == []


def test_without_a_server_and_keys_the_first_two_files_are_enough(template):
    policy = statements("deployer-1", "deployer-2")
    assert [row for row in asked(template, {}) if not allows(policy, *row[1:])] == []


def test_a_launch_of_the_marketplace_template_needs_one_file_more_and_no_bucket_for_packages():
    marketplace = yaml.load((documents.ROOT / "infra" / "marketplace.yaml").read_text(encoding="utf-8"), short_forms.Loader)
    given = {"MPS3BucketName": "releases", "MPS3BucketRegion": cfn.REGION, "MPS3KeyPrefix": "emite-connect/"}
    policy = [one for one in statements("deployer-1", "deployer-2", "deployer-marketplace") if one["Sid"] not in ("Package", "TransformTemplate")]
    assert [row for row in asked(marketplace, given) if not allows(policy, *row[1:])] == []
    for logical, arn, service in passed_roles(marketplace, given):
        assert allows(policy, "iam:PassRole", arn, **{"iam:PassedToService": service}), logical
    for statement in statements("deployer-marketplace"):
        rest = [one for one in policy if one["Sid"] != statement["Sid"]]
        assert not all(allows(rest, *row[1:]) for row in asked(marketplace, given)) or statement["Sid"] == "PassToCodeCopy"


def test_each_statement_of_the_first_two_files_is_needed(template):
    """Without any one of them, something is refused."""
    policy = statements("deployer-1", "deployer-2")
    rows = [row[1:] for row in asked(template, {"AlertEmail": "ops@example.com"})]
    passed = [("iam:PassRole", arn, service) for _, arn, service in passed_roles(template)]
    other = [
        ("cloudformation:CreateChangeSet", STACK),
        ("cloudformation:ValidateTemplate", "*"),
        ("cloudformation:CreateChangeSet", SAM),
        ("cloudformation:DescribeStacks", PACKAGES_STACK),
        # AWS's service authorization reference lists stack and change set for these, and does not say which of the two is asked for. Tags:
        # `make deploy` gives some (samconfig.toml).
        *((f"cloudformation:{action}", arn) for action in ("DescribeEvents", "TagResource", "UntagResource") for arn in (STACK, CHANGE_SET)),
    ]
    idle = []
    for statement in policy:
        rest = [one for one in policy if one is not statement]
        if all(allows(rest, *row) for row in [*rows, *other]) and all(
            allows(rest, action, arn, **{"iam:PassedToService": service}) for action, arn, service in passed
        ):
            idle.append(statement["Sid"])
    assert idle == []


STACK = ARN.format("cloudformation", "stack/emite/0c1d2e3f-0000-1111-2222-333344445555")
CHANGE_SET = ARN.format("cloudformation", "changeSet/samcli-deploy1764000000/0c1d2e3f-0000-1111-2222-333344445555")
PACKAGES_STACK = ARN.format("cloudformation", "stack/aws-sam-cli-managed-default/0c1d2e3f-0000-1111-2222-333344445555")
SAM = f"arn:aws:cloudformation:{cfn.REGION}:aws:transform/Serverless-2016-10-31"

# What is granted beyond the handlers' lists, and why.
BEYOND = {
    "cloudformation:*": "the stack itself, from change set to deletion",
    "s3:GetBucketLocation": "sam deploy looks at the bucket for packages",
    "s3:ListBucket": "sam deploy looks whether a package is there",
    "s3:PutObject": "sam deploy puts packages there",
    "s3:GetObject": "Lambda fetches the packages with the rights of who deploys",
    "s3:GetObjectVersion": "Lambda fetches the packages with the rights of who deploys",
    "s3:GetBucketAcl": "read handler of a bucket",
    "iam:PassRole": "see passed_roles",
    "iam:ListRoleTags": "AWS names it for tags of roles",
    "iam:GetPolicyVersion": "drift of the boundary",
    "lambda:InvokeFunction": "custom resources are asked with the rights of who deploys",
    "lambda:GetFunctionConfiguration": "CloudFormation waits for a function until it is active",
    "lambda:ListTags": "AWS names it for tags of functions",
    "es:DescribeDomainConfig": "CloudFormation compares what is set with what is asked for",
    "es:UpdateDomainConfig": "what the handler's list calls es:UpdateDomain",
    "ssm:GetParameter": "the image's name is looked up when the server is made",
    "ssm:GetParameters": "the image's name is looked up when the server is made",
    "kms:DescribeKey": "a stream or bucket under a key of yours",
    "kms:CreateGrant": "a stream or bucket under a key of yours",
    "ec2:DescribeTags": "AWS names it for tags of addresses",
    "lambda:DeleteFunctionCodeSigningConfig": "the update handler takes it away whether or not one is set",
    "lambda:DeleteFunctionConcurrency": "the update handler takes it away whether or not one is set",
}


def test_a_deployer_may_do_nothing_that_no_handler_does(template):
    kinds = {resource["Type"] for resource in template["Resources"].values() if not resource["Type"].startswith("Custom::")}
    servers = {"AWS::EC2::EIP", "AWS::EC2::EIPAssociation", "AWS::EC2::Instance", "AWS::EC2::SecurityGroup", "AWS::IAM::InstanceProfile"}
    wanted = {action for kind in kinds | servers for action in needed(kind)}
    granted = {action for statement in statements(*DEPLOYER) for action in cfn.actions(statement)}
    assert sorted(action for action in granted - wanted if not any(fnmatch.fnmatchcase(action, pattern) for pattern in BEYOND)) == []


# ---- Passing roles ---------------------------------------------------------------------------------------------------------

PASSES = {
    "AWS::Lambda::Function": ("Role", "lambda.amazonaws.com"),
    "AWS::StepFunctions::StateMachine": ("RoleArn", "states.amazonaws.com"),
    "AWS::KinesisFirehose::DeliveryStream": ("AmazonopensearchserviceDestinationConfiguration/RoleARN", "firehose.amazonaws.com"),
}


def passed_roles(template, given=None):
    """(logical ID, ARN of the role, service that it is passed to) of each resource that runs with a role."""
    deployed = cfn.deployed(template, given)
    for logical, resource in deployed.items():
        if resource["Type"] in PASSES:
            path, service = PASSES[resource["Type"]]
            node = resource["Properties"]
            for key in path.split("/"):
                node = node[key]
            role = node.strip("<>").removesuffix(".Arn")
            yield logical, arns(role, deployed[role])[0], service


def test_each_role_may_be_passed_to_its_service_and_to_no_other(template):
    policy = statements("deployer-1", "deployer-2")
    passed = list(passed_roles(template))
    assert len(passed) == 7
    services = {service for _, _, service in passed} | {"ec2.amazonaws.com"}
    for logical, arn, service in passed:
        to = {name for name in services if allows(policy, "iam:PassRole", arn, **{"iam:PassedToService": name})}
        assert to == {service}, logical


@pytest.mark.parametrize("resource", ["role/admin", "role/emite-role", "role/emiteX-CustomResourceRole-1"])
def test_no_other_role_may_be_passed_to_a_function(resource):
    assert not allows(statements(*DEPLOYER), "iam:PassRole", GLOBAL.format("iam", resource), **{"iam:PassedToService": "lambda.amazonaws.com"})


# ---- What nobody may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:PutRolePolicy", GLOBAL.format("iam", "role/admin")),
        ("iam:CreatePolicyVersion", GLOBAL.format("iam", "policy/other")),
        ("iam:CreateUser", GLOBAL.format("iam", "user/mallory")),
        ("lambda:UpdateFunctionCode", ARN.format("lambda", "function:payroll")),
        ("kinesis:DeleteStream", ARN.format("kinesis", "stream/orders")),
        ("kinesis:GetRecords", ARN.format("kinesis", "stream/connect-agentevents")),
        ("es:DeleteDomain", ARN.format("es", "domain/orders")),
        ("es:ESHttpGet", ARN.format("es", "domain/emite-kinesis-connect/_search")),
        ("s3:DeleteBucket", "arn:aws:s3:::payroll"),
        ("s3:GetObject", "arn:aws:s3:::emite-backupbucket-0a1b2c3d4e5f/emite-connect/emite-ctrfirehose/failed/x"),
        ("dynamodb:DeleteTable", ARN.format("dynamodb", "table/orders")),
        ("dynamodb:GetItem", ARN.format("dynamodb", f"table/emite-Ledger-{RANDOM}")),
        ("connect:UpdateInstanceStorageConfig", cfn.INSTANCE_ARN),
        ("cloudformation:DeleteStack", ARN.format("cloudformation", "stack/payroll/1")),
        ("cloudformation:CreateChangeSet", PACKAGES_STACK),
        ("cloudformation:UpdateStack", PACKAGES_STACK),
    ],
)
def test_a_deployer_does_not_reach_what_is_not_the_stacks_nor_the_data_in_it(action, resource):
    assert not allows(statements(*DEPLOYER), action, resource, **CONTEXT)


# ---- The operator ----------------------------------------------------------------------------------------------------------

OPERATES = [
    ("lambda:InvokeFunction", ARN.format("lambda", f"function:emite-HealthCheckFunction-{RANDOM}")),
    ("lambda:InvokeFunction", ARN.format("lambda", f"function:emite-RepairFunction-{RANDOM}")),
    ("lambda:InvokeFunction", ARN.format("lambda", f"function:emite-ReporterFunction-{RANDOM}")),
    ("states:StartExecution", ARN.format("states", "stateMachine:emite-redrive")),
    ("states:DescribeExecution", ARN.format("states", "execution:emite-redrive:0a1b")),
    ("s3:GetObject", "arn:aws:s3:::emite-backupbucket-0a1b2c3d4e5f/emite-connect/emite-ctrfirehose/handover/emite-handover.txt"),
    ("cloudformation:DescribeStacks", STACK),
]
DOES_NOT = [
    ("lambda:InvokeFunction", ARN.format("lambda", f"function:emite-CustomResourceFunction-{RANDOM}")),
    ("lambda:InvokeFunction", ARN.format("lambda", f"function:emite-RedriveFunction-{RANDOM}")),
    ("lambda:UpdateFunctionCode", ARN.format("lambda", f"function:emite-RepairFunction-{RANDOM}")),
    ("s3:GetObject", "arn:aws:s3:::emite-backupbucket-0a1b2c3d4e5f/emite-connect/emite-ctrfirehose/failed/x"),
    ("s3:GetObject", "arn:aws:s3:::emite-backupbucket-0a1b2c3d4e5f/emite-connect/emite-ctrfirehose/quarantine/x"),
    ("s3:PutObject", "arn:aws:s3:::emite-backupbucket-0a1b2c3d4e5f/emite-connect/emite-ctrfirehose/handover/emite-handover.txt"),
    ("es:ESHttpGet", ARN.format("es", "domain/emite-kinesis-connect/_search")),
    ("kinesis:GetRecords", ARN.format("kinesis", "stream/connect-agentevents")),
    ("connect:UpdateInstanceStorageConfig", cfn.INSTANCE_ARN),
    ("iam:PutRolePolicy", GLOBAL.format("iam", "role/emite-role")),
    ("dynamodb:GetItem", ARN.format("dynamodb", f"table/emite-Ledger-{RANDOM}")),
    ("cloudformation:DeleteStack", STACK),
    ("sts:AssumeRole", GLOBAL.format("iam", "role/emite-role")),
]


def test_an_operator_may_do_what_the_documents_say():
    policy = statements("operator")
    assert [row for row in OPERATES if not allows(policy, *row)] == []


def test_an_operator_changes_nothing_by_hand_and_reads_no_record():
    policy = statements("operator")
    assert [row for row in DOES_NOT if allows(policy, *row)] == []
    writes = re.compile(r"^(Create|Put|Update|Delete|Set|Tag|Untag|Attach|Detach|Associate|Disassociate|Add|Remove|Send|Purge|Modify)")
    assert [action for statement in policy for action in cfn.actions(statement) if writes.match(action.split(":")[1])] == []


def test_an_operator_may_run_each_command_that_a_mail_offers():
    """The commands are those in the snapshots of `emite-core`, which hold every command of every check."""
    folder = cfn.TEMPLATE.parents[1] / "shared" / "core" / "src" / "snapshots"
    lines = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.snap")))
    calls = set(re.findall(r"\baws ([a-z0-9]+) ([a-z-]+)", lines))
    assert len(calls) > 20
    granted = {action for statement in statements("operator") for action in cfn.actions(statement)}
    spelt = {
        "ec2:Wait": "ec2:DescribeInstances",
        "logs:Tail": "logs:FilterLogEvents",
        "s3:Cp": "s3:GetObject",
        "s3:Ls": "s3:ListBucket",
        "lambda:Invoke": "lambda:InvokeFunction",
        "stepfunctions:StartExecution": "states:StartExecution",
        "opensearch:DescribeDomain": "es:DescribeDomain",
        "opensearch:DescribeDomainConfig": "es:DescribeDomainConfig",
    }
    wanted = {f"{service}:{''.join(word.title() for word in operation.split('-'))}" for service, operation in calls}
    # An operator changes nothing by hand: whoever owns the server runs these.
    by_hand = {"ec2:ModifyInstanceMetadataOptions", "ec2:StartInstances", "ec2:StopInstances"}
    assert {spelt.get(action, action) for action in wanted} - granted == by_hand


# ---- Form ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_policy_is_one_that_iam_takes(name):
    policy = {"Version": "2012-10-17", "Statement": statements(name, values=LONG)}
    assert len(json.dumps(policy, separators=(",", ":"))) <= MANAGED_POLICY_CHARACTERS
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert len(sids) == len(set(sids))
    assert [sid for sid in sids if not re.fullmatch(r"[A-Za-z0-9]+", sid)] == []
    for statement in policy["Statement"]:
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        for action in cfn.actions(statement):
            service, operation = action.split(":")
            assert operation.lower() in known_actions(service), action
            # An action that AWS authorises without a resource is never allowed on one.
            if not known_actions(service)[operation.lower()]:
                assert statement["Resource"] == "*", action


def test_each_policy_and_placeholder_is_explained():
    text = documents.text("docs/permissions.md")
    assert [name for name in FILES if f"policies/{name}.json" not in text] == []
    assert [name for name in PLACEHOLDERS if f"`{name}`" not in text] == []
    on_disk = {path.stem for path in (documents.ROOT / "docs" / "policies").glob("*.json")}
    assert on_disk == set(FILES)
