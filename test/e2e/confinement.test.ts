import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import test from "ava";
import { openDd } from "../fixtures/dd.ts";
import { until } from "../fixtures/until.ts";

const dd = openDd();
const isRoot = process.getuid?.() === 0;

test.afterEach.always(async (t) => {
  if (!t.passed) await dd.clear();
});
test.after.always(() => dd.close());

/** A process of the host, as /proc shows it. */
interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly fields: ReadonlyMap<string, string>;
}

function hostProcesses(): HostProcess[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0)
    .flatMap((pid) => {
      try {
        const lines = readFileSync(`/proc/${pid}/status`, "latin1").split("\n");
        const fields = new Map(
          lines.map((line) => {
            const [name = "", value = ""] = line.split(":\t");
            return [name, value] as const;
          }),
        );
        return [{ pid, parent: Number(fields.get("PPid")), fields }];
      } catch {
        return [];
      }
    });
}

/** All processes that descend from one. */
function descendants(root: number): HostProcess[] {
  const all = hostProcesses();
  const found: HostProcess[] = [];
  for (let layer = [root]; layer.length > 0; ) {
    const next = all.filter(({ parent }) => layer.includes(parent));
    found.push(...next);
    layer = next.map(({ pid }) => pid);
  }
  return found;
}

test.serial(
  "every process of an untrusted container is confined, and its sentry too",
  async (t) => {
    // Two programs and a thread of guest code, beside the launcher.
    const command = ["sh", "-c", "sleep 1000 & sleep 1000; true"];
    const started = await dd.run(["run", "-d", "--untrusted", "host", ...command]);
    t.is(started.code, 0, started.stderr);
    const id = started.stdout.trim();
    const shown = await dd.run(["inspect", "--format", "{{.State.Pid}}", id]);
    const sentry = Number(shown.stdout);
    t.true(sentry > 1, shown.stderr);
    // The shell forks while we look, and what execs gets a process of its own.
    let inside: HostProcess[] = [];
    await until(async () => {
      const { stdout } = await dd.run(["top", id]);
      inside = descendants(sentry);
      return stdout.match(/ sleep 1000$/gm)?.length === 2 && inside.length === 4;
    });
    t.is(inside.length, 4, "launcher, shell and two sleeps");
    for (const { pid, parent, fields } of inside) {
      const name = `${fields.get("Name")} (${pid})`;
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
        t.is(fields.get(set), "0000000000000000", `${name} ${set}`);
      }
      t.is(fields.get("NoNewPrivs"), "1", name);
      t.is(fields.get("Seccomp"), "2", name);
      t.not(fields.get("Uid")?.split("\t")[0], "0", name);
      for (const space of ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]) {
        const [theirs, ours] = [pid, process.pid].map((one) =>
          readlinkSync(`/proc/${one}/ns/${space}`),
        );
        t.not(theirs, ours, `${name} ${space}`);
      }
      t.is(readFileSync(`/proc/${pid}/environ`, "latin1"), "", name);
      // The launcher keeps its control socket, an executor nothing.
      const kept = parent === sentry && fields.get("Seccomp_filters") === "1" ? 1 : 0;
      t.is(readdirSync(`/proc/${pid}/fd`).length, kept, `${name} descriptors`);
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "latin1").trim().split("\n");
      t.is(mounts.length, 1, name);
      t.regex(mounts[0] ?? "", / \/ \/ ro,nosuid,nodev,noexec.* tmpfs /, name);
    }
    // A thread that has ended meanwhile has nothing to tell.
    const threads = readdirSync(`/proc/${sentry}/task`).flatMap((task) => {
      const path = `/proc/${sentry}/task/${task}/status`;
      try {
        return [readFileSync(path, "latin1")];
      } catch {
        return [];
      }
    });
    t.true(threads.length > 0);
    for (const status of threads) t.regex(status, /^NoNewPrivs:\t1$/m);
    t.is((await dd.run(["rm", "-f", id])).code, 0);
    await until(() => dd.processes().length === 0 && descendants(sentry).length === 0);
    t.deepEqual(descendants(sentry), []);
    t.deepEqual(dd.processes(), []);
  },
);

test.serial(
  "a memory bomb in an untrusted container ends at -m, and the next run works",
  async (t) => {
    const bomb = "b = bytearray(400 << 20); print(len(b))";
    const limited = ["run", "--rm", "--untrusted", "-m", "64m", "host", "python3", "-c"];
    const { code, stdout, stderr } = await dd.run([...limited, bomb]);
    t.is(stdout, "");
    // Root's containers have a control group; where none is delegated, each process has a limit.
    if (isRoot) t.is(code, 137);
    else t.regex(stderr, /MemoryError/);
    const next = await dd.run([...limited, "print(len(bytearray(8 << 20)))"]);
    t.is(next.stdout, `${8 << 20}\n`, next.stderr);
    t.true(await until(() => dd.processes().length === 0));
  },
);

test.serial(
  "a fork bomb in an untrusted container ends at --pids-limit, and the next run works",
  async (t) => {
    const bomb = `import os
made = 0
for _ in range(1000):
    try:
        if os.fork() == 0:
            while True: os.read(0, 1) or os._exit(0)
        made += 1
    except BlockingIOError:
        break
print(made)`;
    const limited = ["run", "--rm", "--untrusted", "--pids-limit", "20", "host", "python3", "-c"];
    const { stdout, stderr, code } = await dd.run([...limited, bomb]);
    t.is(code, 0, stderr);
    t.true(Number(stdout) >= 1 && Number(stdout) < 20, stdout);
    const next = await dd.run([...limited, "print('fine')"]);
    t.is(next.stdout, "fine\n", next.stderr);
    t.true(await until(() => dd.processes().length === 0));
  },
);
