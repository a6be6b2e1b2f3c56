#!/bin/bash
# Runs other people's suites in a container, and natively, which is the oracle: slow, and not part of `npm test`.
#   test/suites/run.sh python MODE [TEST...]         CPython's regression tests (Debian: libpython3.11-testsuite)
#   test/suites/run.sh stress-ng MODE [STRESSOR...]  each stressor for some seconds, verifying what it does
#   test/suites/run.sh libuv MODE                    libuv's own tests, from Debian's source package
#   test/suites/run.sh postgres MODE                 initdb, a server, psql and pgbench (postgresql-15)
# MODE is native, trusted or untrusted. A line per case is printed; what each case said is kept in
# $DD_SUITES_CACHE (.cache/suites), beside what was fetched.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
cache=${DD_SUITES_CACHE:-$tree/.cache/suites}
suite=${1:?which suite}
mode=${2:?native, trusted or untrusted}
shift 2
logs=$cache/$suite-$mode
mkdir -p "$logs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DD_ROOT=$work/root DD_RUN=$work/run

# case_ NAME SECONDS USER SCRIPT [MOUNT]: runs the script as a user, and tells how it ended.
case_() {
  local name=$1 seconds=$2 user=$3 script=$4 mount=${5:-} code began=$SECONDS
  local options=(--rm --init -q -u "$user")
  [ "$mode" = trusted ] || options+=(--untrusted)
  [ -z "$mount" ] || options+=(-v "$mount:$mount")
  if [ "$mode" = native ]; then
    timeout -k 5 "$seconds" setpriv --reuid "$user" --regid "$user" --clear-groups sh -c "$script"
  else
    timeout -k 5 "$seconds" node "$tree/cli/ddcli.js" run "${options[@]}" host sh -c "$script"
  fi >"$logs/$name.log" 2>&1 </dev/null
  code=$?
  echo "$([ $code = 0 ] && echo ok || echo "FAILED($code)") $name $((SECONDS - began))s"
}

python=(test_os test_posix test_posixpath test_select test_selectors test_epoll test_poll test_signal
  test_subprocess test_mmap test_fcntl test_shutil test_tempfile test_pty test_ioctl test_resource
  test_time test_file test_wait3 test_wait4 test_fork1 test_eintr test_threadsignals test_socket
  test_pathlib test_asyncore test_socketserver test_threading test_multiprocessing_fork
  test_concurrent_futures test_asyncio)
# Those that a container refuses as docker does, or that need hardware, are left out.
stressors=(access affinity alarm brk cap chattr chdir chmod chown clock clone close copy-file daemon dentry
  dev-shm dir dirdeep dup env epoll eventfd exit-group fallocate fault fcntl fifo file-ioctl filename
  flock fork fpunch fstat full funccall futex get getdent getrandom hrtimers inotify io itimer kcmp kill
  lease link locka lockbus lockf lockofd longjmp madvise malloc memfd mincore mknod mlock mmap mmapaddr
  mmapfixed mmapmany mprotect mremap msg msync munmap mutex nanosleep nice null open pagemove
  personality pidfd pipe pipeherd poll prctl procfs pthread pty readahead rename resched rlimit
  schedpolicy seal seek sem sem-sysv sendfile session set shm shm-sysv sigabrt sigchld sigfd sigfpe
  signal signest sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap sleep sock sockabuse sockfd
  sockpair sockmany spawn splice stack switch symlink sync-file sysbadaddr sysinfo tee timer timerfd
  touch udp urandom utime vdso vfork vforkmany vm-splice wait xattr yield zero zombie)

case $suite in
  python)
    for name in "${@:-${python[@]}}"; do
      case_ "$name" 400 0 "cd /tmp && python3.11 -u -m test -v -u network,cpu,subprocess --timeout 390 $name"
    done
    ;;
  stress-ng)
    for name in "${@:-${stressors[@]}}"; do
      case_ "$name" 40 0 "mkdir -p /tmp/sng && cd /tmp/sng && stress-ng --$name 1 --$name-ops 20 --verify -t 4"
    done
    ;;
  libuv)
    # Built once, from the source package; it does not run as root.
    build=$cache/libuv/build
    [ -x "$build/uv_run_tests" ] || (
      set -e
      mkdir -p "$cache/libuv/lists/partial" "$build"
      cd "$cache/libuv"
      sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >debian-src.sources
      options=(-qq -o APT::Sandbox::User=root -o "Dir::Etc::sourcelist=$PWD/debian-src.sources"
        -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$PWD/lists")
      apt-get "${options[@]}" update
      apt-get "${options[@]}" source --download-only --tar-only libuv1
      tar -xf libuv1_*.orig.tar.gz --strip-components 1
      cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
      make -C "$build" -j2 uv_run_tests >/dev/null
      chmod -R a+rwX .
    )
    case_ all 500 1000 "cd $build && ./uv_run_tests" "$cache/libuv"
    grep -E '^not ok' "$logs/all.log"
    ;;
  postgres)
    case_ all 300 "$(id -u postgres)" "$(cat "$here/postgres.sh")"
    tail -n 4 "$logs/all.log"
    ;;
  *)
    echo "no suite $suite" >&2
    exit 2
    ;;
esac
