"""Owns the template that all tests share: read and transformed once, never changed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cfn
import checks


@pytest.fixture(scope="session")
def source():
    return cfn.source()


@pytest.fixture(scope="session")
def template(source):
    return cfn.transform(source)


@pytest.fixture(scope="module")
def guide(template):
    return cfn.deployed(template)


@pytest.fixture(scope="module")
def given(template):
    return cfn.deployed(template, checks.CASES["everything given"])
