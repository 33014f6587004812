#!/bin/bash
# A scripted agent with two MCP servers of other makers behind `mandate proxy`; no model, no network. Usage: run.sh [MANDATE]
# Servers and the agent's SDK are those that `make mcp` installs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mandate=$(realpath "${1:-$root/target/release/mandate}")
tools=$root/target/tools/mcp
world=$(mktemp -d)
trap 'rm -rf "$world"' EXIT

# The project that the agent works on: a git repository with a secret in it.
project=$world/project
mkdir -p "$project/notes"
printf 'Ship on Friday.\n' > "$project/plan.md"
printf 'KEY=hunter2\n' > "$project/.env"
git -C "$project" init --quiet --initial-branch=main
git -C "$project" add plan.md
git -C "$project" -c user.name=Ana -c user.email=ana@example.org commit --quiet --message "Plan the release"

# What Mandate decides from: the shipped schema and policies that fit any agent, the project's own, and the servers' tools.
mkdir -p "$world/policies" "$world/schemas" "$world/entities"
cp "$root"/schemas/mandate.cedarschema "$world/schemas"
cp "$root"/policies/{standing,supply-chain,environment,autonomy,tools}.cedar "$here"/policies/*.cedar "$world/policies"
cp "$here"/entities/*.json "$world/entities"
import() { "$mandate" import-mcp "$here/$1.tools.json" --out "$world" --owner ana --reviewed 2026-11-01 --trusted "${@:2}" > /dev/null; }
import filesystem --typed read_text_file --typed write_file
import git

cd "$project"
MANDATE="$mandate" WORLD="$world" TOOLS="$tools" "$tools/py/bin/python" "$here/agent.py"

printf '\n── mandate log story --session example ──\n'
"$mandate" log story --session example --dir "$world/data/filesystem/log" --dir "$world/data/git/log"
