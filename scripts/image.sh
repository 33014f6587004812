#!/usr/bin/env bash
# Builds the container image from a static binary, without a daemon, and starts it once.
# Leaves target/image/mandate.tar, an OCI archive tagged mandate:VERSION, and the same in buildah's store below target/image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
limit=$((40 * 1000 * 1000))
out=$PWD/target/image
context=$out/context

fail() {
  echo "image: $*" >&2
  exit 1
}

command -v buildah >/dev/null || fail "buildah is missing: apt-get install buildah (Debian, Ubuntu) or dnf install buildah"
for tool in curl pgrep strip readelf; do
  command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install curl procps binutils"
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
target=$(rustc -vV | sed -n 's/^host: //p')
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The commit's time: the same commit gives the same image.
seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

echo "building for $target"
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$target"

chmod -R u+w "$out" 2>/dev/null || true
rm -rf "$out"
mkdir -p "$context/licences" "$out"/{store,run,tmp}
strip -o "$context/mandate" "target/$target/release/mandate"
if readelf --program-headers "$context/mandate" | grep -q INTERP; then fail "the binary is not static: it asks for a loader"; fi
if readelf --dynamic "$context/mandate" | grep -q NEEDED; then fail "the binary is not static: it needs libraries"; fi
cp LICENSE "$context/licences/mandate"
python3 scripts/licences.py "$target" >"$context/licences/dependencies"

export TMPDIR=$out/tmp
build() {
  local command=$1
  shift
  buildah --root "$out/store" --runroot "$out/run" --storage-driver vfs "$command" "$@"
}
build bud --quiet --isolation chroot --timestamp "$seconds" --tag "mandate:$version" \
  --build-arg VERSION="$version" --build-arg REVISION="$revision" \
  --file deploy/docker/Dockerfile "$context" >/dev/null
build push --quiet "mandate:$version" "oci-archive:$out/mandate.tar:mandate:$version"

size=$(stat -c %s "$context/mandate")
packed=$(stat -c %s "$out/mandate.tar")
echo "mandate:$version  binary $size bytes, archive $packed bytes"
((size + $(stat -c %s "$context/licences/dependencies") <= limit)) || fail "the image is over $limit bytes"

# Starts it as Kubernetes would: its own user, an empty root, everything else mounted.
container=$(build from --quiet "mandate:$version")
[[ $(build inspect --format '{{.OCIv1.Config.User}}' "$container") == 65532:65532 ]] || fail "the image does not run as 65532:65532"
inside() {
  build run --isolation chroot "${mounts[@]}" "$container" -- /mandate "$@"
}
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
data=$out/data
mkdir -p "$data"
chown 65532:65532 "$data" 2>/dev/null || chmod 777 "$data"
mounts=(--volume "$data:/var/lib/mandate" --volume "$PWD/deploy/helm/mandate/files/request.json:/request.json:ro")
for kind in policies schemas entities; do
  mounts+=(--volume "$PWD/$kind:/etc/mandate/$kind:ro")
done
[[ $(inside --version) == "mandate $version" ]] || fail "the image does not say that it is mandate $version"

grpc=$(free_port)
http=$(free_port)
inside serve --policies /etc/mandate/policies --schemas /etc/mandate/schemas --entities /etc/mandate/entities \
  --data "127.0.0.1:$grpc" --http "127.0.0.1:$http" --ops 127.0.0.1:0 --control 127.0.0.1:0 >"$out/serve.log" 2>&1 &
server=$!
# buildah hands no signal on: it goes to the last of its descendants, which is the server.
stop() {
  local process=$server child
  while child=$(pgrep --parent "$process" | head -1); do process=$child; done
  kill -TERM "$process"
}
trap 'stop 2>/dev/null || true' EXIT
for _ in {1..100}; do
  curl --silent --fail --max-time 2 "http://127.0.0.1:$http/healthz" >/dev/null && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
curl --silent --fail --max-time 2 "http://127.0.0.1:$http/healthz" >/dev/null || { cat "$out/serve.log" >&2; fail "the server in the image does not answer /healthz"; }
# By name, as a pod asks a Service: a static binary must be able to resolve it.
inside check --server "http://localhost:$grpc" --request /request.json >/dev/null || fail "the server in the image does not allow what it must"
stop
for _ in {1..300}; do
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
if kill -0 "$server" 2>/dev/null; then fail "the server in the image outlived the signal to stop by 30 s"; fi
trap - EXIT
build rm "$container" >/dev/null
echo "it starts as 65532, serves the shipped policies, allows the request of helm test, and stops"
