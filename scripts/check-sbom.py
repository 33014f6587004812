#!/usr/bin/env python3
"""Checks a bill of materials: that it is CycloneDX, and that it names every package that is linked and no other.

Usage: scripts/check-sbom.py FILE TARGET
"""

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from licences import linked


def main(file, target):
    text = Path(file).read_text()
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if error:
        sys.exit(f"sbom: {file} is no CycloneDX 1.5: {error}")
    bill = json.loads(text)
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    packages = linked(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))
    expected = {(package["name"], package["version"]) for package in packages}
    found = {(component["name"], component["version"]) for component in bill["components"]}
    missing, extra = expected - found, found - expected
    if missing or extra:
        sys.exit(f"sbom: {file} lacks {sorted(missing)} and has besides {sorted(extra)}")
    bare = [component["name"] for component in bill["components"] if not component.get("hashes") or not component.get("purl")]
    if bare:
        sys.exit(f"sbom: without a hash or a name elsewhere: {bare}")
    print(f"sbom: {file}: CycloneDX 1.5, {len(found)} components, each with its hash and licence")


if __name__ == "__main__":
    main(*sys.argv[1:])
