"""Owns that docs/runbook.md has all of each health check, and that the commands of all documents are ones that the AWS CLI knows."""

from __future__ import annotations

import json
import re

import botocore.session
import cfn
import documents
import pytest

PARTS = ["What it means.", "How it breaks.", "Mend it by command.", "Mend it in the console.", "What is lost meanwhile."]

# In the file of a check that no repair can fix.
NO_REPAIR = "repair: no_repair"


def _sections():
    sections = documents.sections("docs/runbook.md", 2)
    del sections["Before you begin"], sections["Alarms"]
    return sections


def test_each_check_has_a_section_and_no_other_has():
    assert sorted(_sections()) == sorted(documents.checks())


@pytest.mark.parametrize("name", _sections())
def test_a_section_has_all_parts_in_order_and_a_command(name):
    section = _sections()[name]
    assert re.findall(r"^\*\*([^*]+)\*\*", section, re.MULTILINE) == PARTS
    for part in PARTS:
        said = re.split(r"^\*\*[^*]+\*\*", section.split(f"**{part}**")[1], maxsplit=1, flags=re.MULTILINE)[0]
        assert len(said.split()) >= 4, part
    by_command = section.split(f"**{PARTS[2]}**")[1].split(f"**{PARTS[3]}**")[0]
    assert "```sh\n" in by_command


@pytest.mark.parametrize("name", _sections())
def test_a_section_offers_the_repair_where_one_mends_and_only_there(name):
    payloads = [json.loads(payload) for payload in re.findall(r"--payload '(\{\"mode\".*?\})'", _sections()[name])]
    assert all(payload["checks"] == [name] for payload in payloads)
    modes = [payload["mode"] for payload in payloads]
    assert modes[:2] == ([] if NO_REPAIR in documents.checks()[name] else ["plan", "apply"])


def test_each_alarm_has_a_row_and_no_row_is_of_another(template):
    alarms = [resource["Properties"]["AlarmName"] for resource in cfn.deployed(template).values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    named = [row[0] for row in documents.rows(documents.text("docs/runbook.md", "## Alarms"), marks="`")]
    assert sorted(f"emite {name}" for name in named) == sorted(alarms)


# ---- Commands of all documents -----------------------------------------------------------------------------------------------

DOCUMENTS = ["README.md", *(f"docs/{path.name}" for path in sorted((documents.ROOT / "docs").glob("*.md")))]
# Of the AWS CLI itself, not of a service.
OF_THE_CLI = {"region", "query", "output", "cli-binary-format", "cli-read-timeout", "max-items", "no-paginate"}
# Where the CLI spells it otherwise than the API does.
SPELT = {"s3api": "s3"}
OPTION = {("sns", "subscribe"): {"notification-endpoint": "endpoint"}}
# Commands that are the CLI's own, with their options.
OWN = {("s3", "ls"): {"recursive", "human-readable", "summarize"}, ("s3", "cp"): set(), ("logs", "tail"): {"since"}}


def commands(text):
    """(service, operation, options, command) of each `aws …` in blocks of shell commands, those inside of others too."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        bare = re.sub(r"'[^']*'", "Q", re.sub(r"(^|\s)# .*", "", block))
        for line in re.sub(r"\\\n\s*", " ", bare).splitlines():
            inner = re.compile(r"\$\(([^()]*)\)")
            parts = []
            while found := inner.search(line):
                parts.append(found[1])
                line = line[: found.start()] + "X" + line[found.end() :]
            for part in re.split(r"[|;]|&&", " | ".join([line, *parts])):
                if found := re.match(r"(?:\w+\(\) \{)?\s*aws ([a-z0-9]+) ([a-z0-9-]+)", part):
                    yield found[1], found[2], set(re.findall(r"(?<=\s)--([a-z][a-z-]*)", part)), part.strip()


def _all_commands():
    return [pytest.param(name, *command[:3], id=f"{name}: {command[3][:70]}") for name in DOCUMENTS for command in commands(documents.text(name))]


def test_commands_are_found():
    assert len(_all_commands()) > 50


@pytest.mark.parametrize(("name", "service", "operation", "options"), _all_commands())
def test_a_command_is_one_of_the_aws_cli(name, service, operation, options):
    options = {OPTION.get((service, operation), {}).get(option, option) for option in options - OF_THE_CLI}
    if (service, operation) in OWN:
        assert options <= OWN[service, operation]
        return
    if operation == "wait":
        return
    model = botocore.session.get_session().get_service_model(SPELT.get(service, service))
    operations = {botocore.xform_name(known, "-"): known for known in model.operation_names}
    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    members = {botocore.xform_name(member, "-"): member for member in (shape.members if shape else {})}
    # A switch has an opposite.
    known = members.keys() | {f"no-{member}" for member in members}
    assert options <= known, options - known
    # Nothing that AWS asks for may be missing; $LAST_HOURS holds these three.
    needed = {botocore.xform_name(member, "-") for member in (shape.required_members if shape else [])}
    assert needed - options <= {"start-time", "end-time", "period"}
