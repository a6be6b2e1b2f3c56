#!/bin/bash
# Runs the suites of other people's clients against a daemon of its own: slow, and not part of `npm test`.
#   test/clients/run.sh compose-v1        compose 1.29's integration tests, from Debian's source package
#   test/clients/run.sh compose-v2        compose 2's end-to-end tests, from the source package of Debian 13
#   test/clients/run.sh docker-cli        the docker CLI's end-to-end tests, from Debian's source package
#   test/clients/run.sh dockerode DIR     dockerode's own tests, which DIR holds (its `test` directory)
#   test/clients/run.sh docker-py DIR     docker-py's, which DIR holds (its `tests` directory)
#   test/clients/run.sh moby              the engine's own integration tests (moby 28), from Debian's source package
#   test/clients/run.sh devcontainers     the Dev Containers command line brings a workspace up
#   test/clients/run.sh testcontainers    Testcontainers waits, copies, executes, builds
# Further words are those of pytest, go test, mocha. Nothing is installed and nothing stays but $DD_CLIENTS_CACHE
# (.cache/clients): what was fetched. Needs the packages that .ci/run installs, and those named below.
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
RUN mkdir -p /var/www /tmp /root /home /run && ln -s ../run /var/run && ln -s /bin/busybox /usr/bin/env \
  && sed -i '/:1000:1000:/d' /etc/passwd && echo 'default:x:1000:1000::/home:/bin/sh' >>/etc/passwd \
  && echo 'operator:x:37:37::/var:/bin/false' >>/etc/passwd \
  && printf '#!/bin/sh\n[ $# = 0 ] && exec env\nfor name; do eval "echo \\"\\$$name\\""; done\n' >/bin/printenv \
  && printf '#!/bin/sh\nfor url; do :; done\nexec wget -qO- "$url"\n' >/bin/curl \
  && rm -f /bin/bash && printf '#!/bin/sh\nexec sh "$@"\n' >/bin/bash \
  && chmod 755 /bin/printenv /bin/curl /bin/bash
CMD ["sh"]
EOF
  for name in busybox:latest busybox:1.27.2 busybox:1.31.0-uclibc busybox:buildroot-2014.02 \
    alpine:latest alpine:3.10 alpine:3.10.1 hello-world:latest; do
    docker tag busybox:latest "$name" 2>/dev/null || true
    publish "$port" busybox:latest "library/$name"
  done
}

# publish PORT IMAGE NAME: puts an image into that registry.
publish() {
  docker tag "$2" "localhost:$1/$3"
  docker push -q "localhost:$1/$3" >/dev/null
  docker rmi "localhost:$1/$3" >/dev/null
}

# serve_more PORT: what compose's newer suite pulls: web servers, a shell, a program that says hello.
serve_more() {
  local port=$1 name
  DOCKER_BUILDKIT=0 docker build -q -t nginx:latest - >/dev/null 2>&1 <<'EOF'
FROM busybox:latest
RUN mkdir -p /usr/share/nginx/html /etc/nginx/conf.d /usr/sbin \
  && echo '<h1>Welcome to nginx!</h1>' >/usr/share/nginx/html/index.html \
  && printf '#!/bin/sh\nexec "$@"\n' >/docker-entrypoint.sh \
  && printf '#!/bin/sh\ntrap "exit 0" QUIT TERM\nhttpd -f -p 80 -h /usr/share/nginx/html & wait\n' \
    >/usr/sbin/nginx \
  && chmod 755 /docker-entrypoint.sh /usr/sbin/nginx
EXPOSE 80
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
EOF
  DOCKER_BUILDKIT=0 docker build -q -t words:latest - >/dev/null 2>&1 <<'EOF'
FROM busybox:latest
RUN mkdir -p /www/words && echo '{"word":"noun"}' | tee /www/index.html >/www/words/noun \
  && printf '#!/bin/sh\nhttpd -p 80 -h /www; httpd -p 8080 -h /www\nexec tail -f /dev/null\n' >/dispatcher \
  && chmod 755 /dispatcher
CMD ["sh", "-c", "sh /dispatcher & : java -Xmx8m -Xms8m -jar /app/words.jar; wait"]
EOF
  DOCKER_BUILDKIT=0 docker build -q -t bash:latest - >/dev/null 2>&1 <<'EOF'
FROM busybox:latest
RUN printf '#!/bin/sh\nexec "$@"\n' >/entrypoint && chmod 755 /entrypoint
ENTRYPOINT ["/entrypoint"]
CMD ["bash"]
EOF
  printf 'FROM busybox:latest\nCMD ["echo", "Hello from Docker!"]\n' |
    DOCKER_BUILDKIT=0 docker build -q -t hello-world:latest - >/dev/null 2>&1
  for name in alpine:3.13 alpine:3.13.12 alpine:3.14 alpine:3.15 busybox:1.35.0; do
    publish "$port" busybox:latest "library/$name"
  done
  for name in nginx:latest nginx:alpine; do publish "$port" nginx:latest "library/$name"; done
  for name in bash:latest hello-world:latest; do publish "$port" "$name" "library/$name"; done
  for name in db api web; do publish "$port" words:latest "gtardif/sentences-$name:latest"; done
  publish "$port" words:latest library/mariadb:latest
}

