#!/usr/bin/env python3
"""Writes what the release binary is made of: a bill of materials in CycloneDX 1.5, JSON, held to the format's schema.

Usage: scripts/sbom.py FILE [TARGET]

Named are the packages that Cargo links for the target, which are those of the image's licences; what builds or tests the binary is
not in it. One commit gives one file: its time is the commit's, and its serial number comes from what is in it.
"""

import datetime
import json
import os
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot5
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from licences import linked


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def when():
    """The commit's time, unless the environment has another."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct")
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def component(package, checksums, kind=ComponentType.LIBRARY):
    name, version = package["name"], package["version"]
    checksum = checksums.get((name, version))
    repository = package.get("repository")
    return Component(
        type=kind,
        name=name,
        version=version,
        bom_ref=f"{name} {version}",
        description=package.get("description"),
        purl=PackageURL("cargo", None, name, version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        # A slash between licences is an old way to write `OR`.
        licenses=[LicenseFactory().make_from_string(package["license"].replace("/", " OR "))] if package["license"] else [],
        external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(repository))] if repository else [],
    )


def bill(target):
    metadata = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    packages = {package["id"]: package for package in metadata["packages"]}
    lock = tomllib.loads(Path("Cargo.lock").read_text())
    checksums = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}
    root = metadata["resolve"]["root"]
    components = {package["id"]: component(package, checksums) for package in linked(metadata)}
    unhashed = [one.name for one in components.values() if not one.hashes]
    if len(components) < 50 or unhashed:
        sys.exit(f"sbom: {len(components)} packages, without a checksum: {unhashed}")
    bom = Bom(components=components.values())
    bom.metadata.component = components[root] = component(packages[root], checksums, ComponentType.APPLICATION)
    bom.metadata.timestamp = when()
    # A bill of the same packages has the same number.
    names = "\n".join(sorted(f"{one.bom_ref} {one.hashes}" for one in components.values()))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, f"{target}\n{names}")
    for node in metadata["resolve"]["nodes"]:
        if node["id"] in components:
            normal = (edge["pkg"] for edge in node["deps"] if any(kind["kind"] is None for kind in edge["dep_kinds"]))
            bom.register_dependency(components[node["id"]], [components[pkg] for pkg in normal])
    return bom


def main(file, target=None):
    if target is None:
        lines = output("rustc", "-vV").splitlines()
        target = next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))
    bom = bill(target)
    text = JsonV1Dot5(bom).output_as_string(indent=2) + "\n"
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if error:
        sys.exit(f"sbom: no CycloneDX 1.5: {error}")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(text)
    print(f"sbom: {file}: CycloneDX 1.5, {len(bom.components)} packages for {target}, each with its checksum")


if __name__ == "__main__":
    main(*sys.argv[1:])
