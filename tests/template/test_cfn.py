"""Owns what the tests' own reading of a template makes of CloudFormation's functions."""

from __future__ import annotations

import cfn
import pytest

VALUES = {"Text": "a-b", "List": ["x", "y"], "Empty": [""]}


def _template(**parts):
    return {"Parameters": {}, "Rules": {}, "Conditions": {}, "Resources": {}, "Outputs": {}, **parts}


@pytest.mark.parametrize(
    ("node", "resolved"),
    [
        ({"Fn::Select": [1, {"Fn::Split": ["-", {"Ref": "Text"}]}]}, "b"),
        ({"Fn::Select": ["0", {"Ref": "List"}]}, "x"),
        ({"Fn::Join": ["+", {"Ref": "List"}]}, "x+y"),
        ({"Fn::Join": ["", {"Ref": "Empty"}]}, ""),
        ({"Fn::Join": ["/", [{"Fn::Select": [0, {"Fn::Split": ["-", {"Ref": "Text"}]}]}, "end"]]}, "a/end"),
    ],
    ids=str,
)
def test_conditions_and_resources_take_texts_apart_and_join_them(node, resolved):
    template = _template(Conditions={"It": {"Fn::Equals": [node, resolved]}, "Other": {"Fn::Equals": [node, f"{resolved}!"]}})
    assert cfn.conditions(template, VALUES) == {"It": True, "Other": False}
    assert cfn._resolve({"Value": node}, template, VALUES, {}, ()) == {"Value": resolved}


def test_a_condition_compares_no_list():
    with pytest.raises(ValueError, match="no lists"):
        cfn.conditions(_template(Conditions={"It": {"Fn::Equals": [{"Ref": "Empty"}, ""]}}), VALUES)


@pytest.mark.parametrize(
    ("members", "allowed", "holds"),
    [({"Ref": "Empty"}, [""], True), ({"Ref": "List"}, ["x", "y", "z"], True), ({"Ref": "List"}, ["x"], False), ({"Ref": "List"}, [""], False)],
)
def test_rules_know_whether_each_member_is_in_a_list(members, allowed, holds):
    rule = {"Assertions": [{"Assert": {"Fn::EachMemberIn": [members, allowed]}}]}
    assert cfn.broken_rules(_template(Rules={"Rule": rule}), VALUES) == ([] if holds else ["Rule"])


def test_an_output_whose_condition_is_false_is_not_there():
    template = _template(
        Conditions={"No": {"Fn::Equals": ["a", "b"]}},
        Resources={"Thing": {"Type": "AWS::SNS::Topic", "Condition": "No"}},
        Outputs={"Gone": {"Condition": "No", "Value": {"Ref": "Thing"}}, "Here": {"Value": {"Ref": "AWS::Region"}}},
    )
    template["Parameters"] = {name: {"Type": "String"} for name in cfn.REQUIRED}
    assert cfn.outputs(template) == {"Here": cfn.REGION}
