/** A process that confines itself as a sentry does and tells what it can still do; see sentry.test.ts. */
import { spawnSync } from "node:child_process";
import { constants, openSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { sentryConfinement } from "../../profiles/linux/sentry.ts";
import { call } from "../../sentry/host/call.ts";
import { confineSelf } from "../../sentry/host/confine.ts";

const [folder = "", program = ""] = process.argv.slice(2);

/** `ok`, or the code of the error. */
function outcome(run: () => unknown): string {
  try {
    run();
    return "ok";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

const listen = (path: string): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer();
    server.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    server.listen(path, () => server.close(() => resolve("ok")));
  });

// Node's helper threads are there before: they must be confined as well.
await readFile("/etc/passwd");
const confinement = sentryConfinement({
  store: [`${folder}/store`],
  run: [`${folder}/run`],
  "read-only": [`${folder}/ro`, `${folder}/ro-file`, `${folder}/absent`],
  program: [program],
});
const kept = confinement.capabilities;
confineSelf(confinement);

const report = {
  "read of the store": outcome(() => readFileSync(`${folder}/store/a`)),
  "write to the store": outcome(() => writeFileSync(`${folder}/store/b`, "b")),
  "rename within the store": outcome(() =>
    renameSync(`${folder}/store/b`, `${folder}/store/sub/c`),
  ),
  "socket in the run directory": await listen(`${folder}/run/socket`),
  "read of a read-only bind": outcome(() => readdirSync(`${folder}/ro`)),
  "read of a read-only file": outcome(() => readFileSync(`${folder}/ro-file`)),
  "write to a read-only bind": outcome(() => writeFileSync(`${folder}/ro/x`, "x")),
  "truncation of a read-only file": outcome(() => openSync(`${folder}/ro-file`, constants.O_TRUNC)),
  "read beside the store": outcome(() => readFileSync(`${folder}/secret`)),
  "list of the parent folder": outcome(() => readdirSync(folder)),
  "read of /etc/passwd": outcome(() => readFileSync("/etc/passwd")),
  "read of /etc/passwd by another thread": await readFile("/etc/passwd").then(
    () => "ok",
    (error: NodeJS.ErrnoException) => error.code,
  ),
  "threads outside of the domain": String(
    readdirSync("/proc/self/task").filter(
      (task) => !/^NoNewPrivs:\t1$/m.test(readFileSync(`/proc/self/task/${task}/status`, "utf8")),
    ).length,
  ),
  "use of the null device": outcome(() => writeFileSync("/dev/null", "x")),
  "environment of another process": outcome(() => readFileSync(`/proc/${process.ppid}/environ`)),
  "threads with other capabilities": String(
    readdirSync("/proc/self/task").filter((task) => {
      const status = readFileSync(`/proc/self/task/${task}/status`, "utf8");
      const held = BigInt(`0x${/^CapPrm:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? "-"}`);
      return (held & ~BigInt(kept)) !== 0n;
    }).length,
  ),
  "start of a listed program": spawnSync(program).error === undefined ? "ok" : "failed",
  "start of another program": (spawnSync("/bin/true").error as NodeJS.ErrnoException)?.code ?? "ok",
  // Making the root's mount private: what starts any change of mounts. 0x40000 is MS_PRIVATE.
  "change of mounts": String(call("mount", null, Buffer.from("/\0"), null, 0x40000, null)),
};
process.stdout.write(JSON.stringify(report));
