"""Owns what each resource is set to: the guide's values, and what has to hold between them."""

from __future__ import annotations

import re

import cfn
import checks
import pytest


def properties(resources, name):
    return resources[name]["Properties"]


# ---- What is kept ----------------------------------------------------------------------------------------------------------

# Of the server all that it needs to be reached as before: whoever deletes the stack does not mean to delete what eMite installed.
SERVER = {"Server", "ServerGroup", "ServerAddress", "ServerAddressAssociation"}
KEPT = {"Ledger", "BackupBucket", "BackupBucketPolicy", "SearchDomain"} | SERVER


def test_data_is_kept_and_everything_else_goes(template):
    for name, resource in template["Resources"].items():
        policies = resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")
        if name in KEPT:
            assert policies == ("RetainExceptOnCreate", "Retain"), name
        else:
            assert policies in (("Delete", "Delete"), (None, None)), name


def test_no_key_of_the_stack_can_take_kept_data_with_it(template):
    assert [name for name, resource in template["Resources"].items() if resource["Type"].startswith("AWS::KMS::")] == []


# ---- The functions, and the custom resources of one of them ----------------------------------------------------------------

# Each with the folder of its crate.
FUNCTIONS = {
    "CustomResourceFunction": "custom-resource",
    "HealthCheckFunction": "health-check",
    "RedriveFunction": "redrive",
    "RepairFunction": "repair",
    "ReporterFunction": "reporter",
}


def test_exactly_these_functions_exist(guide):
    assert {name for name, resource in guide.items() if resource["Type"] == "AWS::Lambda::Function"} == FUNCTIONS.keys()


@pytest.mark.parametrize(("name", "crate"), FUNCTIONS.items())
def test_each_function_runs_as_itself_and_logs_to_its_own_group(guide, name, crate):
    function, logical = properties(guide, name), name.removesuffix("Function")
    assert (function["Runtime"], function["Handler"], function["Architectures"]) == ("provided.al2023", "bootstrap", ["x86_64"])
    assert function["Role"] == f"<{logical}Role.Arn>"
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": f"<{logical}LogGroup>"}
    assert properties(guide, f"{logical}LogGroup")["LogGroupName"] == f"/emite-connect/emite/{crate}"


def test_the_function_of_the_custom_resources(guide):
    function = properties(guide, "CustomResourceFunction")
    assert function["MemorySize"] == 256
    assert function["Timeout"] == 900
    assert function["Environment"] == {"Variables": {"LEDGER_TABLE": "<Ledger>", "STACK_ID": cfn.PSEUDO["AWS::StackId"]}}
    events = properties(guide, "CustomResourceFunctionEventInvokeConfig")
    assert (events["MaximumEventAgeInSeconds"], events["MaximumRetryAttempts"]) == (240, 2)


@pytest.mark.parametrize(("name", "crate"), FUNCTIONS.items())
def test_each_function_is_built_by_cargo_lambda_from_its_own_crate(source, name, crate):
    function = source["Resources"][name]
    assert function["Metadata"]["BuildMethod"] == "rust-cargolambda"
    assert function["Properties"]["CodeUri"] == f"../functions/{crate}"
    assert (cfn.TEMPLATE.parent / function["Properties"]["CodeUri"] / "Cargo.toml").is_file()


def test_waiting_for_the_drain_fits_into_the_function_and_that_into_the_timeout(template):
    longest = template["Parameters"]["DrainSeconds"]["MaxValue"]
    function = template["Resources"]["CustomResourceFunction"]["Properties"]["Timeout"]
    assert longest + 120 <= function < template["Resources"]["ContactRecordStreaming"]["Properties"]["ServiceTimeout"]


def test_the_drain_covers_both_buffers_of_firehose(template, guide):
    # A record that is refused passes through one after the other.
    destination = properties(guide, "DeliveryStream")["AmazonopensearchserviceDestinationConfiguration"]
    buffers = [part["BufferingHints"]["IntervalInSeconds"] for part in (destination, destination["S3Configuration"])]
    assert template["Parameters"]["DrainSeconds"]["Default"] >= sum(buffers)


COMMON = {"ServiceToken": "<CustomResourceFunction.Arn>", "ServiceTimeout": 600}

