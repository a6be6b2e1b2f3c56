/** Sending, awaiting and handling signals. Masks and alternate stacks are the executor's; see signal(7). */
import { EAGAIN, EBADF, EINTR, EINVAL, EPERM, ERESTARTNOHAND, Errno, ESRCH } from "../abi/errno.ts";
import { Sigaction } from "../abi/process-structs.ts";
import {
  bit,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SI_TKILL,
  SI_USER,
  SIGMAX,
  type SignalSet,
  UNBLOCKABLE,
} from "../abi/signal.ts";
import { ProcessDirectory } from "../fs/proc/process-directory.ts";
import { blockOn } from "../kernel/blocking.ts";
import { maySignal } from "../kernel/may-signal.ts";
import { PidFile } from "../kernel/pid-file.ts";
import type { Process } from "../kernel/process.ts";
import { sendToProcess, sendToTask } from "../kernel/send-signal.ts";
import { fromGuest, SIGINFO_SIZE, type Siginfo, sentBy } from "../kernel/siginfo.ts";
import type { Task } from "../kernel/task.ts";
import { PathFile, VfsFile } from "../vfs/file.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { POLLIN } from "../vfs/poll.ts";
import { addr, fd, int, size, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { timespecAt } from "./timespec.ts";

/** Size of the kernel's `sigset_t`. */
const SIGSET_SIZE = 8;
const KNOWN_FLAGS =
  (SA_NOCLDSTOP |
    SA_NOCLDWAIT |
    SA_SIGINFO |
    SA_RESTORER |
    SA_ONSTACK |
    SA_RESTART |
    SA_NODEFER |
    SA_RESETHAND) >>>
  0;

function sigaction(task: Task, signo: number, actAt: number, oldAt: number): number | Errno {
  const { process, memory } = task;
  if (signo < 1 || signo > SIGMAX) return EINVAL;
  if (actAt !== 0 && bit(signo) & UNBLOCKABLE) return EINVAL;
  const raw = actAt === 0 ? undefined : memory.copyIn(actAt, Sigaction.size);
  if (raw instanceof Errno) return raw;
  const old = process.actions.get(signo);
  if (raw !== undefined) {
    const { handler, flags, restorer, mask } = Sigaction.parse(raw);
    process.actions.set(signo, {
      handler,
      flags: ((flags % 2 ** 32) & KNOWN_FLAGS) >>> 0,
      restorer,
      mask: mask & ~UNBLOCKABLE,
    });
    if (process.actions.ignores(signo)) forget(process, signo);
  }
  return oldAt === 0 ? 0 : (memory.copyOut(oldAt, Sigaction.bytes(old)) ?? 0);
}

/** POSIX: to ignore a signal discards it where it is pending, blocked or not. */
function forget(process: Process, signo: number): void {
  process.pending.discard(bit(signo));
  for (const task of process.tasks) {
    task.pending.discard(bit(signo));
    task.signalsChanged();
  }
}

function bySender(task: Task, signo: number, code: typeof SI_USER | typeof SI_TKILL): Siginfo {
  return sentBy(signo, code, task.process.pid, task.credentials.ruid);
}

/** Sends to one process after the permission check; `signo` 0 only checks. */
function killOne(task: Task, target: Process, signo: number): Errno | undefined {
  const error = maySignal(task, target, signo);
  if (error !== undefined || signo === 0) return error;
  return sendToProcess(target, bySender(task, signo, SI_USER));
}

/** Sends to each of several processes. @returns 0 if one was allowed, else the last error. */
function killAll(task: Task, targets: Iterable<Process>, signo: number): number | Errno {
  let result: number | Errno = ESRCH;
  for (const target of [...targets]) {
    const error = killOne(task, target, signo);
    if (error === undefined) result = 0;
    else if (result !== 0) result = error;
  }
  return result;
}

function kill(task: Task, pid: number, signo: number): number | Errno {
  const { process, kernel } = task;
  if (signo < 0 || signo > SIGMAX) return EINVAL;
  if (pid > 0) {
    const target = kernel.pids.process(pid) ?? kernel.pids.task(pid)?.process;
    return target === undefined ? ESRCH : (killOne(task, target, signo) ?? 0);
  }
  if (pid === -1) {
    const others = kernel.pids.processes().filter((other) => other !== process && !other.isInit);
    return killAll(task, others, signo);
  }
  const group = pid === 0 ? process.group : kernel.pids.group(-pid);
  return group === undefined ? ESRCH : killAll(task, group.members, signo);
}

/** The thread `tid`, of process `tgid` if that is given. */
function threadOf(task: Task, tgid: number | undefined, tid: number): Task | Errno {
  if (tid <= 0 || (tgid !== undefined && tgid <= 0)) return EINVAL;
  const target = task.kernel.pids.task(tid);
  if (target === undefined || (tgid !== undefined && target.process.pid !== tgid)) return ESRCH;
  return target;
}

function sendThread(task: Task, target: Task, signo: number, info: Siginfo): number | Errno {
  const error = maySignal(task, target.process, signo);
  if (error !== undefined || signo === 0) return error ?? 0;
  return sendToTask(target, info, { mayFail: true }) ?? 0;
}

function tkill(task: Task, tgid: number | undefined, tid: number, signo: number): number | Errno {
  const target = threadOf(task, tgid, tid);
  if (target instanceof Errno) return target;
  if (signo < 0 || signo > SIGMAX) return EINVAL;
  return sendThread(task, target, signo, bySender(task, signo, SI_TKILL));
}

/** A `siginfo_t` that `task` may send to `target`: it must not pass for the kernel's or for kill(2)'s. */
function forged(task: Task, target: Process, signo: number, infoAt: number): Siginfo | Errno {
  if (signo < 0 || signo > SIGMAX) return EINVAL;
  const raw = task.memory.copyIn(infoAt, SIGINFO_SIZE);
  if (raw instanceof Errno) return raw;
  const info = fromGuest(signo, raw);
  const impersonates = info.code >= 0 || info.code === SI_TKILL;
  return impersonates && target !== task.process ? EPERM : info;
}

function queueToProcess(task: Task, pid: number, signo: number, infoAt: number): number | Errno {
  const target = task.kernel.pids.process(pid);
  if (target === undefined) return ESRCH;
  const info = forged(task, target, signo, infoAt);
  if (info instanceof Errno) return info;
  const error = maySignal(task, target, signo);
  if (error !== undefined || signo === 0) return error ?? 0;
  return sendToProcess(target, info, { mayFail: true }) ?? 0;
}

function queueToThread(
  task: Task,
  tgid: number,
  tid: number,
  signo: number,
  infoAt: number,
): number | Errno {
  const target = threadOf(task, tgid, tid);
  if (target instanceof Errno) return target;
  const info = forged(task, target.process, signo, infoAt);
  return info instanceof Errno ? info : sendThread(task, target, signo, info);
}

/** What a descriptor of pidfd_open(2) or of a directory `/proc/PID` stands for. */
function processOf(task: Task, file: OpenFile): Process | Errno {
  if (file instanceof PidFile) return file.process;
  if (!(file instanceof VfsFile) || file instanceof PathFile) return EBADF;
  if (!(file.inode instanceof ProcessDirectory)) return EBADF;
  const { pid, started } = file.inode;
  const process = task.kernel.pids.process(pid);
  return process !== undefined && process.startedNs - process.kernel.bootNs === started
    ? process
    : ESRCH;
}

function pidfdSend(
  task: Task,
  fdNumber: number,
  signo: number,
  infoAt: number,
  flags: number,
): number | Errno {
  if (flags !== 0) return EINVAL;
  const file = task.files.get(fdNumber);
  if (file instanceof Errno) return file;
  const target = processOf(task, file);
  if (target instanceof Errno) return target;
  if (signo < 0 || signo > SIGMAX) return EINVAL;
  if (target.state === "zombie" || target.state === "dead") return ESRCH;
  if (infoAt === 0) return killOne(task, target, signo) ?? 0;
  const raw = task.memory.copyIn(infoAt, SIGINFO_SIZE);
  if (raw instanceof Errno) return raw;
  if (new DataView(raw.buffer, raw.byteOffset).getInt32(0, true) !== signo) return EINVAL;
  return queueToProcess(task, target.pid, signo, infoAt);
}

function sigtimedwait(
  task: Task,
  wanted: SignalSet,
  infoAt: number,
  timeoutNs: bigint | undefined,
): Result {
  const { process } = task;
  const set = wanted & ~UNBLOCKABLE;
  const attempt = () => {
    const signal = task.pending.take(set) ?? process.pending.take(set);
    if (signal === undefined) return EAGAIN;
    return infoAt === 0
      ? signal.signo
      : (task.memory.copyOut(infoAt, signal.bytes) ?? signal.signo);
  };
  if (timeoutNs === 0n) return attempt();
  task.awaited = set;
  const { signalArrived } = process;
  const source = { poll: () => 0, subscribe: signalArrived.subscribe.bind(signalArrived) };
  const ended = () => {
    task.awaited = 0n;
  };
  const result = blockOn(task, [{ source, events: POLLIN }], attempt, {
    deadlineNs: timeoutNs === undefined ? undefined : task.kernel.reactor.now() + timeoutNs,
    interrupted: EINTR,
    ended,
  });
  if (typeof result !== "symbol") ended();
  return result;
}

/** Waits for a handler to run, under the mask the executor has set for the time being. */
function untilSignal(task: Task): Result {
  return blockOn(task, [], () => EAGAIN, { interrupted: ERESTARTNOHAND });
}

/** The set of signals at `at`. */
function setAt(task: Task, at: number, length: number): SignalSet | Errno {
  if (length !== SIGSET_SIZE) return EINVAL;
  const raw = task.memory.copyIn(at, SIGSET_SIZE);
  if (raw instanceof Errno) return raw;
  return new DataView(raw.buffer, raw.byteOffset).getBigUint64(0, true);
}

export const SIGNAL: readonly Syscall[] = [
  syscall("rt_sigaction", {
    support: "full",
    args: { signum: int, act: addr, oldact: addr, sigsetsize: size },
    run: (task, { signum, act, oldact, sigsetsize }) =>
      sigsetsize === SIGSET_SIZE ? sigaction(task, signum, act, oldact) : EINVAL,
  }),
  syscall("rt_sigpending", {
    support: "full",
    args: { set: addr, sigsetsize: size },
    run: (task, { set, sigsetsize }) => {
      if (sigsetsize > SIGSET_SIZE) return EINVAL;
      const bytes = new Uint8Array(SIGSET_SIZE);
      const pending = (task.pending.set | task.process.pending.set) & task.signalMask;
      new DataView(bytes.buffer).setBigUint64(0, pending, true);
      return task.memory.copyOut(set, bytes.subarray(0, sigsetsize)) ?? 0;
    },
  }),
  syscall("kill", {
    support: "full",
    args: { pid: int, sig: int },
    run: (task, { pid, sig }) => kill(task, pid, sig),
  }),
  syscall("tkill", {
    support: "full",
    args: { tid: int, sig: int },
    run: (task, { tid, sig }) => tkill(task, undefined, tid, sig),
  }),
  syscall("tgkill", {
    support: "full",
    args: { tgid: int, tid: int, sig: int },
    run: (task, { tgid, tid, sig }) => tkill(task, tgid, tid, sig),
  }),
  syscall("rt_sigqueueinfo", {
    support: { partial: "RLIMIT_SIGPENDING limits each queue of a process, not all of a user's" },
    args: { tgid: int, sig: int, info: addr },
    run: (task, { tgid, sig, info }) => queueToProcess(task, tgid, sig, info),
  }),
  syscall("rt_tgsigqueueinfo", {
    support: { partial: "As rt_sigqueueinfo" },
    args: { tgid: int, tid: int, sig: int, info: addr },
    run: (task, { tgid, tid, sig, info }) => queueToThread(task, tgid, tid, sig, info),
  }),
  syscall("pidfd_send_signal", {
    support: { partial: "The flags that choose a thread or a group are refused with EINVAL" },
    args: { pidfd: fd, sig: int, info: addr, flags: uint },
    run: (task, { pidfd, sig, info, flags }) => pidfdSend(task, pidfd, sig, info, flags),
  }),
  syscall("rt_sigtimedwait", {
    support: "full",
    args: { set: addr, info: addr, timeout: addr, sigsetsize: size },
    run: (task, { set, info, timeout, sigsetsize }) => {
      const wanted = setAt(task, set, sigsetsize);
      if (wanted instanceof Errno) return wanted;
      const timeoutNs = timeout === 0 ? undefined : timespecAt(task, timeout);
      return timeoutNs instanceof Errno ? timeoutNs : sigtimedwait(task, wanted, info, timeoutNs);
    },
  }),
  syscall("rt_sigsuspend", {
    support: "full",
    args: { mask: addr, sigsetsize: size },
    run: (task, { sigsetsize }) => (sigsetsize === SIGSET_SIZE ? untilSignal(task) : EINVAL),
  }),
  syscall("restart_syscall", {
    support: { partial: "Always EINTR: interrupted calls are restarted as they are" },
    args: {},
    run: () => EINTR,
  }),
  syscall("pause", {
    support: "full",
    args: {},
    run: (task) => untilSignal(task),
  }),
];
