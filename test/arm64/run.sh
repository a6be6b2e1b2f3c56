#!/bin/bash
# Runs large arm64 programs in containers, in both modes: test/arm64/run.sh [NAME]... See README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${DD_TEST_CACHE:-$top/.cache/fixtures}
packages=python3,libpython3.11-testsuite,nodejs,openjdk-17-jdk-headless,golang-go,redis-server,sqlite3
packages=$packages,perl,git,gcc,make,libc6-dev,python3-numpy,ripgrep,procps
image=arm64-programs:test
limit=1800

state=$(mktemp -d)
export DD_ROOT=$state/root DD_RUN=$state/run
trap 'rm -rf --one-file-system "$state"' EXIT
dd() { node "$top/cli/ddcli.js" "$@"; }

mkdir -p "$cache"
if [ ! -e "$cache/arm64-programs.tar" ]; then
  mmdebstrap --quiet --variant=extract --arch=arm64 --include='?essential' --include="$packages" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr bookworm "$cache/arm64-programs.new.tar"
  mv "$cache/arm64-programs.new.tar" "$cache/arm64-programs.tar"
fi
dd import --platform linux/arm64 "$cache/arm64-programs.tar" "$image" >/dev/null

passed=0 failed=0
names=("$@")
[ ${#names[@]} -gt 0 ] || names=($(cd "$here/programs" && ls *.sh | sed 's/\.sh$//'))
for name in "${names[@]}"; do
  for mode in trusted untrusted; do
    option=()
    [ $mode = trusted ] || option=(--untrusted)
    if timeout $limit node "$top/cli/ddcli.js" run --rm -q "${option[@]}" -v "$here/programs:/programs:ro" "$image" \
      sh "/programs/$name.sh" >"$state/out" 2>"$state/err" && cmp -s "$state/out" "$here/programs/$name.out"; then
      passed=$((passed + 1))
      echo "ok $name, $mode"
    else
      failed=$((failed + 1))
      echo "NOT OK $name, $mode"
      diff "$here/programs/$name.out" "$state/out" | head -n 20 || true
      tail -n 20 "$state/err"
    fi
  done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
