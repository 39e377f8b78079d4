"""Owns infra/marketplace.yaml: the SAM template as pure CloudFormation, whose functions take their code from a bucket of the stack that
a copy of the release is put into first.

Whatever infra/template.yaml holds passes through; what is known here is only what SAM adds, and where code comes from."""

from __future__ import annotations

import copy
import logging
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from localaws import short_forms
from localaws.template import Template

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "infra" / "marketplace.yaml"
COPIER = Path(__file__).with_name("copy_code.py")

SERVERLESS = "AWS::Serverless::"
# What CloudFormation takes from S3, and what AWS Lambda takes in one zip.
LARGEST_TEMPLATE = 1_000_000
MOST_PARAMETERS, MOST_RESOURCES = 200, 500
HEAD = '# Generated from template.yaml by "make package", never edited by hand.\n'

Json = Any


@dataclass(frozen=True)
class Release:
    """What distinguishes one release's template from another's. In the repository nothing is known but the version."""

    version: str
    architecture: str = "x86_64"
    # SHA-256 of each zip, by its name, once they are built.
    digests: dict[str, str] = field(default_factory=dict)
    # MPS3BucketName, MPS3BucketRegion and MPS3KeyPrefix where the release is published, which AWS Marketplace replaces by its own.
    published: dict[str, str] = field(default_factory=dict)


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]


def source() -> Json:
    return Template.read().content


def functions(template: Json) -> dict[str, str]:
    """The binary of each function of the source, by logical ID."""
    return Template(template).binaries()


def generate(template: Json, release: Release) -> str:
    """The text of the Marketplace template."""
    return HEAD + dump(convert(template, release))


def convert(template: Json, release: Release) -> Json:
    zips = {logical_id: f"{name}.zip" for logical_id, name in functions(template).items()}
    transformed = _transform(template, zips)
    made = {}
    for logical_id in _order(template["Resources"], transformed["Resources"]):
        # What SAM adds repeats the notes of what it was made from.
        notes = template["Resources"].get(logical_id, {}).get("Metadata", {})
        made[logical_id] = _cleaned(transformed["Resources"][logical_id], notes)
    for logical_id, zipped in zips.items():
        properties = made[logical_id]["Properties"]
        properties["Code"] = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Fn::Sub": f"${{CodeCopy}}/{zipped}"}}
        properties["Architectures"] = [release.architecture]
    ours = _code_resources(release, sorted(set(zips.values())), template)
    taken = (ours.keys() & made.keys()) | (PARAMETERS.keys() & template["Parameters"].keys())
    if taken:
        raise ValueError(f"The template has names that are needed for the copied code: {', '.join(sorted(taken))}")
    # The source's order of sections, and of what is in them.
    converted = {section: transformed[section] for section in template if section != "Transform"}
    converted["Metadata"] = _interface(template["Metadata"])
    converted["Parameters"] = {**template["Parameters"], **_parameters(release)}
    converted["Resources"] = {**ours, **made}
    _check(converted)
    return converted


# ---- SAM -------------------------------------------------------------------------------------------------------------------


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def _transform(template: Json, zips: dict[str, str]) -> Json:
    """The SAM transform, as CloudFormation would run it, on a copy."""
    # SAM wants to know a region; nothing that it makes here depends on it, which a test proves.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from samtranslator.translator.transform import transform

    # It would warn that nobody reads how long it took.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    copied = Template(template).with_code({logical_id: f"s3://replaced/{zipped}" for logical_id, zipped in zips.items()})
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter}
    return transform(copied, defaults, _NoManagedPolicies())


def _order(before: Json, after: Json) -> list[str]:
    """The source's order; what SAM adds stands behind what it was made from, whose name it begins with."""
    ordered = [name for name in before if name in after]
    for name in after:
        if name not in before:
            parent = max((other for other in before if name.startswith(other)), key=len, default=None)
            ordered.insert(ordered.index(parent) + 1 if parent in ordered else len(ordered), name)
    return ordered


def _cleaned(resource: Json, notes: Json) -> Json:
    """Without what SAM needs or leaves for itself."""
    resource = copy.deepcopy(resource)
    resource.pop("Metadata", None)
    metadata = {key: value for key, value in notes.items() if key not in ("BuildMethod", "BuildProperties")}
    tags = resource.get("Properties", {}).get("Tags")
    if isinstance(tags, list):
        resource["Properties"]["Tags"] = [tag for tag in tags if tag.get("Key") != "lambda:createdBy"]
    ordered = {key: resource.pop(key) for key in ("Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy") if key in resource}
    return {**ordered, **({"Metadata": metadata} if metadata else {}), **resource}