# Without what Preflight does not look at.
LOOKED_AT = {
    "ConnectInstanceArn": cfn.INSTANCE_ARN,
    "HostingMode": "EmiteHosted",
    "EmiteAccountId": "444455556666",
    "CustomerId": "acme-support-7421",
    "EmitePrincipalArn": "",
    "EmiteServerCidrs": ["203.0.113.10/32", "203.0.113.11/32"],
    "EmiteUrl": "",
    "TimeZone": "Australia/Sydney",
    "BusinessHours": "",
    "AlertTopicArn": "",
    "OnExistingStreaming": "Fail",
    "AgentEventStreamName": "connect-agentevents",
    "AgentEventKeyArn": "",
    "DeliveryStreamName": "emite-ctrfirehose",
    "DomainName": "emite-kinesis-connect",
    "SearchEngineVersion": "Elasticsearch_6.8",
    "DomainInstanceType": "m5.large.search",
    "DomainLogs": "Enabled",
    "BackupBucketName": "",
    "BackupBucketKeyArn": "",
    "RoleName": "emite-role",
    "ContactIndexName": "emite-contacts",
    "ContactTypeName": "contacts",
    "IndexRotation": "OneMonth",
    "ExistingDomainName": "",
    "ExistingAgentEventStreamName": "",
    "ExistingDeliveryStreamName": "",
    "ExistingContactRecordStreamName": "",
    "ExistingRoleName": "",
    "VpcId": "",
    "SubnetId": "",
    "ServerInstanceType": "r5.large",
    "ServerVolumeGiB": "100",
    "ServerImage": "Windows_Server-2022-English-Full-SQL_2022_Express",
    "ServerAccess": "SessionManager",
    "OfficeCidrs": [""],
    "EmiteOfficeCidrs": ["60.241.25.74/32", "54.79.101.24/32", "13.238.169.116/32"],
    "KeyPairName": "",
}


@pytest.mark.parametrize("case", checks.CASES)
def test_preflight_is_told_each_parameter_that_it_looks_at(template, case):
    values = cfn.parameters(template, checks.CASES[case])
    assert properties(cfn.deployed(template, checks.CASES[case]), "Preflight") == COMMON | {name: values[name] for name in LOOKED_AT}
    if case == "the guide":
        assert {name: values[name] for name in LOOKED_AT} == LOOKED_AT


def test_preflight_knows_exactly_these_properties():
    """Each is named in its code: one that it does not know it refuses, and so it does if one is missing."""
    folder = cfn.TEMPLATE.parents[1] / "functions" / "custom-resource" / "src" / "preflight"
    code = "".join(path.read_text(encoding="utf-8").split("#[cfg(test)]")[0] for path in sorted(folder.glob("*.rs")))
    assert [name for name in LOOKED_AT if f'"{name}"' not in code] == []


def test_the_tests_know_what_preflight_answers():
    folder = cfn.TEMPLATE.parents[1] / "functions" / "custom-resource" / "src" / "preflight"
    source = (folder / "attributes.rs").read_text(encoding="utf-8")
    said = source.split("fn data(&self) -> Data {", 1)[1].split("])")[0]
    values = {name: str(parameter.get("Default")) for name, parameter in cfn.source()["Parameters"].items()} | cfn.REQUIRED
    assert list(cfn.preflight(values)) == re.findall(r'\("(\w+)",', said)


