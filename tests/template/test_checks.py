"""Owns the proof that the template passes each check of `checks.py`, and that each check can fail."""

from __future__ import annotations

import copy

import cfn
import checks
import pytest

GENERAL = [
    checks.cycles,
    checks.dangling,
    checks.one_sided_conditions,
    checks.undocumented_conditions,
    checks.wildcard_actions,
    checks.any_resource,
    checks.open_to_anyone,
    checks.policies_elsewhere,
    checks.log_groups,
    checks.service_timeouts,
    checks.late_events,
    checks.literal_names,
    checks.before_preflight,
    checks.needed_by_custom_resources,
    checks.untagged,
    checks.unexplained_suppressions,
]


@pytest.mark.parametrize("check", GENERAL, ids=lambda check: check.__name__)
def test_the_template_passes(check, template):
    assert check(template) == []


def _at(template, path):
    node = template["Resources"]
    for key in filter(None, path.split("/")):
        node = node[int(key) if isinstance(node, list) else key]
    return node


def _set(path, value):
    def change(template):
        parent, _, key = path.rpartition("/")
        node = _at(template, parent)
        node[int(key) if isinstance(node, list) else key] = value
    return change


def _drop(path):
    def change(template):
        parent, _, key = path.rpartition("/")
        del _at(template, parent)[key]
    return change


def _add(name, resource):
    return lambda template: template["Resources"].update({name: resource})


TRUST = "CustomResourceRole/Properties/AssumeRolePolicyDocument/Statement/0"
CONNECT = "CustomResourceRole/Properties/Policies/2/PolicyDocument/Statement/0"

