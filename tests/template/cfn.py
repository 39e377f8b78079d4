"""Owns reading the template as CloudFormation does: short forms, the SAM transform (offline), parameters, conditions,
rules and references, and what Preflight finds out for the rest of a stack. Only what infra/template.yaml uses is known; anything
else is an error, not a guess."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from localaws import short_forms

TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "template.yaml"

ACCOUNT = "111122223333"
REGION = "ap-southeast-2"
INSTANCE_ARN = f"arn:aws:connect:{REGION}:{ACCOUNT}:instance/1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"

PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/emite/0c1d2e3f-0000-1111-2222-333344445555",
    "AWS::StackName": "emite",
    "AWS::URLSuffix": "amazonaws.com",
}

# What everybody gives for whom eMite hosts the server.
REQUIRED = {
    "ConnectInstanceArn": INSTANCE_ARN,
    "EmiteAccountId": "444455556666",
    "CustomerId": "acme-support-7421",
    "EmiteServerCidrs": "203.0.113.10/32,203.0.113.11/32",
    "TimeZone": "Australia/Sydney",
}

Json = Any


def source() -> Json:
    return yaml.load(TEMPLATE.read_text(encoding="utf-8"), short_forms.Loader)


def transform(template: Json) -> Json:
    """The SAM transform, as CloudFormation runs it, on a copy. Where the code lies makes no difference here."""
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    from samtranslator.translator.transform import transform as sam

    copied = copy.deepcopy(template)
    for resource in copied["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://packages/function.zip"
    defaults = {name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter}
    return sam(copied, {**defaults, **REQUIRED}, _NoManagedPolicies())


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


# ---- Walking ---------------------------------------------------------------------------------------------------------------


def walk(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Each node with its path, parents first."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}/{index}")


def references(node: Json) -> set[str]:
    """Names that Ref, Fn::GetAtt and Fn::Sub inside a node refer to."""
    found = set()
    for _, value in walk(node):
        if not isinstance(value, dict) or len(value) != 1:
            continue
        ((function, argument),) = value.items()
        if function == "Ref":
            found.add(argument)
        elif function == "Fn::GetAtt":
            found.add((argument if isinstance(argument, list) else argument.split("."))[0])
        elif function == "Fn::Sub":
            text, own = argument if isinstance(argument, list) else (argument, {})
            found |= {name.split(".")[0] for name in _placeholders(text)} - own.keys()
    return found


def _placeholders(text: str) -> list[str]:
    return re.findall(r"\$\{([^!}][^}]*)\}", text)


def depends_on(resource: Json) -> list[str]:
    named = resource.get("DependsOn", [])
    return [named] if isinstance(named, str) else list(named)


def graph(template: Json) -> dict[str, set[str]]:
    """For each resource those that it refers to, in Metadata too, or names in DependsOn."""
    names = template["Resources"].keys()
    return {name: (references(resource) | set(depends_on(resource))) & names for name, resource in template["Resources"].items()}


def before(template: Json, name: str) -> set[str]:
    """All resources that are made before this one, and deleted after it."""
    edges, found, todo = graph(template), set(), [name]
    while todo:
        for other in edges[todo.pop()] - found:
            found.add(other)
            todo.append(other)
    return found


# ---- Parameters, rules, conditions -----------------------------------------------------------------------------------------


def parameters(template: Json, given: dict[str, str] | None = None) -> dict[str, Json]:
    """All parameters' values; lists are split. A value that its pattern, list or range refuses is a ValueError, as in AWS."""
    given = {**REQUIRED, **(given or {})}
    unknown = given.keys() - template["Parameters"].keys()
    if unknown:
        raise ValueError(f"no such parameter: {sorted(unknown)}")
    values = {}
    for name, parameter in template["Parameters"].items():
        value = str(given.get(name, parameter.get("Default")))
        members = [member.strip() for member in value.split(",")] if parameter["Type"] == "CommaDelimitedList" else [value]
        for member in members:
            _check(name, parameter, member)
        values[name] = members if parameter["Type"] == "CommaDelimitedList" else value
    return values


def _check(name: str, parameter: Json, value: str) -> None:
    if "AllowedPattern" in parameter and not re.fullmatch(parameter["AllowedPattern"], value):
        raise ValueError(f"{name} {parameter['ConstraintDescription']}")
    if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
        raise ValueError(f"{name} is one of {parameter['AllowedValues']}")
    if "MaxLength" in parameter and len(value) > int(parameter["MaxLength"]):
        raise ValueError(f"{name} is too long")
    if parameter["Type"] == "Number" and not int(parameter["MinValue"]) <= int(value) <= int(parameter["MaxValue"]):
        raise ValueError(f"{name} is outside {parameter['MinValue']} to {parameter['MaxValue']}")


