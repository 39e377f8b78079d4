"""Owns the command line: `python -m package template` writes infra/marketplace.yaml."""

from __future__ import annotations

import sys

from . import template


def main(arguments: list[str]) -> int:
    if arguments == ["template"]:
        template.TARGET.write_text(template.generate(template.source(), template.Release(template.version())), encoding="utf-8")
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
