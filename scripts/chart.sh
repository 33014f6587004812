#!/usr/bin/env bash
# Checks the Helm chart: its copies, versions, lint, package, and what it renders (check-chart.py).
# Usage: scripts/chart.sh          check
#        scripts/chart.sh files    copy into the chart what it has of the repository, and write its README's table
# MANDATE is the binary that is asked whether what was rendered loads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
chart=deploy/helm/mandate
tools=target/tools
mandate=${MANDATE:-target/release/mandate}

# Everything in files/ that has its home elsewhere. values.yaml is there once more for `helm upgrade --reuse-values`
# (templates/_values.tpl): Helm shows templates every file but that one.
copies() {
  local to=$1
  mkdir -p "$to"/example/{policies,schemas,entities}
  cp policies/*.cedar "$to/example/policies"
  cp schemas/*.cedarschema schemas/*.tools.json "$to/example/schemas"
  cp entities/*.json "$to/example/entities"
  cp "$chart/values.yaml" "$to"
  for made in deploy/prometheus/mandate.rules.yaml deploy/grafana/mandate.json; do
    # Until they have a home of their own, the chart's are the only ones.
    if [[ -e $made ]]; then cp "$made" "$to"; elif [[ $to != "$chart/files" ]]; then cp "$chart/files/${made##*/}" "$to"; fi
  done
}

if [[ ${1:-} == files ]]; then
  rm -rf "$chart/files/example"
  copies "$chart/files"
  "$tools/py/bin/python" scripts/chart/documented.py
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

copies "$work/files"
diff -r --exclude=request.json --exclude=authzen.json "$work/files" "$chart/files" >&2 || fail "files/ is not what the repository has: make chart-files"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
grep -qx "appVersion: \"$version\"" "$chart/Chart.yaml" || fail "Chart.yaml's appVersion is not $version, the crate's version"
for template in "$chart"/templates/{,tests/}*.yaml "$chart/templates/NOTES.txt"; do
  head -1 "$template" | grep -q '^{{- include "mandate.values" . -}}$' || fail "$template does not begin with mandate.values, and breaks with --reuse-values"
done
echo "  files/ is the repository's; appVersion is $version"

lint() {
  local helm=$1 values
  for values in "$chart"/ci/*-values.yaml; do
    "$tools/$helm" lint --strict --quiet "$chart" --kube-version 1.37.0 --values "$values" >"$work/$helm.lint" 2>&1 || { cat "$work/$helm.lint" >&2; fail "$helm lint: $values"; }
  done
}
lint helm3 &
three=$!
lint helm4
wait "$three"

for helm in helm3 helm4; do
  mkdir "$work/$helm"
  "$tools/$helm" package "$chart" --destination "$work/$helm" >/dev/null
  package=$(echo "$work/$helm"/mandate-*.tgz)
  [[ $(tar -tzf "$package" | grep -c '/ci/') == 0 ]] || fail "the package holds ci/"
  "$tools/$helm" template x "$package" >"$work/$helm/packed"
  "$tools/$helm" template x "$chart" | cmp - "$work/$helm/packed" || fail "the package renders differently from the folder"
  echo "  $("$tools/$helm" version --short): lint, package ($(stat -c %s "$package") bytes)"
done
"$tools/py/bin/python" scripts/check-chart.py "$tools/helm3" "$tools/helm4" "$mandate" "$tools/checkov/bin/checkov"
