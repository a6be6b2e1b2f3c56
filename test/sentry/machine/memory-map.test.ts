/** /proc/PID/maps as real programs see it, and what a guest may do to addresses that are not its own. */
import test from "ava";
import { MODES, modeOption, openDd } from "../../fixtures/dd.ts";

const dd = openDd();
test.after.always(() => dd.close());

/** Helpers for the scripts below, which run in the container's python. */
const PRELUDE = `
import ctypes, os, re, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.sbrk.restype = ctypes.c_void_p
FAILED = 2**64 - 1
PRIVATE, FIXED, ANON, NOREPLACE = 2, 0x10, 0x20, 0x100000
def rows(pid="self"):
    found = []
    for line in open(f"/proc/{pid}/maps"):
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) (\\S+) (\\d+) *(.*)", line)
        start, end, perms, offset, dev, ino, name = match.groups()
        found.append((int(start, 16), int(end, 16), perms, int(offset, 16), int(ino), name))
    return found
def holding(addr):
    return next((row for row in rows() if row[0] <= addr < row[1]), None)
`;

const SCRIPTS: Readonly<Record<string, string>> = {
  "names are the guest's, and in order": `
all_rows = rows()
assert all(a[1] <= b[0] for a, b in zip(all_rows, all_rows[1:])), all_rows
for start, end, perms, offset, ino, name in all_rows:
    assert name == "" or name[0] == "[" or ino == os.stat(name).st_ino, name
    assert "dd-" not in name and "memfd" not in name and "node" not in name, name
names = [row[5] for row in all_rows]
assert names.count("[stack]") == 1 and names.count("[heap]") == 1 and "[vdso]" in names, names
assert os.path.realpath(sys.executable) in names, names
`,
  "code is one row for each segment, as the linker made it": `
path = os.path.realpath("/lib/x86_64-linux-gnu/libc.so.6")
mine = [row for row in rows() if row[5] == path]
assert mine[0][3] == 0 and [row[2] for row in mine][:3] == ["r--p", "r-xp", "r--p"], mine
assert len([row for row in mine if row[2] == "r-xp"]) == 1, mine
for start, end, perms, offset, ino, name in mine:
    if perms != "r--p": continue
    with open(path, "rb") as file:
        file.seek(offset)
        assert ctypes.string_at(start, 16) == file.read(16)
`,
  "the stack's row tells glibc where the stack is": `
attributes = ctypes.create_string_buffer(64)
addr, size = ctypes.c_void_p(), ctypes.c_size_t()
libc.pthread_self.restype = ctypes.c_void_p
assert libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes) == 0
assert libc.pthread_attr_getstack(attributes, ctypes.byref(addr), ctypes.byref(size)) == 0
row = next(row for row in rows() if row[5] == "[stack]")
assert row[0] == addr.value and addr.value + size.value <= row[1], (row, addr, size)
assert size.value > (8 << 20) - (256 << 10), size
`,
  "the heap's row ends where the break is": `
libc.sbrk(3 << 20)
now = libc.sbrk(0)
row = holding(now - 1)
assert row[5] == "[heap]" and row[1] == (now + 4095) & ~4095, (row, now)
libc.sbrk(-(2 << 20))
row = holding(libc.sbrk(0) - 1)
assert row[1] == (libc.sbrk(0) + 4095) & ~4095, row
`,
  "a mapped file keeps path and offset when it is cut, protected and moved": `
with open("/tmp/file", "wb") as file: file.write(bytes(range(64)) * 1024)
fd = os.open("/tmp/file", os.O_RDWR)
at = libc.mmap(None, 15 * 4096, 3, 1, fd, 4096)
os.close(fd)
assert holding(at)[3:] == (4096, os.stat("/tmp/file").st_ino, "/tmp/file"), holding(at)
assert holding(at)[2] == "rw-s"
libc.munmap(at + 4 * 4096, 2 * 4096)
assert holding(at)[1] == at + 4 * 4096 and holding(at + 4 * 4096) is None
assert holding(at + 6 * 4096)[3] == 7 * 4096
libc.mprotect(at + 4096, 4096, 1)
assert [holding(at + i * 4096)[2] for i in range(3)] == ["rw-s", "r--s", "rw-s"]
assert holding(at + 2 * 4096)[3] == 3 * 4096
moved = libc.mremap(at + 6 * 4096, 9 * 4096, 20 * 4096, 1, None)
assert moved != FAILED and holding(moved)[3] == 7 * 4096 and holding(moved)[5] == "/tmp/file"
assert holding(moved)[1] - holding(moved)[0] == 20 * 4096
os.rename("/tmp/file", "/tmp/other")
`,
  "what is not the guest's can be neither replaced, unmapped, moved nor changed": `
tried = refused = 0
mine = libc.mmap(None, 4096, 3, PRIVATE | ANON, -1, 0)
all_rows = rows()
for (_, start, *_), (end, *_) in zip(all_rows, all_rows[1:]):
    if end >= 2**47 or end - start < 4096 or end <= start: continue
    # Python itself has more memory by now.
    if any(row[0] < end and row[1] > start for row in rows()): continue
    tried += 1
    probe = libc.mmap(start, end - start, 0, PRIVATE | ANON | NOREPLACE, -1, 0)
    if probe != FAILED:
        libc.munmap(probe, end - start)
        continue
    refused += 1
    assert libc.mmap(start, end - start, 0, PRIVATE | ANON | FIXED, -1, 0) == FAILED
    assert ctypes.get_errno() == 12, ctypes.get_errno()
    assert libc.munmap(start, end - start) == 0
    assert libc.mprotect(start, end - start, 0) == -1 and ctypes.get_errno() == 12
    assert libc.madvise(start, end - start, 4) == -1 and ctypes.get_errno() == 12
    assert libc.mremap(mine, 4096, end - start, 3, start) == FAILED
assert refused > 0, tried
big = libc.mmap(None, 1 << 20, 3, PRIVATE | ANON, -1, 0)
libc.munmap(big + 4096, 4096)
assert libc.mmap(big, 1 << 20, 3, PRIVATE | ANON | FIXED, -1, 0) == big
assert holding(big)[1] >= big + (1 << 20)
open("/proc/self/maps").read()
`,
  "a fork's rows are its own, and another process can read them": `
read, write = os.pipe()
at = libc.mmap(None, 1 << 20, 2, PRIVATE | ANON, -1, 0)
child = os.fork()
if child == 0:
    libc.munmap(at, 1 << 20)
    mine = libc.mmap(None, 1 << 21, 1, PRIVATE | ANON, -1, 0)
    assert holding(mine)[2] == "r--p"
    os.write(write, b"%d" % mine)
    threading.Event().wait()
theirs = int(os.read(read, 100))
assert any(row[0] <= theirs < row[1] for row in rows(child))
assert not any(row[0] <= at < row[1] and row[2] == "-w-p" for row in rows(child))
assert holding(at)[2] == "-w-p"
assert [row for row in rows(child) if row[5] == "[stack]"] == [row for row in rows() if row[5] == "[stack]"]
os.kill(child, 9)
os.wait()
`,
  "threads may map and unmap while others look": `
stop = False
def churn():
    while not stop:
        at = libc.mmap(None, 8 * 4096, 3, PRIVATE | ANON, -1, 0)
        assert at != FAILED
        ctypes.memset(at, 1, 8 * 4096)
        assert libc.munmap(at + 4096, 4096) == 0
        assert libc.munmap(at, 8 * 4096) == 0
threads = [threading.Thread(target=churn) for _ in range(4)]
for thread in threads: thread.start()
for _ in range(20):
    assert [row[5] for row in rows()].count("[stack]") == 1
    if os.fork() == 0:
        at = libc.mmap(None, 4096, 3, PRIVATE | ANON, -1, 0)
        assert holding(at) is not None
        os._exit(0)
    assert os.wait()[1] == 0
stop = True
for thread in threads: thread.join()
`,
  "sizes in statm are those of the rows": `
pages = [int(word) for word in open("/proc/self/statm").read().split()]
size = sum(row[1] - row[0] for row in rows() if row[5] not in ("[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"))
assert abs(pages[0] * 4096 - size) < 1 << 20, (pages, size)
before = pages[1]
at = libc.mmap(None, 32 << 20, 3, PRIVATE | ANON, -1, 0)
ctypes.memset(at, 1, 32 << 20)
after = int(open("/proc/self/statm").read().split()[1])
assert 8000 < after - before < 8800, (before, after)
`,
};

for (const mode of MODES) {
  for (const [name, script] of Object.entries(SCRIPTS)) {
    test(`${mode}: ${name}`, async (t) => {
      const command = ["python3", "-c", `${PRELUDE}${script}\nprint("ok")`];
      const run = ["run", "--rm", ...modeOption(mode), "host", ...command];
      const { code, stdout, stderr } = await dd.run(run);
      t.is(code, 0, stderr);
      t.is(stdout, "ok\n");
    });
  }
}