def test_custom_resources_have_exactly_the_properties_of_their_contract(guide, given):
    assert properties(guide, "ContactRecordStreaming") == COMMON | {
        "ServiceTimeout": 960,
        "InstanceArn": cfn.INSTANCE_ARN,
        "ResourceType": "CONTACT_TRACE_RECORDS",
        "TargetArn": "<DeliveryStream.Arn>",
        "OnExisting": "Fail",
        "DrainSeconds": "360",
    }
    assert properties(given, "AgentEventStreaming") == COMMON | {
        "InstanceArn": cfn.INSTANCE_ARN,
        "ResourceType": "AGENT_EVENTS",
        "TargetArn": "<AgentEventStream.Arn>",
        "OnExisting": "Replace",
        "DrainSeconds": 0,
    }
    assert properties(given, "ApprovedOrigin") == COMMON | {"InstanceArn": cfn.INSTANCE_ARN, "Origin": "https://emite.example.com"}
    assert properties(guide, "Watch") == COMMON | {"HealthCheckMinutes": "5"}
    handed_over = {
        "Release": "0.1.0",
        "InstanceArn": cfn.INSTANCE_ARN,
        "RoleArn": "<EmiteRole.Arn>",
        "CustomerId": "acme-support-7421",
        "AgentEventStreamArn": "<AgentEventStream.Arn>",
        "ContactRecordTargetArn": "<DeliveryStream.Arn>",
        "DomainArn": "<SearchDomain.Arn>",
        "SearchEndpoint": "https://<SearchDomain.DomainEndpoint>",
        "TimeZone": "Australia/Sydney",
        "ServerAddress": "",
        "ServerId": "",
        "Bucket": "<BackupBucket>",
        "Prefix": "emite-connect/emite-ctrfirehose/handover/",
        "BucketKeyArn": "",
    }
    assert properties(guide, "Handover") == COMMON | handed_over
    case = checks.CASES["everything given"]
    assert properties(given, "Handover") == COMMON | handed_over | {"Bucket": case["BackupBucketName"], "BucketKeyArn": case["BackupBucketKeyArn"]}
    types = {name: resource["Type"] for name, resource in given.items() if checks.is_custom(resource)}
    assert types == {
        "Preflight": "Custom::EmitePreflight",
        "ContactRecordStreaming": "Custom::ConnectDataStreaming",
        "AgentEventStreaming": "Custom::ConnectDataStreaming",
        "ApprovedOrigin": "Custom::ConnectApprovedOrigin",
        "Watch": "Custom::EmiteWatch",
        "Handover": "Custom::EmiteHandover",
    }


ARN = f"arn:aws:{{}}:{cfn.REGION}:{cfn.ACCOUNT}:{{}}"
EXISTING = {
    "ExistingDomainName": "records",
    "ExistingDeliveryStreamName": "records-to-domain",
    "BackupBucketName": "syd-cloudbackup",
}


@pytest.mark.parametrize(
    ("given", "records"),
    [
        ({}, "<DeliveryStream.Arn>"),
        (EXISTING, ARN.format("firehose", "deliverystream/records-to-domain")),
        ({"ExistingContactRecordStreamName": "contact-records"}, ARN.format("kinesis", "stream/contact-records")),
        ({**EXISTING, "ExistingContactRecordStreamName": "contact-records"}, ARN.format("kinesis", "stream/contact-records")),
    ],
    ids=["made", "existing", "through a stream", "through a stream to an existing one"],
)
@pytest.mark.parametrize(("stream", "events"), [("", "<AgentEventStream.Arn>"), ("events", ARN.format("kinesis", "stream/events"))], ids=["made", "existing"])
def test_connect_streams_to_what_is_made_or_to_what_there_is(template, given, records, stream, events):
    deployed = cfn.deployed(template, {**given, "ExistingAgentEventStreamName": stream})
    assert properties(deployed, "ContactRecordStreaming")["TargetArn"] == records
    assert properties(deployed, "AgentEventStreaming")["TargetArn"] == events


def test_the_ledger(guide):
    ledger = properties(guide, "Ledger")
    assert ledger["BillingMode"] == "PAY_PER_REQUEST"
    assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    assert [(key["AttributeName"], key["KeyType"]) for key in ledger["KeySchema"]] == [("pk", "HASH"), ("sk", "RANGE")]
    # A table that is replaced forgets what to restore: no name of its own, so nothing that could change replaces it.
    assert "TableName" not in ledger


# ---- Agent events ----------------------------------------------------------------------------------------------------------


