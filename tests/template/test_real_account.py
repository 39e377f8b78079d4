"""Owns that docs/real-account.md says of each point of ARCHITECTURE.md's list how to confirm it."""

from __future__ import annotations

import re

import documents

LIST = documents.text("ARCHITECTURE.md", "## To confirm on a real account")
CHECKLIST = documents.text("docs/real-account.md")


def _points():
    """{number: what stands behind it, up to the next point or heading}"""
    parts = re.split(r"^(?:- \[ \] \*\*(\d+)\.\*\* |## )", CHECKLIST, flags=re.MULTILINE)[1:]
    return {int(number): body for number, body in zip(parts[::2], parts[1::2], strict=True) if number}


def test_both_lists_have_the_same_numbers_in_the_same_order():
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", LIST, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 20
    assert list(_points()) == numbers


def test_each_point_has_a_command_or_stands_before_one_that_serves_both():
    points = _points()
    without = [number for number, body in points.items() if "```sh\n" not in body]
    assert [number for number in without if "```sh\n" not in points[number + 1]] == []
    assert len(without) <= 1


def test_architecture_leads_to_the_checklist():
    assert "docs/real-account.md" in LIST