# Each way to break the template, and the check that has to say so.
BREAKS = [
    ("the ledger needs the function", checks.cycles, _set("Ledger/DependsOn", "CustomResourceFunction")),
    ("the role needs the domain", checks.cycles, _set("CustomResourceRole/Properties/Description", {"Fn::Sub": "for ${SearchDomain.Arn}"})),
    ("a name is misspelt", checks.dangling, _set("Ledger/Properties/TableName", {"Ref": "Legder"})),
    ("DependsOn names nothing", checks.dangling, _set("EmiteRole/DependsOn", "Prefligth")),
    ("DependsOn names what may be absent", checks.dangling, _set("EmiteRole/DependsOn", "AlertTopicPolicy")),
    ("DependsOn names what another parameter makes", checks.dangling, _set("SearchDomain/DependsOn", "EmiteRole")),
    ("Preflight does not say that", checks.dangling, _set("DeliveryRole/Properties/Description", {"Fn::GetAtt": ["Preflight", "DomainArm"]})),
    ("a given bucket is not ours", checks.dangling, _set("DeliveryRole/Properties/Description", {"Fn::GetAtt": ["BackupBucket", "Arn"]})),
    ("a condition is never true", checks.one_sided_conditions, lambda t: t["Conditions"].update(Never={"Fn::Equals": ["", "x"]})),
    ("trust without a condition", checks.undocumented_conditions, _drop(f"{TRUST}/Condition")),
    ("trust for another account", checks.undocumented_conditions, _set(f"{TRUST}/Condition/StringEquals/aws:SourceAccount", "999999999999")),
    (
        "the condition is only a hint",
        checks.undocumented_conditions,
        _set(f"{TRUST}/Condition", {"StringEqualsIfExists": {"aws:SourceAccount": cfn.ACCOUNT}}),
    ),
    (
        "Firehose by a key that it may not send",
        checks.undocumented_conditions,
        _set("DeliveryRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition", {"StringEquals": {"aws:SourceAccount": cfn.ACCOUNT}}),
    ),
    (
        "a service that is not in the table",
        checks.undocumented_conditions,
        _set(f"{TRUST}/Principal", {"Service": "scheduler.amazonaws.com"}),
    ),
    (
        "a policy in a text",
        checks.undocumented_conditions,
        lambda t: _at(t, "SearchDomainLogPolicy/Properties/PolicyDocument").update(
            {"Fn::Sub": _at(t, "SearchDomainLogPolicy/Properties/PolicyDocument")["Fn::Sub"].replace("aws:SourceAccount", "aws:Other")}
        ),
    ),
    ("any rule may fill the queue", checks.undocumented_conditions, _drop("DeadLetterQueuePolicy/Properties/PolicyDocument/Statement/0/Condition")),
    (
        "rules of a pattern may fill the queue",
        checks.undocumented_conditions,
        _set("DeadLetterQueuePolicy/Properties/PolicyDocument/Statement/0/Condition/ArnEquals/aws:SourceArn", "arn:aws:events:*:*:rule/*"),
    ),
    ("a wildcard", checks.wildcard_actions, _set(f"{CONNECT}/Action/0", "connect:Describe*")),
    ("a question mark", checks.wildcard_actions, _set(f"{CONNECT}/Action", "connect:List?")),
    ("all actions but one", checks.wildcard_actions, lambda t: (_at(t, CONNECT).pop("Action"), _at(t, CONNECT).update(NotAction="connect:DeleteInstance"))),
    ("a wildcard in the mapping", checks.wildcard_actions, lambda t: t["Mappings"]["AmazonConnect"]["Instance"].update(Reads=["connect:Get*"])),
    ("a wildcard where a key is given", checks.wildcard_actions, _set("DeliveryRole/Properties/Policies/0/PolicyDocument/Statement/6/Fn::If/1/Action", "kms:*")),
    ("writes on everything", checks.any_resource, _set(f"{CONNECT}/Resource", "*")),
    ("the domain is open", checks.open_to_anyone, _drop("SearchDomain/Properties/AccessPolicies/Statement/0/Condition")),
    (
        "anyone may publish",
        checks.open_to_anyone,
        _set("AlertTopicPolicy/Properties/PolicyDocument/Statement/1/Effect", "Allow"),
    ),
    ("a policy beside the role", checks.policies_elsewhere, _add("Extra", {"Type": "AWS::IAM::Policy", "Properties": {}})),
    ("a managed policy", checks.policies_elsewhere, _set("CustomResourceRole/Properties/ManagedPolicyArns", ["arn:aws:iam::aws:policy/Some"])),
    ("the boundary is attached", checks.policies_elsewhere, _set("EmiteRoleBoundary/Properties/Roles", ["x"])),
    ("a log for ever", checks.log_groups, _drop("DeliveryLogGroup/Properties/RetentionInDays")),
    ("a log elsewhere", checks.log_groups, _set("DeliveryLogGroup/Properties/LogGroupName", {"Fn::Sub": "/aws/${AWS::StackName}"})),
    ("a log that Lambda makes", checks.log_groups, _drop("CustomResourceFunction/Properties/LoggingConfig")),
    ("no ServiceTimeout", checks.service_timeouts, _drop("ApprovedOrigin/Properties/ServiceTimeout")),
    ("a ServiceTimeout of seconds", checks.service_timeouts, _set("ApprovedOrigin/Properties/ServiceTimeout", 30)),
    ("events of six hours", checks.late_events, _drop("CustomResourceFunctionEventInvokeConfig/Properties/MaximumEventAgeInSeconds")),
    ("events of ten minutes", checks.late_events, _set("CustomResourceFunctionEventInvokeConfig/Properties/MaximumEventAgeInSeconds", 600)),
    ("no event settings", checks.late_events, _drop("CustomResourceFunctionEventInvokeConfig")),
    ("a name for all stacks", checks.literal_names, _set("AlertTopic/Properties/TopicName", "alerts")),
    ("a role before Preflight", checks.before_preflight, _drop("AgentEventStream/DependsOn")),
    ("Preflight is told less", checks.before_preflight, _drop("Preflight/Properties/DomainName")),
    ("two stacks share an alarm", checks.literal_names, _set("WatchdogAlarm/Properties/AlarmName", "nobody checks")),
    ("the settings of the function go first", checks.needed_by_custom_resources, _drop("Preflight/DependsOn")),
    ("no tags", checks.untagged, _drop("AgentEventStream/Properties/Tags")),
    ("other tags", checks.untagged, _set("CustomResourceFunction/Properties/Tags", [{"Key": "lambda:createdBy", "Value": "SAM"}])),
    ("no tags where they are a map", checks.untagged, _set("Spec/Properties/Tags", {"application": "x"})),
    ("no reason", checks.unexplained_suppressions, _set("AlertTopic/Metadata/checkov/skip/0/comment", "")),
    ("more silence for cfn-lint", checks.unexplained_suppressions, _set("Server/Metadata/cfn-lint/config/ignore_checks", ["W1030", "E3002"])),
    ("silence for cfn-lint", checks.unexplained_suppressions, _set("AlertTopic/Metadata/cfn-lint", {"config": {"ignore_checks": ["W3005"]}})),
]


@pytest.mark.parametrize(("check", "change"), [(check, change) for _, check, change in BREAKS], ids=[name for name, _, _ in BREAKS])
def test_the_check_notices(check, change, template):
    broken = copy.deepcopy(template)
    change(broken)
    assert check(broken) != []


def test_each_check_is_seen_to_fail():
    assert {check for _, check, _ in BREAKS} == set(GENERAL)
