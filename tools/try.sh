#!/bin/bash
# From a fresh clone to a first container: installs (as root) or names what is missing, builds, and runs a
# command in a container of the `host` image, first trusted, then untrusted.
#
#   tools/try.sh [COMMAND [ARGUMENT]...]
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v cmake >/dev/null || missing+=(cmake)
command -v c++ >/dev/null || missing+=(g++)
command -v make >/dev/null || command -v ninja >/dev/null || missing+=(make)
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "Node.js 20.11 or newer with npm is missing: https://nodejs.org/en/download" >&2
  exit 1
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number);
              process.exit(a > 20 || (a === 20 && b >= 11) ? 0 : 1)'; then
  echo "Node.js $(node --version) is too old: 20.11 or newer is needed" >&2
  exit 1
fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]}"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "Missing: ${missing[*]}. Install with: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

if [ ! -e build/Release/dd_ring.node ] || [ ! -e build/js/cli/main.js ]; then
  echo "Installing dependencies and building (about a minute)"
  npm ci --no-audit --no-fund --loglevel=error
fi

[ $# -gt 0 ] || set -- sh -c 'echo "Hello from $(uname -s), pid $$, user $(id -un)"'
for mode in trusted untrusted; do
  option=()
  [ $mode = trusted ] || option=(--untrusted)
  printf '\n$ ddcli run --rm --explain %s host %s\n' "${option[*]}" "$*"
  node cli/ddcli.js run --rm --explain "${option[@]}" host "$@"
done
