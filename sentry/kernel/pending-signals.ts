import { bit, SIGRTMIN, type SignalSet, SYNCHRONOUS } from "../abi/signal.ts";
import type { Siginfo } from "./siginfo.ts";

/**
 * The signals waiting for one task, or for one process as a whole. Standard signals coalesce; real-time
 * signals queue up, in order. See signal(7).
 */
export class PendingSignals {
  #set: SignalSet = 0n;
  #queue: Siginfo[] = [];

  /** Which signals are pending. */
  get set(): SignalSet {
    return this.#set;
  }

  /** How many are queued; what RLIMIT_SIGPENDING limits. */
  get length(): number {
    return this.#queue.length;
  }

  /** Whether `signo` is pending. */
  has(signo: number): boolean {
    return (this.#set & bit(signo)) !== 0n;
  }

  /** Whether this very signal is queued. */
  includes(signal: Siginfo): boolean {
    return this.#queue.includes(signal);
  }

  /** Queues a signal. @returns false for a standard signal that is already pending: nothing changes. */
  add(signal: Siginfo): boolean {
    if (signal.signo < SIGRTMIN && this.has(signal.signo)) return false;
    this.#set |= bit(signal.signo);
    this.#queue.push(signal);
    return true;
  }

  /**
   * Takes the next signal that `wanted` holds: faults first, then by number, equals in order of arrival.
   */
  take(wanted: SignalSet): Siginfo | undefined {
    const candidates = this.#set & wanted;
    if (candidates === 0n) return undefined;
    const first = candidates & SYNCHRONOUS || candidates;
    let found = -1;
    for (let i = 0; i < this.#queue.length; i++) {
      const { signo } = this.#queue[i] as Siginfo;
      if ((bit(signo) & first) === 0n) continue;
      if (found < 0 || signo < (this.#queue[found] as Siginfo).signo) found = i;
    }
    const [signal] = this.#queue.splice(found, 1);
    if (signal === undefined)
      throw new Error("The set of pending signals disagrees with their queue");
    if (!this.#queue.some(({ signo }) => signo === signal.signo)) this.#set &= ~bit(signal.signo);
    return signal.taken?.() ?? signal;
  }

  /** Forgets all signals of `set`. */
  discard(set: SignalSet): void {
    if ((this.#set & set) === 0n) return;
    this.#queue = this.#queue.filter(({ signo }) => (bit(signo) & set) === 0n);
    this.#set &= ~set;
  }
}