# fetch WHAT PACKAGE [RELEASE]: a source or binary package of Debian's, into the cache.
fetch() {
  local options=(-qq -o APT::Sandbox::User=root) release=${3:-}
  cd "$cache"
  if [ "$1" = source ]; then
    mkdir -p "lists$release/partial"
    sed -e 's/^Types: deb$/Types: deb-src/' -e "${release:+s/^Suites: .*/Suites: $release/}" \
      /etc/apt/sources.list.d/debian.sources >debian-src.sources
    options+=(-o "Dir::Etc::sourcelist=$cache/debian-src.sources" -o Dir::Etc::sourceparts=/dev/null
      -o "Dir::State::lists=$cache/lists$release")
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

# Go finds Debian's packages; a suite's own are put beside them, without what it has of its own to be built.
go_path() {
  mkdir -p "$cache/go/src/gotest.tools"
  rm -rf "$cache/go/src/gotest.tools/v3"
  cp -r /usr/share/gocode/src/gotest.tools "$cache/go/src/gotest.tools/v3"
  export GO111MODULE=off GOPATH=$cache/go:/usr/share/gocode GOCACHE=$cache/go-build GOFLAGS=
}

case $suite in
  compose-v2)
    # golang-go golang-github-gotestyourself-gotest.tools-dev golang-github-stretchr-testify-dev
    # golang-github-otiai10-copy-dev golang-gopkg-yaml.v3-dev
    [ -d "$cache/docker-compose-2.26.1" ] || {
      fetch source docker-compose trixie
      tar -xf "$cache"/docker-compose_2.26.1.orig.tar.xz -C "$cache"
    }
    go_path
    source=$cache/docker-compose-2.26.1 package=$cache/go/src/github.com/docker/compose/v2
    rm -rf "$package"
    mkdir -p "$package"/{pkg/utils,pkg/api,cmd/compose} "$work/home/.docker/cli-plugins"
    cp -r "$source/pkg/e2e" "$package/pkg/"
    cp "$source/pkg/utils/safebuffer.go" "$package/pkg/utils/"
    {
      echo 'package api'
      sed -n '/^type PortPublisher/,/^}/p' "$source/pkg/api/api.go"
    } >"$package/pkg/api/api.go"
    printf 'package compose\nconst PluginName = "compose"\n' >"$package/cmd/compose/compose.go"
    sed -i 's|"KUBECONFIG=invalid",|& "DOCKER_HOST=" + os.Getenv("DOCKER_HOST"),|' \
      "$package/pkg/e2e/framework.go"
    sed -i 's/^\(\s*\)cmd.Stderr = /\1_ = /' "$package/pkg/e2e/watch_test.go"
    cp "$("$tree/test/fixtures/buildx.sh" | head -n 1)" "$work/home/.docker/cli-plugins/"
    compose=$("$tree/test/fixtures/compose.sh" | tail -n 1)
    serve 5991
    serve_more 5991
    cd "$package/pkg/e2e"
    go test -c -o "$work/e2e"
    HOME=$work/home COMPOSE_E2E_BIN_PATH=$compose "$work/e2e" -test.parallel 1 -test.v "$@" |
      grep -E '^ *--- |_test.go:[0-9]+: assert|Error:|Stderr:|^(PASS|FAIL|panic)'
    ;;
  docker-cli)
    # golang-go golang-github-gotestyourself-gotest.tools-dev golang-github-creack-pty-dev
    # golang-github-pkg-errors-dev
    [ -d "$cache/cli" ] || {
      fetch source docker.io
      tar -xf "$cache"/docker.io_*.orig-cli.tar.xz -C "$cache"
    }
    go_path
    package=$cache/go/src/github.com/docker/cli
    rm -rf "$package"
    mkdir -p "$package/internal" "$work/bin"
    cp -r "$cache/cli/e2e" "$package/"
    cp -r "$cache/cli/internal/test" "$package/internal/"
    grep -rl registry:5000 "$package/e2e" | xargs sed -i 's/registry:5000/localhost:5991/g'
    ln -s "$("$tree/test/fixtures/docker-cli.sh" | tail -n 1)" "$work/bin/docker"
    serve 5991
    for name in alpine:3.6 busybox:1.27.2; do
      publish 5991 busybox:latest "$name"
      docker pull -q "localhost:5991/$name" >/dev/null
    done
    for name in container image context system global; do
      cd "$package/e2e/$name"
      go test -c -o "$work/e2e"
      PATH=$work/bin:$PATH TEST_DOCKER_HOST=$DOCKER_HOST SKIP_PLUGIN_TESTS=1 "$work/e2e" -test.v "$@" |
        grep -E '^ *--- |_test.go:[0-9]+: |Error:|Stderr:' || true
    done
    ;;
  dockerode)
    tests=$(cd "${1:?the directory with the tests of dockerode}" && pwd)
    shift
    mkdir -p "$cache/dockerode"
    cd "$cache/dockerode"
    [ -d node_modules ] || npm install --no-audit --no-fund --silent dockerode@5 mocha@10 chai@4 memorystream async
    mkdir -p lib
    printf 'module.exports = require("dockerode");\n' >lib/docker.js
    rm -rf test
    cp -r "$tests" test
    serve 5991
    for name in ubuntu:latest ubuntu:14.04; do publish 5991 debian:test "library/$name"; done
    DOCKER_SOCKET=$DD_RUN/docker.sock node_modules/.bin/mocha --exit --timeout 60000 "$@"
    ;;
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
  moby)
    # curl gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross; see moby.sh for the rest. Half an hour the first time.
    mkdir -p "$cache/moby" "$work/bin" "$work/hello"
    "$here/moby.sh" "$cache/moby"
    # Tests that start an engine of their own fail at once.
    printf '#!/bin/sh\nexit 1\n' >"$work/bin/dockerd"
    chmod 755 "$work/bin/dockerd"
    export PATH=$work/bin:$PATH
    serve 5991
    # Accounts that tests look for, and programs that make some: not in every busybox.
    DOCKER_BUILDKIT=0 docker build -q -t accounts - >/dev/null 2>&1 <<'EOF'
