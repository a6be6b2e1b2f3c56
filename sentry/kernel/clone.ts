/** Making tasks and processes: clone(2). */
import { EAGAIN, EINVAL, ENOMEM, EPERM, Errno } from "../abi/errno.ts";
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, isCapable } from "../vfs/credentials.ts";
import type { Parked } from "./blocking.ts";
import { RLIMIT_NOFILE, RLIMIT_NPROC } from "./limits.ts";
import type { CloneSpec } from "./machine.ts";
import { PidFile } from "./pid-file.ts";
import { Process } from "./process.ts";
import { withdraw } from "./start-process.ts";
import { Task } from "./task.ts";

export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x1_0000;
export const CLONE_NEWNS = 0x2_0000;
export const CLONE_SYSVSEM = 0x4_0000;
export const CLONE_SETTLS = 0x8_0000;
export const CLONE_PARENT_SETTID = 0x10_0000;
export const CLONE_CHILD_CLEARTID = 0x20_0000;
export const CLONE_DETACHED = 0x40_0000;
export const CLONE_UNTRACED = 0x80_0000;
export const CLONE_CHILD_SETTID = 0x100_0000;
export const CLONE_NEWCGROUP = 0x200_0000;
export const CLONE_NEWUTS = 0x400_0000;
export const CLONE_NEWIPC = 0x800_0000;
export const CLONE_NEWUSER = 0x1000_0000;
export const CLONE_NEWPID = 0x2000_0000;
export const CLONE_NEWNET = 0x4000_0000;
export const CLONE_NEWTIME = 0x80;
/** The flags that ask for a namespace of the child's own (beside NEWUSER). */
export const CLONE_NAMESPACES: number =
  CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET;
/** Only in clone3(2). */
export const CLONE_CLEAR_SIGHAND = 0x1_0000_0000;

/** What clone(2) is asked for, whichever of its calling conventions it came by. */
export interface CloneRequest {
  /** CLONE_* without the exit signal. */
  readonly flags: number;
  readonly clearHandlers: boolean;
  readonly exitSignal: number;
  /** The child's stack pointer, 0 for the caller's. */
  readonly stack: number;
  readonly tls: number;
  readonly parentTid: number;
  readonly childTid: number;
  /** Where the pidfd is stored. */
  readonly pidfd: number;
}

/**
 * Makes a thread or a process.
 * @returns `PARKED` (the machine completes the call), `EAGAIN` at a limit of tasks, `EINVAL` for flags that
 *   do not go together, `EPERM` for namespaces, `EFAULT`, `EMFILE`.
 */
export function cloneTask(caller: Task, request: CloneRequest): Errno | Parked {
  const { flags } = request;
  const error = checkFlags(flags, request);
  if (error !== undefined) return error;
  const { kernel, thread } = caller;
  // As in a pid namespace whose first process is gone.
  if (thread === undefined || kernel.ending) return ENOMEM;
  if (!mayHaveMore(caller)) return EAGAIN;
  const isThread = (flags & CLONE_THREAD) !== 0;
  const tid = kernel.pids.allocate();
  if (tid instanceof Errno) return tid;

  const process = isThread ? caller.process : makeProcess(caller, tid, request);
  const child = new Task(kernel, process, tid, {
    files: flags & CLONE_FILES ? caller.files.share() : caller.files.copy(),
    fs: flags & CLONE_FS ? caller.fs : caller.fs.clone(),
    credentials: caller.credentials,
    name: caller.name,
  });
  if (!caller.scheduling.resetOnFork) child.scheduling = { ...caller.scheduling };
  child.ioPriority = caller.ioPriority;
  process.tasks.add(child);
  kernel.pids.addTask(child);
  kernel.forks++;
  if (!isThread) process.leader = child;
  const failed = flags & CLONE_PIDFD ? givePidFile(caller, process, request.pidfd) : undefined;
  if (failed !== undefined) {
    cloneFailed(child);
    return failed;
  }
  const parked: Parked = thread.clone(child, machineSpec(request));
  // The machine completes the call by itself.
  caller.leaveCall(tid);
  return parked;
}

