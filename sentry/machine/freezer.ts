/** Keeps the guest code of a container from running, whoever wants that: `docker pause`, or a CPU limit. */
import { call } from "../host/call.ts";
import type { Executor } from "./address-space.ts";
import type { ExecutorThread } from "./executor-thread.ts";
import type { RawSubmission } from "./hub.ts";

const SIGCONT = 18;
const SIGSTOP = 19;

/** Why guest code does not run. */
export type FreezeReason = "paused" | "throttled";

/** Whose guest code it is; see {@link import("./executor-machine.ts").ExecutorMachine}. */
export interface Freezable {
  executors(): Iterable<Executor>;
  submitted(raw: RawSubmission): void;
  hostedThread(ring: number, slot: number): ExecutorThread | undefined;
}

/**
 * Executor processes are stopped by the host, in the middle of whatever they do. Threads of the sentry's own
 * process cannot be: they are interrupted, and their calls and the answers they wait for are held back.
 */
export class Freezer {
  readonly #machine: Freezable;
  readonly #reasons = new Set<FreezeReason>();
  #held: (() => void)[] = [];

  constructor(machine: Freezable) {
    this.#machine = machine;
  }

  get isFrozen(): boolean {
    return this.#reasons.size > 0;
  }

  /** Freezes; harmless when that reason holds already. Nothing runs any more when it returns. */
  hold(reason: FreezeReason): void {
    const first = this.#reasons.size === 0;
    this.#reasons.add(reason);
    if (first) for (const executor of this.#machine.executors()) this.attached(executor);
  }

  /** Lets everything go on unless another reason holds. */
  release(reason: FreezeReason): void {
    if (!this.#reasons.delete(reason) || this.isFrozen) return;
    for (const { pidfd, hostedTid } of this.#machine.executors()) {
      if (hostedTid === undefined && pidfd >= 0) send(pidfd, SIGCONT);
    }
    for (const run of this.#held.splice(0)) run();
  }

  /** An executor has come into being: it waits, too, when everybody does. */
  attached(executor: Executor): void {
    if (!this.isFrozen) return;
    if (executor.hostedTid === undefined) {
      if (executor.pidfd >= 0) send(executor.pidfd, SIGSTOP);
      return;
    }
    for (const thread of executor.space.threads()) thread.interrupt();
  }

  /** Passes a submission on, now or when everything goes on. */
  submitted(raw: RawSubmission): void {
    const thread = this.isFrozen ? this.#machine.hostedThread(raw.ring, raw.slot) : undefined;
    if (thread === undefined || thread.executor.doomed) {
      this.#machine.submitted(raw);
      return;
    }
    // The batch is overwritten by the next wait.
    const kept = { ...raw, words: raw.words.slice() };
    this.#held.push(() => this.#machine.submitted(kept));
  }

  /** Keeps an answer back that would let a thread of our own process run. @returns whether it did. */
  holdBack({ executor }: ExecutorThread, answer: () => void): boolean {
    if (!this.isFrozen || executor.hostedTid === undefined || executor.doomed) return false;
    this.#held.push(answer);
    return true;
  }
}

function send(pidfd: number, signo: number): void {
  call("pidfd_send_signal", pidfd, signo, null, 0);
}
