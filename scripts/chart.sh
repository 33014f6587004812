#!/usr/bin/env bash
# Checks the Helm chart: its copy of the example, versions, lint, package, and what it renders (check-chart.py).
# Usage: scripts/chart.sh          check
#        scripts/chart.sh files    copy the repository's example into the chart
# MANDATE is the binary that is asked whether the rendered policies load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
chart=deploy/helm/mandate
tools=target/tools
mandate=${MANDATE:-target/release/mandate}

example() {
  local to=$1
  mkdir -p "$to"/{policies,schemas,entities}
  cp policies/*.cedar "$to/policies"
  cp schemas/*.cedarschema schemas/*.tools.json "$to/schemas"
  cp entities/*.json "$to/entities"
}

if [[ ${1:-} == files ]]; then
  rm -rf "$chart/files/example"
  example "$chart/files/example"
  exit
fi

fail() {
  echo "chart: $*" >&2
  exit 1
}

[[ -x $mandate ]] || fail "$mandate is not built: cargo build --release --locked, or name another with MANDATE"
work=$(mktemp -d "$PWD/target/chart.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Helm's own folders, so that nothing of the user's is read or written.
export HELM_CACHE_HOME=$work/cache HELM_CONFIG_HOME=$work/config HELM_DATA_HOME=$work/data

example "$work/example"
diff -r "$work/example" "$chart/files/example" >&2 || fail "files/example is not the repository's example: make chart-files"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
grep -qx "appVersion: \"$version\"" "$chart/Chart.yaml" || fail "Chart.yaml's appVersion is not $version, the crate's version"
echo "  files/example is the repository's; appVersion is $version"

for helm in helm3 helm4; do
  for values in "$chart"/ci/*-values.yaml; do
    "$tools/$helm" lint --strict --quiet "$chart" --values "$values" >"$work/lint" 2>&1 || { cat "$work/lint" >&2; fail "$helm lint: $values"; }
  done
  mkdir "$work/$helm"
  "$tools/$helm" package "$chart" --destination "$work/$helm" >/dev/null
  package=$(echo "$work/$helm"/mandate-*.tgz)
  [[ $(tar -tzf "$package" | grep -c '/ci/') == 0 ]] || fail "the package holds ci/"
  "$tools/$helm" template x "$package" >"$work/$helm/packed"
  "$tools/$helm" template x "$chart" | cmp - "$work/$helm/packed" || fail "the package renders differently from the folder"
  echo "  $("$tools/$helm" version --short): lint, package ($(stat -c %s "$package") bytes)"
done
"$tools/py/bin/python" scripts/check-chart.py "$tools/helm3" "$tools/helm4" "$mandate"
