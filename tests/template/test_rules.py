"""Owns which combinations of parameters AWS or the product could never make work: refused at once, all others accepted."""

from __future__ import annotations

import itertools
import re

import cfn
import pytest

# Since which engine an instance family exists (Amazon OpenSearch Service guide, "Supported instance types").
GRAVITON = re.compile(r"[mr]6g\.")
SIX = re.compile(r"Elasticsearch_6\.")
ANY_VERSION_SINCE_5_1 = re.compile(r"[mr]5\.")


def _pairs():
    parameters = cfn.source()["Parameters"]
    return list(itertools.product(parameters["SearchEngineVersion"]["AllowedValues"], parameters["DomainInstanceType"]["AllowedValues"]))


@pytest.mark.parametrize(("engine", "instance"), _pairs())
def test_exactly_the_possible_engine_and_instance_pairs_are_accepted(template, engine, instance):
    assert GRAVITON.match(instance) or ANY_VERSION_SINCE_5_1.match(instance), "say since which engine this family exists"
    values = cfn.parameters(template, {"SearchEngineVersion": engine, "DomainInstanceType": instance})
    impossible = bool(GRAVITON.match(instance) and SIX.match(engine))
    assert cfn.broken_rules(template, values) == (["GravitonNeedsALaterEngine"] if impossible else [])


TOPIC = f"arn:aws:sns:{cfn.REGION}:{cfn.ACCOUNT}:alerts"
NETWORK = {"HostingMode": "SelfHosted", "VpcId": "vpc-0a1b2c3d", "SubnetId": "subnet-0a1b2c3d"}
ALONE = {**NETWORK, "EmiteAccountId": "", "CustomerId": "", "EmiteServerCidrs": ""}
RDP = {**NETWORK, "ServerAccess": "Rdp", "KeyPairName": "administrators"}
DELIVERY = {"ExistingDeliveryStreamName": "records-to-domain"}
NOBODY = {"EmiteOfficeCidrs": ""}

# Of each rule: what it refuses, with the first words of what is told (one for each assertion at least), and what it lets pass.
RULES = {
    "GravitonNeedsALaterEngine": (
        [({"DomainInstanceType": "m6g.large.search"}, "DomainInstanceType m6g and r6g need")],
        [{"DomainInstanceType": "m6g.large.search", "SearchEngineVersion": "OpenSearch_2.19"}],
    ),
    "Elasticsearch6NeedsAType": (
        [
            ({"SearchEngineVersion": "Elasticsearch_6.3", "ContactTypeName": ""}, "Elasticsearch 6 cannot take documents without a type"),
            ({"SearchEngineVersion": "Elasticsearch_6.8", "ContactTypeName": ""}, "Elasticsearch 6 cannot take documents without a type"),
        ],
        [{"SearchEngineVersion": "Elasticsearch_6.3", "ContactTypeName": "calls"}],
    ),
    "LaterEnginesHaveNoType": (
        [
            ({"SearchEngineVersion": "OpenSearch_2.19", "ContactTypeName": "calls"}, "Only Elasticsearch 6 has document types"),
            ({"SearchEngineVersion": "Elasticsearch_7.10", "ContactTypeName": "calls"}, "Only Elasticsearch 6 has document types"),
        ],
        [{"SearchEngineVersion": "Elasticsearch_7.10"}, {"SearchEngineVersion": "OpenSearch_2.19", "ContactTypeName": ""}],
    ),
    "MailOrTopic": (
        [({"AlertEmail": "ops@example.com", "AlertTopicArn": TOPIC}, "Give AlertEmail or AlertTopicArn, not both")],
        [{"AlertEmail": "ops@example.com"}, {"AlertTopicArn": TOPIC}],
    ),
    "EmiteHostedNeedsWhatEmiteSends": (
        [
            ({"EmiteAccountId": "", "CustomerId": ""}, "Set EmiteAccountId"),
            ({"EmiteAccountId": "", "CustomerId": ""}, "Set CustomerId"),
            ({"EmiteServerCidrs": ""}, "Set EmiteServerCidrs"),
        ],
        [{}, ALONE],
    ),
    "AccountAndCustomerTogether": (
        [({**NETWORK, "EmiteAccountId": ""}, "Give EmiteAccountId and CustomerId both"), ({**NETWORK, "CustomerId": ""}, "Give EmiteAccountId and CustomerId both")],
        [{}, NETWORK, ALONE],
    ),
    "PrincipalNeedsItsAccount": (
        [({**ALONE, "EmitePrincipalArn": "arn:aws:iam::444455556666:role/reader"}, "EmitePrincipalArn narrows EmiteAccountId")],
        [ALONE, {"EmitePrincipalArn": "arn:aws:iam::444455556666:role/reader"}, {**NETWORK, "EmitePrincipalArn": "arn:aws:iam::444455556666:role/reader"}],
    ),
    "SelfHostedNeedsANetwork": (
        [({**NETWORK, "VpcId": ""}, "HostingMode SelfHosted needs VpcId"), ({**NETWORK, "SubnetId": ""}, "HostingMode SelfHosted needs SubnetId")],
        [NETWORK, {"VpcId": "vpc-0a1b2c3d"}],
    ),
    "RdpNeedsAKeyAndAddresses": (
        [
            ({**RDP, "KeyPairName": ""}, "ServerAccess Rdp needs KeyPairName"),
            ({**RDP, **NOBODY}, "ServerAccess Rdp needs addresses"),
        ],
        [
            RDP,
            {**RDP, **NOBODY, "OfficeCidrs": "198.51.100.7/32"},
            {**NETWORK, **NOBODY, "KeyPairName": ""},
            {**RDP, **NOBODY, "HostingMode": "EmiteHosted"},
        ],
    ),
    "ExistingDeliveryStreamNeedsItsPlaces": (
        [
            ({**DELIVERY, "BackupBucketName": "syd-cloudbackup"}, "ExistingDeliveryStreamName needs ExistingDomainName"),
            ({**DELIVERY, "ExistingDomainName": "records"}, "ExistingDeliveryStreamName needs BackupBucketName"),
        ],
        [{"ExistingDomainName": "records"}, {"BackupBucketName": "syd-cloudbackup"}, {**DELIVERY, "ExistingDomainName": "records", "BackupBucketName": "syd-cloudbackup"}],
    ),
}


