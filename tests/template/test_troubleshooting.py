"""Owns that the texts of ours in docs/troubleshooting.md are ones that the product still says."""

from __future__ import annotations

import functools
import re

import cfn
import documents
import pytest

# Of AWS: nothing here can tell whether it still says so.
OF_AWS = "CloudFormation and the AWS CLI say"


def _sections():
    return {name: documents.rows(body) for name, body in documents.sections("docs/troubleshooting.md", 2).items()}


@functools.cache
def _sources():
    """What the product says: Rust without its tests, lines that go on joined and quotes as they are shown, and the template's texts."""
    found = []
    for path in sorted(documents.ROOT.glob("*/**/src/**/*.rs")):
        if "target" in path.parts or "tests" in path.parts or path.name == "tests.rs":
            continue
        text = path.read_text(encoding="utf-8").split("\n#[cfg(test)]\nmod tests")[0]
        found.append(re.sub(r"\\\n\s*", "", text).replace('\\"', '"'))
    return [*found, *(value for _, value in cfn.walk(cfn.source()) if isinstance(value, str))]


def _texts():
    return [row[0] for name, section in _sections().items() if name != OF_AWS for row in section]


def test_texts_are_found():
    assert len(_texts()) > 50
    assert len(_sections()[OF_AWS]) > 8


@pytest.mark.parametrize("text", _texts())
def test_a_text_is_one_that_the_product_says(text):
    assert re.fullmatch(r"`[^`]+`", text)
    # Where values stand the source has placeholders, and the text an ellipsis.
    parts = [re.escape(part) for part in text.strip("`").split("…")]
    pattern = re.compile(r"\{[^{}]*\}(?:[: ]*\{[^{}]*\})*".join(parts))
    assert max(map(len, text.strip("`").split("…"))) >= 12
    assert any(pattern.search(source) for source in _sources())


def test_each_row_says_what_it_means_and_what_to_do():
    for section in _sections().values():
        for row in section:
            assert len(row) == 3, row
            assert all(row), row


def test_each_rule_that_can_refuse_a_form_is_explained(template):
    shown = " ".join(_texts())
    for name, rule in template["Rules"].items():
        for assertion in rule["Assertions"]:
            sentence = assertion["AssertDescription"].split(". ")[0].removesuffix(".")
            assert sentence in shown, name