def broken_rules(template: Json, values: dict[str, Json]) -> list[str]:
    """Names of the rules that refuse these values."""
    return [
        name
        for name, rule in template["Rules"].items()
        if _rule(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}), values)
        and not all(_rule(assertion["Assert"], values) for assertion in rule["Assertions"])
    ]


def _rule(node: Json, values: dict[str, Json]) -> Json:
    """The functions that AWS allows in Rules, no others: no Fn::If, no Fn::Sub, no Condition."""
    if isinstance(node, list):
        return [_rule(value, values) for value in node]
    if not isinstance(node, dict):
        return node
    ((function, argument),) = node.items()
    if function == "Ref":
        return {**PSEUDO, **values}[argument]
    argument = _rule(argument, values)
    match function:
        case "Fn::And":
            return all(argument)
        case "Fn::Or":
            return any(argument)
        case "Fn::Not":
            return not argument[0]
        case "Fn::Equals":
            return argument[0] == argument[1]
        case "Fn::Contains":
            return argument[1] in argument[0]
        case "Fn::EachMemberIn":
            return all(member in argument[1] for member in argument[0])
    raise ValueError(f"{function} is not known in Rules")


def conditions(template: Json, values: dict[str, Json]) -> dict[str, bool]:
    def evaluate(node: Json) -> Json:
        if isinstance(node, list):
            return [evaluate(value) for value in node]
        if not isinstance(node, dict):
            return node
        ((function, argument),) = node.items()
        match function:
            case "Ref":
                return {**PSEUDO, **values}[argument]
            case "Condition":
                return evaluate(template["Conditions"][argument])
            case "Fn::Join" | "Fn::Select" | "Fn::Split":
                return _texts(function, evaluate(argument))
            case "Fn::Equals":
                left, right = evaluate(argument)
                if isinstance(left, list) or isinstance(right, list):
                    raise ValueError("Fn::Equals compares no lists")
                return left == right
            case "Fn::Not":
                return not evaluate(argument[0])
            case "Fn::And":
                return all(map(evaluate, argument))
            case "Fn::Or":
                return any(map(evaluate, argument))
        raise ValueError(f"{function} is not known in Conditions")

    return {name: evaluate(node) for name, node in template["Conditions"].items()}


def _texts(function: str, argument: Json) -> Json:
    """What these functions make of a resolved argument."""
    first, second = argument
    match function:
        case "Fn::Join":
            return first.join(map(str, second))
        case "Fn::Split":
            return second.split(first)
    return second[int(first)]


# ---- What Preflight says ---------------------------------------------------------------------------------------------------

# Of the instance, and of things that are there already: what their names alone do not tell.
FOUND = {
    "InstanceAlias": "acme-support",
    "ServiceRoleArn": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/connect.amazonaws.com/AWSServiceRoleForAmazonConnect_0a1b2c3d",
    "ServerImageId": "ami-0a1b2c3d4e5f60718",
    "SearchEndpoint": f"search-records-abcdefghijklmnopqrstuvwxyz.{REGION}.es.amazonaws.com",
    "EmiteRolePath": "teams/telephony/",
    "DeliveryRoleArn": f"arn:aws:iam::{ACCOUNT}:role/service-role/KinesisFirehoseServiceRole-records",
    "FailedPrefix": "refused/records/",
}


def preflight(values: dict[str, Json], says: dict[str, str] | None = None) -> dict[str, str]:
    """The `Data` of Preflight with these parameters, as functions/custom-resource/src/preflight.rs makes it. What it finds in AWS is
    `FOUND`; `says` overrides any of it."""

    def arn(service: str, kind: str, name: str, region: str | None = None) -> str:
        if not name:
            return ""
        region = PSEUDO["AWS::Region"] if region is None else region
        return f"arn:{PSEUDO['AWS::Partition']}:{service}:{region}:{PSEUDO['AWS::AccountId']}:{kind}/{name}"

    def named(parameter: str) -> str:
        return values[f"Existing{parameter}"] or values[parameter]

    stream, delivery, domain = map(named, ("AgentEventStreamName", "DeliveryStreamName", "DomainName"))
    has = {name: bool(values[f"Existing{name}"]) for name in ("DeliveryStreamName", "DomainName", "RoleName")}
    role = (FOUND["EmiteRolePath"] if has["RoleName"] else "") + named("RoleName")
    data = {
        "InstanceId": values["ConnectInstanceArn"].rsplit("/", 1)[1],
        "InstanceAlias": FOUND["InstanceAlias"],
        "ServiceRoleArn": FOUND["ServiceRoleArn"],
        "ServerImageId": FOUND["ServerImageId"] if values["HostingMode"] == "SelfHosted" else "",
        "AgentEventStreamArn": arn("kinesis", "stream", stream),
        "AgentEventStreamName": stream,
        "ContactRecordStreamArn": arn("kinesis", "stream", values["ExistingContactRecordStreamName"]),
        "DeliveryStreamArn": arn("firehose", "deliverystream", delivery),
        "DeliveryStreamName": delivery,
        "DeliveryRoleArn": FOUND["DeliveryRoleArn"] if has["DeliveryStreamName"] else arn("iam", "role", f"{delivery}-role", region=""),
        "DomainArn": arn("es", "domain", domain),
        "DomainName": domain,
        "SearchEndpoint": FOUND["SearchEndpoint"] if has["DomainName"] else "",
        "EmiteRoleArn": arn("iam", "role", role, region=""),
        "FailedPrefix": FOUND["FailedPrefix"] if has["DeliveryStreamName"] else f"emite-connect/{delivery}/failed/",
    }
    if unknown := (says or {}).keys() - data.keys():
        raise ValueError(f"Preflight does not say {sorted(unknown)}")
    return {**data, **(says or {})}


