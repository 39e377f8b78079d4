"""Owns the orders that the product relies on, and which resources exist with which parameters."""

from __future__ import annotations

import cfn
import checks
import pytest


def test_exactly_these_have_a_name_that_may_be_taken(template):
    assert checks.fixed_names(template) == {
        "EmiteRole": {"RoleName"},
        "DeliveryRole": {"DeliveryStreamName"},
        "AgentEventStream": {"AgentEventStreamName"},
        "DeliveryStream": {"DeliveryStreamName"},
        "SearchDomain": {"DomainName"},
    }


def test_preflight_waits_only_for_what_it_runs_on(template):
    assert cfn.before(template, "Preflight") == {
        "BackupBucket",
        "CustomResourceFunction",
        "CustomResourceFunctionEventInvokeConfig",
        "CustomResourceRole",
        "CustomResourceLogGroup",
        "Ledger",
    }


@pytest.mark.parametrize("name", ["CustomResourceFunction", "CustomResourceRole", "CustomResourceFunctionEventInvokeConfig"])
def test_the_function_needs_nothing_of_what_it_serves(template, name):
    own = {"CustomResourceFunction", "CustomResourceRole", "CustomResourceLogGroup"}
    assert cfn.before(template, name) - own <= {"Ledger", "AlertTopic", "BackupBucket"}


def test_everything_cheap_comes_before_the_domain(template):
    after = {"DeliveryStream", "ContactRecordStreaming", "AgentEventStreaming", "ApprovedOrigin", "Spec", "Watch", "Handover"} | WATCHING
    # These need nothing, so CloudFormation begins with them; they cannot be named in DependsOn, as they do not always exist.
    at_once = {"BackupBucketPolicy", "AlertTopicPolicy"}
    assert all(cfn.before(template, name) <= {"BackupBucket", "AlertTopic"} for name in at_once)
    expected = template["Resources"].keys() - after - at_once - {"AlertEmailSubscription", "SearchDomain"}
    assert cfn.before(template, "SearchDomain") == expected


def test_no_confirmation_is_emailed_before_preflight_has_accepted_the_deployment(template):
    before = cfn.before(template, "AlertEmailSubscription")
    assert before == cfn.before(template, "Preflight") | {"Preflight", "AlertTopic"}


def test_the_log_policy_is_counted_before_it_is_made(template):
    assert "Preflight" in cfn.before(template, "SearchDomainLogPolicy")


@pytest.mark.parametrize("case", checks.CASES)
def test_what_the_domain_waits_for_is_named_where_it_exists(template, case):
    deployed = cfn.deployed(template, checks.CASES[case])
    named = {
        "EmiteRole": "EmiteRole",
        "AgentEventStream": "AgentEventStream",
        "Server": "ServerAddressAssociation",
        "LogPolicy": "SearchDomainLogPolicy",
    }
    if "SearchDomain" in deployed:
        assert deployed["SearchDomain"]["Metadata"]["After"] == {key: f"<{name}>" if name in deployed else "" for key, name in named.items()}
    delivery = "<DeliveryStream>" if "DeliveryStream" in deployed else ""
    assert deployed["ContactRecordStreaming"]["Metadata"]["After"] == {"Delivery": delivery}
    server = "<ServerAddressAssociation>" if "Server" in deployed else ""
    assert deployed["Spec"]["Metadata"]["After"] == {"Server": server}


def test_the_server_has_its_role_and_its_address_before_the_domain_lets_it_in(template):
    assert {"ServerProfile", "ServerGroup", "EmiteRole", "Preflight"} <= cfn.before(template, "Server")
    assert {"Server", "ServerAddress"} <= cfn.before(template, "ServerAddressAssociation")
    assert "ServerAddressAssociation" in cfn.before(template, "SearchDomain")
    for name in SERVER:
        assert not {"SearchDomain", "DeliveryStream"} & cfn.before(template, name), name


def test_nothing_that_is_found_comes_before_it_was_looked_at(template):
    """What a person or another stack made is named by Preflight only, and by whoever Preflight runs on."""
    names = {name for name in template["Parameters"] if name.startswith("Existing")}
    before = cfn.before(template, "Preflight") | {"Preflight"}
    for name, resource in template["Resources"].items():
        if name not in before and cfn.references(resource) & names:
            assert "Preflight" in cfn.before(template, name), name


