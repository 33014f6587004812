#!/usr/bin/env bash
# Installs promtool, which comes with Prometheus, as TOOLS/prometheus/promtool, from Debian's package. Needs no root: the
# package is downloaded and unpacked, not installed.
# Usage: scripts/fetch-promtool.sh TOOLS
set -euo pipefail
version=2.42.0+ds-5+b6
sum=3b0e0255b059a7696bd4a139a4a4eb24d71df067936a61ece5093559cbc7991c

fail() {
  echo "fetch-promtool: $*" >&2
  exit 1
}

machine=$(dpkg --print-architecture)
[[ $machine == amd64 ]] || fail "the package that is pinned is for amd64; put promtool for $machine into $1/prometheus by hand"
mkdir -p "$1/prometheus"
folder=$(cd "$1/prometheus" && pwd)
work=$(mktemp -d "$folder/package.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# apt's own state, where it has lists already; if not, lists of our own, which take no root either.
download() {
  apt-get "$@" -qq -o APT::Sandbox::User="$(id -un)" download "prometheus=$version"
}
if ! download 2>/dev/null; then
  mkdir -p state/lists/partial cache/archives/partial
  own=(-o Dir::State="$work/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)")
  apt-get "${own[@]}" -qq update || fail "apt has no lists of packages, and can fetch none"
  download "${own[@]}" || fail "apt does not find prometheus $version"
fi
sha256sum --quiet --check <<<"$sum  $(ls prometheus_*.deb)" || fail "the package is not the one that is pinned"
dpkg-deb --extract prometheus_*.deb package
mv package/usr/bin/promtool "$folder/promtool"
"$folder/promtool" --version
