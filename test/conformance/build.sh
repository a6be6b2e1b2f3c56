#!/bin/bash
# Builds every program of the directories given, statically: build.sh OUT [DIRECTORY]... Absent: the conformance
# programs. CC names the compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
mkdir -p "$out"
build() {
  local name
  name=$(basename "$1" .c)
  if [ "$out/$name" -nt "$1" ] && [ "$out/$name" -nt "$here/case.h" ]; then return; fi
  "${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -Wno-unused-result -Wno-infinite-recursion \
    -Wno-stringop-overflow -Wno-stringop-overread -Wno-nonnull -Wno-array-bounds \
    -static -pthread "$1" -o "$out/$name" -lm
}
export -f build
export here out
[ $# -gt 0 ] || set -- "$here"
find "$@" -maxdepth 1 -name '*.c' -print0 | xargs -0 -P 2 -I{} bash -ec 'build "$1"' _ {}
