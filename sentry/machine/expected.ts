import { Errno } from "../abi/errno.ts";
import { SIGKILL } from "../abi/signal.ts";
import { call } from "../host/call.ts";
import type { Reactor, Timer } from "../host/reactor.ts";
import type { Executor } from "./address-space.ts";
import { descendants, reap } from "./host-threads.ts";
import type { Launcher } from "./launcher.ts";

/** How long an executor may take to attach before somebody looks where it is, and how often. */
const LOOK_NS = 250_000_000n;
/** How often to look for processes that nobody asked for. */
const HUNT_NS = 5_000_000_000n;
/** How long a process of nobody's may live: while others are expected it could be one of them that is slow. */
const STRAY_NS = 5_000_000_000n;
const SLOW_NS = 60_000_000_000n;

export interface ExpectedOptions {
  readonly reactor: Reactor;
  readonly launcher: () => Launcher | undefined;
  /** Whether an executor with this host pid has attached. */
  readonly known: (pid: number) => boolean;
  /** Hears of an executor that will never attach: who was to make it has not, or it has died too early. */
  readonly gone: (executor: Executor) => void;
  /** Guest code may make host processes of its own accord. */
  readonly hostile: boolean;
}

const NEVER = 1n << 63n;

interface Expectation {
  readonly executor: Executor;
  readonly sinceNs: bigint;
  /** Whether the host process exists, or has existed, for certain. */
  readonly made: () => boolean;
}

/**
 * Executors that have been asked for and have not attached. No host event tells of the end of a process that
 * the sentry does not know yet, so it looks: when there is no host process left that could be one of those
 * expected, they are dead. Processes that nobody expects are killed.
 */
export class Expected {
  readonly #options: ExpectedOptions;
  readonly #byToken = new Map<bigint, Expectation>();
  /** When a process that nobody knows was seen first. */
  readonly #strangers = new Map<number, bigint>();
  #timer: Timer | undefined;
  /** When to look next. */
  #lookAt = NEVER;
  #huntAt: bigint;

  constructor(options: ExpectedOptions) {
    this.#options = options;
    this.#huntAt = options.reactor.now() + HUNT_NS;
    if (options.hostile) this.#arm(HUNT_NS);
  }

  /** @param made see {@link Expectation}. */
  add(executor: Executor, made: () => boolean): void {
    const sinceNs = this.#options.reactor.now();
    this.#byToken.set(executor.token, { executor, sinceNs, made });
    if (this.#lookAt > sinceNs + LOOK_NS) this.#arm(LOOK_NS);
  }

  get(token: bigint): Executor | undefined {
    return this.#byToken.get(token)?.executor;
  }

  /** It has attached, or never will. @returns whether it was expected. */
  remove(token: bigint): boolean {
    return this.#byToken.delete(token);
  }

  close(): void {
    this.#timer?.cancel();
  }

  #arm(delayNs: bigint): void {
    const { reactor } = this.#options;
    this.#timer?.cancel();
    this.#lookAt = reactor.now() + delayNs;
    this.#timer = reactor.at(this.#lookAt, () => this.#look());
  }

  #look(): void {
    this.#lookAt = NEVER;
    const now = this.#options.reactor.now();
    const late = [...this.#byToken.values()].filter(({ sinceNs }) => sinceNs + LOOK_NS <= now);
    const hunt = this.#options.hostile && this.#huntAt <= now;
    if (late.length > 0 || hunt || this.#strangers.size > 0) {
      // Asked before looking: who was made before the answer can be seen.
      const missing = late.filter(({ made }) => made());
      const strangers = this.#rollCall(now);
      for (const { executor } of strangers === 0 ? missing : []) {
        if (this.remove(executor.token)) this.#options.gone(executor);
      }
      this.#options.launcher()?.ask();
      this.#huntAt = now + HUNT_NS;
    }
    if (this.#byToken.size > 0 || this.#strangers.size > 0) this.#arm(LOOK_NS);
    else if (this.#options.hostile) this.#arm(HUNT_NS);
  }

  /** Looks at all host processes below ours. @returns how many live that have not attached. */
  #rollCall(now: bigint): number {
    const launcher = this.#options.launcher();
    const seen = new Set<number>();
    for (const { pid, parent, zombie } of descendants(process.pid)) {
      if (pid === launcher?.pid || this.#options.known(pid)) continue;
      if (zombie) this.#bury(pid, parent);
      else seen.add(pid);
    }
    for (const pid of this.#strangers.keys()) if (!seen.has(pid)) this.#strangers.delete(pid);
    for (const pid of seen) {
      const since = this.#strangers.get(pid) ?? now;
      this.#strangers.set(pid, since);
      const patience = this.#byToken.size === 0 ? STRAY_NS : SLOW_NS;
      if (now - since >= patience) call("kill", pid, SIGKILL);
    }
    return seen.size;
  }

  #bury(pid: number, parent: number): void {
    const launcher = this.#options.launcher();
    const pidfd = call("pidfd_open", pid, 0);
    if (pidfd instanceof Errno) return;
    if (parent === launcher?.pid) {
      launcher.reap(pidfd);
      return;
    }
    if (parent === process.pid) reap(pidfd);
    call("close", pidfd);
  }
}
