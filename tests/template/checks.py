"""Owns what must hold for any version of the template: each check takes the transformed template and answers what is wrong,
in sentences. `test_checks.py` breaks the template in each way and expects the check to say so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cfn

Json = Any

# Parameter sets that between them reach both sides of each condition.
CASES: dict[str, dict[str, str]] = {
    "the guide": {},
    "everything given": {
        "EmitePrincipalArn": "arn:aws:iam::444455556666:role/reader",
        "EmiteUrl": "https://emite.example.com",
        "AlertTopicArn": f"arn:aws:sns:{cfn.REGION}:{cfn.ACCOUNT}:alerts",
        "AgentEventKeyArn": f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/0a1b2c3d-0000-1111-2222-333344445555",
        "BackupBucketName": "syd-cloudbackup",
        "BackupBucketKeyArn": f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/9a1b2c3d-0000-1111-2222-333344445555",
        "PermissionsBoundaryArn": f"arn:aws:iam::{cfn.ACCOUNT}:policy/boundary",
        "SearchEngineVersion": "OpenSearch_2.19",
        "DomainInstanceType": "m6g.large.search",
        "DomainLogs": "Disabled",
        "OnExistingStreaming": "Replace",
        "HealthCheckMinutes": "60",
        "BusinessHours": "Mon-Fri 08:00-18:00;Sat 09:00-13:00",
        "AgentSilenceMinutes": "45",
        "IteratorAgeWarningSeconds": "120",
        "IteratorAgeCriticalPercent": "40",
        "FreeStoragePercent": "30",
    },
    "mail and an own bucket under a key": {
        "AlertEmail": "ops@example.com",
        "BackupBucketKeyArn": f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/9a1b2c3d-0000-1111-2222-333344445555",
        "SearchEngineVersion": "Elasticsearch_6.3",
    },
    "self-hosted": {
        "HostingMode": "SelfHosted",
        "EmiteAccountId": "",
        "CustomerId": "",
        "EmiteServerCidrs": "",
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetId": "subnet-0a1b2c3d4e5f60718",
    },
    "self-hosted with Remote Desktop": {
        "HostingMode": "SelfHosted",
        "VpcId": "vpc-0a1b2c3d",
        "SubnetId": "subnet-0a1b2c3d",
        "ServerAccess": "Rdp",
        "KeyPairName": "administrators",
        "OfficeCidrs": "198.51.100.7/32,198.51.100.16/28",
    },
    # Five addresses of each kind, which is as many as there is room for.
    "self-hosted with all addresses": {
        "HostingMode": "SelfHosted",
        "EmiteAccountId": "",
        "CustomerId": "",
        "VpcId": "vpc-0a1b2c3d",
        "SubnetId": "subnet-0a1b2c3d",
        "ServerAccess": "Rdp",
        "KeyPairName": "administrators",
        "OfficeCidrs": "198.51.100.1/32,198.51.100.2/32,198.51.100.3/32,198.51.100.4/32,198.51.100.5/32",
        "EmiteOfficeCidrs": "192.0.2.1/32,192.0.2.2/32,192.0.2.3/32,192.0.2.4/32,192.0.2.5/32",
    },
    "everything existing": {
        "ExistingDomainName": "records",
        "ExistingAgentEventStreamName": "events",
        "ExistingDeliveryStreamName": "records-to-domain",
        "ExistingContactRecordStreamName": "contact-records",
        "ExistingRoleName": "emite-reader",
        "BackupBucketName": "syd-cloudbackup",
    },
    "self-hosted with everything existing": {
        "HostingMode": "SelfHosted",
        "EmiteAccountId": "",
        "CustomerId": "",
        "EmiteServerCidrs": "",
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetId": "subnet-0a1b2c3d4e5f60718",
        "ExistingDomainName": "records",
        "ExistingAgentEventStreamName": "events",
        "ExistingDeliveryStreamName": "records-to-domain",
        "ExistingRoleName": "emite-reader",
        "BackupBucketName": "syd-cloudbackup",
        "BackupBucketKeyArn": f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/9a1b2c3d-0000-1111-2222-333344445555",
        "PermissionsBoundaryArn": f"arn:aws:iam::{cfn.ACCOUNT}:policy/boundary",
    },
    "records from an existing stream": {"ExistingContactRecordStreamName": "contact-records"},
}

# What narrows each service principal to this account. The AWS page that documents it stands in ARCHITECTURE.md (test_principals.py).
SERVICE_CONDITIONS = {
    "cloudwatch.amazonaws.com": {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}},
    "ec2.amazonaws.com": None,
    "es.amazonaws.com": {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}, "ArnEquals": {"aws:SourceArn": f"arn:aws:es:{cfn.REGION}:{cfn.ACCOUNT}:domain/emite-kinesis-connect"}},
    # One resource of this stack, and no pattern.
    "events.amazonaws.com": {"ArnEquals": {"aws:SourceArn": "<ReportRule.Arn>"}},
    "firehose.amazonaws.com": {"StringEquals": {"sts:ExternalId": cfn.ACCOUNT}},
    "lambda.amazonaws.com": {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}},
    "states.amazonaws.com": {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}},
}

# Allowed on "*", as the action has no resource to name.
ANY_RESOURCE = {
    "ds:DescribeDirectories": "Directory Service authorises it without a resource.",
    "connect:ListInstances": "Lists over all instances; authorised without a resource.",
    "kinesis:DescribeLimits": "Answers for the account; authorised without a resource. The guide grants it so.",
    "ec2:DescribeInstances": "Authorised without a resource.",
    "es:ListInstanceTypeDetails": "Answers for the region; authorised without a resource.",
    "es:ListVersions": "Answers for the region; authorised without a resource.",
    "logs:DescribeResourcePolicies": "Answers for the region; authorised without a resource.",
    "cloudwatch:PutMetricData": "Metrics have no ARN; narrowed by cloudwatch:namespace.",
    "cloudwatch:GetMetricData": "Metrics have no ARN; authorised without a resource.",
    "ec2:DescribeAccountAttributes": "Answers for the region; authorised without a resource.",
    "ec2:DescribeAddresses": "Lists over the region; authorised without a resource.",
    "ec2:DescribeIamInstanceProfileAssociations": "Lists over the region; authorised without a resource.",
    "ec2:DescribeInstanceStatus": "Lists over the region; authorised without a resource.",
    "ec2:DescribeInstanceTypeOfferings": "Answers for the region; authorised without a resource.",
    "ec2:DescribeKeyPairs": "Lists over the region; authorised without a resource.",
    "ec2:DescribeRouteTables": "Lists over the region; authorised without a resource.",
    "ec2:DescribeSecurityGroups": "Lists over the region; authorised without a resource.",
    "ec2:DescribeSubnets": "Lists over the region; authorised without a resource.",
    "ssm:UpdateInstanceInformation": "The role is there before its server, so it cannot name it. AWS's guide to Session Manager grants it so.",
    "ssmmessages:CreateControlChannel": "Systems Manager's message service has no resources.",
    "ssmmessages:CreateDataChannel": "Systems Manager's message service has no resources.",
    "ssmmessages:OpenControlChannel": "Systems Manager's message service has no resources.",
    "ssmmessages:OpenDataChannel": "Systems Manager's message service has no resources.",
}

# What cfn-lint is told not to say, as its settings leave no room for a reason.
CFN_LINT = {
    ("Server", "W1030"): "SubnetId is empty only where there is no server; cfn-lint tries each value on its own.",
    ("ServerGroup", "W1030"): "VpcId is empty only where there is no server; cfn-lint tries each value on its own.",
}

# Resources whose name may be chosen, and the property that holds it.
NAME_PROPERTY = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::ResourcePolicy": "PolicyName",
    "AWS::OpenSearchService::Domain": "DomainName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}


def each_case(template: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    for case, given in CASES.items():
        yield case, cfn.deployed(template, given)


def is_custom(resource: Json) -> bool:
    return resource["Type"].startswith("Custom::")


def service_functions(template: Json) -> set[str]:
    """The functions behind custom resources."""
    tokens = [resource["Properties"]["ServiceToken"] for resource in template["Resources"].values() if is_custom(resource)]
    return set().union(*map(cfn.references, tokens))


def cycles(template: Json) -> list[str]:
    return [f"{name} needs itself" for name in template["Resources"] if name in cfn.before(template, name)]


def dangling(template: Json) -> list[str]:
    """References to nothing, at all or with some parameters."""
    known = template["Resources"].keys() | template["Parameters"].keys() | cfn.PSEUDO.keys() | {"AWS::NoValue"}
    found = [f"{name} does not exist" for name in sorted(cfn.references([template["Resources"], template["Outputs"]]) - known)]
    for name, resource in template["Resources"].items():
        for other in cfn.depends_on(resource):
            if other not in template["Resources"]:
                found.append(f"{name} depends on {other}, which does not exist")
            elif not _implies(template, resource.get("Condition"), template["Resources"][other].get("Condition")):
                found.append(f"{name} depends on {other}, which does not always exist")
    for case, given in CASES.items():
        try:
            cfn.deployed(template, given)
            cfn.outputs(template, given)
        except ValueError as error:
            found.append(f"{case}: {error}")
    return found


def _implies(template: Json, one: str | None, other: str | None) -> bool:
    """Whether a condition holds wherever another does, with each combination of what CASES give for the parameters that can matter: those
    of both, and those that a rule ties to these."""
    if other in (None, one):
        return True
    conditions = template["Conditions"]

    def of(node: Json) -> set[str]:
        named = {value["Condition"] for _, value in cfn.walk(node) if isinstance(value, dict) and value.keys() == {"Condition"}}
        return (cfn.references(node) & template["Parameters"].keys()).union(*(of(conditions[name]) for name in named))

    matter = of([conditions[name] for name in (one, other) if name])
    matter = matter.union(*(tied for rule in template["Rules"].values() if (tied := cfn.references(rule)) & matter))
    choices = [sorted({cfn.REQUIRED.get(name, str(template["Parameters"][name].get("Default"))), *(case.get(name) for case in CASES.values())} - {None}) for name in sorted(matter)]
    for values in itertools.product(*choices):
        values = cfn.parameters(template, dict(zip(sorted(matter), values, strict=True)))
        true = cfn.conditions(template, values)
        if not cfn.broken_rules(template, values) and (one is None or true[one]) and not true[other]:
            return False
    return True


def one_sided_conditions(template: Json) -> list[str]:
    """Conditions that CASES leave always true or always false: then nothing here was tested with the other side."""
    seen: dict[str, set[bool]] = {}
    for given in CASES.values():
        for name, value in cfn.conditions(template, cfn.parameters(template, given)).items():
            seen.setdefault(name, set()).add(value)
    return [f"{name} is always {values.pop()} in CASES" for name, values in seen.items() if len(values) == 1]


def service_principals(template: Json) -> Iterator[tuple[str, str, str, Json]]:
    """Each service that something of the stack admits: the case, the place, the service and the condition."""
    for case, resources in each_case(template):
        for place, statement in cfn.statements(resources):
            principal = statement.get("Principal")
            if isinstance(principal, dict) and statement["Effect"] == "Allow":
                for service in cfn.as_list(principal.get("Service", [])):
                    yield case, place, service, statement.get("Condition")


def undocumented_conditions(template: Json) -> list[str]:
    return [
        f"{case}: {place} admits {service} under {condition}"
        for case, place, service, condition in service_principals(template)
        if service not in SERVICE_CONDITIONS or condition != SERVICE_CONDITIONS[service]
    ]


def wildcard_actions(template: Json) -> list[str]:
    """Only a Deny may say `*`: there it forbids more, not less."""
    return [
        f"{case}: {place} allows {action}"
        for case, resources in each_case(template)
        for place, statement in cfn.statements(resources)
        for action in (cfn.actions(statement) if "Action" in statement else ["all but NotAction"])
        if statement["Effect"] == "Allow" and ("*" in action or "?" in action or action == "all but NotAction")
    ]


def any_resource(template: Json) -> list[str]:
    return [
        f"{case}: {place} allows {action} on everything"
        for case, resources in each_case(template)
        for place, statement in cfn.statements(resources)
        if statement["Effect"] == "Allow" and "*" in cfn.as_list(statement.get("Resource", []))
        for action in cfn.actions(statement)
        if action not in ANY_RESOURCE
    ]


def open_to_anyone(template: Json) -> list[str]:
    """Allowed to every principal, and not narrowed to addresses."""
    return [
        f"{case}: {place} is open to anyone"
        for case, resources in each_case(template)
        for place, statement in cfn.statements(resources)
        if statement["Effect"] == "Allow"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and not statement.get("Condition", {}).get("IpAddress", {}).get("aws:SourceIp")
    ]


def policies_elsewhere(template: Json) -> list[str]:
    """A role's policies that are not inside it: on deletion they could go before those who need them."""
    found = [
        f"{name} attaches a policy that is a resource of its own"
        for name, resource in template["Resources"].items()
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::RolePolicy")
    ]
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if properties.get("ManagedPolicyArns"):
            found.append(f"{name} has managed policies")
        if resource["Type"] == "AWS::IAM::ManagedPolicy" and properties.keys() & {"Roles", "Users", "Groups"}:
            found.append(f"{name} is attached, and not only a boundary")
    return found


