"""Owns what an administrator meets when filling in the stack: each parameter explained, grouped, checked, and the guide's
values as the defaults."""

from __future__ import annotations

import re

import cfn
import checks
import pytest

# What the manual guide says, and the parameter that stands for it. Where the default differs, the reason stands beside it.
GUIDE = {
    "AgentEventStreamName": "connect-agentevents",  # "Kinesis stream name: connect-agentevents"
    "AgentEventShards": 1,  # "Shards: 1"
    "AgentEventRetentionHours": 24,  # Kinesis's own default, which the guide leaves
    "AgentEventKeyArn": "",  # the guide does not turn encryption on
    "DeliveryStreamName": "emite-ctrfirehose",  # "Delivery Stream Name: emite-ctrfirehose"
    "ContactIndexName": "emite-contacts",  # "Index: emite-contacts"
    "ContactTypeName": "contacts",  # "Type: contacts"
    "IndexRotation": "OneMonth",  # "Index Rotation: every month"
    "DomainName": "emite-kinesis-connect",  # "Domain Name: emite-kinesis-connect"
    "DomainInstanceType": "m5.large.search",  # "Instance Type: m5.large"
    "DomainInstanceCount": 1,  # "Number of instances: 1"
    "DomainVolumeGiB": 50,  # "EBS Storage Size: 50GB"
    "RoleName": "emite-role",  # "Role Name: emite-role"
    "HostingMode": "EmiteHosted",
    "SearchEngineVersion": "Elasticsearch_6.8",  # the guide's 6.3 is past standard support (AWS charges extra); 6.8 keeps types
}

# Ours: the guide has nothing to say, and these defaults change nothing of what it does.
OURS = {
    "OnExistingStreaming": "Fail",
    "EmitePrincipalArn": "",
    "EmiteUrl": "",
    "AlertEmail": "",
    "AlertTopicArn": "",
    "DrainSeconds": 360,
    "BackupBucketName": "",
    "BackupBucketKeyArn": "",
    "DomainLogs": "Enabled",
    "PermissionsBoundaryArn": "",
    "HealthCheckMinutes": "5",
    "BusinessHours": "",
    "AgentSilenceMinutes": 30,
    "IteratorAgeWarningSeconds": 60,
    "IteratorAgeCriticalPercent": 50,
    "FreeStoragePercent": 25,
}


def test_the_guides_values_are_the_defaults(template):
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter}
    assert defaults == GUIDE | OURS


def test_what_only_the_customer_knows_has_no_default(template):
    assert {name for name, parameter in template["Parameters"].items() if "Default" not in parameter} == cfn.REQUIRED.keys()


def test_each_parameter_is_explained_labelled_and_in_one_group(template):
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])
    assert interface["ParameterLabels"].keys() == template["Parameters"].keys()
    assert [name for name, label in interface["ParameterLabels"].items() if not label["default"]] == []
    assert [name for name, parameter in template["Parameters"].items() if len(parameter.get("Description", "")) < 25] == []


def test_each_parameter_is_checked(template):
    for name, parameter in template["Parameters"].items():
        if parameter["Type"] == "Number":
            assert {"MinValue", "MaxValue"} <= parameter.keys(), name
        else:
            assert "AllowedValues" in parameter or {"AllowedPattern", "ConstraintDescription"} <= parameter.keys(), name


def test_each_parameter_is_used(template):
    used = cfn.references([template["Resources"], template["Outputs"], template["Conditions"]])
    # Only one value is possible until the self-hosted case exists.
    assert template["Parameters"].keys() - used == {"HostingMode"}
    assert template["Parameters"]["HostingMode"]["AllowedValues"] == ["EmiteHosted"]


def test_patterns_are_anchored(template):
    # AWS matches the whole value anyway; other readers of a template do not.
    patterns = [parameter["AllowedPattern"] for parameter in template["Parameters"].values() if "AllowedPattern" in parameter]
    assert [pattern for pattern in patterns if not re.fullmatch(r"\^.*\$", pattern)] == []


INSTANCE = "instance/1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"

