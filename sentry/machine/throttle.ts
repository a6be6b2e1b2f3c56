import type { Reactor, Timer } from "../host/reactor.ts";
import type { Freezer } from "./freezer.ts";

/** How often to look, in nanoseconds: the period of the kernel's own bandwidth control is ten times this. */
const LOOK_NS = 10_000_000n;
/** How much unused time can be saved up: a period of the kernel's own. */
const BURST_NS = 100_000_000n;

/**
 * Holds a container to so many CPUs where no control group can: looks a hundred times a second how much it has
 * used, and freezes it while that is too much. Coarser than the kernel's: a container can be ahead by what
 * it uses between two looks.
 */
export class Throttle {
  readonly #reactor: Reactor;
  readonly #freezer: Freezer;
  readonly #usedNs: () => bigint;
  /** In thousandths. */
  #milliCpus: bigint;
  #budgetNs = BURST_NS;
  #lastNs: bigint;
  #lastUsedNs: bigint;
  #timer: Timer | undefined;

  /** @param usedNs the CPU time the container has used so far. */
  constructor(reactor: Reactor, freezer: Freezer, cpus: number, usedNs: () => bigint) {
    this.#reactor = reactor;
    this.#freezer = freezer;
    this.#usedNs = usedNs;
    this.#milliCpus = milli(cpus);
    this.#lastNs = reactor.now();
    this.#lastUsedNs = usedNs();
    this.#schedule();
  }

  set cpus(cpus: number) {
    this.#milliCpus = milli(cpus);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#freezer.release("throttled");
  }

  #schedule(): void {
    this.#timer = this.#reactor.at(this.#reactor.now() + LOOK_NS, () => {
      this.#look();
      if (this.#timer !== undefined) this.#schedule();
    });
  }

  #look(): void {
    const now = this.#reactor.now();
    const used = this.#usedNs();
    const earned = ((now - this.#lastNs) * this.#milliCpus) / 1000n;
    const budget = this.#budgetNs + earned - (used - this.#lastUsedNs);
    this.#budgetNs = budget > BURST_NS ? BURST_NS : budget;
    this.#lastNs = now;
    this.#lastUsedNs = used;
    if (this.#budgetNs < 0n) this.#freezer.hold("throttled");
    else this.#freezer.release("throttled");
  }
}

function milli(cpus: number): bigint {
  return BigInt(Math.max(1, Math.round(cpus * 1000)));
}
