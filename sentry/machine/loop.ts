import { availableParallelism } from "node:os";
import type { EpollReactor } from "../host/epoll-reactor.ts";
import type { ExecutorMachine } from "./executor-machine.ts";
import type { RingHub } from "./hub.ts";

/**
 * How long the sentry looks for more work before it sleeps, after a turn that had some: about the price of
 * being woken on another CPU. With one CPU spinning would keep the guest from making progress.
 */
const SPIN_NS = availableParallelism() > 1 ? 30_000 : 0;
const NS_PER_MS = 1_000_000n;
/** How long to wait while Node's loop has work of which the wait may not hear. */
const SHARED_PATIENCE_MS = 1;
/** Turns between looks at Node's own loop while there is always work. */
const TURNS_PER_YIELD = 256;

/** Whom the loop hands what it finds in rings. */
type RingReader = Pick<ExecutorMachine, "submitted" | "violated">;

/**
 * The sentry's loop: rings, host descriptors, timers and Node's own loop in one wait. Handlers run to
 * completion, one after the other, on Node's main thread.
 *
 * Node's timers (`setTimeout`) are not part of the wait: use {@link EpollReactor.at}.
 */
export class SentryLoop {
  readonly #hub: RingHub;
  readonly #reactor: EpollReactor;
  readonly #machine: RingReader;
  #busy = false;
  #stopped = false;

  constructor(hub: RingHub, reactor: EpollReactor, machine: RingReader) {
    this.#hub = hub;
    this.#reactor = reactor;
    this.#machine = machine;
    hub.watch(reactor.fd);
  }

  /** Runs from now on, between turns of Node's loop, which it keeps alive until {@link stop}. */
  start(): void {
    setImmediate(() => this.#pump());
  }

  stop(): void {
    this.#stopped = true;
  }

  #pump(): void {
    for (let turns = 0; turns < TURNS_PER_YIELD && !this.#stopped; turns++) {
      if (this.#turn()) break;
    }
    if (!this.#stopped) setImmediate(() => this.#pump());
  }

  /** One wait and everything it found. @returns whether Node's loop has something to do. */
  #turn(): boolean {
    const found = this.#hub.wait(this.#busy ? SPIN_NS : 0, this.#patienceMs());
    this.#busy = found.count > 0;
    for (let i = 0; i < found.count; i++) this.#machine.submitted(this.#hub.submission(i));
    for (
      let ring = this.#hub.takeViolation();
      ring !== undefined;
      ring = this.#hub.takeViolation()
    ) {
      this.#machine.violated(ring, "a queue entry no executor writes");
    }
    const deadline = this.#reactor.nextDeadlineNs;
    if (found.descriptors || (deadline !== undefined && deadline <= this.#reactor.now())) {
      this.#reactor.turn(0);
    }
    return found.loop || this.#reactor.isShared;
  }

  #patienceMs(): number {
    const deadline = this.#reactor.nextDeadlineNs;
    if (this.#reactor.isShared) return SHARED_PATIENCE_MS;
    if (deadline === undefined) return -1;
    const left = deadline - this.#reactor.now();
    return left <= 0n ? 0 : Number((left + NS_PER_MS - 1n) / NS_PER_MS);
  }
}
