"""Owns what the generated Marketplace template has to be: what the SAM template says and nothing else, without SAM, with code that is copied
into the stack's own bucket, bound to no account, region or partition."""

from __future__ import annotations

import copy
import importlib.resources
import json
import os
import re
import sys

import cfn
import checks
import pytest
import yaml

sys.path.insert(0, str(cfn.TEMPLATE.parent))

from package import template as marketplace

from localaws import short_forms

PUBLISHED = {"MPS3BucketName": "sellers-releases", "MPS3BucketRegion": "eu-west-2", "MPS3KeyPrefix": "listing/"}
OURS = {
    "CodeBucket", "CodeBucketPolicy", "CodeCopyLogGroup", "CodeCopyRole", "CodeCopyFunction", "CodeCopyFunctionEventInvokeConfig",
    "CodeBucketContent", "CodeCopy"}


@pytest.fixture(scope="module")
def generated():
    return yaml.load(marketplace.TARGET.read_text(encoding="utf-8"), short_forms.Loader)


@pytest.fixture(scope="module")
def filled_in():
    """As AWS Marketplace hands it on."""
    return marketplace.convert(marketplace.source(), marketplace.Release("1.2.3", published=PUBLISHED))


def test_what_lies_in_the_repository_is_what_is_generated():
    text = marketplace.generate(marketplace.source(), marketplace.Release(marketplace.version()))
    assert marketplace.TARGET.read_text(encoding="utf-8") == text, 'run "make package", or PYTHONPATH=infra:tests python -m package generate'


