"""Owns the template that all tests share: read and transformed once, never changed."""

import cfn
import pytest


@pytest.fixture(scope="session")
def source():
    return cfn.source()


@pytest.fixture(scope="session")
def template(source):
    return cfn.transform(source)
