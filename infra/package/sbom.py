"""Owns the bill of materials: each crate that is linked into a function, from which source, under which licence, and what it needs."""

from __future__ import annotations

import json
import subprocess
import tomllib
import uuid
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from . import template

TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
_NAMESPACE = uuid.UUID("4f6e8a57-3f0d-5b1c-9a86-0d6f0c8a4f11")


def make(functions: list[str], version: str, architecture: str) -> str:
    """CycloneDX as JSON, the same for the same Cargo.lock: without a time, and with a serial number that is made from its content."""
    target = TARGETS[architecture]
    packages, needs = _metadata(target)
    linked = {name: _linked(name, target) for name in sorted(functions)}
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in tomllib.loads(
        (template.ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]}

    product = Component(name="emite-connect", version=version, type=ComponentType.APPLICATION, bom_ref="emite-connect",
                        licenses=[LicenseFactory().make_from_string("Apache-2.0")])
    bom = Bom()
    bom.metadata.component = product
    bom.metadata.properties.add(Property(name="emite-connect:target", value=target))
    components = {key: _component(packages[key], checksums, key[0] in functions) for key in sorted(set().union(*linked.values()))}
    for component in components.values():
        bom.components.add(component)
    for key, component in components.items():
        bom.register_dependency(component, [components[other] for other in sorted(needs[key]) if other in components])
    bom.register_dependency(product, [component for key, component in components.items() if key[0] in functions])

    written = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del written["metadata"]["timestamp"], written["serialNumber"]
    content = json.dumps(written, sort_keys=True)
    return json.dumps({"serialNumber": uuid.uuid5(_NAMESPACE, content).urn, **written}, indent=2, sort_keys=True) + "\n"


Key = tuple[str, str]


def _component(package: dict[str, Any], checksums: dict[Key, str | None], is_function: bool) -> Component:
    checksum = checksums[package["name"], package["version"]]
    # Ours have none: they come with this source.
    published = package["source"] is not None
    purl = PackageURL("cargo", None, package["name"], package["version"]) if published else None
    repository = package.get("repository")
    return Component(
        name=package["name"], version=package["version"], description=package.get("description"),
        type=ComponentType.APPLICATION if is_function else ComponentType.LIBRARY,
        bom_ref=f"{package['name']}@{package['version']}", purl=purl,
        # Cargo still allows a slash for OR.
        licenses=[LicenseFactory().make_from_string(package["license"].replace("/", " OR "))] if package.get("license") else (),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else (),
        external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(repository))] if repository and published else ())


def _metadata(target: str) -> tuple[dict[Key, dict[str, Any]], dict[Key, set[Key]]]:
    """All packages, and what each needs to run."""
    found = json.loads(_cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    by_id = {package["id"]: (package["name"], package["version"]) for package in found["packages"]}
    needs = {by_id[node["id"]]: {by_id[dep["pkg"]] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])}
             for node in found["resolve"]["nodes"]}
    return {by_id[package["id"]]: package for package in found["packages"]}, needs


def _linked(package: str, target: str) -> set[Key]:
    """What is in one function: with its features as it is built, without what only builds or tests it, or runs in the compiler."""
    tree = _cargo("tree", "--locked", "--package", package, "--target", target, "--edges", "normal,no-proc-macro", "--prefix", "none",
                  "--no-dedupe", "--format", "{p}")
    found = set()
    for line in tree.splitlines():
        name, version = line.split()[:2]
        found.add((name, version.removeprefix("v")))
    return found


def _cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], cwd=template.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
