"""Owns that ARCHITECTURE.md has an AWS page for every service principal of both templates and for the condition that narrows it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import cfn
import checks
import documents
import pytest
import yaml

from localaws import short_forms

ROWS = documents.rows(documents.text("ARCHITECTURE.md", "## Service principals"))


def _admitted(template) -> Iterator[tuple[str, str]]:
    """Each principal with the operators and keys of its condition, as the table writes them."""
    for _, _, service, condition in checks.service_principals(template):
        yield service, ", ".join(f"`{operator} {key}`" for operator, keys in (condition or {}).items() for key in keys) or "none"
    for _, resources in checks.each_case(template):
        for resource in resources.values():
            if resource["Type"] == "AWS::Lambda::Permission":
                narrowing = sorted(resource["Properties"].keys() & {"SourceAccount", "SourceArn", "PrincipalOrgID"})
                yield resource["Properties"]["Principal"], ", ".join(f"`{key}`" for key in narrowing) or "none"


@pytest.fixture(scope="module")
def marketplace():
    """With somewhere to copy the code from, which whoever launches it fills in."""
    found = yaml.load(documents.text("infra/marketplace.yaml"), short_forms.Loader)
    for name, value in {"MPS3BucketName": "releases", "MPS3BucketRegion": cfn.REGION, "MPS3KeyPrefix": ""}.items():
        found["Parameters"][name]["Default"] = value
    return found


@pytest.mark.parametrize("which", ["template", "marketplace"])
def test_each_service_that_is_admitted_stands_in_the_table_with_its_condition(which, request):
    listed = {(principal.strip("`"), condition) for principal, _, condition, _ in ROWS}
    assert set(_admitted(request.getfixturevalue(which))) == listed


def test_each_condition_has_a_page_of_aws():
    assert len(ROWS) == len({tuple(row[:2]) for row in ROWS})
    for principal, _, _, source in ROWS:
        assert re.search(r"\]\(https://docs\.aws\.amazon\.com/[^)]+\)", source), principal
