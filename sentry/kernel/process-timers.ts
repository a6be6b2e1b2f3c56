import { EAGAIN, EINVAL, Errno } from "../abi/errno.ts";
import { SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU } from "../abi/signal.ts";
import { type Clock, clockNow } from "./clocks.ts";
import { CountDown } from "./count-down.ts";
import { RLIMIT_CPU } from "./limits.ts";
import type { Process } from "./process.ts";
import { sendToProcess, sendToTask } from "./send-signal.ts";
import { fromKernel, type Siginfo, timerExpiry } from "./siginfo.ts";
import type { Task } from "./task.ts";

/** The most POSIX timers of one process. (Linux counts them against RLIMIT_SIGPENDING.) */
export const TIMER_MAX = 4096;

const NS_PER_S = 1_000_000_000n;

/** Whom a POSIX timer tells: nobody, the process, or one of its threads. See sigevent(7). */
export interface TimerNotice {
  readonly signo: number;
  /** `sigev_value`; undefined: the timer's own id. */
  readonly value: bigint | undefined;
  readonly target: Task | "process" | "none";
}

/** A timer of timer_create(2). */
export interface PosixTimer {
  readonly countDown: CountDown;
  /** Expiries that the last signal taken stood for, beside the first. See timer_getoverrun(2). */
  overrun: number;
  /** Its last signal: as long as that is queued there is no other. */
  signal: Siginfo | undefined;
  /** Expiries that signal stands for, beside the first. */
  missed: number;
}

/** The timers of one process. None of them survives fork; POSIX timers end with execve too. */
export class ProcessTimers {
  readonly #process: Process;
  readonly #intervals: readonly CountDown[];
  readonly #timers = new Map<number, PosixTimer>();
  readonly #cpuLimit: CountDown;

  constructor(process: Process) {
    this.#process = process;
    const { reactor } = process.kernel;
    const interval = (clock: Clock, signo: number) =>
      new CountDown(reactor, clock, () => sendToProcess(process, fromKernel(signo)));
    this.#intervals = [
      interval({ kind: "monotonic", reactor }, SIGALRM),
      interval({ kind: "process", process, which: "user" }, SIGVTALRM),
      interval({ kind: "process", process, which: "total" }, SIGPROF),
    ];
    const cpu: Clock = { kind: "process", process, which: "total" };
    this.#cpuLimit = new CountDown(reactor, cpu, () => this.#cpuExceeded(cpu));
    this.cpuLimitChanged();
  }

  /** RLIMIT_CPU of the process is another: looks for when it will be reached. */
  cpuLimitChanged(): void {
    const { limits, state } = this.#process;
    const soft = limits.soft(RLIMIT_CPU);
    if (soft === Number.POSITIVE_INFINITY || state !== "running") this.#cpuLimit.cancel();
    else this.#cpuLimit.set({ valueNs: BigInt(soft) * NS_PER_S, intervalNs: 0n }, true);
  }

  /** As Linux has it: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. */
  #cpuExceeded(cpu: Clock): void {
    const { limits } = this.#process;
    const limit = limits.get(RLIMIT_CPU);
    if (limit instanceof Errno) return;
    if (clockNow(cpu) >= limit.max * NS_PER_S) {
      sendToProcess(this.#process, fromKernel(SIGKILL));
      return;
    }
    sendToProcess(this.#process, fromKernel(SIGXCPU));
    const next = limit.cur + 1n;
    limits.set(RLIMIT_CPU, { cur: next < limit.max ? next : limit.max, max: limit.max }, false);
    this.cpuLimitChanged();
  }

  /** The timer of setitimer(2). @param which ITIMER_REAL (0), ITIMER_VIRTUAL (1) or ITIMER_PROF (2). */
  interval(which: number): CountDown | Errno {
    return this.#intervals[which] ?? EINVAL;
  }

  /** See timer_create(2). @returns the timer's id, the lowest unused; `EAGAIN` for too many. */
  create(clock: Clock, notice: TimerNotice): number | Errno {
    if (this.#timers.size >= TIMER_MAX) return EAGAIN;
    let id = 0;
    while (this.#timers.has(id)) id++;
    const timer: PosixTimer = {
      countDown: new CountDown(this.#process.kernel.reactor, clock, (times) =>
        this.#expire(id, timer, notice, times),
      ),
      overrun: 0,
      signal: undefined,
      missed: 0,
    };
    this.#timers.set(id, timer);
    return id;
  }

  get(id: number): PosixTimer | Errno {
    return this.#timers.get(id) ?? EINVAL;
  }

  delete(id: number): Errno | undefined {
    const timer = this.#timers.get(id);
    if (timer === undefined) return EINVAL;
    timer.countDown.cancel();
    this.#timers.delete(id);
    return undefined;
  }

  /** The program is replaced: interval timers go on, POSIX timers end. */
  onExec(): void {
    for (const id of [...this.#timers.keys()]) this.delete(id);
  }

  cancelAll(): void {
    this.onExec();
    for (const interval of this.#intervals) interval.cancel();
    this.#cpuLimit.cancel();
  }

  #expire(id: number, timer: PosixTimer, notice: TimerNotice, times: number): void {
    const { signo, target } = notice;
    if (target === "none") return;
    const pending = target === "process" ? this.#process.pending : target.pending;
    // At most one signal per timer is queued: what expires until it is taken is counted.
    if (timer.signal !== undefined && pending.includes(timer.signal)) {
      timer.missed += times;
      return;
    }
    timer.missed = times - 1;
    const info = () => timerExpiry(signo, id, timer.missed, notice.value ?? BigInt(id));
    const taken = () => {
      timer.missed += timer.countDown.catchUp();
      timer.overrun = timer.missed;
      return info();
    };
    timer.signal = { ...info(), taken };
    if (target === "process") sendToProcess(this.#process, timer.signal);
    else sendToTask(target, timer.signal);
  }
}
