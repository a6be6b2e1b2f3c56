import type { ByteString } from "../abi/bytes.ts";
import type { Isa } from "../abi/numbers.ts";
import { SIGCHLD } from "../abi/signal.ts";
import { ProcessIpc } from "../ipc/namespace.ts";
import type { Path } from "../vfs/mount.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { WaitQueue } from "../vfs/poll.ts";
import type { TaskCredentials } from "./capabilities.ts";
import type { Kernel } from "./kernel.ts";
import type { Limits } from "./limits.ts";
import { PendingSignals } from "./pending-signals.ts";
import { ProcessTimers } from "./process-timers.ts";
import type { ProcessGroup } from "./session.ts";
import type { SignalActions } from "./signal-actions.ts";
import type { Task } from "./task.ts";
import { NO_USAGE, type Usage } from "./usage.ts";

/** The program a process runs. */
export interface Program {
  readonly isa: Isa;
  /** The file and its interpreter, kept open as their mappings keep them. */
  readonly files: readonly OpenFile[];
  /** Where the file is: what /proc/PID/exe points at. */
  readonly path: Path;
  readonly argv: readonly ByteString[];
  readonly envp: readonly ByteString[];
  /** The auxiliary vector as the program got it: /proc/PID/auxv. */
  readonly auxv: Uint8Array;
}

/** One guest process: a thread group in Linux's words. */
export class Process {
  readonly kernel: Kernel;
  readonly pid: number;
  /**
   * `running` until it is told to end, `exiting` until the machine confirms that its threads are gone,
   * `zombie` until its parent has waited for it, then `dead`.
   */
  state: "running" | "exiting" | "zombie" | "dead" = "running";
  parent: Process | undefined;
  readonly children: Set<Process> = new Set();
  group: ProcessGroup;
  /** Its live threads, the oldest first. */
  readonly tasks: Set<Task> = new Set();
  /** Its first thread, which gave it its pid; may have ended before the others. */
  leader: Task | undefined;

  /** What its parent is sent when it ends; 0 for nothing. See clone(2). */
  exitSignal: number = SIGCHLD;
  /** The thread of the parent that made it; see PR_SET_PDEATHSIG and __WNOTHREAD. */
  creator: Task | undefined;
  /** What it is sent when its creator ends; 0 for nothing. */
  parentDeathSignal = 0;
  /** Whether orphans among its descendants become its children: PR_SET_CHILD_SUBREAPER. */
  subreaper = false;
  /** PR_SET_DUMPABLE. */
  dumpable = 1;
  /** PR_SET_NO_NEW_PRIVS. */
  noNewPrivileges = false;
  /** Whether it has called execve since it was forked; then its parent cannot move it to a group. */
  executed = false;

  actions: SignalActions;
  /** Signals sent to the process as a whole. */
  readonly pending = new PendingSignals();
  /** It is stopping because of `signo`, or has stopped completely. */
  stop: { readonly signo: number; complete: boolean } | undefined = undefined;
  /** What wait(2) has not told yet: that it stopped (the signal), or that it continued. */
  unreported: { readonly stopped: number } | "continued" | undefined = undefined;
  /** The status wait(2) reports, once it is ending. */
  exitStatus = 0;

  limits: Limits;
  program: Program | undefined;
  /** `/proc/PID/oom_score_adj`. */
  oomScoreAdjust = 0;
  /** The personality(2). */
  personality = 0;
  readonly timers: ProcessTimers;
  /** Segments it has attached, and what is undone at its end. */
  readonly ipc: ProcessIpc;
  /** CLOCK_MONOTONIC when it began. */
  readonly startedNs: bigint;
  /** What it has used itself, once it has ended. */
  usage: Usage = NO_USAGE;
  /** What the children it has waited for used. */
  childrenUsage: Usage = NO_USAGE;

  /** Wakes those that wait for a change of a child. */
  readonly childEvents = new WaitQueue();
  /** Wakes those that wait for a signal to become pending: signalfds. */
  readonly signalArrived = new WaitQueue();
  /** Wakes those that wait for its end: pidfds. */
  readonly exitEvents = new WaitQueue();

  constructor(
    kernel: Kernel,
    pid: number,
    parts: {
      readonly parent: Process | undefined;
      readonly group: ProcessGroup | ((self: Process) => ProcessGroup);
      readonly actions: SignalActions;
      readonly limits: Limits;
    },
  ) {
    this.kernel = kernel;
    this.pid = pid;
    this.parent = parts.parent;
    this.actions = parts.actions;
    this.limits = parts.limits;
    this.startedNs = kernel.reactor.now();
    this.timers = new ProcessTimers(this);
    this.ipc = new ProcessIpc(kernel.ipc, pid);
    this.group = typeof parts.group === "function" ? parts.group(this) : parts.group;
    this.group.members.add(this);
    parts.parent?.children.add(this);
  }

  /** Whether it is the container's first process, with which the container ends. */
  get isInit(): boolean {
    return this.pid === 1;
  }

  get session(): ProcessGroup["session"] {
    return this.group.session;
  }

  /** It runs another program from now on, or none. */
  replaceProgram(program: Program | undefined): void {
    for (const file of this.program?.files ?? []) file.close();
    this.program = program;
  }

  /** The guest instruction set of its program. */
  get isa(): Isa {
    return this.program?.isa ?? "x86_64";
  }

  /** Who it runs as: its first thread, as the other processes see it. */
  get credentials(): TaskCredentials {
    if (this.leader === undefined) throw new Error("A process is born with a thread");
    return this.leader.credentials;
  }

  /** A live thread to speak for the process; undefined once it has ended. */
  get anyTask(): Task | undefined {
    if (this.leader !== undefined && this.tasks.has(this.leader)) return this.leader;
    return this.tasks.values().next().value;
  }
}
