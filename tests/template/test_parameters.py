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
    "ServerInstanceType": "r5.large",  # "Instance Type: r5.large"
    "ServerVolumeGiB": 100,  # "Storage: 100 GB"
    "ServerImage": "Windows_Server-2022-English-Full-SQL_2022_Express",  # the guide's 2016 and SQL Server 2017 are near their end; a choice all the same
    "EmiteOfficeCidrs": "60.241.25.74/32,54.79.101.24/32,13.238.169.116/32",  # "RDP from eMite office"
    "SearchEngineVersion": "Elasticsearch_6.8",  # the guide's 6.3 is past standard support (AWS charges extra); 6.8 keeps types
}

# Ours: the guide has nothing to say, and these defaults change nothing of what it does.
OURS = {
    "OnExistingStreaming": "Fail",
    # Given where eMite hosts the server, which a rule demands.
    "EmiteAccountId": "",
    "CustomerId": "",
    "EmiteServerCidrs": "",
    "EmitePrincipalArn": "",
    "EmiteUrl": "",
    # Given where the customer does.
    "VpcId": "",
    "SubnetId": "",
    "ServerAccess": "SessionManager",
    "OfficeCidrs": "",
    "KeyPairName": "",
    # Everything is made unless it is named here.
    "ExistingDomainName": "",
    "ExistingAgentEventStreamName": "",
    "ExistingDeliveryStreamName": "",
    "ExistingContactRecordStreamName": "",
    "ExistingRoleName": "",
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
    assert {name for name, parameter in template["Parameters"].items() if "Default" not in parameter} == {"ConnectInstanceArn", "TimeZone"}


@pytest.mark.parametrize("name", sorted(cfn.REQUIRED.keys() - {"ConnectInstanceArn", "TimeZone"}))
def test_what_emite_sends_has_to_be_given_where_it_hosts_the_server(template, name):
    assert cfn.broken_rules(template, cfn.parameters(template)) == []
    assert "EmiteHostedNeedsWhatEmiteSends" in cfn.broken_rules(template, cfn.parameters(template, {name: ""}))


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
    assert template["Parameters"].keys() - used == set()


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
    "HostingMode": ["EmiteHosted", "SelfHosted"],
    "EmiteAccountId": ["", "000000000000", "444455556666"],
    "CustomerId": ["", "ab", "A-b_c+=,.@:/9", "x" * 1224],
    "EmitePrincipalArn": ["", "arn:aws:iam::444455556666:role/path/reader", "arn:aws:iam::444455556666:user/reader"],
    "EmiteServerCidrs": ["", "203.0.113.0/24", "203.0.113.10/32", "1.2.3.4/32,5.6.7.8/28", "203.0.113.10", "255.255.255.255/32"],
    "EmiteUrl": ["", "https://emite.example.com", "https://emite.example.com:8443", "https://emite.example.com/", "https://emite"],
    "VpcId": ["", "vpc-0a1b2c3d", "vpc-0a1b2c3d4e5f60718"],
    "SubnetId": ["", "subnet-0a1b2c3d", "subnet-0a1b2c3d4e5f60718"],
    "ServerInstanceType": ["r5.large", "m6i.4xlarge"],
    "ServerVolumeGiB": ["100", "16384"],
    "ServerImage": ["Windows_Server-2016-English-Full-Base", "Windows_Server-2016-English-Full-SQL_2017_Express"],
    "ServerAccess": ["SessionManager", "Rdp"],
    "OfficeCidrs": ["", "198.51.100.0/24", "198.51.100.7/32", "198.51.100.16/28,198.51.100.8/32"],
    "EmiteOfficeCidrs": ["", "60.241.25.74/32", "60.241.25.74/32,54.79.101.24/32"],
    "KeyPairName": ["", "a", "my key (2026)", "x" * 255],
    "ExistingDomainName": ["", "abc", "emite-kinesis-connect", "a" * 28],
    "ExistingAgentEventStreamName": ["", "A.b_c-9", "x" * 128],
    "ExistingDeliveryStreamName": ["", "A.b_c-9", "x" * 64],
    "ExistingContactRecordStreamName": ["", "A.b_c-9", "x" * 128],
    "ExistingRoleName": ["", "A+=,.@_9", "x" * 64],
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
    "EmiteAccountId": [" ", "44445555666", "4444555566667", "eMite", "44445555666６"],
    "CustomerId": [" ", "a", "x" * 1225, "with space", "naïve", "a*b"],
    "EmitePrincipalArn": ["arn:aws:iam::444455556666:root", "arn:aws:sts::444455556666:assumed-role/a/b", "*"],
    "EmiteServerCidrs": [
        "203.0.113",
        "203.0.113.0/23",
        "0.0.0.0/0",
        "256.0.0.1/32",
        "1.2.3/32",
        "1.2.3.4/33",
        "1.2.3.4/32,0.0.0.0/0",
        "1.2.3.4/32;5.6.7.8/32",
        "somewhere",
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
    "HostingMode": ["", "Hosted", "selfhosted"],
    "VpcId": ["vpc-", "vpc-0a1b2c3", "vpc-0A1B2C3D", "subnet-0a1b2c3d", "vpc-0a1b2c3d4e5f607182", "10.0.0.0/16", "main"],
    "SubnetId": ["subnet-", "subnet-0a1b2c3", "subnet-0A1B2C3D", "vpc-0a1b2c3d", "subnet-0a1b2c3d,subnet-0a1b2c3e", "10.0.1.0/24"],
    "ServerInstanceType": ["", "t2.micro", "t3.large", "r5.large.search", "r6g.large"],
    "ServerVolumeGiB": ["0", "50", "99", "16385"],
    "ServerImage": ["", "ami-0a1b2c3d4e5f60718", "Ubuntu", "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base", "Windows_Server-2012-R2_RTM-English-64Bit-Base"],
    "ServerAccess": ["", "RDP", "Ssh", "Vpn"],
    # A rule of a security group takes no address without a prefix.
    "OfficeCidrs": ["198.51.100.7", "198.51.100.7/32,198.51.100.8", "0.0.0.0/0", "198.51.100.0/23", "198.51.100.7/32,0.0.0.0/0", "198.51.100", "256.0.0.1", "2001:db8::/32", "office.example.com", "*"],
    "EmiteOfficeCidrs": ["60.241.25.74", "0.0.0.0/0", "60.241.0.0/16", "60.241.25.74/32,0.0.0.0/0", "60.241.25", "::/0", "emite.example.com"],
    "KeyPairName": [" administrators", "administrators ", "x" * 256, "Schlüssel", "two\nlines"],
    "ExistingDomainName": ["ab", "a" * 29, "Records", "1abc", "arn:aws:es:us-east-1:111122223333:domain/records", "https://search-records.es.amazonaws.com"],
    "ExistingAgentEventStreamName": ["a/b", "x" * 129, "arn:aws:kinesis:us-east-1:111122223333:stream/events"],
    "ExistingDeliveryStreamName": ["a/b", "x" * 65, "arn:aws:firehose:us-east-1:111122223333:deliverystream/records"],
    "ExistingContactRecordStreamName": ["a/b", "x" * 129, "arn:aws:kinesis:us-east-1:111122223333:stream/records"],
    "ExistingRoleName": ["a/b", "x" * 65, "arn:aws:iam::111122223333:role/emite-reader"],
    "OnExistingStreaming": ["Overwrite", ""],
    "RoleName": ["", "x" * 65, "a/b"],
    "PermissionsBoundaryArn": ["boundary", "arn:aws:iam::111122223333:role/b"],
}


def _values(cases):
    return [pytest.param(name, value, id=f"{name}-{value[:40]}") for name, values in cases.items() for value in values]


@pytest.mark.parametrize(("name", "value"), _values(ACCEPTED))
def test_a_good_value_is_accepted(template, name, value):
    listed = template["Parameters"][name]["Type"] == "CommaDelimitedList"
    assert cfn.parameters(template, {name: value})[name] == (value.split(",") if listed else value)


@pytest.mark.parametrize(("name", "value"), _values(REFUSED))
def test_a_bad_value_is_refused_before_anything_is_made(template, name, value):
    with pytest.raises(ValueError, match=name):
        cfn.parameters(template, {name: value})


def test_each_parameter_that_can_be_refused_is_tried(template):
    assert REFUSED.keys() == template["Parameters"].keys()


def test_what_is_refused_is_told_with_what_would_be_right(template):
    for name, parameter in template["Parameters"].items():
        if "ConstraintDescription" in parameter:
            assert parameter["ConstraintDescription"].startswith(("has ", "is ", "are ", "looks like ")), name
        else:
            # AWS itself lists the values, or says the least and the most.
            assert "AllowedValues" in parameter or parameter["Type"] == "Number", name


def test_every_case_is_accepted(template):
    for case, given in checks.CASES.items():
        assert cfn.broken_rules(template, cfn.parameters(template, given)) == [], case


# ---- What only Preflight can refuse ----------------------------------------------------------------------------------------

# A value that its form allows, and the test in Rust that sees Preflight refuse one of its kind, with words of its text there. In
# `values` each is one of the values of a snapshot, in `preflight` one of those that are really tried against AWS.
VALUES, TRIED = "functions/custom-resource/src/preflight/values.rs", "tests/e2e/preflight.rs"
EACH, SERVER = (
    "each_wrong_value_is_told_with_its_parameter_and_what_to_do",
    "each_wrong_value_for_the_server_is_told_with_its_parameter_and_what_to_do",
)
OBSTACLES = "each_obstacle_alone_is_refused_by_its_parameter_and_nothing_is_written"

ONLY_PREFLIGHT = [
    ("ConnectInstanceArn", f"arn:aws:connect:{cfn.REGION}:999999999999:{INSTANCE}", VALUES, EACH, "belongs to account"),
    ("ConnectInstanceArn", f"arn:aws:connect:us-east-1:{cfn.ACCOUNT}:{INSTANCE}", VALUES, EACH, "is in region"),
    ("ConnectInstanceArn", cfn.INSTANCE_ARN, TRIED, OBSTACLES, "does not exist"),
    ("OnExistingStreaming", "Fail", TRIED, OBSTACLES, "OnExistingStreaming"),
    ("EmitePrincipalArn", "arn:aws:iam::999999999999:role/reader", VALUES, EACH, "not to EmiteAccountId"),
    ("EmiteServerCidrs", "203.0.113.10/24", VALUES, EACH, "has address bits set behind its prefix"),
    ("EmiteServerCidrs", "10.0.0.1/32", VALUES, EACH, "is not a public address"),
    ("TimeZone", "Europe/Atlantis", VALUES, EACH, "is not a time zone of the IANA database"),
    ("TimeZone", "europe/dublin", VALUES, EACH, "must be spelt Europe/Dublin"),
    ("BusinessHours", "Fri 18:00-08:00", "shared/core/src/business_hours.rs", None, "18:00-08:00"),
    ("OfficeCidrs", ",".join(f"198.51.100.{number}/32" for number in range(6)), VALUES, SERVER, "addresses. Give 5 at most"),
    ("RoleName", "emite-ctrfirehose-role", VALUES, EACH, "is also the name of the delivery stream's role"),
    ("ExistingRoleName", "emite-ctrfirehose-role", VALUES, EACH, "is also the name of the delivery stream's role"),
    ("ExistingContactRecordStreamName", "connect-agentevents", VALUES, EACH, "is also AgentEventStreamName"),
    ("AgentEventStreamName", "connect-agentevents", TRIED, OBSTACLES, "exists"),
    ("DeliveryStreamName", "emite-ctrfirehose", TRIED, OBSTACLES, "exists"),
    ("DomainName", "emite-kinesis-connect", TRIED, OBSTACLES, "exists"),
    ("RoleName", "emite-role", TRIED, OBSTACLES, "exists"),
    ("SearchEngineVersion", "Elasticsearch_6.3", TRIED, OBSTACLES, "not offered"),
    ("DomainInstanceType", "r5.4xlarge.search", TRIED, OBSTACLES, "not offered"),
    ("BackupBucketName", "nobodys", TRIED, OBSTACLES, "does not exist"),
    ("BackupBucketKeyArn", f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/0", TRIED, OBSTACLES, "does not exist"),
    ("AgentEventKeyArn", f"arn:aws:kms:{cfn.REGION}:{cfn.ACCOUNT}:key/0", TRIED, OBSTACLES, "symmetric"),
    ("AlertTopicArn", f"arn:aws:sns:{cfn.REGION}:{cfn.ACCOUNT}:closed", TRIED, OBSTACLES, "sns:Publish"),
]

# Whatever their form allows is right, or is right for AWS; the reason stands beside them.
NOTHING_MORE = {
    "HostingMode": "AllowedValues, and the rules",
    "EmiteAccountId": "nobody but AWS knows whose it is; the rules tie it to CustomerId",
    "CustomerId": "nobody but eMite knows it; the rules tie it to EmiteAccountId",
    "ServerAccess": "AllowedValues, and the rules",
    "ServerVolumeGiB": "a number",
    "EmiteOfficeCidrs": "as OfficeCidrs",
    "EmiteUrl": "its form; nobody asks whether anybody answers there",
    "AlertEmail": "nobody but its owner can confirm it",
    "HealthCheckMinutes": "AllowedValues",
    "AgentSilenceMinutes": "a number",
    "IteratorAgeWarningSeconds": "a number",
    "IteratorAgeCriticalPercent": "a number",
    "FreeStoragePercent": "a number",
    "AgentEventShards": "a number; AWS says if the account may have no more",
    "AgentEventRetentionHours": "a number",
    "DrainSeconds": "a number",
    "ContactIndexName": "a new index of that name is made",
    "ContactTypeName": "the rules tie it to the engine",
    "IndexRotation": "AllowedValues",
    "DomainInstanceCount": "a number; AWS says if the account may have no more",
    "DomainVolumeGiB": "a number",
    "DomainLogs": "AllowedValues",
    "PermissionsBoundaryArn": "IAM says at the first role whether there is such a policy",
}

# Looked at in AWS, and no test of Preflight as a whole has them in its table: the file that says the text of each.
SAID = {
    "VpcId": ("server.rs", "not in VpcId {vpc}. Correct one of the two."),
    "SubnetId": ("server.rs", "is no public subnet"),
    "ServerInstanceType": ("server.rs", "Choose another type, or a subnet in another zone."),
    "ServerImage": ("server.rs", "is not offered in {}. Choose another {PARAMETER}."),
    "KeyPairName": ("server.rs", "does not exist in this region. Correct it"),
    "ExistingDomainName": ("existing.rs", "is inside a VPC, where eMite cannot reach it."),
    "ExistingAgentEventStreamName": ("existing.rs", "which Amazon Connect cannot use."),
    "ExistingDeliveryStreamName": ("existing.rs", "does not deliver to a search domain."),
}


def _source(name):
    return (cfn.TEMPLATE.parents[1] / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "value", "file", "test", "words"), ONLY_PREFLIGHT, ids=lambda value: str(value)[:40])
def test_what_only_preflight_can_refuse_passes_the_form_and_is_refused_there(template, name, value, file, test, words):
    given = {"HostingMode": "SelfHosted", "VpcId": "vpc-0a1b2c3d", "SubnetId": "subnet-0a1b2c3d"} if name == "OfficeCidrs" else {}
    assert cfn.broken_rules(template, cfn.parameters(template, {**given, name: value})) == []
    source = _source(file)
    if test is None:
        # Of the type that Preflight reads it with.
        assert words in source.split("#[cfg(test)]")[1]
    elif file == VALUES:
        assert f"fn {test}()" in source
        snapshot = f"functions/custom-resource/src/preflight/snapshots/custom_resource__preflight__values__tests__{test}.snap"
        assert [line for line in _source(snapshot).splitlines() if line.startswith(f"{name} ") and words in line]
    else:
        assert f"fn {test}()" in source
        tried = re.split(r"\bcase\(\s*", source.split("let each = vec![")[1].split("\n    ];")[0])
        # The parameter that is set is the one that is named, or another one decides.
        assert [case for case in tried if words in case and (case.startswith(f'"{name}",') or f'"{name}"' in case.split("&[")[-1])]


@pytest.mark.parametrize("name", SAID)
def test_what_preflight_alone_can_see_in_aws_it_tells_with_what_to_do(name):
    file, words = SAID[name]
    source = _source(f"functions/custom-resource/src/preflight/{file}").split("#[cfg(test)]")[0]
    assert words in source
    assert f'const PARAMETER: &str = "{name}";' in source or f"{name} {{" in source


def test_it_is_known_of_each_parameter_what_refuses_it(template):
    looked_at = {name for name, *_ in ONLY_PREFLIGHT}
    assert (looked_at | SAID.keys()) & NOTHING_MORE.keys() == set()
    assert looked_at | SAID.keys() | NOTHING_MORE.keys() == template["Parameters"].keys()
    assert (looked_at | SAID.keys()) - template["Resources"]["Preflight"]["Properties"].keys() == set()
