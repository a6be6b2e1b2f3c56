#!/bin/bash
# Runs the suites of other people's clients against a daemon of its own: slow, and not part of `npm test`.
#   test/clients/run.sh compose-v1        compose 1.29's integration tests, from Debian's source package
#   test/clients/run.sh docker-py DIR     docker-py's, which DIR holds (its `tests` directory)
#   test/clients/run.sh devcontainers     the Dev Containers command line brings a workspace up
#   test/clients/run.sh testcontainers    Testcontainers waits, copies, executes, builds
# Further words are pytest's. Nothing is installed and nothing stays but $DD_CLIENTS_CACHE (.cache/clients): what was
# fetched. Needs the packages that .ci/run installs, and for pytest those named below.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
cache=${DD_CLIENTS_CACHE:-$tree/.cache/clients}
mkdir -p "$cache"
suite=${1:?which suite}
shift
ddcli=(node "$tree/cli/ddcli.js")
images=${DD_TEST_CACHE:-$tree/.cache/fixtures}

work=$(mktemp -d)
export DD_ROOT=$work/root DD_RUN=$work/run DOCKER_CONFIG=$work/config DOCKER_HOST=unix://$work/run/docker.sock
mkdir -p "$DOCKER_CONFIG"
registry=
stop() {
  docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1 || true
  "${ddcli[@]}" daemon stop >/dev/null || true
  cp "$DD_ROOT/daemon.log" "$cache/daemon.log" || true
  [ -z "$registry" ] || kill "$registry"
  rm -rf "$work"
}
trap stop EXIT

# serve PORT: a registry that stands for Docker Hub, as a mirror, with the images the suites pull.
serve() {
  local port=$1 name
  cat >"$work/registry.yml" <<EOF
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}, delete: {enabled: true}}
http: {addr: 127.0.0.1:$port}
EOF
  docker-registry serve "$work/registry.yml" >/dev/null 2>&1 &
  registry=$!
  "${ddcli[@]}" daemon start --registry-mirror "http://127.0.0.1:$port" >/dev/null
  "$tree/test/fixtures/images.sh" busybox debian
  docker load -qi "$images/busybox.docker.tar" >/dev/null
  docker load -qi "$images/debian.docker.tar" >/dev/null
  # What the suites expect of busybox beside its programs.
  DOCKER_BUILDKIT=0 docker build -q -t busybox:latest - >/dev/null 2>&1 <<'EOF'
FROM busybox:test
RUN mkdir -p /var/www /tmp /root /home \
  && sed -i '/:1000:1000:/d' /etc/passwd && echo 'default:x:1000:1000::/home:/bin/sh' >>/etc/passwd \
  && echo 'operator:x:37:37::/var:/bin/false' >>/etc/passwd
CMD ["sh"]
EOF
  for name in busybox:latest busybox:1.27.2 busybox:1.31.0-uclibc busybox:buildroot-2014.02 \
    alpine:latest alpine:3.10 alpine:3.10.1 hello-world:latest; do
    docker tag busybox:latest "$name"
    docker tag "$name" "localhost:$port/library/$name"
    docker push -q "localhost:$port/library/$name" >/dev/null
    docker rmi "localhost:$port/library/$name" >/dev/null
  done
}

# fetch WHAT PACKAGE: a source or binary package of Debian's, into the cache.
fetch() {
  local options=(-qq -o APT::Sandbox::User=root)
  cd "$cache"
  if [ "$1" = source ]; then
    mkdir -p lists/partial
    sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >debian-src.sources
    options+=(-o "Dir::Etc::sourcelist=$cache/debian-src.sources" -o Dir::Etc::sourceparts=/dev/null
      -o "Dir::State::lists=$cache/lists")
    apt-get "${options[@]}" update
    apt-get "${options[@]}" source --download-only --tar-only "$2"
  else
    apt-get "${options[@]}" download "$2"
  fi
  cd - >/dev/null
}

pytest() {
  /usr/bin/python3 -W ignore -m pytest -q -p no:cacheprovider --timeout 120 --tb=line "$@"
}

case $suite in
  compose-v1)
    # python3-docker python3-pytest python3-pytest-timeout python3-dockerpty python3-docopt python3-jsonschema
    # python3-texttable python3-yaml python3-dotenv python3-websocket python3-distutils python3-ddt
    [ -d "$cache/compose-1.29.2" ] || {
      fetch source docker-compose
      tar -xf "$cache"/docker-compose_1.29.2.orig.tar.gz -C "$cache"
    }
    serve 5991
    cd "$cache/compose-1.29.2"
    DOCKER_VERSION=20.10.0 pytest tests/integration "$@"
    ;;
  docker-py)
    # python3-docker python3-pytest python3-pytest-timeout python3-paramiko
    tests=${1:?the directory with the tests of docker-py}
    shift
    serve 5991
    cd "$tests"
    pytest integration --deselect swarm "$@"
    ;;
  devcontainers | testcontainers)
    package=@devcontainers/cli
    [ "$suite" = devcontainers ] || package=testcontainers@11
    mkdir -p "$cache/$suite"
    cd "$cache/$suite"
    [ -d node_modules ] || npm install --no-audit --no-fund --silent "$package"
    serve 5991
    if [ "$suite" = devcontainers ]; then
      mkdir -p "$work/workspace/.devcontainer"
      cat >"$work/workspace/.devcontainer/devcontainer.json" <<'EOF'
{"image": "debian:test", "postCreateCommand": "echo created >/tmp/created", "remoteEnv": {"WORD": "set"}}
EOF
      node_modules/.bin/devcontainer up --workspace-folder "$work/workspace" | tail -n 1
      node_modules/.bin/devcontainer exec --workspace-folder "$work/workspace" \
        sh -c 'cat /tmp/created; echo $WORD; ls -a'
    else
      cp "$here/testcontainers.mjs" .
      TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=localhost node testcontainers.mjs
    fi
    ;;
  *)
    echo "no suite $suite" >&2
    exit 2
    ;;
esac