# ---- What would be deployed ------------------------------------------------------------------------------------------------

_GONE = object()


def deployed(template: Json, given: dict[str, str] | None = None, says: dict[str, str] | None = None) -> dict[str, Json]:
    """The resources that exist with these parameters, all functions resolved; another resource's name is `<Logical>`, an
    attribute `<Logical.Attribute>`. What Preflight answers is worked out, with `says` instead of its own."""
    values, true, existing, data = _stack(template, given, says)
    return {name: _resolve(template["Resources"][name], template, values, true, existing, data) for name in existing}


def outputs(template: Json, given: dict[str, str] | None = None, says: dict[str, str] | None = None) -> dict[str, Json]:
    values, true, existing, data = _stack(template, given, says)
    return {
        name: _resolve(output["Value"], template, values, true, existing, data)
        for name, output in template["Outputs"].items()
        if "Condition" not in output or true[output["Condition"]]
    }


def _stack(template: Json, given: dict[str, str] | None, says: dict[str, str] | None) -> tuple[Json, Json, list[str], Json]:
    """The values of parameters and conditions, the names of resources that exist with them, and what Preflight says."""
    values = parameters(template, given)
    true = conditions(template, values)
    existing = [name for name, resource in template["Resources"].items() if "Condition" not in resource or true[resource["Condition"]]]
    return values, true, existing, preflight(values, says) if "Preflight" in existing else {}


def _resolve(node: Json, template: Json, values: Json, true: dict[str, bool], existing: Any, data: dict[str, str] | None = None) -> Json:
    def named(name: str) -> Json:
        logical, _, attribute = name.partition(".")
        if logical == "Preflight" and attribute:
            if attribute not in (data or {}):
                raise ValueError(f"{name} is referred to, which Preflight does not say")
            return data[attribute]
        if name in values:
            return values[name]
        if name in PSEUDO:
            return PSEUDO[name]
        if logical not in existing:
            raise ValueError(f"{name} is referred to and does not exist with these parameters")
        return f"<{name}>"

    def resolve(node: Json) -> Json:
        if isinstance(node, list):
            return [value for value in map(resolve, node) if value is not _GONE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            match function:
                case "Ref":
                    return _GONE if argument == "AWS::NoValue" else named(argument)
                case "Fn::GetAtt":
                    return named(argument if isinstance(argument, str) else ".".join(argument))
                case "Fn::Sub":
                    text, own = argument if isinstance(argument, list) else (argument, {})
                    own = resolve(own)
                    return re.sub(r"\$\{([^!}][^}]*)\}", lambda m: str(own[m[1]] if m[1] in own else named(m[1])), text).replace("${!", "${")
                case "Fn::Join" | "Fn::Select" | "Fn::Split":
                    return _texts(function, resolve(argument))
                case "Fn::If":
                    return resolve(argument[1] if true[argument[0]] else argument[2])
                case "Fn::Base64":
                    return f"<base64 of {resolve(argument)}>"
                case "Fn::FindInMap":
                    top, second, key = map(resolve, argument)
                    return template["Mappings"][top][second][key]
            if function.startswith("Fn::"):
                raise ValueError(f"{function} is not known")
        return {key: value for key, value in ((k, resolve(v)) for k, v in node.items()) if value is not _GONE}

    return resolve(node)


# ---- Policies --------------------------------------------------------------------------------------------------------------


def as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def statements(resources: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """Each policy statement of resolved resources with its place: identity, trust and resource policies alike, and those that a
    property holds as JSON text."""
    for path, node in walk(resources):
        if isinstance(node, str) and node.lstrip().startswith("{") and '"Statement"' in node:
            node = json.loads(node)
        if isinstance(node, dict) and "Statement" in node:
            for index, statement in enumerate(as_list(node["Statement"])):
                yield f"{path}/{statement.get('Sid', index)}", statement


def actions(statement: Json) -> list[str]:
    return as_list(statement["Action"])