def log_groups(template: Json) -> list[str]:
    found = []
    for case, resources in each_case(template):
        for name, resource in resources.items():
            if resource["Type"] == "AWS::Logs::LogGroup":
                if not resource["Properties"].get("RetentionInDays"):
                    found.append(f"{case}: {name} keeps its log for ever")
                if not str(resource["Properties"].get("LogGroupName")).startswith("/emite-connect/emite/"):
                    found.append(f"{case}: {name} is not named below /emite-connect/ and the stack")
            if resource["Type"] == "AWS::Lambda::Function" and "LogGroup" not in resource["Properties"].get("LoggingConfig", {}):
                found.append(f"{case}: {name} logs to a group that Lambda makes, which is kept for ever")
    return found


def service_timeouts(template: Json) -> list[str]:
    found = []
    for name, resource in template["Resources"].items():
        if is_custom(resource):
            timeout = resource["Properties"].get("ServiceTimeout")
            if not isinstance(timeout, int):
                found.append(f"{name} has no ServiceTimeout: CloudFormation would wait an hour")
            elif not 600 <= timeout <= 3600:
                found.append(f"{name} has a ServiceTimeout of {timeout}")
    return found


def late_events(template: Json) -> list[str]:
    """An event older than ServiceTimeout belongs to a request that CloudFormation has given up. One that is nearly as old is begun, and then
    works on while CloudFormation rolls back: so half of it at most. This concerns only functions that CloudFormation calls."""
    shortest = min(r["Properties"].get("ServiceTimeout", 0) for r in template["Resources"].values() if is_custom(r))
    ages = {
        r["Properties"]["FunctionName"]["Ref"]: r["Properties"].get("MaximumEventAgeInSeconds", 21600)
        for r in template["Resources"].values()
        if r["Type"] == "AWS::Lambda::EventInvokeConfig"
    }
    return [
        f"{name} takes events up to {ages.get(name, 21600)} s old"
        for name in sorted(service_functions(template))
        if ages.get(name, 21600) > shortest / 2
    ]


