#!/bin/bash
# Builds every workload for both instruction sets: build.sh DIRECTORY. SQLite comes from an npm package.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
to=$(cd "$1" && pwd)
options=(-std=gnu11 -O2 -static -ffp-contract=off -Wall -Wextra)

if [ ! -e "$to/sqlite3.c" ]; then
  (cd "$to" && npm pack --silent better-sqlite3@12.6.2 >/dev/null &&
    tar -xzf better-sqlite3-*.tgz package/deps && rm better-sqlite3-*.tgz)
  archive=$(find "$to/package/deps" -name 'sqlite3.tar.gz' | head -n 1)
  [ -z "$archive" ] || tar -C "$to/package/deps" -xzf "$archive"
  find "$to/package/deps" -name 'sqlite3.[ch]' -exec cp {} "$to/" \;
fi
for pair in x86_64:gcc arm64:aarch64-linux-gnu-gcc; do
  isa=${pair%%:*} cc=${pair##*:}
  mkdir -p "$to/$isa"
  [ -e "$to/$isa/sqlite3.o" ] || "$cc" -O2 -ffp-contract=off -w \
    -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -c "$to/sqlite3.c" -o "$to/$isa/sqlite3.o"
  for source in "$here"/*.c; do
    name=$(basename "$source" .c)
    extra=()
    [ "$name" != sqlite ] || extra=(-I"$to" "$to/$isa/sqlite3.o")
    [ "$to/$isa/$name" -nt "$source" ] ||
      "$cc" "${options[@]}" -o "$to/$isa/$name" "$source" "${extra[@]}" -lm
  done
done
