#!/bin/bash
# Builds every conformance program, statically, into the directory given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
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
printf '%s\0' "$here"/*.c | xargs -0 -P 2 -I{} bash -ec 'build "$1"' _ {}