def test_streaming_goes_on_last_and_off_first(template):
    assert {"DeliveryStream", "DeliveryRole", "SearchDomain", "Preflight"} <= cfn.before(template, "ContactRecordStreaming")
    assert {"AgentEventStream", "Preflight"} <= cfn.before(template, "AgentEventStreaming")


def test_watching_begins_last_and_ends_first(template):
    streaming = {"ContactRecordStreaming", "AgentEventStreaming", "ApprovedOrigin", "DeliveryStream", "SearchDomain"}
    ready = {"Spec", "HealthCheckFunctionEventInvokeConfig", "ReporterFunctionEventInvokeConfig", "DeadLetterQueue"}
    for name in WATCHING:
        assert streaming | ready <= cfn.before(template, name), name
    assert streaming <= cfn.before(template, "Spec")
    # The deployment counts as the first run, or the alarm would find none.
    assert "Watch" in cfn.before(template, "WatchdogAlarm")
    assert streaming <= cfn.before(template, "Watch")
    begun = {name for name, r in template["Resources"].items() if r["Type"] in ("AWS::Events::Rule", "AWS::CloudWatch::Alarm", "AWS::Lambda::Permission")}
    assert begun | {"DeadLetterQueuePolicy"} == WATCHING


def test_the_hand_over_comes_last_of_all(template):
    # What fails after it would leave a bucket with documents in it, which CloudFormation cannot delete. The others need nothing but Preflight, so
    # CloudFormation begins with them.
    early = {"BackupBucketPolicy", "AlertTopicPolicy", "AlertEmailSubscription"}
    assert cfn.before(template, "Handover") == template["Resources"].keys() - early - {"Handover"}


def test_the_watchers_need_nothing_of_what_they_watch(template):
    # A permission or a queue that is made again must not make the domain or the streams wait, and the other way round. The names are Preflight's.
    own = {"HealthCheckFunction", "HealthCheckRole", "HealthCheckLogGroup", "ReporterFunction", "ReporterRole", "ReporterLogGroup", "DeadLetterQueue"}
    named = {"Preflight", *cfn.before(template, "Preflight")}
    for name in ("HealthCheckFunctionEventInvokeConfig", "ReporterFunctionEventInvokeConfig", "Dashboard"):
        assert cfn.before(template, name) - own - named <= {"AlertTopic", "BackupBucket"}, name
    # Who tells what is wrong needs no name.
    assert "Preflight" not in cfn.before(template, "ReporterFunctionEventInvokeConfig")


def test_the_repair_waits_for_the_server_that_it_mends_and_for_nothing_else(template):
    own = {"RepairFunction", "RepairRole", "RepairLogGroup", "DeadLetterQueue", "EmiteRoleBoundary", "AlertTopic", "BackupBucket"}
    named = {"Preflight", *cfn.before(template, "Preflight")}
    server = {"Server", "ServerAddress", *cfn.before(template, "Server")}
    assert cfn.before(template, "RepairFunctionEventInvokeConfig") - own - named <= server
    # The function can be invoked before there is a spec, and says so; the spec names the function.
    for name in ("HealthCheckFunction", "RepairFunction", "ReporterFunction"):
        assert "Spec" not in cfn.before(template, name), name
    # What hears of a failure is there before what fails.
    assert {"ReporterFunction", "ReporterRole"} <= cfn.before(template, "HealthCheckRole")


def test_the_redrive_is_there_before_the_domain_and_the_spec_names_it(template):
    own = {"RedriveStateMachineRole", "RedriveFunction", "RedriveRole", "RedriveLogGroup"}
    named = {"Preflight", *cfn.before(template, "Preflight")}
    assert cfn.before(template, "RedriveStateMachine") - own - named <= {"BackupBucket"}
    assert own <= cfn.before(template, "RedriveStateMachine")
    assert "RedriveStateMachine" in cfn.graph(template)["Spec"]


def test_connect_is_changed_by_one_at_a_time(template):
    writers = [name for name, r in template["Resources"].items() if r["Type"] in ("Custom::ConnectDataStreaming", "Custom::ConnectApprovedOrigin")]
    assert len(writers) == 3
    for one in writers:
        for other in writers:
            assert one == other or one in cfn.before(template, other) or other in cfn.before(template, one)


ALARMS = {
    "WatchdogAlarm",
    "HealthCheckErrorsAlarm",
    "HealthCheckThrottlesAlarm",
    "ReporterErrorsAlarm",
    "ReporterThrottlesAlarm",
    "DeadLetterAlarm",
}

