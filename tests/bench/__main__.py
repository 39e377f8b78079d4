"""Owns `make bench`: measures, prints, and rewrites the figures in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from localaws import places
from localaws.errors import LocalError

from . import domain, figures, proxy, redrive, rie
from .stage import SUBJECTS, Stage, Subject

DOCUMENT = places.ROOT / "docs" / "benchmarks.md"
DELAY_S = 0.05
_FEWEST_RUNS = 10

ColdStarts = dict[tuple[str, str], list[rie.ColdStart]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--sam", required=True, metavar="PYTHON", help="the Python of the environment with the SAM CLI")
    parser.add_argument("--binaries", required=True, type=Path, metavar="FOLDER", help="the releases, each as NAME/bootstrap")
    parser.add_argument("--client", required=True, metavar="PYTHON", help="the Python of the environment with the OpenSearch client")
    parser.add_argument("--runs", type=int, default=12, help=f"repetitions of each measurement, {_FEWEST_RUNS} at least")
    options = parser.parse_args()
    if options.runs < _FEWEST_RUNS:
        parser.error(f"--runs: {_FEWEST_RUNS} at least")
    _stay_on_this_machine()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="emite-connect-bench-") as work:
            _say("Deploying into a local AWS (about 20 s) ...")
            with Stage(options.sam, options.binaries, Path(work)) as stage:
                _rehearse(stage)
                content = "\n\n".join([_about(options.runs), *_start_up(stage, options.runs), *_health_check(stage, options.runs),
                                       *redrive.measure(stage, Path(work), _say),
                                       *domain.measure(stage, options.client, Path(work), _say)])
    except LocalError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Interrupted; nothing is written.")
        return 130
    finally:
        # An interruption may come between starting a process and minding it.
        rie.end_descendants(os.getpid())
    print(f"\n{content}\n")
    DOCUMENT.write_text(figures.put_between_marks(DOCUMENT.read_text(encoding="utf-8"), content), encoding="utf-8")
    _say(f"Written to {DOCUMENT.relative_to(places.ROOT)}.")
    return 0


def _stay_on_this_machine() -> None:
    """Nothing of the user's AWS settings, nor a proxy, between us and the loopback."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _rehearse(stage: Stage) -> None:
    """Refuses to compare what makes different calls. It also brings the ledger to where a stack in use has it, and the files
    of both sides into memory."""
    for subject in SUBJECTS:
        operations = {}
        for side, start in (("Rust", stage.rust), ("Python", stage.python)):
            with start(subject) as function:
                function.invoke(subject.event(stage))
                _take_calls(stage)
                function.invoke(subject.event(stage))
                operations[side] = sorted(call.operation for _, call in _take_calls(stage))
        if operations["Rust"] != operations["Python"]:
            told = "\n".join(f"  {side}: {', '.join(called)}" for side, called in operations.items())
            raise LocalError(f"The Python peer of {subject.name} makes other calls:\n{told}")


def _take_calls(stage: Stage) -> list[tuple[proxy.Proxy, proxy.Call]]:
    """What passed since this was last asked, in the order in which it came."""
    calls = [(one, call) for one in stage.proxies for call in one.take_calls()]
    failed = [f"{call.operation} answered {call.status}" for _, call in calls if call.status >= 300]
    if failed:
        raise LocalError(f"Calls failed: {'; '.join(failed)}")
    return sorted(calls, key=lambda pair: pair[1].began)


def _start_up(stage: Stage, runs: int) -> list[str]:
    found: ColdStarts = {}
    for subject in SUBJECTS:
        _say(f"Starting {subject.name} {runs} times, in Rust and in Python in turn ...")
        for _ in range(runs):
            for side, start in (("Rust", stage.rust), ("Python", stage.python)):
                with start(subject) as function:
                    found.setdefault((subject.name, side), []).append(function.cold_start(subject.event(stage)))
    return ["## Start-up and memory: Python ÷ Rust", _ratios(found), f"Medians of {runs} fresh processes each, and in brackets the "
            "smallest and the largest:", _absolutes(found)]


def _ratios(found: ColdStarts) -> str:
    def row(subject: Subject) -> list[str]:
        rust, python = found[subject.name, "Rust"], found[subject.name, "Python"]
        return [f"{subject.name}: {subject.task}", *(figures.times(*([measure(start) for start in side] for side in (python, rust)))
                                                     for _, measure, _ in _MEASURES)]

    return figures.table(["Function", *(name for name, _, _ in _MEASURES)], [row(subject) for subject in SUBJECTS])


def _absolutes(found: ColdStarts) -> str:
    rows = [[f"{name}, {side}", *(figures.spread([measure(start) for start in starts], digits) for _, measure, digits in _MEASURES)]
            for (name, side), starts in found.items()]
    units = ("ms", "ms", "ms", "MiB")
    return figures.table(
        ["", *(f"{name}, {unit}" for (name, _, _), unit in zip(_MEASURES, units, strict=True))], rows)


_MEASURES = (
    ("Start-up", lambda start: start.init_ms, 1),
    ("First invocation", lambda start: start.invocation_ms, 1),
    ("Both together", lambda start: start.init_ms + start.invocation_ms, 1),
    ("Peak memory", lambda start: start.peak_mib, 1),
)


def _health_check(stage: Stage, runs: int) -> list[str]:
    subject = SUBJECTS[1]
    _say(f"Running {subject.name} {runs} times with {DELAY_S * 1000:.0f} ms on every call, and its calls one after another ...")
    at_once, in_turn, numbers, chains = [], [], [], []
    with stage.rust(subject) as function:
        # Warm: the clients are there, and have their connections.
        function.invoke(subject.event(stage))
        _take_calls(stage)
        for one in stage.proxies:
            one.delay_s = DELAY_S
        for _ in range(runs):
            at_once.append(function.invoke(subject.event(stage)))
            calls = _take_calls(stage)
            took, statuses = proxy.send_again(calls)
            in_turn.append(took)
            if statuses != [call.status for _, call in calls]:
                raise LocalError(f"Calls that were sent again were answered otherwise: {statuses}")
            _take_calls(stage)
            numbers.append(len(calls))
            chains.append(figures.longest_chain([(call.began, call.ended) for _, call in calls]))
    rows = [[figures.times(in_turn, at_once), figures.spread(at_once), figures.spread(in_turn), f"{median(numbers):.0f}",
             f"{median(chains):.0f}"]]
    header = ["One after another ÷ at once", "At once, ms", "One after another, ms", "Calls", "Longest chain of calls"]
    return [f"## One run of the health check, {DELAY_S * 1000:.0f} ms added to every call", figures.table(header, rows),
            f"Medians of {runs} runs of a warm process."]


def _about(runs: int) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    processor = re.sub(r"\s+", " ", model[1]).strip() if model else "unknown processor"
    python = ".".join(map(str, sys.version_info[:3]))
    return (f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({processor}), {memory:.0f} GiB of memory, "
            f"Python {python}, boto3 {_boto3()}.")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _boto3() -> str:
    import boto3

    return boto3.__version__


if __name__ == "__main__":
    sys.exit(main())
