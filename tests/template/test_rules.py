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


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, []),
        ({"SearchEngineVersion": "Elasticsearch_6.3", "ContactTypeName": "calls"}, []),
        ({"SearchEngineVersion": "Elasticsearch_6.3", "ContactTypeName": ""}, ["Elasticsearch6NeedsAType"]),
        ({"SearchEngineVersion": "Elasticsearch_6.8", "ContactTypeName": ""}, ["Elasticsearch6NeedsAType"]),
        ({"SearchEngineVersion": "Elasticsearch_7.10"}, []),
        ({"SearchEngineVersion": "OpenSearch_2.19", "ContactTypeName": ""}, []),
        ({"SearchEngineVersion": "OpenSearch_2.19", "ContactTypeName": "calls"}, ["LaterEnginesHaveNoType"]),
        ({"SearchEngineVersion": "Elasticsearch_7.10", "ContactTypeName": "calls"}, ["LaterEnginesHaveNoType"]),
        ({"AlertEmail": "ops@example.com"}, []),
        ({"AlertTopicArn": "arn:aws:sns:ap-southeast-2:111122223333:alerts"}, []),
        ({"AlertEmail": "ops@example.com", "AlertTopicArn": "arn:aws:sns:ap-southeast-2:111122223333:alerts"}, ["MailOrTopic"]),
    ],
    ids=str,
)
def test_combinations(template, given, broken):
    assert cfn.broken_rules(template, cfn.parameters(template, given)) == broken


def test_each_rule_says_what_to_do_and_names_its_parameters(template):
    for name, rule in template["Rules"].items():
        for assertion in rule["Assertions"]:
            for parameter in cfn.references(assertion["Assert"]):
                assert parameter in assertion["AssertDescription"], name


def test_rules_use_only_what_aws_allows_in_them(template):
    used = {key for _, node in cfn.walk(template["Rules"]) if isinstance(node, dict) for key in node if key == "Ref" or key.startswith("Fn::")}
    # AWS CloudFormation user guide, "Rules section syntax": these, and some that ask for a parameter's values by its AWS-specific type.
    assert used <= {"Ref", "Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Fn::EachMemberIn"}
