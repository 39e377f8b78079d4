"""Owns the command line of `make package`, which generates what is in the repository and makes the bundle, of what `make deploy` does before and
after the SAM CLI, and of the build for `make bench`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import textwrap
from pathlib import Path

from . import build, diagram, template


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="package", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("generate", help="write infra/marketplace.yaml and docs/architecture.svg")
    commands.add_parser("questions", help="say which parameters a deployment needs an answer for")
    failed = commands.add_parser("failures", help="say why the last deployment failed")
    failed.add_argument("--since", required=True, help="when it began, in seconds since 1970")
    built = argparse.ArgumentParser(add_help=False)
    binaries = built.add_mutually_exclusive_group(required=True)
    binaries.add_argument("--cargo-lambda", type=Path, help="builds the functions: the program cargo-lambda")
    binaries.add_argument("--binaries", type=Path, help="takes binaries that are there: a folder of them, each by its name or as NAME/bootstrap")
    built.add_argument("--architecture", choices=list(build.ARCHITECTURES), default="x86_64")
    for_bench = commands.add_parser("build", parents=[built], help="build the functions, and print the folder that they are in")
    for_bench.add_argument("--also", action="append", default=[], metavar="PACKAGE", help="builds this package of the workspace with them")
    commands.add_parser("deployable", parents=[built], help="write the template that `sam deploy` deploys")
    bundle = commands.add_parser("bundle", parents=[built], help="write those, and the release into dist/")
    bundle.add_argument("--bucket", default="", help="where the release will be published: the bucket,")
    bundle.add_argument("--bucket-region", default="", help="its region,")
    bundle.add_argument("--prefix", default="emite-connect/", help="and the folder in it")
    bundle.add_argument("--icons", type=Path, help="the folder that AWS's package of icons was unpacked to, for the diagram in the bundle")
    given = parser.parse_args(arguments)
    if given.command == "questions":
        print(_questions())
        return 0
    if given.command == "failures":
        from . import failures

        deployment = failures.Deployment.last(template.ROOT / "samconfig.toml")
        print("", failures.explain(template.source(), deployment, failures.at(given.since)), "", sep="\n", file=sys.stderr)
        return 0
    try:
        return _make(given)
    except (build.Unusable, subprocess.CalledProcessError, ValueError) as error:
        print(f"Nothing was made: {error}", file=sys.stderr)
        return 1


def _make(given: argparse.Namespace) -> int:
    """The commands that make something of the functions."""
    if given.command == "build":
        print(_folder(given))
        return 0
    if given.command == "deployable":
        print(f"The functions are in {build.write_deployable(_binaries(given), given.architecture).parent}.", file=sys.stderr)
        return 0
    template.TARGET.write_text(template.generate(template.source(), template.Release(template.version())), encoding="utf-8")
    diagram.TARGET.write_text(diagram.draw(diagram.SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
    if given.command == "generate":
        return 0
    from . import bundle

    print(bundle.write(_binaries(given), template.Release(template.version(), given.architecture, published=_published(given)), given.icons))
    return 0


def _questions() -> str:
    """The SAM CLI asks for each parameter by its bare name."""
    lines = ["", "You will be asked for each parameter; Enter takes what stands in brackets. README.md says what they are. Those without a default:"]
    for name, parameter in template.source()["Parameters"].items():
        if "Default" not in parameter:
            lines += ["", f"  {name}", *textwrap.wrap(parameter["Description"], 100, initial_indent="    ", subsequent_indent="    ")]
    return "\n".join([*lines, "", "Your answers are kept in samconfig.toml and offered the next time.", ""])


def _binaries(given: argparse.Namespace) -> dict[str, Path]:
    folder = _folder(given)
    return {name: folder / name / "bootstrap" if (folder / name).is_dir() else folder / name for name in _functions()}


def _folder(given: argparse.Namespace) -> Path:
    return given.binaries or build.build(given.cargo_lambda, given.architecture, [*_functions(), *getattr(given, "also", [])])


def _functions() -> list[str]:
    return sorted(set(template.functions(template.source()).values()))


def _published(given: argparse.Namespace) -> dict[str, str]:
    if not given.bucket and not given.bucket_region:
        return {}
    return template.published(given.bucket, given.bucket_region, given.prefix)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
