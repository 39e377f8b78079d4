"""Owns what stands beside the template and has to fit it: the README, the SAM CLI's settings and the locked requirements."""

from __future__ import annotations

import re
import tomllib

import cfn
import documents
import pytest

ROOT = cfn.TEMPLATE.parents[1]


def test_each_parameter_has_a_row_with_its_default(template):
    """None for one that has to be given; an empty one as a word."""
    defaults = {name: str(parameter.get("Default", "none")) or "empty" for name, parameter in template["Parameters"].items()}
    text = documents.text("docs/parameters.md").split("\n## Outputs\n")[0]
    assert {row[0]: row[1] for row in documents.rows(text, marks="`")} == defaults


def test_parameters_are_told_in_the_groups_and_the_order_of_the_form(template):
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    sections = documents.sections("docs/parameters.md", 2)
    del sections["Outputs"]
    told = {heading: [row[0] for row in documents.rows(body, marks="`")] for heading, body in sections.items()}
    assert told == {group["Label"]["default"]: group["Parameters"] for group in groups}


def test_each_output_has_a_row_and_those_for_emite_are_named_as_such(template):
    rows = {row[0]: row[2] for row in documents.rows(documents.text("docs/parameters.md", "## Outputs"), marks="`")}
    assert rows == {
        name: "eMite" if output["Description"].startswith("Send to the eMite team") else "you" for name, output in template["Outputs"].items()
    }


def test_the_hand_over_names_the_release_that_the_code_is_of(template):
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
    assert template["Mappings"]["Product"]["Release"]["Version"] == workspace["package"]["version"]
    assert cfn.deployed(template)["Handover"]["Properties"]["Release"] == workspace["package"]["version"]


def test_the_documents_name_each_check_and_no_other():
    assert {row[0] for row in documents.rows(documents.text("docs/watching.md", "## Watching"), marks="`")} == set(documents.checks())


def test_the_documents_say_what_watching_costs(template):
    alarms = sum(resource["Type"] == "AWS::CloudWatch::Alarm" for resource in template["Resources"].values())
    text = documents.text("docs/watching.md", "## What watching costs")
    metrics = int(re.search(r"\| (\d+) metrics × 8,640 checks", text)[1])
    # Prices of us-east-1. Of one check: metrics read; listings, two functions, a log, an event, and calls of queue, topic and ledger.
    read = metrics * 0.01 / 1000
    rest = 2 * 0.005 / 1000 + 1.2 * 0.25 * 0.0000166667 + 2 * 0.20e-6 + 6e-6 * 0.50 + 1e-6 + 0.40e-6 + 0.50e-6 + 0.25e-6
    fixed = 2 * 0.30 + alarms * 0.10
    assert f"| {alarms} × 0.10 | {alarms * 0.1:.2f} |" in text
    rows = {row[0]: row[1:6] for row in documents.rows(text, marks="*`") if row[0].isdigit()}
    assert rows.keys() == {"1", "5", "15", "60"}
    for minutes, row in rows.items():
        checks = 30 * 24 * 60 // int(minutes)
        assert row == [f"{checks:,}", f"{checks * read:.2f}", f"{checks * rest:.2f}", f"{fixed:.2f}", f"{checks * (read + rest) + fixed:.2f}"], minutes
    # Without the search domain, with the default schedule.
    assert float(rows["5"][-1]) < 5
    summary = {row[0]: row[-1] for row in documents.rows(documents.text("README.md", "## What it costs"))}
    assert summary["watching"] == rows["5"][-1]


def test_the_readme_is_short():
    assert len(documents.text("README.md").splitlines()) < 150


def test_sam_finds_the_template_and_asks_for_the_capabilities_that_it_needs(template):
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))["default"]
    for command in ("build", "validate"):
        assert (ROOT / settings[command]["parameters"]["template_file"]).resolve() == cfn.TEMPLATE
    # Of what was built, not of the source.
    assert "template_file" not in settings["deploy"]["parameters"]
    named = any("RoleName" in resource["Properties"] for resource in template["Resources"].values())
    assert named
    assert settings["deploy"]["parameters"]["capabilities"] == ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


@pytest.mark.parametrize("name", ["lint", "local", "sam"])
def test_requirements_are_locked_by_hash_and_name_no_host(name):
    lock = (ROOT / "tests" / f"requirements-{name}.txt").read_text(encoding="utf-8")
    bare = re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE)
    entries = re.split(r"^(?=[A-Za-z0-9])", bare, flags=re.MULTILINE)[1:]
    assert len(entries) > 20
    assert [entry for entry in entries if not re.match(r"[\w.\-\[\],]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL)] == []
    assert re.findall(r"--(?:index-url|extra-index-url|find-links|trusted-host)|://", bare) == []
    wanted = (ROOT / "tests" / f"requirements-{name}.in").read_text(encoding="utf-8")
    for package in re.findall(r"^([a-z][\w-]*)", wanted, re.MULTILINE):
        assert any(entry.startswith((f"{package}==", f"{package}[")) for entry in entries), package
