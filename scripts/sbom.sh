#!/usr/bin/env bash
# Writes what the release binary is made of: target/sbom/mandate.cdx.json (CycloneDX 1.5, JSON), checked against the
# format's schema and against what Cargo links.
#
#   scripts/sbom.sh [TARGET]      a target triple; default: this machine's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
python=target/tools/sbom/bin/python
mkdir -p target/sbom

# Every build of one commit says the same: no random serial number, and the commit's time.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
# It writes beside Cargo.toml, whatever it is asked.
trap 'rm -f mandate.cdx.json' EXIT
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe crate --target "$target" --no-build-deps \
  --override-filename mandate.cdx
mv mandate.cdx.json target/sbom/mandate.cdx.json
"$python" scripts/check-sbom.py target/sbom/mandate.cdx.json "$target"
