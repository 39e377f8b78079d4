"""The release bundle: the same whenever it is made, whole, checked by its own sums, and with a bill of materials that says what is in it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

from package import __main__ as command
from package import build, bundle, sbom
from package import template as marketplace

from localaws import places, short_forms

NAMES = sorted(set(marketplace.functions(marketplace.source()).values()))
# The crates of this workspace that are linked into a function.
OURS = {*NAMES, "emite-aws", "emite-core"}
PUBLISHED = {"MPS3BucketName": "sellers", "MPS3BucketRegion": "eu-west-2", "MPS3KeyPrefix": "emite-connect/"}


def program(name: str, machine: int = 0x3E) -> bytes:
    """The head of a Linux program, with something of its own behind it."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little") + name.encode() * 1000


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("binaries")
    for name in NAMES:
        (folder / name).write_bytes(program(name))
    return {name: folder / name for name in NAMES}


@pytest.fixture(scope="module")
def made(binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.write(binaries, marketplace.Release("1.2.3", published=PUBLISHED), into=tmp_path_factory.mktemp("dist"))


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_it_holds_what_is_published_and_nothing_else(made: Path) -> None:
    assert made.name == "emite-connect-1.2.3"
    assert content(made).keys() == {
        *(f"1.2.3/{name}.zip" for name in NAMES), "marketplace.yaml", "sbom.cdx.json", "LAUNCH.md", "architecture.svg", "costs.md", "SHA256SUMS"}


def test_it_is_the_same_whenever_and_over_whatever_it_is_made(made: Path, binaries: dict[str, Path], tmp_path: Path) -> None:
    for path in binaries.values():
        path.touch()
        path.chmod(0o600)
    stale = tmp_path / "emite-connect-1.2.3" / "1.2.3" / "old.zip"
    stale.parent.mkdir(parents=True)
    stale.touch()
    again = bundle.write(binaries, marketplace.Release("1.2.3", published=PUBLISHED), into=tmp_path)
    assert content(again) == content(made)


def test_a_zip_is_what_lambda_starts(made: Path) -> None:
    for name in NAMES:
        with zipfile.ZipFile(made / "1.2.3" / f"{name}.zip") as archive:
            (entry,) = archive.infolist()
            assert (entry.filename, entry.external_attr >> 16, entry.create_system) == ("bootstrap", 0o100755, 3)
            assert archive.read(entry) == program(name)


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum")
def test_its_sums_are_those_of_all_other_files(made: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=made, check=True)
    named = {line.split("  ", 1)[1] for line in (made / "SHA256SUMS").read_text(encoding="utf-8").splitlines()}
    assert named == content(made).keys() - {"SHA256SUMS"}


def test_its_template_knows_the_zips_and_where_they_will_be(made: Path) -> None:
    written = yaml.load((made / "marketplace.yaml").read_text(encoding="utf-8"), short_forms.Loader)
    copied = written["Resources"]["CodeCopy"]["Properties"]
    assert copied["Release"] == "1.2.3"
    assert copied["Objects"] == {f"{name}.zip": hashlib.sha256((made / "1.2.3" / f"{name}.zip").read_bytes()).hexdigest() for name in NAMES}
    assert {name: written["Parameters"][name].get("Default") for name in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize(("code", "problem"), [
    (program("x", 0xB7), "no Linux program for x86_64"),
    (program("x") + b"\0GLIBC_2.4\0GLIBC_2.39\0", r"needs glibc 2\.39; AWS Lambda has 2\.34"),
    (b"#!/bin/sh\n" + bytes(30), "no Linux program"), (b"", "no Linux program"),
    (None, "not built"),
])
def test_what_lambda_could_not_start_is_refused(code: bytes | None, problem: str, tmp_path: Path) -> None:
    if code is not None:
        (tmp_path / "x").write_bytes(code)
    with pytest.raises(build.Unusable, match=problem):
        bundle.zipped(tmp_path / "x", "x86_64")


@pytest.mark.parametrize("needed", [b"", b"\0GLIBC_2.2.5\0GLIBC_2.34\0", b"GLIBC_9.9 in a text"])
def test_what_lambda_can_start_is_taken_as_it_is(needed: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(program("x") + needed)
    assert build.code(tmp_path / "x", "x86_64") == program("x") + needed


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_what_is_deployed_is_the_template_with_the_functions_that_were_built(architecture: str, tmp_path: Path) -> None:
    machine = build.ARCHITECTURES[architecture][1]
    binaries = {name: tmp_path / name for name in NAMES}
    for name, path in binaries.items():
        path.write_bytes(program(name, machine))
    place = build.write_deployable(binaries, architecture, tmp_path / "deployed" / "template.yaml")
    written, source = yaml.load(place.read_text(encoding="utf-8"), short_forms.Loader), marketplace.source()
    for logical_id, name in marketplace.functions(source).items():
        bootstrap = place.parent / written["Resources"][logical_id]["Properties"]["CodeUri"] / "bootstrap"
        assert (bootstrap.read_bytes(), bootstrap.stat().st_mode & 0o777) == (program(name, machine), 0o755)
        # Nothing else differs.
        given = source["Resources"][logical_id]
        given["Properties"] |= {"CodeUri": name, "Architectures": [architecture]}
        for key in ("BuildMethod", "BuildProperties"):
            given["Metadata"].pop(key, None)
    assert written == source


def test_a_function_that_is_unusable_leaves_what_was_deployed_last(binaries: dict[str, Path], tmp_path: Path) -> None:
    place = build.write_deployable(binaries, "x86_64", tmp_path / "deployed" / "template.yaml")
    before = content(place.parent)
    with pytest.raises(build.Unusable, match="not built"):
        build.write_deployable({**binaries, NAMES[-1]: tmp_path / "nothing"}, "x86_64", place)
    assert content(place.parent) == before


def test_the_other_architecture_is_the_same_all_through(tmp_path: Path) -> None:
    binaries = {name: tmp_path / name for name in NAMES}
    for name, path in binaries.items():
        path.write_bytes(program(name, 0xB7))
    made = bundle.write(binaries, marketplace.Release("1.2.3", "arm64"), into=tmp_path / "dist")
    assert "- x86_64" not in (made / "marketplace.yaml").read_text(encoding="utf-8")
    assert "aarch64-unknown-linux-gnu" in (made / "sbom.cdx.json").read_text(encoding="utf-8")
    assert "built for arm64" in (made / "LAUNCH.md").read_text(encoding="utf-8")


# ---- How it is launched ----------------------------------------------------------------------------------------------------


def test_the_link_opens_the_template_with_all_that_the_customer_cannot_know(made: Path) -> None:
    text = (made / "LAUNCH.md").read_text(encoding="utf-8")
    assert "${" not in text
    (link,) = re.findall(r"https://\S+console\S+", text)
    address = urlsplit(link)
    assert address.hostname == "REGION-OF-THE-INSTANCE.console.aws.amazon.com".lower()
    page, _, query = address.fragment.partition("?")
    assert page == "/stacks/create/review"
    given = {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}
    assert given == {
        "templateURL": "https://sellers.s3.eu-west-2.amazonaws.com/emite-connect/1.2.3/marketplace.yaml", "stackName": "emite-connect",
        **{f"param_{name}": value for name, value in PUBLISHED.items()}}
    assert len(given["templateURL"]) <= 1024


def test_without_a_bucket_the_link_says_what_to_put_in(binaries: dict[str, Path], tmp_path: Path) -> None:
    made = bundle.write(binaries, marketplace.Release("1.2.3"), into=tmp_path)
    text = unquote((made / "LAUNCH.md").read_text(encoding="utf-8"))
    assert "https://YOUR-BUCKET.s3.REGION-OF-THE-BUCKET.amazonaws.com/emite-connect/1.2.3/marketplace.yaml" in text
    written = yaml.load((made / "marketplace.yaml").read_text(encoding="utf-8"), short_forms.Loader)
    assert not any("Default" in written["Parameters"][name] for name in PUBLISHED)


# ---- What is in it ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def materials(made: Path) -> dict:
    return json.loads((made / "sbom.cdx.json").read_text(encoding="utf-8"))


def test_the_bill_of_materials_is_valid_cyclonedx(materials: dict) -> None:
    folder = resources.files("cyclonedx.schema") / "_res"

    def schema(name: str) -> dict:
        return json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8"))

    whole = schema("bom-1.6")
    # As it refers to them, beside itself.
    others = [(f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", Resource.from_contents(schema(name))) for name in ("spdx", "jsf-0.82")]
    errors = Draft7Validator(whole, registry=Registry().with_resources(others)).iter_errors(materials)
    problems = [f"{error.json_path}: {error.message[:200]}" for error in errors]
    assert problems == []
    assert materials["specVersion"] == "1.6"


def test_it_lists_what_is_linked_and_nothing_that_only_builds_or_tests(materials: dict) -> None:
    names = {component["name"] for component in materials["components"]}
    assert OURS | {"aws-sdk-connect", "aws-sdk-s3", "tokio", "rustls", "aws-lc-sys", "lambda_runtime"} <= names
    locked = {package["name"] for package in tomllib.loads((places.ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]}
    assert names <= locked
    # Tests, a macro, and what only compiles C.
    assert not names & {"insta", "proptest", "aws-smithy-mocks", "emite-connect-tests", "serde_derive", "tokio-macros", "cc", "cmake"}


def test_each_crate_is_named_with_its_sum_and_licence(materials: dict) -> None:
    for component in materials["components"]:
        assert component["licenses"], component["name"]
        if component["name"] not in OURS:
            assert component["purl"] == f"pkg:cargo/{component['name']}@{component['version'].replace('+', '%2B')}"
            assert re.fullmatch(r"[0-9a-f]{64}", component["hashes"][0]["content"]), component["name"]


def test_the_product_needs_its_functions_and_all_is_needed_by_something(materials: dict) -> None:
    needs = {entry["ref"]: set(entry.get("dependsOn", [])) for entry in materials["dependencies"]}
    assert {reference.split("@")[0] for reference in needs["emite-connect"]} == set(NAMES)
    known = {component["bom-ref"] for component in materials["components"]}
    assert set().union(*needs.values()) <= known
    assert known <= set().union(*needs.values())


def test_it_is_the_same_for_the_same_lock(materials: dict) -> None:
    again = json.loads(sbom.make(NAMES, "1.2.3", "x86_64"))
    assert again == materials
    assert "timestamp" not in again["metadata"]
    assert json.loads(sbom.make(NAMES, "1.2.4", "x86_64"))["serialNumber"] != again["serialNumber"]


# ---- The command -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the clone is written."""
    monkeypatch.setattr(marketplace, "TARGET", tmp_path / "marketplace.yaml")
    monkeypatch.setattr(command.diagram, "TARGET", tmp_path / "architecture.svg")
    monkeypatch.setattr(bundle.write, "__defaults__", (None, tmp_path / "dist"))
    return tmp_path


def test_the_command_makes_what_is_generated_and_the_bundle(
        elsewhere: Path, binaries: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bundle", "--binaries", str(next(iter(binaries.values())).parent), "--bucket", "sellers", "--bucket-region", "us-east-1"]
    assert command.main(arguments) == 0
    made = Path(capsys.readouterr().out.strip())
    assert made == elsewhere / "dist" / f"emite-connect-{marketplace.version()}"
    assert (elsewhere / "marketplace.yaml").exists()
    assert (elsewhere / "architecture.svg").exists()
    assert "Default: emite-connect/" in (made / "marketplace.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("arguments", "problem"), [
    (["--bucket", "sellers"], "MPS3BucketRegion"), (["--bucket-region", "us-east-1"], "MPS3BucketName"),
    (["--bucket", "sellers", "--bucket-region", "us-east-1", "--prefix", "folder"], "MPS3KeyPrefix"), (["--architecture", "arm64"], "arm64"),
])
def test_the_command_says_why_no_bundle_was_made(
        elsewhere: Path, binaries: dict[str, Path], capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str) -> None:
    assert command.main(["bundle", "--binaries", str(next(iter(binaries.values())).parent), *arguments]) == 1
    assert problem in capsys.readouterr().err
    assert not (elsewhere / "dist").exists()
