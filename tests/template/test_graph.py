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
    after = {"DeliveryStream", "ContactRecordStreaming", "AgentEventStreaming", "ApprovedOrigin"}
    # These need nothing, so CloudFormation begins with them; they cannot be named in DependsOn, as they do not always exist.
    at_once = {"BackupBucketPolicy", "AlertTopic", "AlertTopicPolicy", "AlertEmailSubscription"}
    assert all(cfn.before(template, name) <= {"BackupBucket", "AlertTopic"} for name in at_once)
    assert cfn.before(template, "SearchDomain") == template["Resources"].keys() - after - at_once - {"SearchDomain"}


def test_streaming_goes_on_last_and_off_first(template):
    assert {"DeliveryStream", "DeliveryRole", "SearchDomain", "Preflight"} <= cfn.before(template, "ContactRecordStreaming")
    assert {"AgentEventStream", "Preflight"} <= cfn.before(template, "AgentEventStreaming")


def test_connect_is_changed_by_one_at_a_time(template):
    writers = [name for name, r in template["Resources"].items() if r["Type"] in ("Custom::ConnectDataStreaming", "Custom::ConnectApprovedOrigin")]
    assert len(writers) == 3
    for one in writers:
        for other in writers:
            assert one == other or one in cfn.before(template, other) or other in cfn.before(template, one)


ALWAYS = {
    "AgentEventStream",
    "AgentEventStreaming",
    "BackupLogStream",
    "ContactRecordStreaming",
    "CustomResourceFunction",
    "CustomResourceFunctionEventInvokeConfig",
    "CustomResourceLogGroup",
    "CustomResourceRole",
    "DeliveryLogGroup",
    "DeliveryLogStream",
    "DeliveryRole",
    "DeliveryStream",
    "EmiteRole",
    "Ledger",
    "Preflight",
    "SearchDomain",
    "SearchDomainLogGroup",
    "SearchDomainLogPolicy",
}


@pytest.mark.parametrize(
    ("case", "sometimes"),
    [
        ("the guide", {"EmiteRoleBoundary", "BackupBucket", "BackupBucketPolicy", "AlertTopic", "AlertTopicPolicy"}),
        ("everything given", {"ApprovedOrigin"}),
        (
            "mail and an own bucket under a key",
            {"EmiteRoleBoundary", "BackupBucket", "BackupBucketPolicy", "AlertTopic", "AlertTopicPolicy", "AlertEmailSubscription"},
        ),
    ],
)
def test_what_exists(template, case, sometimes):
    assert cfn.deployed(template, checks.CASES[case]).keys() == ALWAYS | sometimes


def test_a_mail_address_changes_nothing_of_a_given_topic(template):
    # Refused by a rule; the condition holds without it too.
    given = {"AlertEmail": "ops@example.com", "AlertTopicArn": "arn:aws:sns:ap-southeast-2:111122223333:alerts"}
    assert "AlertEmailSubscription" not in cfn.deployed(template, given)


def test_nothing_of_the_self_hosted_case_is_here_yet(template):
    assert [name for name, resource in template["Resources"].items() if resource["Type"].startswith("AWS::EC2::")] == []
