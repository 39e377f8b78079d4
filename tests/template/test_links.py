"""Owns that every link of the documents leads somewhere: files and headings of this project; outward ones are whole and https."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import documents
import pytest

DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "DEVELOPMENT.md",
    "SECURITY.md",
    *(str(path.relative_to(documents.ROOT)) for path in sorted((documents.ROOT / "docs").glob("**/*.md"))),
]


def _links():
    return [pytest.param(name, link, id=f"{name}: {link}") for name in DOCUMENTS for link in sorted(set(documents.links(documents.text(name))))]


def test_links_are_found():
    assert len(_links()) > 40


@pytest.mark.parametrize(("name", "link"), _links())
def test_a_link_leads_somewhere(name, link):
    parts = urlsplit(link)
    if parts.scheme:
        assert parts.scheme == "https"
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc)
        return
    here = documents.ROOT / name
    target = (here.parent / parts.path).resolve() if parts.path else here
    assert target.is_relative_to(documents.ROOT)
    assert target.exists()
    if parts.fragment:
        assert parts.fragment in documents.anchors(target.read_text(encoding="utf-8"))


def test_every_document_is_reached_from_the_readme():
    reached, todo = set(), ["README.md"]
    while todo:
        name = todo.pop()
        if name in reached or not name.endswith(".md"):
            continue
        reached.add(name)
        for link in documents.links(documents.text(name)):
            parts = urlsplit(link)
            if not parts.scheme and parts.path:
                todo.append(str(((documents.ROOT / name).parent / parts.path).resolve().relative_to(documents.ROOT)))
    assert sorted(set(DOCUMENTS) - reached) == []
