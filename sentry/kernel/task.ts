import type { ByteString } from "../abi/bytes.ts";
import { ERESTARTNOHAND, type Errno } from "../abi/errno.ts";
import { type SignalSet, UNBLOCKABLE } from "../abi/signal.ts";
import type { FsContext } from "../vfs/fs-context.ts";
import type { TaskCredentials } from "./capabilities.ts";
import type { FdTable } from "./fd-table.ts";
import type { Kernel } from "./kernel.ts";
import type { GuestThread } from "./machine.ts";
import type { GuestMemory } from "./memory.ts";
import { PendingSignals } from "./pending-signals.ts";
import type { Process } from "./process.ts";

/** What a task brings with it. */
export interface TaskParts {
  readonly files: FdTable;
  readonly fs: FsContext;
  readonly credentials: TaskCredentials;
  readonly name: ByteString;
}

interface ParkedCall {
  readonly interrupt: (result: Errno) => void;
  readonly result: Errno;
}

/** One guest thread: a `task` in Linux's words. */
export class Task {
  readonly kernel: Kernel;
  readonly process: Process;
  /** Its id in the container's pid namespace. A thread that calls execve(2) gets its process's. */
  tid: number;
  /** `comm`: at most 15 bytes; see PR_SET_NAME. */
  name: ByteString;
  files: FdTable;
  fs: FsContext;
  credentials: TaskCredentials;
  /** Signals sent to this very task. */
  readonly pending = new PendingSignals();
  /** The signals that sigtimedwait(2) is waiting for. */
  awaited: SignalSet = 0n;
  /** It has asked for a signal while its process is stopped; answers it when the process continues. */
  resume: (() => void) | undefined = undefined;
  /** It has ended, or is about to with its process: nothing reaches its thread any more. */
  exited = false;
  /** The SCHED_* policy and priority it was given; see sched(7). */
  scheduling = { policy: 0, priority: 0, nice: 0, resetOnFork: false };

  /** The CPUs it asked to run on, one bit each; undefined: all. Only remembered. */
  affinity: bigint | undefined = undefined;
  /** ioprio_set(2): class and level; 0: as its nice value says. Only remembered. */
  ioPriority = 0;
  /** PR_SET_TIMERSLACK: only remembered. */
  timerSlackNs = 50_000;

  #thread: GuestThread | undefined;
  #parked: ParkedCall | undefined;
  #restarted: bigint | undefined;
  #restart: bigint | undefined;
  #observer: ((result: number | Errno | undefined) => void) | undefined;

  constructor(kernel: Kernel, process: Process, tid: number, parts: TaskParts) {
    this.kernel = kernel;
    this.process = process;
    this.tid = tid;
    this.files = parts.files;
    this.fs = parts.fs;
    this.credentials = parts.credentials;
    this.name = parts.name;
  }

  /** The machine's side of it; set when it first runs, replaced by exec. */
  get thread(): GuestThread | undefined {
    return this.#thread;
  }

  set thread(thread: GuestThread | undefined) {
    this.#thread = thread;
    if (thread !== undefined) this.signalsChanged();
  }

  /** Memory of the address space the task runs in. */
  get memory(): GuestMemory {
    if (this.#thread === undefined) throw new Error("A task that never ran has no memory");
    return this.#thread.memory;
  }

  /** The signals it has blocked. Before it runs, none reaches it. */
  get signalMask(): SignalSet {
    return this.#thread === undefined ? ~0n : this.#thread.signalMask() & ~UNBLOCKABLE;
  }

  /** Whether a signal is pending that would interrupt a wait. */
  hasDeliverableSignal(): boolean {
    if (this.exited || this.process.stop !== undefined) return true;
    const pending = this.pending.set | this.process.pending.set;
    return pending !== 0n && (pending & ~this.signalMask) !== 0n;
  }

  /** What is pending for the task has changed: its thread is told, and comes if it is to take one. */
  signalsChanged(): void {
    const thread = this.#thread;
    if (thread === undefined || this.exited) return;
    thread.setPending(this.pending.set | this.process.pending.set);
    if (this.resume !== undefined || !this.hasDeliverableSignal()) return;
    thread.interrupt();
    this.interruptCall();
  }

  /** Ends the wait the task is in, if any, as a signal would. */
  interruptCall(): void {
    const parked = this.#parked;
    if (parked === undefined) return;
    this.#parked = undefined;
    parked.interrupt(parked.result);
  }

  /** Whether it waits in a call. */
  get waiting(): boolean {
    return this.#parked !== undefined;
  }

  /** The task waits; `interrupt` ends the wait when a signal comes, with `result`. */
  park(interrupt: (result: Errno) => void, result: Errno): void {
    if (this.#parked !== undefined) throw new Error("A task waits in one call at a time");
    this.#parked = { interrupt, result };
  }

  /** Takes back {@link park}: the call did not have to wait after all. */
  unpark(): void {
    this.#parked = undefined;
  }

  /** Ends the call a task is in with its result. */
  complete(result: number | Errno): void {
    this.#parked = undefined;
    this.leaveCall(result);
    if (this.exited) return;
    if (this.#thread === undefined) throw new Error("A task that never ran is in no call");
    this.#thread.complete(result);
  }

  /** The call the task is in has done its work, but nobody waits for its result: execve, exit. */
  leaveCall(result: number | Errno | undefined): void {
    const observer = this.#observer;
    this.#observer = undefined;
    observer?.(result);
  }

  /** Calls `observer` with the result of the call the task is in, if it has one. For the trace. */
  observe(observer: (result: number | Errno | undefined) => void): void {
    this.#observer = observer;
  }

  /**
   * When a relative timeout of the call that now begins ends: `timeoutNs` from now or, if this is a call
   * that a signal without a handler interrupted and that is being restarted, when it would have ended.
   */
  deadlineAfter(timeoutNs: bigint): bigint {
    return this.#restarted ?? this.kernel.reactor.now() + timeoutNs;
  }

  /** The call was interrupted with time left: if it is restarted, it goes on until `deadlineNs`. */
  restartUntil(deadlineNs: bigint, result: Errno): void {
    if (result === ERESTARTNOHAND) this.#restart = deadlineNs;
  }

  /** A call begins; whatever was to be restarted either is this one or never will be. */
  beginCall(): void {
    this.#restarted = this.#restart;
    this.#restart = undefined;
  }

  /** A handler is about to run: an interrupted call returns EINTR instead of being restarted. */
  forgetRestart(): void {
    this.#restart = undefined;
  }
}