def test_the_agent_event_stream(guide):
    stream = properties(guide, "AgentEventStream")
    assert (stream["Name"], stream["ShardCount"], stream["RetentionPeriodHours"]) == ("connect-agentevents", "1", "24")
    assert stream["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}


def test_agent_events_are_encrypted_with_the_given_key_or_not_at_all(guide, given):
    # Connect cannot write under alias/aws/kinesis.
    assert "StreamEncryption" not in properties(guide, "AgentEventStream")
    key = checks.CASES["everything given"]["AgentEventKeyArn"]
    assert properties(given, "AgentEventStream")["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": key}


# ---- The eMite server ------------------------------------------------------------------------------------------------------

HOSTED = [case for case in checks.CASES if checks.CASES[case].get("HostingMode") == "SelfHosted"]


@pytest.mark.parametrize("case", HOSTED)
def test_the_server_is_what_the_guide_says_and_safe(template, case):
    given = checks.CASES[case]
    server = properties(cfn.deployed(template, given), "Server")
    # What Preflight found first: another image would be another server.
    assert server["ImageId"] == cfn.FOUND["ServerImageId"]
    assert (server["InstanceType"], server["IamInstanceProfile"]) == ("r5.large", "<ServerProfile>")
    assert server.get("KeyName") == given.get("KeyPairName")
    (disk,) = server["BlockDeviceMappings"]
    assert disk == {"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "gp3", "VolumeSize": "100", "Encrypted": True, "DeleteOnTermination": True}}
    assert server["MetadataOptions"] == {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    (network,) = server["NetworkInterfaces"]
    assert network == {
        "DeviceIndex": "0",
        "SubnetId": given["SubnetId"],
        "GroupSet": ["<ServerGroup.GroupId>"],
        "AssociatePublicIpAddress": False,
        "DeleteOnTermination": True,
    }
    # An instance takes these here or on its interface, not both.
    assert not server.keys() & {"SecurityGroupIds", "SecurityGroups", "SubnetId", "PrivateIpAddress"}


def test_the_image_of_a_server_is_the_one_that_preflight_says(template):
    deployed = cfn.deployed(template, checks.CASES["self-hosted"], {"ServerImageId": "ami-0f0e0d0c0b0a09080"})
    assert properties(deployed, "Server")["ImageId"] == "ami-0f0e0d0c0b0a09080"
    # Nothing of a server that eMite hosts.
    assert not SERVER & cfn.deployed(template).keys()


def test_windows_begins_with_iis(template):
    script = template["Resources"]["Server"]["Properties"]["UserData"]["Fn::Base64"]
    assert re.fullmatch(r"<powershell>\n.*\n</powershell>\n?", script, re.DOTALL)
    assert "Install-WindowsFeature -Name Web-Server" in script
    # Whoever may see the instance can read it.
    assert not re.search(r"(?i)password|secret|token", script)


def test_the_storage_of_the_server_begins_at_the_guides_and_is_what_is_chosen(template):
    assert template["Parameters"]["ServerVolumeGiB"]["MinValue"] == 100
    server = properties(cfn.deployed(template, {**checks.CASES["self-hosted"], "ServerVolumeGiB": "500", "ServerInstanceType": "m6i.2xlarge"}), "Server")
    assert (server["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"], server["InstanceType"]) == ("500", "m6i.2xlarge")


def test_the_server_has_one_address_that_stays(template):
    deployed = cfn.deployed(template, checks.CASES["self-hosted"])
    assert properties(deployed, "ServerAddress")["Domain"] == "vpc"
    assert properties(deployed, "ServerAddressAssociation") == {"AllocationId": "<ServerAddress.AllocationId>", "InstanceId": "<Server>"}


REMOTE_DESKTOP = {
    "self-hosted": [],
    "self-hosted with everything existing": [],
    "self-hosted with Remote Desktop": ["198.51.100.7/32", "198.51.100.16/28", "60.241.25.74/32", "54.79.101.24/32", "13.238.169.116/32"],
    "self-hosted with all addresses": [f"198.51.100.{number}/32" for number in range(1, 6)] + [f"192.0.2.{number}/32" for number in range(1, 6)],
}


def rules(resources):
    """{port: from where} of the server's security group."""
    found = {}
    for rule in properties(resources, "ServerGroup")["SecurityGroupIngress"]:
        assert rule["IpProtocol"] == "tcp"
        assert rule["FromPort"] == rule["ToPort"]
        assert rule["Description"]
        # EC2 takes no single address without a prefix.
        assert re.fullmatch(r"[0-9.]+/[0-9]+", rule["CidrIp"])
        found.setdefault(rule["FromPort"], []).append(rule["CidrIp"])
    return found


@pytest.mark.parametrize("case", HOSTED)
def test_the_web_is_open_and_remote_desktop_only_to_those_who_are_named(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    desktop = {3389: REMOTE_DESKTOP[case]} if REMOTE_DESKTOP[case] else {}
    assert rules(deployed) == {80: ["0.0.0.0/0"], 443: ["0.0.0.0/0"]} | desktop
    group = properties(deployed, "ServerGroup")
    assert group["VpcId"] == checks.CASES[case]["VpcId"]
    assert [(rule["IpProtocol"], rule["CidrIp"]) for rule in group["SecurityGroupEgress"]] == [("-1", "0.0.0.0/0")]


@pytest.mark.parametrize("parameter", ["OfficeCidrs", "EmiteOfficeCidrs"])
@pytest.mark.parametrize("number", range(6))
def test_each_number_of_addresses_opens_exactly_those(template, parameter, number):
    addresses = [f"198.51.100.{at}/32" for at in range(1, number + 1)]
    other = {"OfficeCidrs": "EmiteOfficeCidrs", "EmiteOfficeCidrs": "OfficeCidrs"}[parameter]
    rdp = {**checks.CASES["self-hosted with Remote Desktop"], other: "", parameter: ",".join(addresses)}
    deployed = cfn.deployed(template, rdp)
    assert rules(deployed).get(3389, []) == addresses
    # Without Remote Desktop the same addresses open nothing.
    assert 3389 not in rules(cfn.deployed(template, {**rdp, "ServerAccess": "SessionManager"}))


def test_no_server_is_open_to_anybody_for_more_than_the_web(template):
    for case, deployed in checks.each_case(template):
        groups = [resource["Properties"] for resource in deployed.values() if resource["Type"] == "AWS::EC2::SecurityGroup"]
        for rule in [rule for group in groups for rule in group["SecurityGroupIngress"]]:
            assert rule["CidrIp"] != "0.0.0.0/0" or rule["FromPort"] in (80, 443), case


# ---- Search domain ---------------------------------------------------------------------------------------------------------


def test_the_search_domain(guide):
    domain = properties(guide, "SearchDomain")
    assert (domain["DomainName"], domain["EngineVersion"]) == ("emite-kinesis-connect", "Elasticsearch_6.8")
    assert domain["ClusterConfig"] == {
        "InstanceType": "m5.large.search",
        "InstanceCount": "1",
        "DedicatedMasterEnabled": False,
        "ZoneAwarenessEnabled": False,
    }
    assert domain["EBSOptions"] == {"EBSEnabled": True, "VolumeType": "gp3", "VolumeSize": "50"}
    assert domain["DomainEndpointOptions"] == {"EnforceHTTPS": True, "TLSSecurityPolicy": "Policy-Min-TLS-1-2-2019-07"}
    assert domain["EncryptionAtRestOptions"] == {"Enabled": True}
    assert domain["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    # As text: AWS refuses a boolean.
    assert domain["AdvancedOptions"] == {"rest.action.multi.allow_explicit_index": "true"}
    assert "VPCOptions" not in domain


def test_the_domain_logs_errors_and_never_what_callers_said(guide, given):
    assert properties(guide, "SearchDomain")["LogPublishingOptions"] == {
        "ES_APPLICATION_LOGS": {"CloudWatchLogsLogGroupArn": "<SearchDomainLogGroup.Arn>", "Enabled": True}
    }
    # Said explicitly: an option that is left out of an update keeps its last value (aws-cdk issue 29294).
    assert properties(given, "SearchDomain")["LogPublishingOptions"] == {"ES_APPLICATION_LOGS": {"Enabled": False}}


def test_another_engine_is_an_upgrade_in_place(template):
    assert template["Resources"]["SearchDomain"]["UpdatePolicy"] == {"EnableVersionUpgrade": True}


# ---- Contact records -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "type_name"),
    [("Elasticsearch_6.3", "contacts"), ("Elasticsearch_6.8", "contacts"), ("Elasticsearch_7.10", ""), ("OpenSearch_1.3", ""), ("OpenSearch_2.19", "")],
)
def test_every_engine_has_the_same_destination_and_only_six_has_a_type(template, engine, type_name):
    stream = properties(cfn.deployed(template, {"SearchEngineVersion": engine}), "DeliveryStream")
    assert stream["AmazonopensearchserviceDestinationConfiguration"]["TypeName"] == type_name
    assert [key for key in stream if key.endswith("DestinationConfiguration")] == ["AmazonopensearchserviceDestinationConfiguration"]


def test_each_engine_is_tried(template):
    engines = test_every_engine_has_the_same_destination_and_only_six_has_a_type.pytestmark[0].args[1]
    assert [engine for engine, _ in engines] == template["Parameters"]["SearchEngineVersion"]["AllowedValues"]


def test_the_delivery_stream(guide):
    stream = properties(guide, "DeliveryStream")
    assert (stream["DeliveryStreamName"], stream["DeliveryStreamType"]) == ("emite-ctrfirehose", "DirectPut")
    destination = stream["AmazonopensearchserviceDestinationConfiguration"]
    assert (destination["IndexName"], destination["IndexRotationPeriod"]) == ("emite-contacts", "OneMonth")
    assert destination["S3BackupMode"] == "FailedDocumentsOnly"
    assert destination["BufferingHints"] == {"IntervalInSeconds": 300, "SizeInMBs": 5}
    assert destination["RetryOptions"] == {"DurationInSeconds": 300}
    assert destination["DomainARN"] == "<SearchDomain.Arn>"
    assert "ProcessingConfiguration" not in destination
    assert properties(guide, "DeliveryRole")["RoleName"] == "emite-ctrfirehose-role"
    backup = destination["S3Configuration"]
    assert backup["BufferingHints"] == {"IntervalInSeconds": 60, "SizeInMBs": 5}
    assert backup["CompressionFormat"] == "UNCOMPRESSED"
    assert backup["EncryptionConfiguration"] == {"NoEncryptionConfig": "NoEncryption"}


@pytest.mark.parametrize(("stream", "kind"), [("", "DirectPut"), ("contact-records", "KinesisStreamAsSource")])
def test_the_delivery_stream_is_written_to_or_reads_from_a_stream(template, stream, kind):
    deployed = properties(cfn.deployed(template, {"ExistingContactRecordStreamName": stream}), "DeliveryStream")
    assert deployed["DeliveryStreamType"] == kind
    source = {"KinesisStreamARN": ARN.format("kinesis", "stream/contact-records"), "RoleARN": "<DeliveryRole.Arn>"}
    assert deployed.get("KinesisStreamSourceConfiguration") == (source if stream else None)


def test_a_delivery_stream_of_ours_delivers_to_a_domain_that_there_is(template):
    destination = properties(cfn.deployed(template, {"ExistingDomainName": "records"}), "DeliveryStream")
    assert destination["AmazonopensearchserviceDestinationConfiguration"]["DomainARN"] == ARN.format("es", "domain/records")


def test_firehose_logs_errors_to_a_stream_that_exists(template):
    logs = [node for _, node in cfn.walk(template["Resources"]["DeliveryStream"]) if isinstance(node, dict) and "LogStreamName" in node]
    assert len(logs) == 2
    for log in logs:
        assert log["Enabled"] is True
        stream = template["Resources"][log["LogStreamName"]["Ref"]]
        assert stream["Type"] == "AWS::Logs::LogStream"
        assert stream["Properties"]["LogGroupName"] == log["LogGroupName"] == {"Ref": "DeliveryLogGroup"}


@pytest.mark.parametrize("case", [case for case in checks.CASES if "ExistingDeliveryStreamName" not in checks.CASES[case]])
def test_refused_records_are_always_below_failed(template, case):
    stream = properties(cfn.deployed(template, checks.CASES[case]), "DeliveryStream")
    backup = stream["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]
    assert backup["Prefix"] == "emite-connect/emite-ctrfirehose/failed/"
    # AWS wants this expression in the prefix, and adds the hour itself when the prefix names no time.
    assert backup["ErrorOutputPrefix"] == "emite-connect/emite-ctrfirehose/failed/!{firehose:error-output-type}/"


def test_the_bucket_is_ours_or_the_given_one(guide, given):
    def backup(resources):
        return properties(resources, "DeliveryStream")["AmazonopensearchserviceDestinationConfiguration"]["S3Configuration"]

    assert backup(guide)["BucketARN"] == "<BackupBucket.Arn>"
    assert backup(given)["BucketARN"] == "arn:aws:s3:::syd-cloudbackup"
    assert backup(given)["EncryptionConfiguration"] == {"KMSEncryptionConfig": {"AWSKMSKeyARN": checks.CASES["everything given"]["BackupBucketKeyArn"]}}


def test_our_bucket(template, guide):
    bucket = properties(guide, "BackupBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    with_key = properties(cfn.deployed(template, checks.CASES["mail and an own bucket under a key"]), "BackupBucket")
    assert with_key["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [
        {
            "BucketKeyEnabled": True,
            "ServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": checks.CASES["mail and an own bucket under a key"]["BackupBucketKeyArn"],
            },
        }
    ]


def test_our_bucket_forgets_what_was_dealt_with_and_never_what_failed(guide):
    rules = properties(guide, "BackupBucket")["LifecycleConfiguration"]["Rules"]
    expires = {rule["Prefix"].removeprefix("emite-connect/emite-ctrfirehose/"): rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert expires == {"redriven/": 30, "results/": 30, "quarantine/": 365}
    assert [rule["NoncurrentVersionExpiration"] for rule in rules if "NoncurrentVersionExpiration" in rule] == [{"NoncurrentDays": 30}]
    assert {rule["Status"] for rule in rules} == {"Enabled"}


# ---- Outputs ---------------------------------------------------------------------------------------------------------------


def test_outputs_are_the_guides_list_and_what_administrators_need(template):
    assert cfn.outputs(template) == {
        "EmiteRoleArn": "<EmiteRole.Arn>",
        "ConnectInstanceArn": cfn.INSTANCE_ARN,
        "AgentEventStreamArn": "<AgentEventStream.Arn>",
        "SearchEndpoint": "https://<SearchDomain.DomainEndpoint>",
        "TimeZone": "Australia/Sydney",
        "HandoverDocument": "<Handover.DocumentUri>",
        "ConnectInstanceAlias": cfn.FOUND["InstanceAlias"],
        "AlertTopicArn": "<AlertTopic>",
        "DeliveryStreamArn": "<DeliveryStream.Arn>",
        "BackupBucket": "<BackupBucket>",
        "SearchDomainArn": "<SearchDomain.Arn>",
        "LedgerTable": "<Ledger>",
        "HealthCheckFunctionName": "<HealthCheckFunction>",
        "ReporterFunctionName": "<ReporterFunction>",
        "RepairFunctionName": "<RepairFunction>",
        "RedriveStateMachineArn": "<RedriveStateMachine>",
        "RedriveFunctionName": "<RedriveFunction>",
        "DashboardUrl": f"https://{cfn.REGION}.console.aws.amazon.com/cloudwatch/home?region={cfn.REGION}#dashboards/dashboard/<Dashboard>",
    }
    given = cfn.outputs(template, checks.CASES["everything given"])
    assert given["AlertTopicArn"] == checks.CASES["everything given"]["AlertTopicArn"]
    assert given["BackupBucket"] == "syd-cloudbackup"


def test_a_server_of_ours_is_told_by_its_address_and_its_id(template):
    here, there = cfn.outputs(template, checks.CASES["self-hosted"]), cfn.outputs(template)
    assert here == there | {"EmiteServerIp": "<ServerAddress>", "EmiteServerId": "<Server>"}


def test_outputs_tell_what_exists_already_as_what_is_made(template):
    case = "everything existing"
    assert {name: value for name, value in cfn.outputs(template, checks.CASES[case]).items() if value != cfn.outputs(template)[name]} == {
        "EmiteRoleArn": f"arn:aws:iam::{cfn.ACCOUNT}:role/{cfn.FOUND['EmiteRolePath']}emite-reader",
        "AgentEventStreamArn": ARN.format("kinesis", "stream/events"),
        "SearchEndpoint": f"https://{cfn.FOUND['SearchEndpoint']}",
        "DeliveryStreamArn": ARN.format("firehose", "deliverystream/records-to-domain"),
        "BackupBucket": "syd-cloudbackup",
        "SearchDomainArn": ARN.format("es", "domain/records"),
    }


def test_each_output_says_what_it_is(template):
    assert [name for name, output in template["Outputs"].items() if len(output.get("Description", "")) < 20] == []
