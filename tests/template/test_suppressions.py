"""Owns the proof that no suppressed check is suppressed for nothing, and that none but those are broken."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import cfn
import pytest
import yaml

from localaws import short_forms


@pytest.fixture(scope="module", params=["template", "marketplace"])
def deployable(request):
    """The source, and the template that is generated from it."""
    return yaml.load(cfn.TEMPLATE.with_name(f"{request.param}.yaml").read_text(encoding="utf-8"), short_forms.Loader)


@pytest.fixture(scope="module")
def found_without_suppressions(deployable, tmp_path_factory):
    bare = copy.deepcopy(deployable)
    for resource in bare["Resources"].values():
        resource.get("Metadata", {}).pop("checkov", None)
    path = tmp_path_factory.mktemp("checkov") / "template.json"
    path.write_text(json.dumps(bare, indent=1), encoding="utf-8")
    command = [sys.executable, "-m", "checkov.main", "--file", str(path), "--framework", "cloudformation", "--skip-download", "--output", "json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return {(check["resource"].rpartition(".")[2], check["check_id"]) for check in report["results"]["failed_checks"]}


def test_what_is_suppressed_is_exactly_what_checkov_finds(deployable, found_without_suppressions):
    suppressed = {
        (name, skip["id"])
        for name, resource in deployable["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }
    assert suppressed == found_without_suppressions
    assert suppressed, "checkov found nothing at all: did it run?"
