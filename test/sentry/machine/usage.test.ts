/** What programs learn of the CPU time and memory they and their children have used. */
import test from "ava";
import { MODES, modeOption, openDd } from "../../fixtures/dd.ts";

const dd = openDd();
test.after.always(() => dd.close());

/** `burn(seconds)` uses so much CPU time, however busy the machine is, and tells by which clock. */
const PRELUDE = `
import os, resource, sys, threading, time
def burn(seconds, clock=time.thread_time):
    end = clock() + seconds
    while clock() < end: sum(range(2000))
def used(who=resource.RUSAGE_SELF):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
`;

const SCRIPTS: Readonly<Record<string, string>> = {
  "a thread's clock counts that thread alone": `
before = time.thread_time()
other = threading.Thread(target=burn, args=(0.3,))
other.start(); other.join()
assert time.thread_time() - before < 0.2, time.thread_time() - before
burn(0.1)
assert time.thread_time() - before >= 0.1
`,
  "a process's clock counts threads that have ended": `
before = time.process_time()
for _ in range(3):
    other = threading.Thread(target=burn, args=(0.1,))
    other.start(); other.join()
assert time.process_time() - before >= 0.3, time.process_time() - before
assert used() >= 0.3
`,
  "a process's clock never goes back": `
last = [0.0, 0.0]
for _ in range(200):
    now = [time.process_time(), time.thread_time()]
    assert now >= last, (now, last)
    last = now
    sum(range(2000))
`,
  "children count once they are waited for, each for itself": `
own = used()
child = os.fork()
if child == 0:
    burn(0.3)
    os._exit(0)
assert used(resource.RUSAGE_CHILDREN) == 0
_, status, usage = os.wait4(child, 0)
assert status == 0 and usage.ru_utime + usage.ru_stime >= 0.3, usage
assert used(resource.RUSAGE_CHILDREN) >= 0.3
times = os.times()
assert times.children_user + times.children_system >= 0.25, times
assert used() - own < 0.3, (own, used())
`,
  "grandchildren count when their parent has waited for them": `
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild == 0:
        burn(0.2)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
assert used(resource.RUSAGE_CHILDREN) >= 0.2, used(resource.RUSAGE_CHILDREN)
`,
  "what was used before execve still counts": `
if len(sys.argv) == 1:
    burn(0.3)
    check = "import time; now = time.process_time(); assert now >= 0.3, now"
    os.execv(sys.executable, [sys.executable, "-c", check])
`,
  "the most memory that was resident is remembered": `
child = os.fork()
if child == 0:
    block = b"x" * (64 << 20)
    del block
    os._exit(0)
_, _, usage = os.wait4(child, 0)
assert (64 << 10) < usage.ru_maxrss < (192 << 10), usage.ru_maxrss
`,
};

for (const mode of MODES) {
  for (const [name, script] of Object.entries(SCRIPTS)) {
    test(`${mode}: ${name}`, async (t) => {
      const command = ["python3", "-c", `${PRELUDE}${script}`];
      const run = ["run", "--rm", ...modeOption(mode), "host", ...command];
      const { code, stderr } = await dd.run(run);
      t.is(code, 0, stderr);
    });
  }
}
