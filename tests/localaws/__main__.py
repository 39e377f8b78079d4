"""Owns the command line: `python -m localaws <command>`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import LocalError

if TYPE_CHECKING:
    from .deployer import Result


def main() -> int:
    _stay_on_this_machine()
    options = _parser().parse_args()
    try:
        return options.command(options)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _stay_on_this_machine() -> None:
    """Neither a proxy nor a profile of the user's may come between us and the loopback endpoints."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ.pop("AWS_PROFILE", None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localaws", description=__doc__)
    commands = parser.add_subparsers(required=True)

    run = commands.add_parser("run", help="start the local AWS, print what it offers, run until stdin closes")
    run.add_argument("--account", help="the 12-digit account")
    run.add_argument("--detached", action="store_true", help="outlive stdin: end on a signal only")
    run.add_argument("--log", type=Path, help="write the emulator's log here and keep it")
    run.set_defaults(command=_run)

    deploy = commands.add_parser("deploy", help="create or update the stack in the local AWS of the environment")
    deploy.add_argument("--stack", required=True)
    deploy.add_argument("--json", action="store_true")
    deploy.add_argument("parameters", nargs="*", metavar="Key=Value")
    deploy.set_defaults(command=_deploy)

    delete = commands.add_parser("delete", help="delete the stack")
    delete.add_argument("--stack", required=True)
    delete.add_argument("--json", action="store_true")
    delete.set_defaults(command=_delete)

    demo = commands.add_parser("demo", help="deploy, use and remove the integration, and check every step")
    demo.set_defaults(command=_demo)

    for name, command, text in (
        ("up", _up, "deploy into a local AWS that stays; parameters in PARAMS"),
        ("down", _down, "delete that stack and end the local AWS"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace) -> int:
    from .launcher import run

    if options.account and not re.fullmatch(r"\d{12}", options.account):
        raise LocalError(f"An account has 12 digits: {options.account}")
    return run(options.account, options.detached, options.log)


def _deploy(options: argparse.Namespace) -> int:
    from . import deployer, terminal
    from .clients import Clients
    from .template import Template, parse_parameters

    progress = terminal.ResourceProgress(terminal.stderr())
    result = deployer.deploy(
        Clients.from_environment(), Template.read(), options.stack, parse_parameters(options.parameters), progress)
    return _report(result, options.json, f"Stack {options.stack} was not deployed: {result.status}")


def _delete(options: argparse.Namespace) -> int:
    from . import deployer, terminal
    from .clients import Clients

    result = deployer.delete(Clients.from_environment(), options.stack, terminal.ResourceProgress(terminal.stderr()))
    return _report(result, options.json, f"Stack {options.stack} was not deleted: {result.status}")


def _demo(options: argparse.Namespace) -> int:
    from .demo.play import demo

    return demo()


def _up(options: argparse.Namespace) -> int:
    from .updown import up

    return up()


def _down(options: argparse.Namespace) -> int:
    from .updown import down

    return down()


def _report(result: Result, as_json: bool, failure: str) -> int:
    from . import terminal

    if as_json:
        print(json.dumps(result.as_json()), flush=True)
    else:
        terminal.stdout().table(sorted(result.outputs.items()))
    if not result.succeeded:
        terminal.stderr().failures(failure, result.reasons)
    return 0 if result.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
