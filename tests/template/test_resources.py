"""Owns what each resource is set to: the guide's values, and what has to hold between them."""

from __future__ import annotations

import cfn
import checks
import pytest


def properties(resources, name):
    return resources[name]["Properties"]


# ---- What is kept ----------------------------------------------------------------------------------------------------------

KEPT = {"Ledger", "BackupBucket", "BackupBucketPolicy", "SearchDomain"}


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


def test_custom_resources_have_exactly_the_properties_of_their_contract(guide, given):
    common = {"ServiceToken": "<CustomResourceFunction.Arn>", "ServiceTimeout": 600}
    assert properties(guide, "Preflight") == common | {
        "ConnectInstanceArn": cfn.INSTANCE_ARN,
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
        "BackupBucketName": "",
        "BackupBucketKeyArn": "",
        "RoleName": "emite-role",
    }
    assert properties(guide, "ContactRecordStreaming") == common | {
        "ServiceTimeout": 960,
        "InstanceArn": cfn.INSTANCE_ARN,
        "ResourceType": "CONTACT_TRACE_RECORDS",
        "TargetArn": "<DeliveryStream.Arn>",
        "OnExisting": "Fail",
        "DrainSeconds": "360",
    }
    assert properties(given, "AgentEventStreaming") == common | {
        "InstanceArn": cfn.INSTANCE_ARN,
        "ResourceType": "AGENT_EVENTS",
        "TargetArn": "<AgentEventStream.Arn>",
        "OnExisting": "Replace",
        "DrainSeconds": 0,
    }
    assert properties(given, "ApprovedOrigin") == common | {"InstanceArn": cfn.INSTANCE_ARN, "Origin": "https://emite.example.com"}
    assert properties(guide, "Watch") == common | {"HealthCheckMinutes": "5"}
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
    assert properties(guide, "Handover") == common | handed_over
    case = checks.CASES["everything given"]
    assert properties(given, "Handover") == common | handed_over | {"Bucket": case["BackupBucketName"], "BucketKeyArn": case["BackupBucketKeyArn"]}
    types = {name: resource["Type"] for name, resource in given.items() if checks.is_custom(resource)}
    assert types == {
        "Preflight": "Custom::EmitePreflight",
        "ContactRecordStreaming": "Custom::ConnectDataStreaming",
        "AgentEventStreaming": "Custom::ConnectDataStreaming",
        "ApprovedOrigin": "Custom::ConnectApprovedOrigin",
        "Watch": "Custom::EmiteWatch",
        "Handover": "Custom::EmiteHandover",
    }


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
    assert properties(given, "SearchDomain")["LogPublishingOptions"]["ES_APPLICATION_LOGS"]["Enabled"] is False


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


def test_firehose_logs_errors_to_a_stream_that_exists(template):
    logs = [node for _, node in cfn.walk(template["Resources"]["DeliveryStream"]) if isinstance(node, dict) and "LogStreamName" in node]
    assert len(logs) == 2
    for log in logs:
        assert log["Enabled"] is True
        stream = template["Resources"][log["LogStreamName"]["Ref"]]
        assert stream["Type"] == "AWS::Logs::LogStream"
        assert stream["Properties"]["LogGroupName"] == log["LogGroupName"] == {"Ref": "DeliveryLogGroup"}


@pytest.mark.parametrize("case", checks.CASES)
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
        "ConnectInstanceAlias": "<Preflight.InstanceAlias>",
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


def test_each_output_says_what_it_is(template):
    assert [name for name, output in template["Outputs"].items() if len(output.get("Description", "")) < 20] == []
