import { readFileSync, realpathSync } from "node:fs";
import test from "ava";
import { E2BIG, EAGAIN, EBADF, EFAULT, ENOENT, ENOEXEC, Errno } from "../../../sentry/abi/errno.ts";
import { Sigaction } from "../../../sentry/abi/process-structs.ts";
import { bit, SIG_DFL, SIG_IGN, SIGUSR1, SIGUSR2 } from "../../../sentry/abi/signal.ts";
import { initialCredentials } from "../../../sentry/kernel/capabilities.ts";
import { FdTable } from "../../../sentry/kernel/fd-table.ts";
import { Limits } from "../../../sentry/kernel/limits.ts";
import { startProcess } from "../../../sentry/kernel/start-process.ts";
import { type FakeThread, World } from "./fake-machine.ts";
import { MemoryFile, programs } from "./host-program.ts";

const LINKER = "/lib64/ld-linux-x86-64.so.2";

function world() {
  const { open, opened } = programs({
    "/bin/sh": { bytes: readFileSync(realpathSync("/bin/sh")) },
    [LINKER]: { bytes: readFileSync(LINKER) },
    "/bin/broken": { bytes: Buffer.from("\x7fELF".padEnd(100, "\0"), "latin1") },
  });
  return { world: new World({ openProgram: (_actor, _start, name) => open(name) }), opened };
}

/** A null-terminated array of strings in the thread's memory. */
function strings(thread: FakeThread, ...list: string[]): number {
  const array = Buffer.alloc((list.length + 1) * 8);
  for (const [i, string] of list.entries()) {
    array.writeBigUInt64LE(BigInt(thread.memory.place(string)), i * 8);
  }
  return thread.memory.place(array);
}

function exec(thread: FakeThread, name: string, ...argv: string[]): number | Errno | undefined {
  const args = strings(thread, ...argv);
  return thread.call("execve", thread.memory.place(name), args, strings(thread, "A=1"));
}

test("a program started from outside leads a session of its own, and pid 1 is the first", (t) => {
  const { world: container } = world();
  const files = new FdTable();
  const stdin = new MemoryFile(new Uint8Array(0), false);
  files.install(stdin, { cloexec: false, limit: 3 });
  const started = startProcess(container.kernel, {
    name: "/bin/sh",
    argv: ["sh"],
    envp: [],
    fs: container.init.task.fs,
    files,
    credentials: initialCredentials(0, 0, []),
    limits: new Limits(),
    noNewPrivileges: false,
  });
  if (started instanceof Errno) throw new Error(`Not started: ${started}`);
  t.is(started.pid, 2);
  t.is(started.session.leader, started);
  t.is(started.parent, undefined);
  container.thread(2).call("exit_group", 3);
  container.settle();
  t.is(started.exitStatus, 3 << 8);
  t.is(started.state, "dead", "nobody waits for it");
  t.true(stdin.closed);
});

test("a program that cannot be started leaves nothing behind", (t) => {
  const { world: container, opened } = world();
  const files = new FdTable();
  const stdin = new MemoryFile(new Uint8Array(0), false);
  files.install(stdin, { cloexec: false, limit: 3 });
  const start = {
    argv: [],
    envp: [],
    fs: container.init.task.fs,
    files,
    credentials: initialCredentials(0, 0, []),
    limits: new Limits(),
    noNewPrivileges: false,
  };
  t.is(startProcess(container.kernel, { ...start, name: "/bin/broken" }), ENOEXEC);
  t.is(container.kernel.pids.taskCount, 1);
  t.true(stdin.closed);
  t.true(opened.every(({ closed }) => closed));
});

test("execve replaces the program, closes what is marked, resets handlers and keeps the rest", (t) => {
  const { world: container } = world();
  const child = container.fork(container.init);
  const { task } = child;
  const kept = new MemoryFile(new Uint8Array(0), false);
  const marked = new MemoryFile(new Uint8Array(0), false);
  task.files.install(kept, { cloexec: false, limit: 10 });
  task.files.install(marked, { cloexec: true, limit: 10 });
  for (const [signo, handler] of [
    [SIGUSR1, 0x4000],
    [SIGUSR2, SIG_IGN],
  ] as const) {
    const act = Sigaction.bytes({ handler, flags: 0, restorer: 0, mask: 0n });
    child.call("rt_sigaction", signo, child.memory.place(act), 0, 8);
  }
  child.setMask(bit(40));
  container.init.call("kill", task.tid, 40);
  t.is(exec(child, "/bin/sh", "sh", "-c", "true"), undefined);

  t.is(task.name, "sh");
  t.deepEqual(task.process.program?.argv, ["sh", "-c", "true"]);
  t.deepEqual(task.process.program?.envp, ["A=1"]);
  t.false(kept.closed);
  t.true(marked.closed);
  t.is(task.files.get(1), EBADF);
  t.is(task.process.actions.get(SIGUSR1).handler, SIG_DFL);
  t.is(task.process.actions.get(SIGUSR2).handler, SIG_IGN);
  t.true(task.process.pending.has(40));
  const thread = container.thread(task.tid);
  t.not(thread, child);
  t.is(thread.mask, bit(40));
  t.is(thread.published, bit(40));
  t.is(container.machine.images.at(-1)?.name, "sh");
});

test("execve of a thread ends the others and gives it the process's id", (t) => {
  const { world: container } = world();
  const leader = container.fork(container.init);
  const second = container.spawn(leader);
  const third = container.spawn(leader);
  const { process } = leader.task;
  leader.call("pause");
  t.is(exec(second, "/bin/sh", "sh"), undefined);
  t.is(second.task.tid, process.pid);
  t.is(process.leader, second.task);
  t.deepEqual([...process.tasks], [second.task]);
  t.true(leader.ended);
  t.true(third.ended);
  t.is(container.kernel.pids.taskCount, 2);
  t.is(container.kernel.pids.task(third.task.tid), undefined);
});

test("an execve that fails changes nothing", (t) => {
  const { world: container, opened } = world();
  const child = container.fork(container.init);
  t.is(exec(child, "/nowhere", "x"), ENOENT);
  t.is(exec(child, "/bin/broken", "x"), ENOEXEC);
  t.is(child.call("execve", 1, 0, 0), EFAULT);
  t.is(child.call("execve", child.memory.place("/bin/sh"), 8, 0), EFAULT);
  const huge = child.memory.place(Buffer.alloc(140_000, "x"));
  child.memory.place("");
  const array = Buffer.alloc(16);
  array.writeBigUInt64LE(BigInt(huge), 0);
  t.is(child.call("execve", child.memory.place("/bin/sh"), child.memory.place(array), 0), E2BIG);
  container.machine.refuseExec = EAGAIN;
  t.is(exec(child, "/bin/sh", "sh"), EAGAIN);
  t.is(child.task.process.program, undefined);
  t.true(opened.every(({ closed }) => closed));
  t.is(child.task.name, "init");
});

test("a vfork child shares nothing but memory: its files are its own", (t) => {
  const { world: container } = world();
  container.init.task.files.install(new MemoryFile(new Uint8Array(0), false), {
    cloexec: false,
    limit: 10,
  });
  container.init.call("vfork");
  container.settle();
  const child = container.thread(container.init.result);
  t.is(child.spec?.kind, "vfork");
  t.is(child.memory, container.init.memory);
  child.task.files.close(0);
  t.false(container.init.task.files.get(0) instanceof Errno);
});