# ---- Where the code comes from -------------------------------------------------------------------------------------------

# Named as AWS Marketplace names them. It copies what is published into buckets of its own, and sets defaults and allowed values to those.
PARAMETERS: dict[str, Json] = {
    "MPS3BucketName": {
        "Type": "String",
        "Description": "The bucket that the functions' code of this release is copied from. AWS Marketplace and the launch link fill it in.",
        "AllowedPattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        "ConstraintDescription": "is the name of a bucket (not its ARN)",
    },
    "MPS3BucketRegion": {
        "Type": "String",
        "Description": "The region of that bucket. AWS Marketplace and the launch link fill it in.",
        "AllowedPattern": "^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$",
        "ConstraintDescription": "is a region such as us-east-1",
    },
    "MPS3KeyPrefix": {
        "Type": "String",
        "Description": "The folder in that bucket, with a / at its end. AWS Marketplace and the launch link fill it in.",
        # No * and no ?, which the role that reads below it would take as wildcards.
        "AllowedPattern": "^([0-9A-Za-z!_.'()-]+/)*$",
        "ConstraintDescription": "is empty, or one or more folders, each with a / behind it",
    },
}
_GROUP = {"Label": {"default": "AWS Marketplace: where the code is copied from"}, "Parameters": list(PARAMETERS)}
_LABELS = {
    "MPS3BucketName": {"default": "Bucket"},
    "MPS3BucketRegion": {"default": "Region of the bucket"},
    "MPS3KeyPrefix": {"default": "Folder in the bucket"},
}


def _interface(metadata: Json) -> Json:
    metadata = copy.deepcopy(metadata)
    interface = metadata["AWS::CloudFormation::Interface"]
    interface["ParameterGroups"].append(_GROUP)
    interface["ParameterLabels"].update(_LABELS)
    return metadata


def _parameters(release: Release) -> Json:
    return {name: {**definition, **({"Default": release.published[name]} if name in release.published else {})}
            for name, definition in PARAMETERS.items()}


def published(bucket: str, region: str, prefix: str) -> dict[str, str]:
    """Where a release lies, as the defaults of the parameters that say so."""
    given = dict(zip(PARAMETERS, (bucket, region, prefix), strict=True))
    for name, value in given.items():
        if not re.fullmatch(PARAMETERS[name]["AllowedPattern"], value):
            raise ValueError(f"{name} {PARAMETERS[name]['ConstraintDescription']}; it is {value!r}")
    return given


_TAGS = [{"Key": "application", "Value": "emite-connect"}]


def _sub(text: str) -> Json:
    return {"Fn::Sub": text}


def _skips(**reasons: str) -> Json:
    return {"checkov": {"skip": [{"id": check, "comment": comment} for check, comment in reasons.items()]}}


