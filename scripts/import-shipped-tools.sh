#!/bin/sh
# Regenerates the shipped tool entities and typed actions from real tool lists.
# Usage: scripts/import-shipped-tools.sh DIR   (a folder with the servers' `tools/list` answers, NAME.tools.json)
set -eu
mandate=${MANDATE:-target/debug/mandate}
import() {
  name=$1
  shift
  "$mandate" import-mcp "$DIR/$name.tools.json" --out . --env prod --level 1 --owner ana --reviewed 2026-11-01 --trusted "$@"
}
DIR=$1
import fetch --typed fetch
import filesystem --typed write_file --typed edit_file --typed create_directory --typed move_file
import git
import github --typed push_files --typed create_or_update_file --typed delete_file --typed create_repository
import time --in unattended
