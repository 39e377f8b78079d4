"""Owns what watches the integration: the spec, the schedule and rules, the alarms with their texts, and the dashboard."""

from __future__ import annotations

import json
import re
import shlex

import cfn
import checks
import pytest

ROOT = cfn.TEMPLATE.parents[1]
MINUTES = {"1": "rate(1 minute)", "5": "rate(5 minutes)", "10": "rate(10 minutes)", "15": "rate(15 minutes)", "30": "rate(30 minutes)", "60": "rate(1 hour)"}
REPORTS = ["Integration Health Report", "Integration Repair Report", "Integration Redrive Report", "Integration Handover"]


def properties(resources, name):
    return resources[name]["Properties"]


# ---- The spec --------------------------------------------------------------------------------------------------------------


def spec(resources):
    return json.loads(properties(resources, "Spec")["Value"])


@pytest.mark.parametrize("case", checks.CASES)
def test_the_spec_has_the_fields_of_the_sample_and_they_are_texts(template, case):
    text = properties(cfn.deployed(template, checks.CASES[case]), "Spec")["Value"]
    sample = json.loads((cfn.TEMPLATE.parent / "events" / "spec.json").read_text(encoding="utf-8"))
    pairs = json.loads(text, object_pairs_hook=list)
    assert [name for name, _ in pairs] == list(sample)
    assert [name for name, value in pairs if not isinstance(value, str)] == []
    assert "\n" not in text


def fields_of_the_code():
    """As shared/core/src/spec.rs reads them, in its order."""
    source = (ROOT / "shared" / "core" / "src" / "spec.rs").read_text(encoding="utf-8")
    read = source.split("fn read(fields: &mut Fields)", 1)[1].split("\n    }\n", 1)[0]
    together = {kind: source.split(f"fn {kind}(&mut self)", 1)[1].split("\n    }\n", 1)[0] for kind in ("emite", "server")}
    found = []
    for method, argument in re.findall(r'fields\.(\w+)\((?:"(\w+)")?', read):
        found += [argument] if argument else re.findall(r'self\.\w+(?:::<String>)?\("(\w+)"\)', together.get(method, ""))
    return found


def test_the_sample_has_the_fields_that_the_code_reads():
    sample = json.loads((cfn.TEMPLATE.parent / "events" / "spec.json").read_text(encoding="utf-8"))
    assert sorted(fields_of_the_code()) == sorted(sample)


def test_the_spec_of_the_guide(guide):
    assert spec(guide) == {
        "stackId": cfn.PSEUDO["AWS::StackId"],
        "integration": cfn.FOUND["InstanceAlias"],
        "instanceArn": cfn.INSTANCE_ARN,
        # Places that are empty count as nothing.
        "existing": ",,,",
        "agentEventStream": "<AgentEventStream.Arn>",
        "agentEventShards": "1",
        "agentEventRetentionHours": "24",
        "agentEventKey": "",
        "contactRecordStream": "",
        "deliveryStream": "<DeliveryStream.Arn>",
        "deliveryRole": f"arn:aws:iam::{cfn.ACCOUNT}:role/emite-ctrfirehose-role",
        "domain": "<SearchDomain.Arn>",
        "searchEndpoint": "https://<SearchDomain.DomainEndpoint>",
        "domainInstances": "1",
        "domainVolumeGib": "50",
        "contactIndex": "emite-contacts",
        "contactType": "contacts",
        "indexRotation": "OneMonth",
        "backupBucket": "<BackupBucket>",
        "failedPrefix": "emite-connect/emite-ctrfirehose/failed/",
        "emiteRole": "<EmiteRole.Arn>",
        "emitePrincipal": "arn:aws:iam::444455556666:root",
        "customerId": "acme-support-7421",
        "roleBoundary": "<EmiteRoleBoundary>",
        "server": "",
        "serverAddress": "",
        "serverAllocation": "",
        "serverProfile": "",
        "serverGroup": "",
        "rdpFrom": "",
        "emiteServers": ",203.0.113.10/32,203.0.113.11/32",
        "emiteOrigin": "",
        "alertTopic": "<AlertTopic>",
        "deadLetterQueue": "<DeadLetterQueue>",
        "healthCheckFunction": "<HealthCheckFunction>",
        "repairFunction": "<RepairFunction>",
        "redriveStateMachine": "<RedriveStateMachine>",
        "timeZone": "Australia/Sydney",
        "businessHours": "",
        "healthCheckMinutes": "5",
        "iteratorAgeWarningSeconds": "60",
        "iteratorAgeCriticalPercent": "50",
        "freeStoragePercent": "25",
        "agentSilenceMinutes": "30",
    }