# What runs by itself, and what lets it.
WATCHING = ALARMS | {
    "HealthCheckSchedule",
    "HealthCheckSchedulePermission",
    "ServiceNotificationRule",
    "ServiceNotificationPermission",
    "ReportRule",
    "ReportPermission",
    "DeadLetterQueuePolicy",
}

ALWAYS = WATCHING | {
    "AgentEventStreaming",
    "ContactRecordStreaming",
    "CustomResourceFunction",
    "CustomResourceFunctionEventInvokeConfig",
    "CustomResourceLogGroup",
    "CustomResourceRole",
    "Dashboard",
    "DeadLetterQueue",
    "Handover",
    "HealthCheckFunction",
    "HealthCheckFunctionEventInvokeConfig",
    "HealthCheckLogGroup",
    "HealthCheckRole",
    "Ledger",
    "Preflight",
    "RepairFunction",
    "RepairFunctionEventInvokeConfig",
    "RepairLogGroup",
    "RepairRole",
    "RedriveFunction",
    "RedriveLogGroup",
    "RedriveRole",
    "RedriveStateMachine",
    "RedriveStateMachineRole",
    "ReporterFunction",
    "ReporterFunctionEventInvokeConfig",
    "ReporterLogGroup",
    "ReporterRole",
    "Spec",
    "Watch",
}

# What may be there already, with what belongs to it.
STREAM = {"AgentEventStream"}
DELIVERY = {"DeliveryStream", "DeliveryRole", "DeliveryLogGroup", "DeliveryLogStream", "BackupLogStream"}
DOMAIN_LOG = {"SearchDomainLogGroup", "SearchDomainLogPolicy"}
DOMAIN = {"SearchDomain"} | DOMAIN_LOG
OWN = STREAM | DELIVERY | DOMAIN | {"EmiteRole"}

BUCKET = {"BackupBucket", "BackupBucketPolicy"}
TOPIC = {"AlertTopic", "AlertTopicPolicy"}
BOUNDARY = {"EmiteRoleBoundary"}

# Where the eMite server is in this account.
SERVER = {"Server", "ServerAddress", "ServerAddressAssociation", "ServerGroup", "ServerProfile"}

EXISTS = {
    "the guide": OWN | BOUNDARY | BUCKET | TOPIC,
    "everything given": (OWN - DOMAIN_LOG) | {"ApprovedOrigin"},
    "mail and an own bucket under a key": OWN | BOUNDARY | BUCKET | TOPIC | {"AlertEmailSubscription"},
    "self-hosted": OWN | BOUNDARY | BUCKET | TOPIC | SERVER,
    "self-hosted with Remote Desktop": OWN | BOUNDARY | BUCKET | TOPIC | SERVER,
    "self-hosted with all addresses": OWN | BOUNDARY | BUCKET | TOPIC | SERVER,
    "everything existing": TOPIC,
    "self-hosted with everything existing": TOPIC | SERVER,
    "records from an existing stream": OWN | BOUNDARY | BUCKET | TOPIC,
}


@pytest.mark.parametrize("case", checks.CASES)
def test_what_exists(template, case):
    assert cfn.deployed(template, checks.CASES[case]).keys() == ALWAYS | EXISTS[case]


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"ExistingAgentEventStreamName": "events"}, STREAM),
        ({"ExistingDomainName": "records"}, DOMAIN),
        ({"ExistingDomainName": "records", "ExistingDeliveryStreamName": "records", "BackupBucketName": "syd-cloudbackup"}, DOMAIN | DELIVERY | BUCKET),
        ({"ExistingRoleName": "emite-reader"}, {"EmiteRole"} | BOUNDARY),
        ({"ExistingContactRecordStreamName": "contact-records"}, set()),
        ({"DomainLogs": "Disabled"}, DOMAIN_LOG),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_exists_already_is_not_made_and_everything_else_is(template, given, gone):
    assert cfn.broken_rules(template, cfn.parameters(template, given)) == []
    assert cfn.deployed(template).keys() - cfn.deployed(template, given).keys() == gone
    assert cfn.deployed(template, given).keys() - cfn.deployed(template).keys() == set()


def test_a_mail_address_changes_nothing_of_a_given_topic(template):
    # Refused by a rule; the condition holds without it too.
    given = {"AlertEmail": "ops@example.com", "AlertTopicArn": "arn:aws:sns:ap-southeast-2:111122223333:alerts"}
    assert "AlertEmailSubscription" not in cfn.deployed(template, given)