def fixed_names(template: Json) -> dict[str, set[str]]:
    """Resources whose name depends on a parameter, which another stack or person may have used already, and which one."""
    found = {}
    for name, resource in template["Resources"].items():
        given = resource.get("Properties", {}).get(NAME_PROPERTY.get(resource["Type"], ""))
        if given is not None and (names := cfn.references(given) & template["Parameters"].keys()):
            found[name] = names
    return found


def literal_names(template: Json) -> list[str]:
    """Names that are the same in each stack: two stacks in an account would collide."""
    return [
        f"{name} is always called {given}"
        for name, resource in template["Resources"].items()
        if (given := resource.get("Properties", {}).get(NAME_PROPERTY.get(resource["Type"], ""))) is not None
        and not cfn.references(given) & (template["Parameters"].keys() | {"AWS::StackName"})
    ]


def before_preflight(template: Json) -> list[str]:
    """Everything with a name that may be taken comes after Preflight, and Preflight tells that it looked."""
    looked_at = template["Resources"]["Preflight"]["Properties"].keys()
    found = []
    for name, parameters in fixed_names(template).items():
        if "Preflight" not in cfn.before(template, name):
            found.append(f"{name} is made before Preflight")
        found += [f"Preflight is not told {parameter}" for parameter in sorted(parameters - looked_at)]
    return found