def test_the_spec_of_everything_given(guide, given):
    case = checks.CASES["everything given"]
    changed = {name: value for name, value in spec(given).items() if value != spec(guide)[name]}
    assert changed == {
        "agentEventKey": case["AgentEventKeyArn"],
        "contactType": "",
        "backupBucket": "syd-cloudbackup",
        "emitePrincipal": case["EmitePrincipalArn"],
        "roleBoundary": case["PermissionsBoundaryArn"],
        "emiteOrigin": "<ApprovedOrigin.Origin>",
        "alertTopic": case["AlertTopicArn"],
        "businessHours": "Mon-Fri 08:00-18:00;Sat 09:00-13:00",
        "healthCheckMinutes": "60",
        "iteratorAgeWarningSeconds": "120",
        "iteratorAgeCriticalPercent": "40",
        "freeStoragePercent": "30",
        "agentSilenceMinutes": "45",
    }


def changed(template, case, by=None):
    """What differs from the guide."""
    guide = spec(cfn.deployed(template))
    return {name: value for name, value in spec(cfn.deployed(template, checks.CASES[case], by)).items() if value != guide[name]}


OF_THE_SERVER = {
    "server": "<Server>",
    "serverAddress": "<ServerAddress>",
    "serverAllocation": "<ServerAddress.AllocationId>",
    "serverProfile": "<ServerProfile.Arn>",
    "serverGroup": "<ServerGroup.GroupId>",
}
ARN = f"arn:aws:{{}}:{cfn.REGION}:{cfn.ACCOUNT}:{{}}"


def test_the_spec_of_a_server_of_ours(template):
    alone = {"emitePrincipal": "", "customerId": "", "emiteServers": "<ServerAddress>,"}
    assert changed(template, "self-hosted") == OF_THE_SERVER | alone


def test_the_spec_of_a_server_with_remote_desktop(template):
    found = changed(template, "self-hosted with Remote Desktop")
    assert found == OF_THE_SERVER | {
        "emiteServers": "<ServerAddress>,203.0.113.10/32,203.0.113.11/32",
        "rdpFrom": "198.51.100.7/32,198.51.100.16/28,60.241.25.74/32,54.79.101.24/32,13.238.169.116/32",
    }


EXISTS = {
    "existing": "agentEventStream,deliveryStream,domain,emiteRole",
    "agentEventStream": ARN.format("kinesis", "stream/events"),
    "deliveryStream": ARN.format("firehose", "deliverystream/records-to-domain"),
    "deliveryRole": cfn.FOUND["DeliveryRoleArn"],
    "domain": ARN.format("es", "domain/records"),
    "searchEndpoint": f"https://{cfn.FOUND['SearchEndpoint']}",
    "backupBucket": "syd-cloudbackup",
    "failedPrefix": cfn.FOUND["FailedPrefix"],
    "emiteRole": f"arn:aws:iam::{cfn.ACCOUNT}:role/{cfn.FOUND['EmiteRolePath']}emite-reader",
    "roleBoundary": "",
}


def test_the_spec_of_what_exists_already(template):
    records = {"contactRecordStream": ARN.format("kinesis", "stream/contact-records")}
    assert changed(template, "everything existing") == EXISTS | records
    assert changed(template, "records from an existing stream") == records
    case = checks.CASES["self-hosted with everything existing"]
    alone = {"emitePrincipal": "", "customerId": "", "emiteServers": "<ServerAddress>,", "roleBoundary": case["PermissionsBoundaryArn"]}
    assert changed(template, "self-hosted with everything existing") == EXISTS | OF_THE_SERVER | alone


