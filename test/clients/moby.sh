#!/bin/bash
# moby.sh DIRECTORY: makes moby's integration tests programs, DIRECTORY/bin/PACKAGE.test, from the source of
# docker.io in Debian's testing release, and the compiler and libraries that it is built with. All of it (0.4 GB
# to fetch, 6 to keep) is unpacked there; nothing is installed. Needs curl, dpkg and patch.
set -euo pipefail
cd "$1"
base=$PWD
mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources | head -n 1)
mkdir -p apt/{lists,archives}/partial debs bin
: >apt/status
printf '%s testing main\n' "deb $mirror" "deb-src $mirror" >apt/sources.list
cat >apt/apt.conf <<CONF
Dir::Etc::sourcelist "$base/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$base/apt/lists";
Dir::State::status "$base/apt/status";
Dir::Cache "$base/apt";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
CONF
export APT_CONFIG=$base/apt/apt.conf

# addresses WORD...: what apt-get would fetch.
addresses() { apt-get -qq --print-uris "$@" | sed -n "s/^'\([^']*\)'.*/\1/p"; }

[ -d engine ] || {
  apt-get -qq update
  # Not its BuildKit, which the tests do without.
  addresses source docker.io | grep -E '\.orig\.tar|\.debian\.tar' |
    xargs -n 1 curl -sSf --remote-name --output-dir debs
  tar -xf debs/docker.io_*.debian.tar.xz
  mkdir engine
  tar -xf debs/docker.io_*.orig.tar.xz -C engine --strip-components=3 --wildcards '*/engine/*'
  # Large, and needed by nothing here.
  unneeded='x-tools_|aws-sdk-go-dev|google-cloud-dev|gonum|nats-io|arrow-go|bubbletea|x-image|circl|lz4'
  # shellcheck disable=SC2046
  addresses install golang-go golang-github-docker-docker-dev golang-github-tonistiigi-fsutil-dev \
    $(sed -n '/^Build-Depends/,/^[HP]/p' debian/control | sed 's/#.*//' |
      grep -oE 'golang-[a-z0-9.+-]+-dev' | sort -u) |
    grep '/golang-' | grep -vE "$unneeded" |
    xargs -P 4 -n 20 curl -sSf --remote-name-all --output-dir debs
  for package in debs/golang-*.deb; do dpkg -x "$package" unpacked; done
}

export GOROOT GOPATH=$base/go GOCACHE=$base/cache GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=
GOROOT=$(echo "$base"/unpacked/usr/lib/go-1.*)
export PATH=$GOROOT/bin:$PATH
[ -d go ] || {
  mkdir go
  mv unpacked/usr/share/gocode/src go/src
  cd go/src
  # What Debian has no package of; a package is taken from one place as a whole.
  (cd "$base/engine/vendor" && find . -name '*.go' -printf '%h\n' | sort -u) | while read -r package; do
    [ -n "$(find "$package" -maxdepth 1 -name '*.go' 2>/dev/null | head -n 1)" ] && continue
    mkdir -p "$package"
    find "$base/engine/vendor/$package" -maxdepth 1 -type f -exec cp -t "$package" {} +
  done
  rm -rf "$base/engine/vendor"
  cp -an "$base/engine/." github.com/docker/docker/
  # Modules of a second major version and above live in directories without one.
  for module in raft api pkg server client/pkg; do ln -sfn . "go.etcd.io/etcd/$module/v3"; done
  echo 'module github.com/moby/swarmkit/v2' >github.com/moby/swarmkit/v2/go.mod
  cd github.com/docker/docker
  patch -sNp2 <"$base/debian/patches/engine-avoid-hcsshim.patch" || true
  # Compressions by number, as both versions of the archive library have them.
  sed -i 's/archive\.Uncompressed/0/; s/archive\.Gzip\b/2/' \
    testutil/fixtures/plugin/plugin.go integration-cli/*_test.go
}

cd "$base/go/src/github.com/docker/docker"
for package in container network networking volume image system session build; do
  [ -x "$base/bin/$package.test" ] || go test -c -o "$base/bin/$package.test" "./integration/$package"
done
[ -x "$base/bin/cli.test" ] || go test -c -o "$base/bin/cli.test" ./integration-cli
