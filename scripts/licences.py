#!/usr/bin/env python3
"""Prints the licences of everything that is linked into the binary, with their texts.

Usage: scripts/licences.py TARGET
"""

import json
import subprocess
import sys
from pathlib import Path

# What a package calls the files with its licence and its notices.
NAMES = ("licen", "copying", "notice", "copyright", "unlicense")
# Not a crate, and linked by a static build.
GLIBC = """GNU C Library: LGPL-2.1-or-later, linked statically. Its source comes with the distribution this binary was built on; with
that and Mandate's own source anybody can link the binary anew."""

LGPL = Path("/usr/share/common-licenses/LGPL-2.1")


def linked(metadata):
    """Packages reached from the root by normal dependencies; what builds or tests the binary is not in it."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, open_ = set(), [metadata["resolve"]["root"]]
    while open_:
        for dependency in nodes[open_.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                open_.append(dependency["pkg"])
    return sorted((p for p in metadata["packages"] if p["id"] in found), key=lambda p: (p["name"], p["version"]))


def texts(package):
    folder = Path(package["manifest_path"]).parent
    return [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.lower().startswith(NAMES)]


def main(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    packages = linked(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))
    seen = {}
    print(GLIBC)
    if LGPL.is_file():
        print(f"\n{LGPL.read_text().strip()}")
    else:
        print(f"licences: {LGPL} is missing, so its text is not included", file=sys.stderr)
    for package in packages:
        print(f"\n{'=' * 100}\n{package['name']} {package['version']}: {package['license'] or package['license_file']}")
        print("\n".join(package["authors"]))
        for file in texts(package):
            text = file.read_text(errors="replace").strip()
            # The same text again is named, not repeated.
            if text in seen:
                print(f"\n{file.name}: as {seen[text]}")
                continue
            seen[text] = f"{file.name} of {package['name']} {package['version']}"
            print(f"\n--- {file.name} ---\n{text}")
    if len(packages) < 50:
        sys.exit(f"licences: only {len(packages)} packages are linked; that cannot be")


if __name__ == "__main__":
    main(sys.argv[1])
