import type { ByteString } from "../abi/bytes.ts";
import { ENOENT, Errno } from "../abi/errno.ts";
import type { FsContext } from "../vfs/fs-context.ts";
import type { TaskCredentials } from "./capabilities.ts";
import { execProgram } from "./exec.ts";
import { leaveGroup } from "./exit.ts";
import type { FdTable } from "./fd-table.ts";
import type { Kernel } from "./kernel.ts";
import { type Limits, RLIMIT_STACK } from "./limits.ts";
import { loadProgram } from "./load-program.ts";
import { Process } from "./process.ts";
import { ProcessGroup, Session } from "./session.ts";
import { SignalActions } from "./signal-actions.ts";
import { Task } from "./task.ts";

/** A process that nobody forks: a container's first, or one started in it from outside. */
export interface ProcessStart {
  readonly name: ByteString;
  readonly argv: readonly ByteString[];
  readonly envp: readonly ByteString[];
  readonly fs: FsContext;
  /** Its descriptors; the process takes them over. */
  readonly files: FdTable;
  readonly credentials: TaskCredentials;
  readonly limits: Limits;
  readonly noNewPrivileges: boolean;
  /**
   * Called when the process exists (with its own session) but does not run yet: to give it a terminal.
   */
  readonly prepare?: (task: Task) => void;
}

/**
 * Starts a process in a session of its own, without a parent. The first one of a container is pid 1.
 * @returns `EAGAIN` at the limit of tasks, or execve(2)'s errors; then the descriptors are closed.
 */
export function startProcess(kernel: Kernel, start: ProcessStart): Process | Errno {
  const pid = kernel.ending ? ENOENT : kernel.pids.allocate();
  if (pid instanceof Errno) {
    start.files.leave();
    return pid;
  }
  const process = new Process(kernel, pid, {
    parent: undefined,
    group: (self) => new ProcessGroup(pid, new Session(self)),
    actions: new SignalActions(),
    limits: start.limits,
  });
  const { files, fs, credentials } = start;
  const task = new Task(kernel, process, pid, { files, fs, credentials, name: "" });
  process.leader = task;
  process.tasks.add(task);
  process.noNewPrivileges = start.noNewPrivileges;
  kernel.pids.addProcess(process);
  kernel.pids.addTask(task);
  kernel.pids.addGroup(process.group);
  kernel.forks++;
  start.prepare?.(task);

  const error = run(task, start);
  if (error === undefined) return process;
  withdraw(process);
  return error;
}

function run(task: Task, start: ProcessStart): Errno | undefined {
  const { process, kernel } = task;
  const loaded = loadProgram({
    name: start.name,
    argv: start.argv,
    envp: start.envp,
    open: () => kernel.openProgram(task, task.fs.cwd, start.name),
    openInterpreter: (name) => kernel.openProgram(task, task.fs.cwd, name),
    credentials: start.credentials,
    noNewPrivileges: start.noNewPrivileges,
    personality: process.personality,
    stackLimit: process.limits.soft(RLIMIT_STACK),
    auxv: kernel.machine.auxv,
  });
  return loaded instanceof Errno ? loaded : execProgram(task, loaded);
}

/** Undoes the making of a process that never ran. */
export function withdraw(process: Process): void {
  const { kernel } = process;
  process.state = "dead";
  process.ipc.end();
  for (const task of [...process.tasks]) {
    task.exited = true;
    process.tasks.delete(task);
    task.files.leave();
    kernel.pids.removeTask(task.tid);
  }
  process.parent?.children.delete(process);
  leaveGroup(process, process.group);
  kernel.pids.removeProcess(process.pid);
}
