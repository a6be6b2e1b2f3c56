/** What the machine tells the kernel, carried to the rows and the kernel's own functions. */
import { ENOSYS, type Errno } from "./abi/errno.ts";
import { SIGKILL } from "./abi/signal.ts";
import { PARKED } from "./kernel/blocking.ts";
import { cloneFailed } from "./kernel/clone.ts";
import { finishExit } from "./kernel/exit.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { KernelEvents } from "./kernel/machine.ts";
import type { Process } from "./kernel/process.ts";
import { answerSignalRequest, deliverFault } from "./kernel/take-signal.ts";
import type { Task } from "./kernel/task.ts";
import type { CallFrame } from "./syscalls/define.ts";
import { softEvents } from "./syscalls/event.ts";
import { SYSCALLS_BY_NUMBER } from "./syscalls/table.ts";
import { traceCall } from "./trace.ts";

/** The kernel's ears: to be handed to the machine. */
export class Dispatcher implements KernelEvents {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  syscall(task: Task, frame: CallFrame, number: number): void {
    if (task.exited) return;
    const row = SYSCALLS_BY_NUMBER[task.process.isa][number];
    if (this.#kernel.trace !== undefined) traceCall(task, number, row, frame);
    task.beginCall();
    const result = row === undefined ? ENOSYS : row.invoke(task, frame);
    if (result !== PARKED) task.complete(result);
    else if (task.exited) task.leaveCall(undefined);
  }

  softEvents(task: Task, frame: CallFrame): number | Errno {
    return task.exited ? 0 : softEvents(task, frame);
  }

  signalRequest(task: Task): void {
    answerSignalRequest(task);
  }

  fault(task: Task, signo: number, code: number, addr: number, fatal: boolean): void {
    deliverFault(task, signo, code, addr, fatal);
  }

  cloneFailed(child: Task, error: Errno): void {
    this.#kernel.log(`The host could not start task ${child.tid}: ${error}`);
    cloneFailed(child);
  }

  processGone(
    process: Process,
    reason: { readonly signo: number } | { readonly violation: string },
  ): void {
    if ("violation" in reason) {
      this.#kernel.log(`Process ${process.pid} was killed: ${reason.violation}`);
    }
    // A process that nobody told to end died of what the host says, or of its own misbehaviour.
    if (process.state === "running") {
      process.exitStatus = "signo" in reason ? reason.signo : SIGKILL;
    }
    finishExit(process);
  }
}
