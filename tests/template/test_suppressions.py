"""Owns the proof that no suppressed check is suppressed for nothing, and that none but those are broken."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import cfn
import checks
import pytest
import yaml
from cfnlint.api import ManualArgs, lint

from localaws import short_forms


@pytest.fixture(scope="module", params=["template", "marketplace"])
def deployable(request):
    """The source, and the template that is generated from it."""
    return yaml.load(cfn.TEMPLATE.with_name(f"{request.param}.yaml").read_text(encoding="utf-8"), short_forms.Loader)


def checkov(template, path):
    path.write_text(json.dumps(template, indent=1), encoding="utf-8")
    command = [sys.executable, "-m", "checkov.main", "--file", str(path), "--framework", "cloudformation", "--skip-download", "--output", "json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return {(check["resource"].rpartition(".")[2], check["check_id"]) for check in report["results"]["failed_checks"]}


@pytest.fixture(scope="module")
def found_without_suppressions(deployable, tmp_path_factory):
    """In either way of hosting: checkov looks at nothing whose condition the defaults make false."""
    bare = copy.deepcopy(deployable)
    for resource in bare["Resources"].values():
        resource.get("Metadata", {}).pop("checkov", None)
    found = set()
    for mode in bare["Parameters"]["HostingMode"]["AllowedValues"]:
        bare["Parameters"]["HostingMode"]["Default"] = mode
        found |= checkov(bare, tmp_path_factory.mktemp("checkov") / "template.json")
    return found


def test_what_is_suppressed_is_exactly_what_checkov_finds(deployable, found_without_suppressions):
    suppressed = {
        (name, skip["id"])
        for name, resource in deployable["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }
    assert suppressed == found_without_suppressions
    assert suppressed, "checkov found nothing at all: did it run?"


def test_what_cfn_lint_is_told_not_to_say_is_what_it_would_say(deployable):
    bare = copy.deepcopy(deployable)
    for resource in bare["Resources"].values():
        resource.get("Metadata", {}).pop("cfn-lint", None)
    found = {(match.path[1], match.rule.id) for match in lint(json.dumps(bare, indent=1), config=ManualArgs(regions=[cfn.REGION])) if match.path[0] == "Resources"}
    # tests/template/lint says why it ignores this one.
    assert {problem for problem in found if problem[1] != "W3037"} == checks.CFN_LINT.keys()
    told = {
        (name, rule)
        for name, resource in deployable["Resources"].items()
        for rule in resource.get("Metadata", {}).get("cfn-lint", {}).get("config", {}).get("ignore_checks", [])
    }
    assert told == checks.CFN_LINT.keys()