def test_it_begins_by_saying_that_nobody_edits_it():
    first = marketplace.TARGET.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# Generated from template.yaml")


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2", "us-gov-west-1", "cn-north-1"])
def test_where_it_is_generated_makes_no_difference(region, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert marketplace.generate(marketplace.source(), marketplace.Release(marketplace.version())) == marketplace.TARGET.read_text(encoding="utf-8")
    assert os.environ["AWS_DEFAULT_REGION"] == region


def test_no_default_of_a_parameter_is_baked_in(generated):
    other = marketplace.source()
    for name, parameter in other["Parameters"].items():
        if parameter["Type"] == "String" and "Default" in parameter and "AllowedValues" not in parameter:
            parameter["Default"] = f"other-{name}"
    converted = marketplace.convert(other, marketplace.Release(marketplace.version()))
    assert {**converted, "Parameters": None} == {**generated, "Parameters": None}


def test_no_account_region_or_partition_is_baked_in(generated):
    texts = {path: text for path, text in cfn.walk({k: generated[k] for k in ("Conditions", "Rules", "Resources", "Outputs")}) if isinstance(text, str)}
    regions = r"\b(?:us|eu|ap|sa|ca|me|af|il|cn|mx)(?:-gov|-iso[a-z]?)?-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-\d\b"
    wrong = {path: text for path, text in texts.items()
             if not path.endswith("/ZipFile") and re.search(rf"arn:aws|\b\d{{12}}\b|{regions}|amazonaws\.com\.cn", text)}
    assert wrong == {}
    assert not {"Default", "AllowedValues"} & set().union(*(generated["Parameters"][name] for name in PUBLISHED))


def test_nothing_of_sam_is_left(generated):
    assert "Transform" not in generated
    assert "Globals" not in generated
    for path, node in cfn.walk(generated):
        assert not (isinstance(node, str) and node.startswith("AWS::Serverless")), path
        assert not (isinstance(node, dict) and node.keys() & {"BuildMethod", "BuildProperties", "SamResourceId", "CodeUri"}), path
        assert not (isinstance(node, dict) and node.get("Key") == "lambda:createdBy"), path


def test_everything_else_is_as_sam_would_deploy_it(template, source, generated):
    """Under the same logical IDs, so that a stack can move from one way of deployment to the other."""
    mine = {name: resource for name, resource in generated["Resources"].items() if name not in OURS}
    assert mine.keys() == template["Resources"].keys()
    assert generated["Resources"].keys() - mine.keys() == OURS
    for name, resource in template["Resources"].items():
        wanted, found = copy.deepcopy(resource), copy.deepcopy(mine[name])
        for side in (wanted, found):
            side.pop("Metadata", None)
            if side["Type"] == "AWS::Lambda::Function":
                del side["Properties"]["Code"]
                side["Properties"]["Tags"] = [tag for tag in side["Properties"]["Tags"] if tag["Key"] != "lambda:createdBy"]
        assert found == wanted, name
    for section in ("Description", "Rules", "Mappings", "Conditions", "Outputs"):
        assert generated[section] == source[section], section
    assert {name: generated["Parameters"][name] for name in source["Parameters"]} == source["Parameters"]
    assert generated["Parameters"].keys() - source["Parameters"].keys() == PUBLISHED.keys()


def test_the_order_is_the_sources(source, generated):
    assert list(generated) == [section for section in source if section != "Transform"]
    assert [name for name in generated["Resources"] if name in source["Resources"]] == list(source["Resources"])
    assert list(generated["Parameters"])[:len(source["Parameters"])] == list(source["Parameters"])


def test_each_function_takes_its_code_from_the_copied_release(source, filled_in):
    resources = cfn.deployed(filled_in)
    for name, binary in marketplace.functions(source).items():
        assert resources[name]["Properties"]["Code"] == {"S3Bucket": "<CodeBucket>", "S3Key": f"<CodeCopy>/{binary}.zip"}
        assert "CodeCopy" in cfn.before(filled_in, name)
    assert resources["CodeCopy"]["Properties"].keys() - {"ServiceToken", "ServiceTimeout"} == {
        "SourceBucket", "SourceRegion", "SourcePrefix", "Release", "Objects", "Bucket"}
    assert resources["CodeCopy"]["Properties"]["Objects"] == {f"{binary}.zip": "" for binary in set(marketplace.functions(source).values())}
    assert resources["CodeCopy"]["Properties"]["Release"] == "1.2.3"


def test_what_copies_and_empties_is_there_before_and_goes_after(filled_in):
    needed = {"CodeCopyRole", "CodeCopyLogGroup", "CodeCopyFunction", "CodeCopyFunctionEventInvokeConfig", "CodeBucket", "CodeBucketPolicy"}
    assert needed <= cfn.before(filled_in, "CodeBucketContent")
    assert {*needed, "CodeBucketContent"} <= cfn.before(filled_in, "CodeCopy")
    # Neither waits for anything of the integration.
    assert cfn.before(filled_in, "CodeCopy") <= OURS


def test_the_code_bucket_goes_with_the_stack_and_is_closed(filled_in):
    bucket = filled_in["Resources"]["CodeBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert "BucketName" not in bucket["Properties"]
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["BucketEncryption"]
    (statement,) = filled_in["Resources"]["CodeBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_copier_reads_this_release_and_writes_its_own_bucket_only(filled_in):
    role = cfn.deployed(filled_in)["CodeCopyRole"]
    allowed = {action: cfn.as_list(statement["Resource"]) for policy in role["Properties"]["Policies"]
               for statement in policy["PolicyDocument"]["Statement"] for action in cfn.actions(statement) if action.startswith("s3:")}
    inside, itself = ["<CodeBucket.Arn>/*"], ["<CodeBucket.Arn>"]
    assert allowed.pop("s3:GetObject") == inside, "the last statement"
    assert allowed == {"s3:ListBucket": itself, "s3:ListBucketVersions": itself, "s3:PutObject": inside, "s3:DeleteObject": inside,
                       "s3:DeleteObjectVersion": inside}
    reads = [statement["Resource"] for _, statement in cfn.statements({"CodeCopyRole": role}) if statement.get("Sid") == "ReadRelease"]
    assert reads == ["arn:aws:s3:::sellers-releases/listing/1.2.3/*"]


@pytest.mark.parametrize("check", [
    checks.cycles, checks.dangling, checks.undocumented_conditions, checks.wildcard_actions, checks.any_resource, checks.open_to_anyone,
    checks.policies_elsewhere, checks.log_groups, checks.service_timeouts, checks.late_events, checks.literal_names, checks.before_preflight,
    checks.untagged, checks.unexplained_suppressions])
def test_what_holds_for_the_source_holds_for_it(check, template, filled_in):
    of_the_source = check(template)
    assert [problem for problem in check(filled_in) if problem not in of_the_source] == []


def test_the_custom_resources_of_the_copier_outwait_it(filled_in):
    function = filled_in["Resources"]["CodeCopyFunction"]["Properties"]
    settings = filled_in["Resources"]["CodeCopyFunctionEventInvokeConfig"]["Properties"]
    for name in ("CodeCopy", "CodeBucketContent"):
        assert filled_in["Resources"][name]["Properties"]["ServiceTimeout"] >= function["Timeout"] + settings["MaximumEventAgeInSeconds"]


def test_the_runtime_of_the_copier_is_not_deprecated(filled_in):
    lives = json.loads(importlib.resources.files("cfnlint.data.AdditionalSpecs").joinpath("LmbdRuntimeLifecycle.json").read_text(encoding="utf-8"))
    runtime = filled_in["Resources"]["CodeCopyFunction"]["Properties"]["Runtime"]
    assert runtime in lives
    assert lives[runtime]["successor"] is None, f"{runtime} has a successor"


def test_the_parameters_of_aws_marketplace_have_a_group_of_their_own_with_labels(generated):
    interface = generated["Metadata"]["AWS::CloudFormation::Interface"]
    assert interface["ParameterGroups"][-1]["Parameters"] == list(PUBLISHED)
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(generated["Parameters"])
    assert interface["ParameterLabels"].keys() == generated["Parameters"].keys()


@pytest.mark.parametrize(("name", "good", "bad"), [
    ("MPS3BucketName", ["awsmp-cft-111122223333-1708727387563", "sellerbucket", "a.b-c"], ["", "Upper", "arn:aws:s3:::x", "a/b", "-ab"]),
    ("MPS3BucketRegion", ["us-east-1", "us-gov-west-1", "ap-southeast-2", "us-isob-east-1", "eusc-de-east-1"], ["", "us-east", "US-EAST-1", "us-east-1a"]),
    ("MPS3KeyPrefix", ["", "sellerproductfolder/", "f2708c67-8785/prod-csfkcd5q/04a665af-9919/"], ["no-slash", "/", "a//b/", "a*/", "${x}/", "a?/"]),
])
def test_what_aws_marketplace_fills_in_is_taken_and_wildcards_are_not(name, good, bad, generated):
    pattern = generated["Parameters"][name]["AllowedPattern"]
    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


def test_the_function_takes_exactly_what_the_parameters_take(generated):
    from package import copy_code

    for parameter, name in (("MPS3BucketName", "SourceBucket"), ("MPS3BucketRegion", "SourceRegion"), ("MPS3KeyPrefix", "SourcePrefix")):
        assert generated["Parameters"][parameter]["AllowedPattern"] == f"^{copy_code.PROPERTIES[name][0]}$"


def test_defaults_say_where_a_release_is_published(filled_in):
    assert {name: filled_in["Parameters"][name]["Default"] for name in PUBLISHED} == PUBLISHED


def test_another_architecture_is_that_of_all_functions():
    converted = marketplace.convert(marketplace.source(), marketplace.Release("1.2.3", architecture="arm64"))
    found = {tuple(r["Properties"]["Architectures"]) for r in converted["Resources"].values() if r["Type"] == "AWS::Lambda::Function"}
    assert found == {("arm64",)}


def test_it_is_within_the_limits_of_cloudformation(generated):
    assert marketplace.TARGET.stat().st_size <= 1_000_000
    assert len(generated["Parameters"]) <= 200
    assert len(generated["Resources"]) <= 500
    assert len(generated["Outputs"]) <= 200
    assert len(generated["Mappings"]) <= 200
    assert len(generated["Description"].encode()) <= 1024
    # 4 MB since a while; 4,096 characters were the limit before.
    assert len(generated["Resources"]["CodeCopyFunction"]["Properties"]["Code"]["ZipFile"].encode()) <= 4 * 1024 * 1024


@pytest.mark.parametrize("break_it", [
    lambda template: template["Resources"].update(CodeBucket={"Type": "AWS::S3::Bucket"}),
    lambda template: template["Parameters"].update(MPS3KeyPrefix={"Type": "String"}),
])
def test_a_name_that_the_source_takes_for_itself_is_refused(break_it):
    template = marketplace.source()
    break_it(template)
    with pytest.raises(ValueError, match="has names that are needed"):
        marketplace.convert(template, marketplace.Release("1.2.3"))
