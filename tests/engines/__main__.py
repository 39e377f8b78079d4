"""Owns the command line: `python -m engines prepare`, and `python -m engines run NAME DATA [setting=value ...]`.

`run` becomes the engine: the first line of its stdout is its HTTP port, and it ends when its stdin closes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from localaws.errors import LocalError

from . import NAMES, libraries


def main() -> int:
    match sys.argv[1:]:
        case ["prepare"]:
            reason = libraries.available()
            if reason:
                print(reason)
                return 3
            for name in NAMES:
                libraries.classpath(name)
            return 0
        case ["run", name, data, *settings] if name in NAMES:
            command = libraries.command(name, Path(data), dict(setting.split("=", 1) for setting in settings))
            os.execv(command[0], command)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
