#!/usr/bin/env bash
# Makes src/mandate_client/contract anew from proto/, with the protoc of grpcio-tools (requirements-test.txt).
# With --check it changes nothing, and fails if what is committed is not what the contract says.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
proto="$here/../../proto"
python="${PYTHON:-python3}"
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT

# google/rpc/status.proto is imported, not generated: googleapis-common-protos registers the file of that name.
"$python" -m grpc_tools.protoc -I "$proto" --python_out="$made" --pyi_out="$made" "$proto"/mandate/v1/*.proto
contract="$made/mandate/v1"
sed -i 's/^from mandate\.v1 import /from mandate_client.contract import /' "$contract"/*.py "$contract"/*.pyi
printf '"""The contract, generated from proto/mandate/v1 by scripts/generate.sh."""\n' > "$contract/__init__.py"

committed="$here/src/mandate_client/contract"
if [ "${1:-}" = --check ]; then
  diff -r --exclude=__pycache__ "$contract" "$committed" || {
    echo "clients/python: generated code is not that of proto/; run make clients-generate" >&2
    exit 1
  }
else
  rm -rf "$committed"
  cp -r "$contract" "$committed"
fi
