import type { Errno } from "../abi/errno.ts";
import type { Kernel } from "./kernel.ts";
import type { GuestThread } from "./machine.ts";
import type { GuestMemory } from "./memory.ts";

/** One guest thread: a `task` in Linux's words. */
export class Task {
  readonly kernel: Kernel;
  /** Its id in the container's pid namespace. */
  readonly tid: number;
  readonly process: Process;
  /** The machine's side of it; set when it first runs, replaced by exec. */
  thread: GuestThread | undefined = undefined;

  constructor(kernel: Kernel, process: Process, tid: number) {
    this.kernel = kernel;
    this.process = process;
    this.tid = tid;
  }

  /** Memory of the address space the task runs in. */
  get memory(): GuestMemory {
    if (this.thread === undefined) throw new Error("A task that never ran has no memory");
    return this.thread.memory;
  }

  /** Whether a signal is pending that would interrupt a wait. */
  hasDeliverableSignal(): boolean {
    return false;
  }

  /** The task waits; `interrupt` ends the wait when a signal comes, with `result`. */
  park(_interrupt: (result: Errno) => void, _result: Errno): void {}

  /** Takes back {@link park}: the call did not have to wait after all. */
  unpark(): void {}

  /** Ends the wait of a parked task with the result of its call. */
  complete(_result: number | Errno): void {}
}

/** One guest process: a thread group in Linux's words. */
export class Process {
  readonly pid: number;
  constructor(pid: number) {
    this.pid = pid;
  }
}