def _code_resources(release: Release, zips: list[str], template: Json) -> Json:
    """The bucket, what fills and empties it, and its rights."""
    bounded = "HasBoundary" in template.get("Conditions", {})
    boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]} if bounded else {"Ref": "AWS::NoValue"}
    logs = "log-group:/emite-connect/${AWS::StackName}/code-copy"

    def policy(name: str, *statements: Json) -> Json:
        return {"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}

    def allow(sid: str, actions: Json, resource: Json) -> Json:
        return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}

    return {
        # Holds the code while functions are made or changed; Lambda keeps its own copy of what they run.
        "CodeBucket": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Metadata": _skips(
                CKV_AWS_18="Access logs need a second bucket; CloudTrail data events show the same where wanted.",
                CKV_AWS_21="Each release has a folder of its own, and what is published elsewhere needs no versions here."),
            "Properties": {
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True},
                "Tags": _TAGS,
            },
        },
        "CodeBucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "CodeBucket"},
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                        "Resource": [{"Fn::GetAtt": ["CodeBucket", "Arn"]}, _sub("${CodeBucket.Arn}/*")],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}],
                },
            },
        },
        "CodeCopyLogGroup": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Metadata": _skips(CKV_AWS_158="CloudWatch Logs encrypts with its own key; the function logs no personal data and no signed address."),
            "Properties": {"LogGroupName": _sub("/emite-connect/${AWS::StackName}/code-copy"), "RetentionInDays": 90, "Tags": _TAGS},
        },
        "CodeCopyRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}}],
                },
                "PermissionsBoundary": boundary,
                "Policies": [
                    policy("log", allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"],
                                        _sub(f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:{logs}:*"))),
                    policy("copy-code",
                           allow("ReadRelease", "s3:GetObject",
                                 _sub(f"arn:${{AWS::Partition}}:s3:::${{MPS3BucketName}}/${{MPS3KeyPrefix}}{release.version}/*")),
                           allow("FindOwnCopies", ["s3:ListBucket", "s3:ListBucketVersions"], {"Fn::GetAtt": ["CodeBucket", "Arn"]}),
                           allow("KeepOwnCopies", ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"],
                                 _sub("${CodeBucket.Arn}/*"))),
                ],
                "Tags": _TAGS,
            },
        },
        # In Python, as no other language but it and JavaScript can stand in a template, and the other functions' code is not there yet.
        "CodeCopyFunction": {
            "Type": "AWS::Lambda::Function",
            "Metadata": _skips(
                CKV_AWS_115="Runs only while a stack changes; reserved concurrency would take from the account.",
                CKV_AWS_116="A lost event is reported by CloudFormation itself, by ServiceTimeout.",
                CKV_AWS_117="Calls public AWS endpoints only; a VPC would need a NAT gateway and could cut it off from CloudFormation.",
                CKV_AWS_173="The environment holds the stack ID, nothing secret."),
            "Properties": {
                "Description": "Copies the functions' code into this account, and takes it away with the stack.",
                "Code": {"ZipFile": COPIER.read_text(encoding="utf-8")},
                "Handler": "index.handler",
                "Runtime": "python3.14",
                "Architectures": [release.architecture],
                "MemorySize": 256,
                "Timeout": 300,
                "Environment": {"Variables": {"STACK_ID": {"Ref": "AWS::StackId"}}},
                "Role": {"Fn::GetAtt": ["CodeCopyRole", "Arn"]},
                "LoggingConfig": {"LogFormat": "JSON", "LogGroup": {"Ref": "CodeCopyLogGroup"}},
                "Tags": _TAGS,
            },
        },
        # Far below ServiceTimeout, so that a request that comes late does not follow its own Delete; long enough for Lambda's two retries.
        "CodeCopyFunctionEventInvokeConfig": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "CodeCopyFunction"}, "Qualifier": "$LATEST",
                "MaximumEventAgeInSeconds": 240, "MaximumRetryAttempts": 2},
        },
        # Comes before the copies and goes after them, so that nothing is left when the bucket has to go.
        "CodeBucketContent": {
            "Type": "Custom::CodeBucketContent",
            "DependsOn": ["CodeBucketPolicy", "CodeCopyFunctionEventInvokeConfig"],
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["CodeCopyFunction", "Arn"]}, "ServiceTimeout": 900, "Bucket": {"Ref": "CodeBucket"}},
        },
        "CodeCopy": {
            "Type": "Custom::CopyCode",
            "DependsOn": ["CodeBucketContent"],
            "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["CodeCopyFunction", "Arn"]},
                "ServiceTimeout": 900,
                "SourceBucket": {"Ref": "MPS3BucketName"},
                "SourceRegion": {"Ref": "MPS3BucketRegion"},
                "SourcePrefix": {"Ref": "MPS3KeyPrefix"},
                "Release": release.version,
                "Objects": {name: release.digests.get(name, "") for name in zips},
                "Bucket": {"Ref": "CodeBucket"},
            },
        },
    }


# ---- Writing ---------------------------------------------------------------------------------------------------------------


def _check(template: Json) -> None:
    """What CloudFormation would refuse, or would leave to SAM."""
    left = [name for name, resource in template["Resources"].items() if resource["Type"].startswith(SERVERLESS)]
    if left or "Transform" in template:
        raise ValueError(f"SAM left something: {', '.join(left)}")
    for what, most in (("Parameters", MOST_PARAMETERS), ("Resources", MOST_RESOURCES)):
        if len(template[what]) > most:
            raise ValueError(f"{len(template[what])} {what.lower()}; CloudFormation takes {most}")


class _Dumper(yaml.SafeDumper):
    """Each thing in full wherever it stands, and text of several lines as it is."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def dump(template: Json) -> str:
    text = yaml.dump(template, Dumper=_Dumper, sort_keys=False, width=140, allow_unicode=False)
    if len(text.encode()) > LARGEST_TEMPLATE:
        raise ValueError(f"The template has {len(text.encode())} bytes; CloudFormation takes {LARGEST_TEMPLATE}")
    # Read back as CloudFormation reads it, so that nothing is lost on the way.
    if yaml.load(text, short_forms.Loader) != template:
        raise ValueError("The template does not read as it was written")
    return text