FROM busybox:latest
RUN printf 'daemon:x:1:1::/usr/sbin:/bin/false\nwww-data:x:33:33::/var/www:/bin/false\n' >>/etc/passwd \
  && for group in daemon:1: wheel:10:root audio:29: staff:50:; do \
    echo "${group%%:*}:x:${group#*:}" >>/etc/group; done \
  && rm -f /bin/adduser /bin/addgroup \
  && printf '#!/bin/sh\ng=; while [ $# -gt 1 ]; do [ $1 != -g ] || g=$2; shift; done\n' >/bin/addgroup \
  && echo 'echo "$1:x:$g:" >>/etc/group' >>/bin/addgroup \
  && printf '#!/bin/sh\nu=1000 G=; while [ $# -gt 1 ]; do\n' >/bin/adduser \
  && echo 'case $1 in -u) u=$2;; -G) G=$2;; esac; shift; done' >>/bin/adduser \
  && echo 'g=$(sed -n "s/^$G:x:\([0-9]*\):.*/\1/p" /etc/group)' >>/bin/adduser \
  && echo 'echo "$1:x:$u:${g:-$u}::/home/$1:/bin/sh" >>/etc/passwd' >>/bin/adduser \
  && chmod 755 /bin/adduser /bin/addgroup
EOF
    docker create --name accounts accounts true >/dev/null
    docker export accounts >"$work/busybox.tar"
    docker rm accounts >/dev/null
    for name in busybox:latest busybox:glibc; do
      docker import -m "$name" -c 'CMD ["sh"]' "$work/busybox.tar" "$name" >/dev/null
    done
    docker tag debian:test debian:bookworm-slim
    printf '#include <stdio.h>\nint main(void) { return puts("Hello from Docker!") < 0; }\n' >"$work/hello.c"
    printf 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n' >"$work/hello/Dockerfile"
    for platform in amd64 arm64; do
      compiler=gcc
      [ $platform = amd64 ] || compiler=aarch64-linux-gnu-gcc
      $compiler -static -Os -o "$work/hello/hello" "$work/hello.c"
      DOCKER_BUILDKIT=0 docker build -q --platform "linux/$platform" -t "hello-world:$platform" \
        "$work/hello" >/dev/null 2>&1
    done
    docker tag hello-world:amd64 hello-world:frozen
    without=-test."skip"
    for program in "$cache"/moby/bin/*.test; do
      name=$(basename "$program" .test)
      folder=integration/$name
      wanted=("$without" '^TestBuildWithHugeFile$|^TestBuildkitHistory')
      if [ "$name" = cli ]; then
        folder=integration-cli
        wanted=(-test.run '^TestDocker(API|CLI[A-Za-z]*)Suite$' "$without" 'Swarm|Plugin|Service|Daemon')
      fi
      cd "$cache/moby/go/src/github.com/docker/docker/$folder"
      log=$cache/moby/$name.log
      "$program" -test.v -test.timeout 90m "${wanted[@]}" "$@" >"$log" 2>&1 || true
      echo "$name: $(grep -cE '^ *--- PASS' "$log") pass, $(grep -cE '^ *--- SKIP' "$log") skipped," \
        "$(grep -cE '^ *--- FAIL' "$log") do not; all of it is in $log"
    done
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
