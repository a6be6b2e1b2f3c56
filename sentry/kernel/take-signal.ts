/** Taking signals: what a task that asks for its next signal is told. See signal(7). */
import {
  bit,
  defaultAction,
  SA_NODEFER,
  SIG_DFL,
  SIG_IGN,
  SIGKILL,
  SIGSTOP,
  type SignalSet,
} from "../abi/signal.ts";
import { exitGroup } from "./exit-group.ts";
import type { Process } from "./process.ts";
import { checkStopComplete, traceSignal } from "./send-signal.ts";
import { fault, type Siginfo } from "./siginfo.ts";
import type { Task } from "./task.ts";

/** Answers a task that asks for a signal: with a handler to run or with nothing, unless it stops or ends. */
export function answerSignalRequest(task: Task): void {
  const { process } = task;
  for (;;) {
    const { thread } = task;
    if (task.exited || process.state !== "running" || thread === undefined) return;
    if (process.stop !== undefined) {
      task.resume = () => answerSignalRequest(task);
      checkStopComplete(process);
      return;
    }
    const mask = task.signalMask;
    const signal = task.pending.take(~mask) ?? process.pending.take(~mask);
    if (signal === undefined) {
      thread.setPending(task.pending.set | process.pending.set);
      thread.deliver(undefined);
      return;
    }
    traceSignal(task, signal);
    if (actOn(task, signal, mask)) return;
  }
}

/** Does what a signal asks for. @returns whether the request is settled; else the next signal is looked at. */
function actOn(task: Task, signal: Siginfo, mask: SignalSet): boolean {
  const { process } = task;
  const { signo } = signal;
  const { handler } = process.actions.get(signo);
  if (handler === SIG_IGN) return false;
  if (handler !== SIG_DFL) {
    runHandler(task, signal, mask);
    return true;
  }
  if (process.isInit && signo !== SIGKILL && signo !== SIGSTOP) return false;
  switch (defaultAction(signo)) {
    case "ignore":
      return false;
    case "stop":
      // Nobody would continue an orphaned group: only SIGSTOP itself stops it.
      if (signo === SIGSTOP || !process.group.isOrphaned()) stopProcess(process, signo);
      return false;
    case "terminate":
    case "core":
      exitGroup(process, signo);
      return true;
  }
}

/** All threads of `process` are to stop; each does when it next asks for a signal. */
function stopProcess(process: Process, signo: number): void {
  process.stop = { signo, complete: false };
  for (const task of process.tasks) task.signalsChanged();
}

function runHandler(task: Task, signal: Siginfo, mask: SignalSet): void {
  const { process, thread } = task;
  if (thread === undefined) return;
  const { signo } = signal;
  const { handler, flags, restorer, mask: blocked } = process.actions.get(signo);
  process.actions.entered(signo);
  task.forgetRestart();
  const pending = task.pending.set | process.pending.set;
  thread.setPending(pending);
  // What else is pending and stays unblocked interrupts the handler before its first instruction. The thread
  // is told before it goes on, so that it cannot miss it.
  const during = mask | blocked | (flags & SA_NODEFER ? 0n : bit(signo));
  if (pending & ~during) thread.interrupt();
  thread.deliver({ signo, handler, flags, restorer, mask: blocked, info: signal.bytes });
}

/**
 * Forces a fault's signal on a task and answers it; if the signal is blocked or ignored, the process ends.
 * @param code `si_code`, such as SEGV_MAPERR.
 */
export function deliverFault(
  task: Task,
  signo: number,
  code: number,
  addr: number,
  fatal = false,
): void {
  const { process } = task;
  if (task.exited || process.state !== "running") return;
  const signal = fault(signo, code, addr);
  const { handler } = process.actions.get(signo);
  const mask = task.signalMask;
  traceSignal(task, signal);
  const unhandled = handler === SIG_DFL || handler === SIG_IGN || (mask & bit(signo)) !== 0n;
  if (fatal || unhandled) exitGroup(process, signo);
  else runHandler(task, signal, mask);
}
