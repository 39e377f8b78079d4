"""Owns what the engines are made of: their libraries, resolved by Maven once per pom, and the compiled main beside them.

Kept in the cache under the hash of what is here, so an engine starts offline from then on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from localaws import places
from localaws.errors import LocalError

_HERE = Path(__file__).parent
_SOURCES = ("pom.xml", "OneNode.java")
# OpenSearch 2 asks for it; tried with 17 and 25.
_OLDEST_JDK = 11
_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError",
          "-Dlog4j2.disable.jmx=true", "-Djava.awt.headless=true")


def available() -> str | None:
    """Nothing if the engines can run here; else why not, in words for whoever reads the test's output."""
    if not (_jdk("java") and _jdk("javac")):
        return "there is no JDK (java and javac, in PATH or in JAVA_HOME)"
    version = _version()
    if version < _OLDEST_JDK:
        return f"{_jdk('javac')} is of JDK {version}, and the engines need {_OLDEST_JDK} or later"
    if not shutil.which("mvn"):
        return "there is no Maven (mvn, in PATH)"
    return None


def classpath(name: str) -> str:
    """The engine's classes and libraries; gets them first, if need be."""
    directory = _prepared(name)
    return f"{directory / 'classes'}{os.pathsep}{directory / 'lib' / '*'}"


def command(name: str, data: Path, settings: dict[str, str]) -> list[str]:
    """Starts one node on free ports of the loopback: its HTTP port is the first line of its stdout, and it ends with its stdin."""
    transport = "transport.tcp.port" if name == "elasticsearch-6" else "transport.port"
    chosen = {
        "path.home": str(data),
        "node.name": "one",
        "cluster.name": "emite-connect-tests",
        "network.host": "127.0.0.1",
        "http.port": "0",
        transport: "0",
        "discovery.type": "single-node",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        **settings,
    }
    logging = f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}"
    return [_java(), *_FLAGS, *_flags_of(_version()), logging, "-cp", classpath(name), "OneNode",
            *(f"{key}={value}" for key, value in chosen.items())]


def _java() -> str:
    reason = available()
    if reason:
        raise LocalError(f"The real search engines cannot run here: {reason}.")
    return str(_jdk("java"))


def _flags_of(version: int) -> tuple[str, ...]:
    """Netty and JNA of that age do what later JDKs only warn about so far."""
    return ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow") if version >= 24 else ()


def _jdk(tool: str) -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which(tool, path=str(Path(home) / "bin")) if home else shutil.which(tool)


def _version() -> int:
    said = subprocess.run([str(_jdk("javac")), "-version"], capture_output=True, text=True, check=False)
    # `javac 17.0.15`, and `javac 1.8.0_402` before 9.
    found = re.search(r"javac (?:1\.)?(\d+)", said.stdout + said.stderr)
    return int(found[1]) if found else 0


def _prepared(name: str) -> Path:
    sources = _HERE / name
    ingredients = b"".join((sources / source).read_bytes() for source in _SOURCES)
    return places.made_once(f"engine-{name}", ingredients, lambda directory: _make(name, sources, directory))


def _make(name: str, sources: Path, directory: Path) -> None:
    java = _java()
    print(f"Getting {name} from Maven Central into {directory}: once, usually under a minute (50 MB) ...", file=sys.stderr, flush=True)
    _run("mvn", "--quiet", "--batch-mode", "--file", str(sources / "pom.xml"), f"-Dmaven.repo.local={places.cache_dir() / 'maven'}",
         "dependency:copy-dependencies", f"-DoutputDirectory={directory / 'lib'}")
    _run(str(Path(java).with_name("javac")), "--release", str(_OLDEST_JDK), "-Xlint:-options", "-nowarn", "-cp", str(directory / "lib" / "*"),
         "-d", str(directory / "classes"), str(sources / "OneNode.java"))


def _run(*command: str) -> None:
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if ran.returncode != 0:
        raise LocalError(f"This failed with {ran.returncode}: {' '.join(command)}\n{ran.stdout.strip()}")
