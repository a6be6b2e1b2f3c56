import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import test from "ava";
import { EINVAL, Errno } from "../../../sentry/abi/errno.ts";
import { ControlGroup, type ControlGroupLimits } from "../../../sentry/host/control-group.ts";

const MEMORY_BYTES = 64 << 20;
const PROCESSES = 6;
const isRoot = process.getuid?.() === 0;

/** Runs `script` with node in a group with these limits. */
async function runLimited(
  name: string,
  limits: ControlGroupLimits,
  command: readonly string[],
): Promise<{ output: string; code: number | null; signal: string | null }> {
  const group = ControlGroup.create(name, limits);
  if (group instanceof Errno) throw new Error(`No group: ${group}`);
  const [program = "", ...args] = command;
  // The program starts once its shell is in the group.
  const child: ChildProcess = spawn("sh", ["-c", 'read go; exec "$0" "$@"', program, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const failed = group.add(child.pid ?? -1);
  if (failed !== undefined) throw new Error(`Cannot add: ${failed}`);
  child.stdin?.end("go\n");
  await once(child, "close");
  // A killed grandchild is counted until init has waited for it.
  for (group.remove(); leftOver(name).length > 0; group.remove()) await setTimeout(5);
  return { output, code: child.exitCode, signal: child.signalCode };
}

/** Groups of this process that are left anywhere, for a name. */
function leftOver(name: string): string[] {
  const { stdout } = spawnSync(
    "find",
    ["/sys/fs/cgroup", "-maxdepth", "3", "-name", `dd-${name}-${process.pid}`],
    {
      encoding: "utf8",
    },
  );
  return stdout.split("\n").filter((line) => line !== "");
}

if (isRoot) {
  test("a group's memory limit kills what exceeds it, and the group is gone afterwards", async (t) => {
    const script = "console.log(Buffer.alloc(400 << 20, 1).length)";
    const limits = { memoryBytes: MEMORY_BYTES };
    const { output, signal } = await runLimited("memory", limits, [process.execPath, "-e", script]);
    t.is(signal, "SIGKILL");
    t.is(output, "");
    t.deepEqual(leftOver("memory"), []);
  });

  test("a group's memory limit leaves alone what stays below it", async (t) => {
    const script = "console.log(Buffer.alloc(1 << 20, 1).length)";
    const limits = { memoryBytes: 512 << 20, processes: 200 };
    const { output, code } = await runLimited("small", limits, [process.execPath, "-e", script]);
    t.is(code, 0);
    t.is(output, "1048576\n");
    t.deepEqual(leftOver("small"), []);
  });

  test("a group's process limit counts everything that is forked", async (t) => {
    const script = `import os, time
made = 0
for _ in range(50):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
    except BlockingIOError:
        break
print(made, flush=True)
os.kill(0, 9)`;
    const command = ["setsid", "--wait", "python3", "-c", script];
    const { output } = await runLimited("processes", { processes: PROCESSES }, command);
    // python itself is counted too.
    t.is(output, `${PROCESSES - 1}\n`);
    t.deepEqual(leftOver("processes"), []);
  });

  test("a group that a dead sentry left behind is removed by the next one", (t) => {
    const group = ControlGroup.create("sweep", { processes: PROCESSES });
    if (group instanceof Errno) throw new Error(`No group: ${group}`);
    const [own = ""] = leftOver("sweep");
    // The highest pid there can be: no process has it for long.
    const stale = own.replace(/-\d+$/, "-4194303");
    mkdirSync(stale);
    const next = ControlGroup.create("next", { processes: PROCESSES });
    if (next instanceof Errno) throw new Error(`No group: ${next}`);
    t.false(existsSync(stale));
    t.true(existsSync(own));
    next.remove();
    group.remove();
    t.deepEqual([...leftOver("sweep"), ...leftOver("next")], []);
  });

  test("a user to whom no group is delegated is told so, and leaves nothing behind", (t) => {
    const module = new URL("../../../sentry/host/control-group.js", import.meta.url).href;
    const script = `import { ControlGroup } from ${JSON.stringify(module)};
console.log(String(ControlGroup.create("user", { memoryBytes: 1 << 26, processes: 9 })));`;
    const { stdout } = spawnSync(
      "setpriv",
      [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        process.execPath,
        "--input-type=module",
        "-e",
        script,
      ],
      { encoding: "utf8" },
    );
    t.regex(stdout, /^(EACCES|EPERM|EROFS) /);
    t.deepEqual(leftOver("user"), []);
  });
}

test("a group without limits has no directory, and takes every process", (t) => {
  const group = ControlGroup.create("none", {});
  t.true(group instanceof ControlGroup);
  if (group instanceof ControlGroup) t.is(group.add(process.pid), undefined);
  t.deepEqual(leftOver("none"), []);
});

for (const name of ["", "../x", "a/b", ".hidden", "a\0b", "a".repeat(65)]) {
  test(`the name ${JSON.stringify(name.slice(0, 8))} of ${name.length} characters is refused`, (t) => {
    t.is(ControlGroup.create(name, {}), EINVAL);
    t.true(readdirSync("/sys/fs/cgroup").every((entry) => !entry.startsWith("dd-")));
  });
}
