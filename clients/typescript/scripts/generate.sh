#!/usr/bin/env bash
# Makes src/contract anew from proto/, with buf and protoc-gen-es. With --check it changes nothing, and fails if what is
# committed is not what the contract says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
buf="${BUF:-buf}"
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT

"$buf" generate --output "$made"
if [ "${1:-}" = --check ]; then
  diff -r "$made/src/contract" src/contract || {
    echo "clients/typescript: generated code is not that of proto/; run make clients-generate" >&2
    exit 1
  }
else
  rm -rf src/contract
  cp -r "$made/src/contract" src/contract
fi
