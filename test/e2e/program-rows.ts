/**
 * What real programs must do in a container as they do on the host's kernel: rows of shell scripts. Each runs in
 * the root of its image natively and in both modes; output and exit code must be equal. So a script prints
 * nothing that differs from run to run: no pids, no times. /work is a host directory that holds the row's files.
 */
import type { HostImageName } from "../fixtures/images.ts";

export interface ProgramRow {
  readonly name: string;
  readonly image: HostImageName;
  /** Run by the image's /bin/sh (busybox) or /bin/bash (debian). */
  readonly script: string;
  /** Files put into /work before: name to content. */
  readonly files?: Readonly<Record<string, string>>;
  /** Its output tells what is in the image: equal only for the same packages, configured. */
  readonly tellsOfImage?: boolean;
  /** Given to the script's standard input. */
  readonly input?: string;
}

export const PROGRAM_ROWS: readonly ProgramRow[] = [
  {
    name: "busybox: a pipeline",
    image: "busybox",
    script: "seq 1 1000 | grep 7 | sort -rn | head -n 5 | tr '\\n' ' '; echo; exit 3",
  },
  {
    name: "busybox: here-documents, loops and substitution",
    image: "busybox",
    script: `cat <<A | while read word rest; do echo "$rest $word"; done
one first
two $(echo second)
A
i=0; while [ $i -lt 50 ]; do i=$((i+1)); x=$(echo $i); done; echo $x`,
  },
  {
    name: "busybox: files, find, sed and awk",
    image: "busybox",
    script: `mkdir -p /tmp/t/a/b && cd /tmp/t && echo hello > a/x && cp a/x a/b/y && ln -s ../x a/b/l
find . | sort; sed 's/l/L/g' a/b/l; awk '{ print length($0) }' a/x; stat -c '%a %s %F' a/x; rm -r a; ls`,
  },
  {
    name: "busybox: tar and gzip",
    image: "busybox",
    script: `mkdir /tmp/t && cd /tmp/t && seq 1 5000 > numbers && tar czf /tmp/t.tgz . && mkdir x &&
tar xzf /tmp/t.tgz -C x && cmp numbers x/numbers && md5sum x/numbers`,
  },
  {
    name: "busybox: background jobs and signals",
    image: "busybox",
    script: `trap 'echo got term' TERM; (sleep 0.1; kill -TERM 1) & wait $!; echo after; sleep 100 & sleep 0.1; kill $!
wait $!; echo $?; sh -c 'kill -9 $$'; echo $?; sh -c 'exit 9' & wait $!; echo $?`,
  },
  {
    name: "busybox: standard input",
    image: "busybox",
    script: "tr a-z A-Z; echo end",
    input: "from outside\n",
  },
  {
    name: "bash: pipelines and their statuses",
    image: "debian",
    script: `set -o pipefail; true | false | true; echo "\${PIPESTATUS[@]} $?"
seq 100000 | head -n 1; yes | head -n 100000 | wc -l; cat /dev/zero | head -c 1000000 | md5sum
diff <(printf 'a\\nb\\n') <(printf 'a\\nc\\n'); echo $?; echo a b c | { read x y; echo "$y"; }`,
  },
  {
    name: "bash: here-documents and here-strings",
    image: "debian",
    script: `name=world; cat <<-E
\thello $name $(echo nested)
\tE
E
cat <<'E'
literal $name
E
tr a-z A-Z <<<"here string"; cat 3<<E <&3
three
E`,
  },
  {
    name: "bash: background jobs",
    image: "debian",
    script: `for i in 5 4 3 2 1; do (sleep 0.0$i; echo job $i > /tmp/job$i; exit $i) & pids+=($!); done
for pid in "\${pids[@]}"; do wait $pid; echo $?; done; cat /tmp/job?
sleep 100 & disown; sleep 100 & jobs | sed 's/ *$//'; kill %%; wait %% 2>/dev/null; echo $?
wait -n 2>/dev/null; coproc { read line; echo "co $line"; read line; }
echo hi >&"\${COPROC[1]}"; read answer <&"\${COPROC[0]}"; echo "$answer"`,
  },
  {
    name: "bash: traps",
    image: "debian",
    script: `trap 'echo exit $?' EXIT; trap 'echo err' ERR; trap 'echo usr1' USR1; trap '' INT
kill -USR1 $$; kill -INT $$; false; (trap - EXIT; kill -TERM $BASHPID); echo $?
f() { trap 'echo return' RETURN; }; f; trap - ERR; trap 'woken=yes' USR1
(until [ -e /tmp/seen ]; do kill -USR1 $$; sleep 0.05; done) & wait; echo interrupted $? $woken
touch /tmp/seen; while wait; [ $? != 0 ]; do :; done; exit 7`,
  },
  {
    name: "bash: arrays, functions, globs, arithmetic and recursion",
    image: "debian",
    script: `fib() { local n=$1; ((n < 2)) && echo $n || echo $(( $(fib $((n-1))) + $(fib $((n-2))) )); }; fib 10
declare -A map=([x]=1 [y]=2); for k in $(printf '%s\\n' "\${!map[@]}" | sort); do echo $k=\${map[$k]}; done
cd /etc; echo pass*; shopt -s extglob; echo /etc/@(passwd|group); printf '%05d %x %q\\n' 42 255 'a b'
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "\${BASH_REMATCH[2]}"; mapfile -t lines < passwd; echo "\${lines[0]}"`,
  },
  {
    name: "coreutils",
    image: "debian",
    tellsOfImage: true,
    script: `cd /tmp; umask 022; seq 20 | shuf --random-source=/bin/bash | sort -n | paste -sd+ | tr -d '\\n'; echo
mkdir -p d/e; touch -d @1000000000 d/f; stat -c '%n %a %Y %s' d/f; install -m 750 /bin/true d/t; ls -l d/t | cut -c1-10
ln d/f d/g; ln -s f d/h; readlink -f d/h; cp -a d d2; diff -r d d2 && echo same; du -s --apparent-size /bin/true | cut -f1
dd if=/dev/zero of=z bs=4k count=10 status=none; truncate -s 1M z; wc -c < z; sha256sum z; split -b 300k z part; ls part*
cat part* | cmp - z && echo joined; date -u -d @0 +%F; id; uname -s; env | grep -c ^PATH=; nproc >/dev/null && echo ok
head -c 100 /dev/urandom | base64 -w0 | base64 -d | wc -c; tac <<<$'1\\n2'; comm -12 <(seq 5) <(seq 3 9); timeout 0.1 sleep 5; echo $?
rmdir $(mktemp -d /tmp/XXXX) && echo made; test -w /tmp -a -x /bin/ls && echo yes; rm -r d d2 z part*; ls; tee a b <<<x; cat a b`,
  },
  {
    name: "find, grep and xargs",
    image: "debian",
    tellsOfImage: true,
    script: `cd /usr/share; find perl5 -type f -name '*.pm' | wc -l; grep -rl 'package Git' perl5 | sort | head
find /etc/apt /etc/pam.d -type f -newermt 2001-01-01 | wc -l; find /usr/bin -perm -4000 | sort; grep -c . /etc/passwd
find /usr/lib/python3 -name '*.py' -print0 2>/dev/null | xargs -0 -n 50 -P 2 cat | wc -c; seq 10 | xargs -n 3 echo
grep -E '^(root|daemon):' /etc/passwd | grep -v daemon; echo abcabc | grep -o b; find /nonexistent; echo $?`,
  },
  {
    name: "tar and gzip of a larger tree",
    image: "debian",
    tellsOfImage: true,
    script: `cd /tmp && tar czf t.tgz -C /usr/share perl5 && mkdir x && tar xzf t.tgz -C x && diff -r /usr/share/perl5 x/perl5 && echo same
tar tzf t.tgz | wc -l; gzip -dc t.tgz | tar xO perl5/Git.pm | sha256sum; ln -s x/perl5 link; tar cf - link x/perl5/Git.pm | tar tvf - | awk '{print $1,$NF}'
seq 100000 | gzip -9 | gunzip | tail -n 1; echo plain > f; gzip f; zcat f.gz; mkfifo p; tar cf p x/perl5/Git.pm & tar tf p`,
  },
  {
    name: "sed, awk and perl",
    image: "debian",
    script: `seq 10 | sed -n '3,5p;$='; sed -i.bak 's/root/ROOT/' /etc/passwd; head -n 1 /etc/passwd; diff /etc/passwd /etc/passwd.bak | head -n 1
awk -F: '{ n[$7]++ } END { for (s in n) print s, n[s] }' /etc/group /etc/passwd.bak | sort
awk 'BEGIN { while (("echo a; echo b" | getline line) > 0) print "got " line; system("exit 3"); printf "%.3f\\n", atan2(0,-1) }'
perl -e 'print join(",", map { $_ ** 2 } grep { $_ % 2 } 1..9), "\\n"; open(my $p, "-|", "echo from a child") or die; print <$p>; close $p;
  my $pid = fork; if (!$pid) { exit 5 } waitpid($pid, 0); print $? >> 8, "\\n"; $SIG{ALRM} = sub { print "alarm\\n" }; alarm 1; select(undef, undef, undef, 3);
  pipe(my $r, my $w); if (!fork) { close $r; print $w "through a pipe\\n"; exit } close $w; print <$r>; wait; print -s "/etc/hostname" // "none", "\\n" if 0'
perl -MPOSIX -MFile::Temp=tempdir -MSocket -e 'my $d = tempdir(CLEANUP => 1); print -d $d ? "dir\\n" : "no\\n"; print POSIX::strftime("%Y", gmtime 0), "\\n"; print inet_ntoa(INADDR_LOOPBACK), "\\n"'
perl -pe 's/(\\w+)/\\u$1/g' <<<"title case"`,
  },
  {
    name: "python: subprocess",
    image: "debian",
    files: {
      "main.py": `import subprocess, os, sys, signal
print(subprocess.run(["echo", "hi"], capture_output=True, text=True).stdout.strip())
print(subprocess.run("exit 4", shell=True).returncode)
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(len(p.communicate(b"x" * 1000000)[0]))
p = subprocess.Popen(["sleep", "100"]); p.send_signal(signal.SIGTERM); print(p.wait())
try:
    subprocess.run(["sleep", "100"], timeout=0.1)
except subprocess.TimeoutExpired: print("timeout")
try:
    subprocess.run(["/no/such/program"])
except FileNotFoundError as e: print(e.errno)
print(subprocess.run(["sh", "-c", "echo $A; pwd; echo err >&2"], env={"A": "b"}, cwd="/usr", stderr=subprocess.STDOUT, stdout=subprocess.PIPE).stdout)
p1 = subprocess.Popen(["seq", "100000"], stdout=subprocess.PIPE)
p2 = subprocess.Popen(["wc", "-l"], stdin=p1.stdout, stdout=subprocess.PIPE); p1.stdout.close()
print(p2.communicate()[0].strip())
r, w = os.pipe(); pid = os.fork()
if pid == 0: os.write(w, b"child"); os._exit(6)
print(os.read(r, 10), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(len([subprocess.run(["true"]).returncode for _ in range(20)]))
print(os.spawnlp(os.P_WAIT, "false", "false"), os.system("exit 2") >> 8, os.getcwd())
`,
    },
    script: "cd /work && python3 main.py; echo $?",
  },
  {
    name: "python: threading and multiprocessing",
    image: "debian",
    files: {
      "main.py": `import threading, queue, time, concurrent.futures, multiprocessing, mmap, os
lock = threading.Lock(); total = 0
def add():
    global total
    for _ in range(2000):
        with lock: total += 1
ts = [threading.Thread(target=add) for _ in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]; print(total)
q = queue.Queue(5); out = []
def work():
    while (x := q.get()) is not None: out.append(x * x)
w = threading.Thread(target=work); w.start(); [q.put(i) for i in range(100)]; q.put(None); w.join(); print(sum(out))
with concurrent.futures.ThreadPoolExecutor(8) as e: print(sum(e.map(lambda x: x + 1, range(1000))))
ev = threading.Event(); threading.Timer(0.05, ev.set).start(); print(ev.wait(10), ev.is_set())
b = threading.Barrier(4); got = []
def meet(): b.wait(); got.append(1)
ts = [threading.Thread(target=meet) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]; print(len(got))
loc = threading.local(); loc.x = 1
def see(): print(hasattr(loc, "x"))
t = threading.Thread(target=see); t.start(); t.join()
def square(x): return x * x
if __name__ == "__main__":
    with multiprocessing.Pool(3) as p: print(p.map(square, range(10)))
    mq = multiprocessing.Queue(); pr = multiprocessing.Process(target=mq.put, args=("from a process",)); pr.start(); print(mq.get()); pr.join(); print(pr.exitcode)
    m = mmap.mmap(-1, 4096); pid = os.fork()
    if pid == 0: m[:5] = b"mmap!"; os._exit(0)
    os.waitpid(pid, 0); print(m[:5])
`,
    },
    script: "cd /work && python3 main.py; echo $?",
  },
  {
    name: "python: sqlite3",
    image: "debian",
    files: {
      "main.py": `import sqlite3, os, subprocess, sys
for journal in ("delete", "wal"):
    path = f"/tmp/{journal}.db"
    c = sqlite3.connect(path); print(c.execute(f"pragma journal_mode={journal}").fetchone())
    c.execute("create table t(a integer primary key, b text)")
    with c: c.executemany("insert into t(b) values(?)", [(f"row {i}",) for i in range(5000)])
    print(c.execute("select count(*), min(b), max(b) from t").fetchone())
    try:
        with c: c.execute("insert into t values(1, 'twice')")
    except sqlite3.IntegrityError as e: print(e)
    c.execute("begin immediate")
    other = sqlite3.connect(path, timeout=0.05)
    try: other.execute("insert into t(b) values('x')")
    except sqlite3.OperationalError as e: print(e)
    c.rollback()
    code = f"import sqlite3; print(sqlite3.connect({path!r}).execute('select sum(a) from t').fetchone())"
    print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
    c.execute("create index i on t(b)"); print(c.execute("select a from t where b = 'row 4321'").fetchone())
    c.execute("vacuum"); print(c.execute("pragma integrity_check").fetchone()); c.close(); other.close()
    print(sorted(f for f in os.listdir("/tmp") if f.startswith(journal)))
`,
    },
    script: "cd /work && python3 main.py; echo $?",
  },
  {
    name: "python: asyncio",
    image: "debian",
    files: {
      "main.py": `import asyncio, signal, os, socket, ssl
async def main():
    async def echo(r, w):
        while data := await r.readline(): w.write(data.upper()); await w.drain()
        w.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async def client(n):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(f"hello {n}\\n".encode()); answer = await r.readline(); w.close(); return answer
    print(sorted(await asyncio.gather(*(client(n) for n in range(20)))))
    server.close()
    unix = await asyncio.start_unix_server(echo, "/tmp/echo.sock")
    r, w = await asyncio.open_unix_connection("/tmp/echo.sock"); w.write(b"unix\\n"); print(await r.readline()); w.close(); unix.close()
    p = await asyncio.create_subprocess_exec("tr", "a-z", "A-Z", stdin=-1, stdout=-1)
    print((await p.communicate(b"sub"))[0], p.returncode)
    loop = asyncio.get_running_loop(); got = asyncio.Event(); loop.add_signal_handler(signal.SIGUSR1, got.set)
    loop.call_later(0.02, os.kill, os.getpid(), signal.SIGUSR1); await got.wait(); print("signal")
    try: await asyncio.wait_for(asyncio.sleep(100), 0.05)
    except asyncio.TimeoutError: print("timeout")
    print(await loop.run_in_executor(None, sum, range(1000)))
    a, b = socket.socketpair(); a.setblocking(False); b.setblocking(False)
    await loop.sock_sendall(a, b"pair"); print(await loop.sock_recv(b, 10))
asyncio.run(main())
`,
    },
    script: "cd /work && python3 main.py; echo $?",
  },
  {
    name: "git: init, commit, clone and merge over a bind mount",
    image: "debian",
    files: { "seed.txt": "from the host\n" },
    script: `export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global init.defaultBranch main; git config --global --add safe.directory '*'
cd /work && git init -q repo && cd repo && cp ../seed.txt . && seq 1000 > numbers && mkdir d && echo x > d/x && chmod +x d/x
git add -A && git commit -qm first && git log --format='%H %s' && git checkout -qb side && sed -i s/500/five/ numbers && git commit -qam side
git checkout -q main && echo y > d/y && git add . && git commit -qm second && git merge -q --no-edit side && git log --oneline | wc -l
cd .. && git clone -q repo copy && cd copy && git status --porcelain && git ls-files -s && git fsck --strict 2>&1 | tail -n 1
git clone -q --bare file:///work/repo ../bare.git && git -C ../bare.git gc -q && git -C ../bare.git count-objects -v | grep -E 'count|in-pack'
echo change >> seed.txt && git diff --stat && git stash -q && git stash pop -q && git commit -qam third && git push -q ../bare.git HEAD:new && git -C ../bare.git log --format=%s new
rm -rf /work/copy && ls /work`,
  },
  {
    name: "gcc and make: a small C project",
    image: "debian",
    files: {
      Makefile:
        "CFLAGS = -O2 -Wall\nOBJECTS = main.o list.o\napp: $(OBJECTS) libsum.so\n\t$(CC) -o $@ $(OBJECTS) -L. -lsum -lpthread -lm -Wl,-rpath,'$$ORIGIN'\n" +
        "libsum.so: sum.c\n\t$(CC) $(CFLAGS) -shared -fPIC -o $@ $<\ncheck: app\n\t./app 10 | grep -q 55\n\t@echo checked\nclean:\n\trm -f app *.o *.so\n.PHONY: check clean\n",
      "main.c":
        '#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include "list.h"\nlong sum(struct list*);\n' +
        "static void* body(void* p) { return (void*)sum(p); }\nint main(int argc, char** argv) {\n  struct list* l = NULL;\n" +
        "  for (int i = 1; i <= atoi(argv[1]); i++) l = push(l, i);\n  pthread_t t;\n  void* r;\n  pthread_create(&t, NULL, body, l);\n" +
        '  pthread_join(t, &r);\n  printf("%ld %.3f\\n", (long)r, sqrt(argc));\n  return 0;\n}\n',
      "list.c":
        '#include <stdlib.h>\n#include "list.h"\nstruct list* push(struct list* n, int v) {\n  struct list* l = malloc(sizeof *l);\n' +
        "  l->next = n;\n  l->value = v;\n  return l;\n}\n",
      "list.h":
        "struct list { struct list* next; int value; };\nstruct list* push(struct list*, int);\n",
      "sum.c":
        '#include <stddef.h>\n#include "list.h"\nlong sum(struct list* l) { long s = 0; for (; l; l = l->next) s += l->value; return s; }\n',
    },
    script: `cd /work && make -s -j2 check && ./app 100; touch list.h sum.c; make -q; echo $?; make 2>&1 | wc -l
gcc -O0 -g -static -o static main.c list.c sum.c -lm && ./static 4; gcc -no-pie -o fixed main.c list.c sum.c -lm && ./fixed 5
echo 'int main(void) { return undeclared; }' | gcc -xc - -o bad 2>&1 | grep -c error; echo 'int main(void){*(volatile int*)0=1;}' | gcc -xc - -o crash && ./crash; echo $?
strip app && ./app 3; nm libsum.so | grep -c ' T sum'; make clean; ls`,
  },
  {
    name: "procps sees the container's processes",
    image: "debian",
    script: `sleep 100 & sleep 200 & until [ "$(ps -e -o s,args --no-headers | grep -c '^S *sleep')" = 2 ]; do :; done
ps -e -o ppid,s,args --no-headers | sed 's/  */ /g' | grep -v 'ps -e\\|sed\\|grep'; pgrep -c sleep; pkill sleep; wait
free | head -n 1 | wc -w; uptime | grep -c load; cat /proc/1/comm; set -- /proc/[0-9]*; echo $#; kill -0 1 && echo alive`,
  },
  {
    name: "util-linux and terminals without one",
    image: "debian",
    script: `tty; echo $?; script -qec 'tty | sed s,/[0-9]*$,/N,; stty size; echo in script' /dev/null </dev/null | tr -d '\\r'; setsid -w sh -c 'exit 3'; echo $?
python3 -c '
import pty, os
pid, fd = pty.fork()
if pid == 0: os.execlp("bash", "bash", "--norc", "-i")
os.write(fd, b"PS1=; stty -echo\\n")
import time, select
out = b""
os.write(fd, b"echo ma""rk; sleep 100\\n")
while b"mark\\r\\n" not in out.replace(b"echo mark", b""): out += os.read(fd, 1000)
time.sleep(0.2); os.write(fd, b"\\x03"); os.write(fd, b"echo code $?; exit 5\\n")
out = b""
try:
    while True:
        got = os.read(fd, 1000)
        if not got: break
        out += got
except OSError: pass
print(b"code 130" in out, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))'`,
  },
  {
    name: "exit by a signal, and codes of a shell that finds nothing",
    image: "debian",
    script:
      "nosuchcommand 2>/dev/null; echo $?; /etc/passwd 2>/dev/null; echo $?; kill -KILL $BASHPID & wait $!; echo $?; exit 200",
  },
];
