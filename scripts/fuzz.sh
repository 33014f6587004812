#!/usr/bin/env bash
# Runs the targets of fuzz/ for some seconds each: all, or those that are named. Fails if one of them panics, hangs or
# takes too much memory; the input is kept then. What is found on the way is kept in target/fuzz, and gone on with.
#
#   scripts/fuzz.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=$1
shift
if (($# == 0)); then
  mapfile -t named < <(sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' fuzz/targets/mod.rs)
  set -- "${named[@]}"
fi

rustup toolchain list | grep -q '^nightly' || {
  echo "fuzz: a nightly compiler is missing: rustup toolchain install nightly --profile minimal" >&2
  exit 1
}
target=$(rustc -vV | sed -n 's/^host: //p')
# Without a sanitizer: there is no unsafe code of ours to watch, and it costs more than half of the tries.
cargo +nightly fuzz build parsers --sanitizer none --target-dir target/fuzz/build
parsers=$PWD/target/fuzz/build/$target/release/parsers

for name in "$@"; do
  mkdir -p "target/fuzz/found/$name" target/fuzz/crashes
  log=target/fuzz/$name.log
  if ! MANDATE_FUZZ=$name "$parsers" "target/fuzz/found/$name" "fuzz/corpus/$name" -max_total_time="$seconds" \
    -timeout=10 -rss_limit_mb=4096 -max_len=16384 -artifact_prefix="target/fuzz/crashes/$name-" \
    -print_final_stats=1 >"$log" 2>&1; then
    tail -40 "$log" >&2
    echo "fuzz: $name failed; again with: MANDATE_FUZZ=$name $parsers target/fuzz/crashes/$name-…" >&2
    exit 1
  fi
  tries=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "fuzz: $name: $tries inputs in ${seconds} s, no failure"
done