def _told(template, name, values):
    """What a rule says of these values."""
    rule = template["Rules"][name]
    return [
        assertion["AssertDescription"]
        for assertion in rule["Assertions"]
        if cfn.broken_rules({"Rules": {name: {**rule, "Assertions": [assertion]}}}, values)
    ]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [pytest.param(name, given, words, id=f"{name}-{words}-{number}") for name, (bad, _) in RULES.items() for number, (given, words) in enumerate(bad)],
)
def test_a_rule_refuses_what_cannot_work_and_says_so(template, name, given, words):
    told = _told(template, name, cfn.parameters(template, given))
    assert [text for text in told if text.startswith(words)], told


@pytest.mark.parametrize(
    ("name", "given"), [pytest.param(name, given, id=f"{name}-{number}") for name, (_, good) in RULES.items() for number, given in enumerate(good)]
)
def test_no_rule_refuses_what_works(template, name, given):
    assert cfn.broken_rules(template, cfn.parameters(template, given)) == []


def test_each_rule_is_tried_by_each_of_its_assertions(template):
    assert RULES.keys() == template["Rules"].keys()
    for name, (bad, good) in RULES.items():
        told = {text for given, words in bad for text in _told(template, name, cfn.parameters(template, given)) if text.startswith(words)}
        assert told == {assertion["AssertDescription"] for assertion in template["Rules"][name]["Assertions"]}, name
        assert good, name


def test_each_rule_says_what_to_do_and_names_its_parameters(template):
    for name, rule in template["Rules"].items():
        for assertion in rule["Assertions"]:
            for parameter in cfn.references(assertion["Assert"]):
                assert parameter in assertion["AssertDescription"], name


def test_rules_use_only_what_aws_allows_in_them(template):
    used = {key for _, node in cfn.walk(template["Rules"]) if isinstance(node, dict) for key in node if key == "Ref" or key.startswith("Fn::")}
    # AWS CloudFormation user guide, "Rules section syntax": these, and some that ask for a parameter's values by its AWS-specific type.
    assert used <= {"Ref", "Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Fn::EachMemberIn"}
