/** Sending signals: the first half of signal(7). Taking them is in take-signal.ts. */
import { EAGAIN, type Errno } from "../abi/errno.ts";
import {
  bit,
  CLD_CONTINUED,
  CLD_STOPPED,
  defaultAction,
  SA_NOCLDSTOP,
  SIG_DFL,
  SIGBUS,
  SIGCHLD,
  SIGCONT,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGRTMIN,
  SIGSEGV,
  SIGSTOP,
  type SignalSet,
  STOP_SIGNALS,
  signalName,
} from "../abi/signal.ts";
import { POLLIN } from "../vfs/poll.ts";
import { exitGroup } from "./exit-group.ts";
import { RLIMIT_SIGPENDING } from "./limits.ts";
import type { Process } from "./process.ts";
import { childEvent, members, type Siginfo } from "./siginfo.ts";
import type { Task } from "./task.ts";

/** Whence a signal comes, as far as it matters. */
export interface SendOptions {
  /** From outside the container: SIGKILL and SIGSTOP work on pid 1, which is immune to them otherwise. */
  readonly outside?: boolean;
  /** `EAGAIN` when the queue is full, as sigqueue(3) wants it; else the signal is dropped. */
  readonly mayFail?: boolean;
}

/** Sends a signal to a process as a whole. @returns `EAGAIN` for a full queue, see {@link SendOptions}. */
export function sendToProcess(
  process: Process,
  signal: Siginfo,
  options: SendOptions = {},
): Errno | undefined {
  return send(process, undefined, signal, options);
}

/** Sends a signal to one task, as tgkill(2) does. */
export function sendToTask(
  task: Task,
  signal: Siginfo,
  options: SendOptions = {},
): Errno | undefined {
  return send(task.process, task, signal, options);
}

function send(
  process: Process,
  task: Task | undefined,
  signal: Siginfo,
  options: SendOptions,
): Errno | undefined {
  if (process.state !== "running" || task?.exited) return undefined;
  const { signo } = signal;
  if (signo === SIGCONT) discard(process, STOP_SIGNALS);
  if (bit(signo) & STOP_SIGNALS) discard(process, bit(SIGCONT));
  const error = isDropped(process, task, signo, options)
    ? undefined
    : queue(process, task, signal, options);
  if (signo === SIGCONT) continueProcess(process);
  return error;
}

function queue(
  process: Process,
  task: Task | undefined,
  signal: Siginfo,
  options: SendOptions,
): Errno | undefined {
  const { signo } = signal;
  if (signo === SIGKILL) {
    traceSignal(task ?? process, signal);
    exitGroup(process, SIGKILL);
    return undefined;
  }
  const pending = task?.pending ?? process.pending;
  if (signo >= SIGRTMIN && pending.length >= process.limits.soft(RLIMIT_SIGPENDING)) {
    return options.mayFail ? EAGAIN : undefined;
  }
  if (pending.add(signal)) notify(process, task, signal);
  return undefined;
}

/** Removes signals from all queues of a process, as a stop signal does with SIGCONT and the reverse. */
function discard(process: Process, set: SignalSet): void {
  process.pending.discard(set);
  for (const task of process.tasks) task.pending.discard(set);
}

function isDropped(
  process: Process,
  task: Task | undefined,
  signo: number,
  options: SendOptions,
): boolean {
  if (signo === SIGKILL || signo === SIGSTOP) return process.isInit && !options.outside;
  // A blocked signal is kept even if it is ignored: the action may be another when it is unblocked.
  const receiver = task ?? process.anyTask;
  if (receiver !== undefined && (receiver.signalMask | receiver.awaited) & bit(signo)) return false;
  if (process.isInit && process.actions.get(signo).handler === SIG_DFL) return true;
  return process.actions.ignores(signo);
}

/** Finds who is to take a signal that was just queued, and makes it come. */
function notify(process: Process, task: Task | undefined, signal: Siginfo): void {
  const { signo } = signal;
  const candidates = task === undefined ? inOrder(process) : [task];
  // Whoever waits in sigtimedwait(2), or in a read of a signalfd, comes first.
  process.signalArrived.wake(POLLIN);
  if (!(task?.pending ?? process.pending).has(signo)) return;
  const receiver = candidates.find((candidate) => (candidate.signalMask & bit(signo)) === 0n);
  if (receiver !== undefined && isFatal(process, signo)) {
    // Nothing can change what it does any more: the whole group ends at once.
    traceSignal(receiver, signal);
    exitGroup(process, signo);
    return;
  }
  if (receiver !== undefined) receiver.signalsChanged();
  else for (const candidate of candidates) candidate.signalsChanged();
}

function inOrder(process: Process): Task[] {
  const { leader } = process;
  const tasks = [...process.tasks];
  return leader !== undefined && process.tasks.has(leader)
    ? [leader, ...tasks.filter((task) => task !== leader)]
    : tasks;
}

function isFatal(process: Process, signo: number): boolean {
  if (process.isInit || process.stop !== undefined) return false;
  if (process.actions.get(signo).handler !== SIG_DFL) return false;
  const action = defaultAction(signo);
  return action === "terminate" || action === "core";
}

/** Tells the parent once every thread of a stopping process has stopped. */
export function checkStopComplete(process: Process): void {
  const { stop } = process;
  if (stop === undefined || stop.complete) return;
  for (const task of process.tasks) if (task.resume === undefined) return;
  stop.complete = true;
  process.unreported = { stopped: stop.signo };
  notifyParent(process, CLD_STOPPED, stop.signo);
}

/** A stopped process, or one about to stop, goes on. */
function continueProcess(process: Process): void {
  const { stop } = process;
  if (stop === undefined) return;
  process.stop = undefined;
  if (stop.complete) {
    process.unreported = "continued";
    notifyParent(process, CLD_CONTINUED, SIGCONT);
  }
  for (const task of [...process.tasks]) {
    const { resume } = task;
    task.resume = undefined;
    resume?.();
  }
}

function notifyParent(process: Process, code: number, status: number): void {
  const { parent } = process;
  if (parent === undefined) return;
  // The signal first: its handler runs before a wait(2) that this ends returns.
  if (!(parent.actions.get(SIGCHLD).flags & SA_NOCLDSTOP)) {
    const uid = process.credentials.ruid;
    sendToProcess(parent, childEvent(code, process.pid, uid, status));
  }
  parent.childEvents.wake(POLLIN);
}

/** Signals that tell of an address when an instruction has caused them: sigaction(2). */
const FAULTS: ReadonlySet<number> = new Set([SIGILL, SIGBUS, SIGFPE, SIGSEGV]);

/** Prints the line strace would. */
export function traceSignal(receiver: Task | Process, signal: Siginfo): void {
  const { kernel } = receiver;
  if (kernel.trace === undefined) return;
  const id = "tid" in receiver ? receiver.tid : receiver.pid;
  const fault = FAULTS.has(signal.signo) && signal.code > 0;
  const addr = fault ? `, si_addr=0x${members(signal).addr.toString(16)}` : "";
  kernel.trace(`[${id}] --- ${signalName(signal.signo)} {si_code=${signal.code}${addr}} ---`);
}
