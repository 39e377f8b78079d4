"""Owns what stands beside the template and has to fit it: the SAM CLI's settings and the locked requirements."""

from __future__ import annotations

import re
import tomllib

import cfn
import pytest

ROOT = cfn.TEMPLATE.parents[1]


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
