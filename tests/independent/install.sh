#!/usr/bin/env bash
# Installs what tests/payments_independent.rs runs against below target/independent, from the language's own registries,
# pinned. Does nothing when it is there. Needs python3 with venv, node and npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-"$here/../../target/independent"}
mkdir -p "$target"
target=$(cd "$target" && pwd)
stamp=$(cat "$here/requirements.txt" "$here/package-lock.json" | sha256sum)
[ "$(cat "$target/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
for tool in python3 node npm; do
  command -v "$tool" >/dev/null || { echo "make independent needs $tool" >&2; exit 1; }
done
rm -rf "$target/python" "$target/node"
python3 -m venv "$target/python"
"$target/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
mkdir -p "$target/node"
cp "$here/package.json" "$here/package-lock.json" "$target/node/"
(cd "$target/node" && npm ci --silent --no-audit --no-fund)
echo "$stamp" > "$target/stamp"