def test_the_spec_says_what_preflight_found(template):
    says = {"FailedPrefix": "", "SearchEndpoint": "search-other.es.amazonaws.com", "InstanceAlias": "other"}
    found = changed(template, "everything existing", says)
    assert (found["failedPrefix"], found["searchEndpoint"], found["integration"]) == ("", "https://search-other.es.amazonaws.com", "other")


@pytest.mark.parametrize("name", ["AgentEventStreamName", "DeliveryStreamName", "DomainName", "RoleName"])
def test_each_thing_that_exists_is_told_by_itself(template, name):
    field = {"AgentEventStreamName": "agentEventStream", "DeliveryStreamName": "deliveryStream", "DomainName": "domain", "RoleName": "emiteRole"}[name]
    needs = {"ExistingDomainName": "records", "BackupBucketName": "syd-cloudbackup"} if name == "DeliveryStreamName" else {}
    said = spec(cfn.deployed(template, {f"Existing{name}": "records", **needs}))["existing"]
    assert {thing for thing in said.split(",") if thing} == {field} | ({"domain"} if needs else set())


def members(text):
    """Of a list of the spec: places that the template leaves empty count as nothing."""
    return [member for member in text.split(",") if member]


@pytest.mark.parametrize("case", checks.CASES)
def test_the_spec_says_what_was_really_set(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    said = spec(deployed)
    found = members(said["existing"])
    made = {"EmiteRole": "emiteRole", "AgentEventStream": "agentEventStream", "DeliveryStream": "deliveryStream", "SearchDomain": "domain"}
    assert {name for name, field in made.items() if field not in found} == made.keys() & deployed.keys()
    if "EmiteRole" in deployed:
        role = properties(deployed, "EmiteRole")
        assert said["roleBoundary"] == role["PermissionsBoundary"]
        by_emite = [trust for trust in role["AssumeRolePolicyDocument"]["Statement"] if trust["Sid"] == "AllowEmite"]
        assert [said["emitePrincipal"]] == ([trust["Principal"]["AWS"] for trust in by_emite] or [""])
        assert [said["customerId"]] == ([trust["Condition"]["StringEquals"]["sts:ExternalId"] for trust in by_emite] or [""])
    if "AgentEventStream" in deployed:
        stream = properties(deployed, "AgentEventStream")
        assert (said["agentEventShards"], said["agentEventRetentionHours"]) == (stream["ShardCount"], stream["RetentionPeriodHours"])
        assert said["agentEventKey"] == stream.get("StreamEncryption", {}).get("KeyId", "")
    if "DeliveryStream" in deployed:
        destination = properties(deployed, "DeliveryStream")["AmazonopensearchserviceDestinationConfiguration"]
        told = tuple(destination[key] for key in ("IndexName", "TypeName", "IndexRotationPeriod"))
        assert (said["contactIndex"], said["contactType"], said["indexRotation"]) == told
        backup = destination["S3Configuration"]
        assert backup["BucketARN"] in (f"arn:aws:s3:::{said['backupBucket']}", said["backupBucket"].replace(">", ".Arn>"))
        assert said["failedPrefix"] == backup["Prefix"]
        assert said["deliveryRole"].endswith(f":role/{properties(deployed, 'DeliveryRole')['RoleName']}")
        source = properties(deployed, "DeliveryStream").get("KinesisStreamSourceConfiguration", {})
        assert said["contactRecordStream"] == source.get("KinesisStreamARN", "")
    if "SearchDomain" in deployed:
        domain = properties(deployed, "SearchDomain")
        assert (said["domainInstances"], said["domainVolumeGib"]) == (domain["ClusterConfig"]["InstanceCount"], domain["EBSOptions"]["VolumeSize"])
        admitted = domain["AccessPolicies"]["Statement"][0]["Condition"]["IpAddress"]["aws:SourceIp"]
        assert members(said["emiteServers"]) == [address.replace(">/32", ">") for address in admitted]
    assert bool(said["server"]) == ("Server" in deployed)
    if "Server" in deployed:
        opened = [rule["CidrIp"] for rule in properties(deployed, "ServerGroup")["SecurityGroupIngress"] if rule["FromPort"] == 3389]
        assert members(said["rdpFrom"]) == opened
    # Where Amazon Connect sends them.
    assert said["agentEventStream"] == properties(deployed, "AgentEventStreaming")["TargetArn"]
    assert (said["contactRecordStream"] or said["deliveryStream"]) == properties(deployed, "ContactRecordStreaming")["TargetArn"]
    assert {said["alertTopic"]} == {properties(deployed, name)["AlarmActions"][0] for name in alarms(deployed)}


def test_no_parameter_can_break_the_spec(template):
    """It is put together as text: a quote or a backslash in a value would make it something else than JSON."""
    text, own = template["Resources"]["Spec"]["Properties"]["Value"]["Fn::Sub"]
    used = cfn.references([{"Fn::Sub": text}, *own.values()]) & template["Parameters"].keys()
    assert "CustomerId" in used
    for name in used:
        parameter = template["Parameters"][name]
        if parameter["Type"] == "Number" or "AllowedValues" in parameter:
            continue
        good = {"CustomerId": "ab", **cfn.REQUIRED}.get(name, parameter.get("Default")) or "x"
        # CloudFormation trims the members of a list.
        for character in '"\\' if parameter["Type"] == "CommaDelimitedList" else '"\\\n\t':
            for value in (good + character, character + good, f"{good[:1]}{character}{good[1:]}"):
                with pytest.raises(ValueError, match=name):
                    cfn.parameters(template, {name: value})


def test_the_functions_read_that_parameter_by_its_name(guide):
    parameter = properties(guide, "Spec")
    assert (parameter["Type"], parameter["Tier"]) == ("String", "Intelligent-Tiering")
    for name in ("HealthCheckFunction", "RedriveFunction", "RepairFunction", "ReporterFunction"):
        assert properties(guide, name)["Environment"]["Variables"] == {
            "SPEC_PARAMETER": parameter["Name"],
            "LEDGER_TABLE": "<Ledger>",
            "STACK_ID": cfn.PSEUDO["AWS::StackId"],
        }


# ---- Functions, queue, rules -----------------------------------------------------------------------------------------------


def test_a_failed_run_goes_to_the_reporter_and_a_failed_report_to_the_queue(guide):
    # A claim of the reporter's holds for 50 s: longer than it runs, and shorter than Lambda's first pause of 60 s.
    for name, timeout in (("HealthCheckFunction", 90), ("ReporterFunction", 40)):
        assert (properties(guide, name)["MemorySize"], properties(guide, name)["Timeout"]) == (256, timeout)
    check, report = properties(guide, "HealthCheckFunctionEventInvokeConfig"), properties(guide, "ReporterFunctionEventInvokeConfig")
    assert (check["MaximumRetryAttempts"], check["MaximumEventAgeInSeconds"]) == (1, 300)
    assert check["DestinationConfig"] == {"OnFailure": {"Destination": "<ReporterFunction.Arn>"}}
    assert (report["MaximumRetryAttempts"], report["MaximumEventAgeInSeconds"]) == (2, 21600)
    assert report["DestinationConfig"] == {"OnFailure": {"Destination": "<DeadLetterQueue.Arn>"}}


def test_a_repair_is_done_once_and_has_time_for_it(guide):
    assert (properties(guide, "RepairFunction")["MemorySize"], properties(guide, "RepairFunction")["Timeout"]) == (256, 300)
    once = properties(guide, "RepairFunctionEventInvokeConfig")
    assert (once["MaximumRetryAttempts"], once["MaximumEventAgeInSeconds"]) == (0, 300)


def test_the_queue_keeps_what_failed_as_long_as_it_can(guide):
    queue = properties(guide, "DeadLetterQueue")
    assert (queue["MessageRetentionPeriod"], queue["SqsManagedSseEnabled"]) == (14 * 24 * 3600, True)


@pytest.mark.parametrize(("minutes", "rate"), MINUTES.items())
def test_each_interval_is_a_rate_and_a_period_of_the_alarms(template, minutes, rate):
    deployed = cfn.deployed(template, {"HealthCheckMinutes": minutes})
    assert properties(deployed, "HealthCheckSchedule")["ScheduleExpression"] == rate
    for name in ("WatchdogAlarm", "HealthCheckErrorsAlarm", "HealthCheckThrottlesAlarm"):
        alarm = properties(deployed, name)
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (int(minutes) * 60, 3)
        assert f"{minutes} minutes" in alarm["AlarmDescription"]


def test_each_interval_is_tried(template):
    assert list(MINUTES) == template["Parameters"]["HealthCheckMinutes"]["AllowedValues"]
    assert MINUTES.keys() == template["Mappings"]["HealthCheck"].keys()


@pytest.mark.parametrize("case", checks.CASES)
def test_what_the_domain_reports_starts_a_run_whoever_made_it(template, case):
    domain = ARN.format("es", f"domain/{checks.CASES[case].get('ExistingDomainName', 'emite-kinesis-connect')}")
    deployed = cfn.deployed(template, checks.CASES[case])
    assert properties(deployed, "ServiceNotificationRule")["EventPattern"] == {"source": ["aws.es"], "resources": [domain]}


def test_the_schedule_and_what_the_domain_reports_start_a_run(guide):
    assert "EventPattern" not in properties(guide, "HealthCheckSchedule")
    for name in ("HealthCheckSchedule", "ServiceNotificationRule"):
        (target,) = properties(guide, name)["Targets"]
        assert target["Arn"] == "<HealthCheckFunction.Arn>"
        # The next run makes up for it.
        assert "DeadLetterConfig" not in target
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 300


def test_the_reporter_hears_every_report_of_this_stack_and_none_of_another(guide):
    rule = properties(guide, "ReportRule")
    assert rule["EventPattern"] == {"source": ["emite-connect"], "detail-type": REPORTS, "detail": {"stackId": [cfn.PSEUDO["AWS::StackId"]]}}
    (target,) = rule["Targets"]
    assert target["Arn"] == "<ReporterFunction.Arn>"
    assert target["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 21600, "MaximumRetryAttempts": 185}


def test_the_code_speaks_of_the_same_events_and_metrics(guide):
    report = (ROOT / "shared" / "core" / "src" / "report.rs").read_text(encoding="utf-8")
    for text in ("emite-connect", *REPORTS):
        assert f'&str = "{text}";' in report
    watchdog = (ROOT / "shared" / "core" / "src" / "watchdog.rs").read_text(encoding="utf-8")
    alarm = properties(guide, "WatchdogAlarm")
    ((dimension,),) = [[d["Name"] for d in alarm["Dimensions"]]]
    for text in (alarm["Namespace"], alarm["MetricName"], dimension, "OpenFindings"):
        assert f'&str = "{text}";' in watchdog


def test_every_rule_is_on(guide):
    assert {r["Properties"]["State"] for r in guide.values() if r["Type"] == "AWS::Events::Rule"} == {"ENABLED"}


# ---- Alarms ----------------------------------------------------------------------------------------------------------------

# Namespace, metric, dimension; comparison; periods of how many seconds; what missing data means.
ALARMS = {
    "WatchdogAlarm": ("EmiteConnect", "Completed", ("Stack", "emite"), "Sum < 1", (3, 300), "breaching"),
    "HealthCheckErrorsAlarm": ("AWS/Lambda", "Errors", ("FunctionName", "<HealthCheckFunction>"), "Sum >= 1", (3, 300), "notBreaching"),
    "HealthCheckThrottlesAlarm": ("AWS/Lambda", "Throttles", ("FunctionName", "<HealthCheckFunction>"), "Sum >= 1", (3, 300), "notBreaching"),
    "ReporterErrorsAlarm": ("AWS/Lambda", "Errors", ("FunctionName", "<ReporterFunction>"), "Sum >= 3", (1, 900), "notBreaching"),
    "ReporterThrottlesAlarm": ("AWS/Lambda", "Throttles", ("FunctionName", "<ReporterFunction>"), "Sum >= 1", (3, 300), "notBreaching"),
    "DeadLetterAlarm": (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        ("QueueName", "<DeadLetterQueue.QueueName>"),
        "Maximum >= 1",
        (1, 300),
        "notBreaching",
    ),
}
COMPARISONS = {"LessThanThreshold": "<", "GreaterThanOrEqualToThreshold": ">="}


def alarms(resources):
    return [name for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"]


def test_these_are_the_alarms(guide):
    found = {}
    for name in alarms(guide):
        alarm = properties(guide, name)
        ((dimension,),) = [[(d["Name"], d["Value"]) for d in alarm["Dimensions"]]]
        comparison = f"{alarm['Statistic']} {COMPARISONS[alarm['ComparisonOperator']]} {alarm['Threshold']}"
        assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
        periods = alarm["EvaluationPeriods"], alarm["Period"]
        found[name] = (alarm["Namespace"], alarm["MetricName"], dimension, comparison, periods, alarm["TreatMissingData"])
    assert found == ALARMS


@pytest.mark.parametrize("case", checks.CASES)
def test_alarms_mail_when_they_begin_and_only_then(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    topic = cfn.outputs(template, checks.CASES[case])["AlertTopicArn"]
    for name in alarms(deployed):
        alarm = properties(deployed, name)
        assert alarm["AlarmActions"] == [topic]
        # A new alarm becomes OK too, and would mail that.
        assert not alarm.keys() & {"OKActions", "InsufficientDataActions", "Metrics"}
        # CloudWatch looks back a day at most.
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 24 * 3600


@pytest.fixture
def longest(template, monkeypatch):
    """The stack with the longest names that AWS allows."""
    monkeypatch.setitem(cfn.PSEUDO, "AWS::StackName", "s" * 128)
    monkeypatch.setitem(cfn.PSEUDO, "AWS::Region", "us-gov-west-1")
    names = {
        "<HealthCheckFunction>": "f" * 64,
        "<HealthCheckSchedule>": "r" * 64,
        "<DeadLetterQueue>": "https://sqs.us-gov-west-1.amazonaws.com/111122223333/" + "q" * 80,
        "<Dashboard>": "d" * 142,
    }

    def resolved(text):
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    deployed = cfn.deployed(template)
    return {name: (resolved(properties(deployed, name)["AlarmName"]), resolved(properties(deployed, name)["AlarmDescription"])) for name in alarms(deployed)}


def test_names_and_texts_fit_whatever_the_stack_is_called(longest):
    for name, (title, text) in longest.items():
        assert len(title) <= 255, name
        assert len(text) <= 1024, f"{name}: {len(text)}"
        assert "<" not in text, name
        assert (title + text).isascii(), name


@pytest.mark.parametrize("name", ALARMS)
def test_each_text_says_what_is_wrong_what_it_costs_and_what_to_do(guide, name):
    alarm = properties(guide, name)
    lines = alarm["AlarmDescription"].split("\n")
    assert alarm["AlarmName"].startswith("emite ")
    assert "Amazon Connect and eMite" in lines[0]
    assert "What to do: " in alarm["AlarmDescription"]
    assert "CloudShell" in alarm["AlarmDescription"]
    (command,) = [line for line in lines if line.startswith("aws ")]
    words = shlex.split(command)
    assert words[words.index("--region") + 1] == cfn.REGION
    for logs in re.findall(r"/emite-connect/emite/([a-z-]+)", alarm["AlarmDescription"]):
        assert logs in ("health-check", "reporter", "spec")


# ---- Dashboard -------------------------------------------------------------------------------------------------------------


def widgets(resources):
    return json.loads(properties(resources, "Dashboard")["DashboardBody"])["widgets"]


@pytest.mark.parametrize("case", checks.CASES)
def test_the_dashboard_shows_metrics_of_this_stack_in_this_region(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    assert properties(deployed, "Dashboard")["DashboardName"] == f"emite-{cfn.REGION}"
    given = checks.CASES[case]
    values = {
        "StreamName": given.get("ExistingAgentEventStreamName", "connect-agentevents"),
        "DeliveryStreamName": given.get("ExistingDeliveryStreamName", "emite-ctrfirehose"),
        "DomainName": given.get("ExistingDomainName", "emite-kinesis-connect"),
        "ClientId": cfn.ACCOUNT,
        "Stack": "emite",
    }
    for widget in widgets(deployed):
        if widget["type"] == "text":
            continue
        shown = widget["properties"]
        assert (shown["region"], shown["period"]) == (cfn.REGION, 300)
        for metric in shown["metrics"]:
            _, _, *dimensions, rendering = metric
            assert {name: values[name] for name in dimensions[::2]} == dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            assert rendering["label"]
    assert "${" not in json.dumps(widgets(deployed))


def test_the_dashboard_shows_the_whole_chain(guide):
    shown = {(metric[0], metric[1], w["properties"]["stat"]) for w in widgets(guide) if w["type"] == "metric" for metric in w["properties"]["metrics"]}
    assert shown == {
        ("AWS/Kinesis", "IncomingRecords", "Sum"),
        ("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum"),
        ("EmiteConnect", "OpenFindings", "Maximum"),
        ("AWS/Firehose", "IncomingRecords", "Sum"),
        ("AWS/Firehose", "DataReadFromKinesisStream.Records", "Sum"),
        ("AWS/Firehose", "DeliveryToAmazonOpenSearchService.Success", "Average"),
        ("AWS/Firehose", "DeliveryToElasticsearch.Success", "Average"),
        ("AWS/Firehose", "DeliveryToAmazonOpenSearchService.DataFreshness", "Maximum"),
        ("AWS/Firehose", "DeliveryToElasticsearch.DataFreshness", "Maximum"),
        ("AWS/Firehose", "DeliveryToS3.Success", "Average"),
        ("AWS/ES", "FreeStorageSpace", "Minimum"),
        ("AWS/ES", "ClusterStatus.red", "Maximum"),
        ("AWS/ES", "ClusterStatus.yellow", "Maximum"),
        ("AWS/ES", "ClusterIndexWritesBlocked", "Maximum"),
    }


def test_the_dashboard_has_no_gap_and_no_overlap(guide):
    cells = [(x, y) for w in widgets(guide) for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + w["height"])]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))
    assert len(cells) == 24 * (max(y for _, y in cells) + 1)


def test_the_dashboard_says_what_to_do(guide):
    (text,) = [w["properties"]["markdown"] for w in widgets(guide) if w["type"] == "text"]
    (command,) = [line for line in text.split("\n") if line.startswith("aws ")]
    assert shlex.split(command)[:5] == ["aws", "lambda", "invoke", "--region", cfn.REGION]
    assert "<HealthCheckFunction>" in command
    assert len({w["properties"]["title"] for w in widgets(guide) if w["type"] == "metric"}) == len(widgets(guide)) - 1


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "us-east-1", "us-east-1.console.aws.amazon.com"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
    ],
)
def test_the_dashboard_is_found_in_each_partition(template, monkeypatch, partition, region, host):
    monkeypatch.setitem(cfn.PSEUDO, "AWS::Partition", partition)
    monkeypatch.setitem(cfn.PSEUDO, "AWS::Region", region)
    assert cfn.outputs(template)["DashboardUrl"] == f"https://{host}/cloudwatch/home?region={region}#dashboards/dashboard/<Dashboard>"
