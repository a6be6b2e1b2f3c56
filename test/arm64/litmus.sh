#!/bin/bash
# How often the litmus tests' outcomes are seen: test/arm64/litmus.sh [RUNS]. Natively on this machine
# and translated, in both modes; the tests themselves are checks/litmus.c. What is forbidden must be 0
# everywhere; what this processor allows, a store overtaken by a later load (SB, R), should be seen,
# or the rest proves little: then give the machine less to do.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${DD_TEST_CACHE:-$top/.cache/fixtures}
runs=${1:-10}
image=litmus:test

state=$(mktemp -d)
export DD_ROOT=$state/root DD_RUN=$state/run
trap 'rm -rf --one-file-system "$state"' EXIT
dd() { node "$top/cli/ddcli.js" "$@"; }

for pair in x86_64:gcc arm64:aarch64-linux-gnu-gcc; do
  "${pair##*:}" -std=gnu17 -D_GNU_SOURCE -O1 -static -pthread \
    -o "$state/${pair%%:*}" "$here/checks/litmus.c"
done
dd import --platform linux/arm64 "$cache/busybox-arm64.tar" "$image" >/dev/null
loop="for i in \$(seq $runs); do /litmus; done"
for ((i = 0; i < runs; i++)); do "$state/x86_64"; done >"$state/native.out"
for mode in trusted untrusted; do
  option=()
  [ $mode = trusted ] || option=(--untrusted)
  dd run --rm -q "${option[@]}" --platform linux/arm64 -v "$state/arm64:/litmus:ro" "$image" \
    sh -c "$loop" >"$state/$mode.out"
done
cd "$state"
awk '
  FNR == 1 { columns[++count] = FILENAME; sub(/\.out/, "", columns[count]) }
  { name = $0; sub(/: .*/, "", name); rest = $0; sub(/^[^:]*: /, "", rest) }
  !(name in kind) { order[++names] = name; kind[name] = rest ~ /^allowed/ ? "allowed" : "forbidden" }
  { seen = 0
    if (match(rest, /seen [0-9]+/)) seen = substr(rest, RSTART + 5, RLENGTH - 5)
    if (match(rest, /FAILED with [0-9]+/)) { seen = substr(rest, RSTART + 12, RLENGTH - 12); bad = 1 }
    sum[name, count] += seen }
  END {
    printf "%-26s %-10s", "outcome seen, times", ""
    for (i = 1; i <= count; i++) printf "%12s", columns[i]
    print ""
    for (n = 1; n <= names; n++) {
      printf "%-26s %-10s", order[n], kind[order[n]]
      for (i = 1; i <= count; i++) printf "%12d", sum[order[n], i]
      print ""
    }
    exit bad
  }' native.out trusted.out untrusted.out