ACCEPTED = {
    "ConnectInstanceArn": [
        f"arn:aws:connect:us-east-1:111122223333:{INSTANCE}",
        f"arn:aws-us-gov:connect:us-gov-west-1:111122223333:{INSTANCE}",
    ],
    "EmiteAccountId": ["000000000000", "444455556666"],
    "CustomerId": ["ab", "A-b_c+=,.@:/9", "x" * 1224],
    "EmitePrincipalArn": ["", "arn:aws:iam::444455556666:role/path/reader", "arn:aws:iam::444455556666:user/reader"],
    "EmiteServerCidrs": ["203.0.113.0/24", "203.0.113.10/32", "1.2.3.4/32,5.6.7.8/28", "203.0.113.10", "255.255.255.255/32"],
    "EmiteUrl": ["", "https://emite.example.com", "https://emite.example.com:8443", "https://emite.example.com/", "https://emite"],
    "TimeZone": ["Australia/Sydney", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+10", "America/Port-au-Prince"],
    "AlertEmail": ["", "ops@example.com", "first.last+x@sub.example.com"],
    "AlertTopicArn": ["", "arn:aws:sns:us-east-1:111122223333:alerts"],
    "HealthCheckMinutes": ["1", "5", "10", "15", "30", "60"],
    "BusinessHours": [
        "",
        "Mon-Fri 08:00-18:00",
        "Mon-Fri 08:00-18:00;Sat 09:00-13:00",
        "Mon,Wed,Fri 00:00-23:59",
        "Mon-Wed,Fri,Sat-Sun 07:30-24:00",
        "Sun 22:00-24:00;Mon 00:00-06:00",
    ],
    "AgentSilenceMinutes": ["5", "1440"],
    "IteratorAgeWarningSeconds": ["10", "86400"],
    "IteratorAgeCriticalPercent": ["5", "95"],
    "FreeStoragePercent": ["5", "60"],
    "AgentEventStreamName": ["a", "connect-agentevents", "A.b_c-9", "x" * 128],
    "AgentEventShards": ["1", "200"],
    "AgentEventRetentionHours": ["24", "8760"],
    "AgentEventKeyArn": ["", "arn:aws:kms:us-east-1:111122223333:key/mrk-0a1b2c3d"],
    "DeliveryStreamName": ["a", "x" * 59],
    "DrainSeconds": ["0", "780"],
    "ContactIndexName": ["emite-contacts", "a", "a.b_c-9"],
    "ContactTypeName": ["", "contacts"],
    "BackupBucketName": ["", "syd-cloudbackup", "a.b", "x" * 63],
    "BackupBucketKeyArn": ["", "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-0000-1111-2222-333344445555"],
    "DomainName": ["abc", "emite-kinesis-connect", "a" * 28],
    "DomainVolumeGiB": ["10", "1024"],
    "RoleName": ["emite-role", "A+=,.@_9", "x" * 64],
    "PermissionsBoundaryArn": ["", "arn:aws:iam::111122223333:policy/path/b", "arn:aws:iam::aws:policy/PowerUserAccess"],
}

REFUSED = {
    "ConnectInstanceArn": [
        "",
        "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9",
        "acme-support",
        f"arn:aws:connect:us-east-1:11112222333:{INSTANCE}",
        f"arn:aws:connect:us-east-1:111122223333:{INSTANCE}/queue/1",
        f"arn:aws:connect:us-east-1:111122223333:{INSTANCE.upper()}",
        f"arn:aws:kinesis:us-east-1:111122223333:{INSTANCE}",
    ],
    "EmiteAccountId": ["", "44445555666", "4444555566667", "eMite", "44445555666６"],
    "CustomerId": ["", "a", "x" * 1225, "with space", "naïve", "a*b"],
    "EmitePrincipalArn": ["arn:aws:iam::444455556666:root", "arn:aws:sts::444455556666:assumed-role/a/b", "*"],
    "EmiteServerCidrs": [
        "",
        "203.0.113",
        "203.0.113.0/23",
        "0.0.0.0/0",
        "256.0.0.1/32",
        "1.2.3/32",
        "1.2.3.4/33",
        "1.2.3.4/32,0.0.0.0/0",
        "1.2.3.4/32,",
        "2001:db8::/32",
    ],
    "EmiteUrl": [
        "http://emite.example.com",
        "https://emite.example.com//",
        "https://emite.example.com/app",
        "https://*.example.com",
        "emite.example.com",
        "https://a..b",
        "https://-a.example.com",
        "https://emite.example.com:",
        "https://" + "a" * 260,
    ],
    "TimeZone": ["", "9/Sydney", "Australia/", "Australia/Sydney/a/b", "+10:00", "Australia Sydney"],
    "AlertEmail": ["ops", "ops@example", "a@b.c,d@e.f", "a b@example.com"],
    "AlertTopicArn": ["alerts", "arn:aws:sns:us-east-1:111122223333:alerts.fifo", "arn:aws:sqs:us-east-1:111122223333:alerts"],
    "HealthCheckMinutes": ["", "0", "2", "90", "5 minutes"],
    "BusinessHours": [
        "always",
        "Mon-Fri",
        "08:00-18:00",
        "mon-fri 08:00-18:00",
        "Monday 08:00-18:00",
        "Mon-Fri 8:00-18:00",
        "Mon-Fri 08:00-25:00",
        "Mon-Fri 24:00-24:00",
        "Mon-Fri 08:60-18:00",
        "Mon-Fri 08:00",
        "Mon-Fri 08:00-18:00;",
        "Mon-Fri 08:00-18:00; Sat 09:00-13:00",
        "Mon-Fri,08:00-18:00",
        "Mon-,Fri 08:00-18:00",
        "Mon-Wed-Fri 08:00-18:00",
        'Mon-Fri 08:00-18:00"',
        ";".join(["Mon-Fri 08:00-18:00"] * 11),
    ],
    "AgentSilenceMinutes": ["4", "1441"],
    "IteratorAgeWarningSeconds": ["9", "86401"],
    "IteratorAgeCriticalPercent": ["4", "96", "100"],
    "FreeStoragePercent": ["4", "91"],
    "AgentEventStreamName": ["", "a/b", "x" * 129],
    "AgentEventShards": ["0", "201"],
    "AgentEventRetentionHours": ["23", "8761"],
    "AgentEventKeyArn": ["alias/aws/kinesis", "arn:aws:kms:us-east-1:111122223333:alias/connect"],
    # With -role behind it, its role's name may have 64 characters.
    "DeliveryStreamName": ["", "x" * 60, "a b"],
    # The function may run 900 s.
    "DrainSeconds": ["-1", "781"],
    "ContactIndexName": ["", "Contacts", "_contacts", "x" * 81, "a*"],
    "ContactTypeName": ["_doc", "a b", "x" * 101],
    "IndexRotation": ["OneYear", ""],
    "BackupBucketName": ["arn:aws:s3:::syd-cloudbackup", "Syd", "a", "x" * 64, "-a-"],
    "BackupBucketKeyArn": ["alias/aws/s3", "0a1b2c3d-0000-1111-2222-333344445555"],
    "DomainName": ["ab", "a" * 29, "Emite", "1abc", "a_b"],
    "SearchEngineVersion": ["6.3", "OpenSearch_1.2", "Elasticsearch_5.6"],
    "DomainInstanceType": ["m5.large", "t3.small.search"],
    "DomainInstanceCount": ["0", "11"],
    "DomainVolumeGiB": ["9", "1025"],
    "DomainLogs": ["true"],
    "HostingMode": ["SelfHosted"],
    "OnExistingStreaming": ["Overwrite", ""],
    "RoleName": ["", "x" * 65, "a/b"],
    "PermissionsBoundaryArn": ["boundary", "arn:aws:iam::111122223333:role/b"],
}


def _values(cases):
    return [pytest.param(name, value, id=f"{name}-{value[:40]}") for name, values in cases.items() for value in values]


@pytest.mark.parametrize(("name", "value"), _values(ACCEPTED))
def test_a_good_value_is_accepted(template, name, value):
    assert cfn.parameters(template, {name: value})[name] == (value.split(",") if name == "EmiteServerCidrs" else value)


@pytest.mark.parametrize(("name", "value"), _values(REFUSED))
def test_a_bad_value_is_refused_before_anything_is_made(template, name, value):
    with pytest.raises(ValueError, match=name):
        cfn.parameters(template, {name: value})


def test_each_parameter_that_can_be_refused_is_tried(template):
    assert REFUSED.keys() == template["Parameters"].keys()


def test_every_case_is_accepted(template):
    for given in checks.CASES.values():
        assert cfn.broken_rules(template, cfn.parameters(template, given)) == []