def needed_by_custom_resources(template: Json) -> list[str]:
    """What a custom resource's deletion needs has to be deleted after it."""
    functions = service_functions(template)
    settings = {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::EventInvokeConfig" and cfn.references(resource["Properties"]["FunctionName"]) & functions
    }
    needed = functions | settings | {"Ledger", "CustomResourceRole", "CustomResourceLogGroup"}
    return [
        f"{name} may be deleted after {other}"
        for name, resource in template["Resources"].items()
        if is_custom(resource)
        for other in sorted(needed - cfn.before(template, name))
    ]


def untagged(template: Json) -> list[str]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    found = []
    for name, resource in template["Resources"].items():
        if is_custom(resource):
            continue
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(cfn.REGION, resource["Type"]).schema
        tags = resource.get("Properties", {}).get("Tags", [])
        # SSM takes a map, everybody else a list.
        tagged = tags.get("application") == "emite-connect" if isinstance(tags, dict) else {"Key": "application", "Value": "emite-connect"} in tags
        if schema.get("tagging", {}).get("taggable", "Tags" in schema["properties"]) and not tagged:
            found.append(f"{name} has no tag")
    return found


def unexplained_suppressions(template: Json) -> list[str]:
    found = []
    for name, resource in template["Resources"].items():
        metadata = resource.get("Metadata", {})
        for skip in metadata.get("checkov", {}).get("skip", []):
            if len(skip.get("comment", "")) < 15:
                found.append(f"{name} suppresses {skip.get('id')} without a reason")
        for rule in metadata.get("cfn-lint", {}).get("config", {}).get("ignore_checks", []):
            if (name, rule) not in CFN_LINT:
                found.append(f"{name} suppresses {rule} of cfn-lint, which leaves no room for a reason")
    return found