/** Whether RLIMIT_NPROC leaves the caller's user another task; root and the capable have no such limit. */
function mayHaveMore(caller: Task): boolean {
  const limit = caller.process.limits.soft(RLIMIT_NPROC);
  const { credentials } = caller;
  const { ruid } = credentials;
  if (limit === Number.POSITIVE_INFINITY || ruid === 0) return true;
  if (isCapable(credentials, CAP_SYS_RESOURCE) || isCapable(credentials, CAP_SYS_ADMIN))
    return true;
  let count = 0;
  for (const { tasks } of caller.kernel.pids.processes()) {
    for (const task of tasks) if (task.credentials.ruid === ruid) count++;
  }
  return count < limit;
}

function checkFlags(flags: number, request: CloneRequest): Errno | undefined {
  if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND)) return EINVAL;
  if (flags & CLONE_SIGHAND && (!(flags & CLONE_VM) || request.clearHandlers)) return EINVAL;
  if (flags & CLONE_NEWNS && flags & CLONE_FS) return EINVAL;
  if (flags & CLONE_PIDFD && flags & (CLONE_THREAD | CLONE_DETACHED)) return EINVAL;
  return flags & (CLONE_NAMESPACES | CLONE_NEWUSER) ? EPERM : undefined;
}

function makeProcess(caller: Task, pid: number, request: CloneRequest): Process {
  const { kernel, process: own } = caller;
  const sibling = (request.flags & CLONE_PARENT) !== 0;
  const actions = request.flags & CLONE_SIGHAND ? own.actions : own.actions.copy();
  if (request.clearHandlers) actions.resetHandlers();
  const process = new Process(kernel, pid, {
    parent: sibling ? own.parent : own,
    group: own.group,
    actions,
    limits: own.limits.copy(),
  });
  process.exitSignal = sibling ? own.exitSignal : request.exitSignal;
  process.creator = sibling ? own.creator : caller;
  process.dumpable = own.dumpable;
  process.noNewPrivileges = own.noNewPrivileges;
  process.personality = own.personality;
  process.oomScoreAdjust = own.oomScoreAdjust;
  process.ipc.inherit(own.ipc);
  const { program } = own;
  process.program = program && { ...program, files: program.files.map((file) => file.retain()) };
  kernel.pids.addProcess(process);
  return process;
}

function givePidFile(caller: Task, process: Process, addr: number): Errno | undefined {
  const file = new PidFile(process, 0);
  const fd = caller.files.install(file, {
    cloexec: true,
    limit: caller.process.limits.soft(RLIMIT_NOFILE),
  });
  if (fd instanceof Errno) {
    file.close();
    return fd;
  }
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, fd, true);
  const error = caller.memory.copyOut(addr, bytes);
  if (error !== undefined) caller.files.close(fd);
  return error;
}

function machineSpec(request: CloneRequest): CloneSpec {
  const { flags, childTid } = request;
  // A process that shares memory gets it the only way the machine has: its parent waits.
  const sharing = flags & CLONE_THREAD ? "thread" : "vfork";
  return {
    kind: flags & CLONE_VM ? sharing : "fork",
    stack: request.stack,
    tls: flags & CLONE_SETTLS ? request.tls : undefined,
    parentTid: flags & CLONE_PARENT_SETTID ? request.parentTid : 0,
    childTid: flags & CLONE_CHILD_SETTID ? childTid : 0,
    clearTid: flags & CLONE_CHILD_CLEARTID ? childTid : 0,
  };
}

/** The host could not start a task: it has never existed. */
export function cloneFailed(child: Task): void {
  const { process, kernel } = child;
  if (child === process.leader) {
    withdraw(process);
    process.replaceProgram(undefined);
    return;
  }
  child.exited = true;
  process.tasks.delete(child);
  child.files.leave();
  kernel.pids.removeTask(child.tid);
}
