import { pollNow } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import { OpenFile } from "./open-file.ts";
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
  type Pollable,
  type Unsubscribe,
  type Waiter,
  WaitQueue,
} from "./poll.ts";

/** Everything poll(2) can tell. */
export const POLL_ALL: number =
  POLLIN |
  POLLPRI |
  POLLOUT |
  POLLERR |
  POLLHUP |
  POLLRDNORM |
  POLLRDBAND |
  POLLWRNORM |
  POLLWRBAND |
  POLLRDHUP;

/**
 * The readiness of an object behind which there is one host descriptor, or will be. The host is watched
 * only while somebody waits.
 */
export class HostReadiness implements Pollable {
  readonly #reactor: Reactor;
  readonly #queue = new WaitQueue();
  readonly #attachListeners = new Set<() => void>();
  /** What {@link poll} answers while there is no descriptor. */
  #idle: number;
  #fd: number | undefined;
  #watch: Watch | undefined;

  constructor(reactor: Reactor, fd?: number, idle = 0) {
    this.#reactor = reactor;
    this.#fd = fd;
    this.#idle = idle;
  }

  /** The descriptor whose readiness is exactly this one's; undefined while the sentry itself decides. */
  get fd(): number | undefined {
    return this.#fd;
  }

  /** From now on `fd` decides, or (undefined) the sentry, with `idle` as what is ready. Wakes everyone. */
  attach(fd: number | undefined, idle = 0): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#fd = fd;
    this.#idle = idle;
    for (const listener of [...this.#attachListeners]) listener();
    this.#arm();
    this.#queue.wake(POLL_ALL);
  }

  /** Calls `listener` whenever {@link fd} changes. */
  onAttach(listener: () => void): Unsubscribe {
    this.#attachListeners.add(listener);
    return () => this.#attachListeners.delete(listener);
  }

  /** Sets what is ready while the sentry decides, and wakes whoever waits for one of `events`. */
  setIdle(ready: number, events: number): void {
    this.#idle = ready;
    this.#queue.wake(events);
  }

  poll(): number {
    return this.#fd === undefined ? this.#idle : pollNow(this.#fd, POLL_ALL);
  }

  subscribe(events: number, waiter: Waiter): Unsubscribe {
    const unsubscribe = this.#queue.subscribe(events, waiter);
    this.#arm();
    return () => {
      unsubscribe();
      this.#arm();
    };
  }

  /** Tells waiters of a change that the host does not report. */
  wake(events: number): void {
    this.#queue.wake(events);
  }

  /** Ends all watching; call it before the descriptor is closed. */
  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#fd = undefined;
  }

  #arm(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    const interest = this.#queue.size === 0 ? 0 : this.#queue.interest;
    if (this.#watch !== undefined) this.#watch.setEvents(interest);
    else if (interest !== 0) {
      // Waiters look again after subscribing and until nothing is left, so that edges are enough; a level
      // would spin while one of them waits for more than the host calls ready.
      this.#watch = this.#reactor.watch(fd, interest, (events) => this.#queue.wake(events), "edge");
    }
  }
}

/** An open file whose readiness is a host descriptor's. */
export abstract class HostBackedFile extends OpenFile {
  readonly readiness: HostReadiness;

  constructor(flags: number, readiness: HostReadiness) {
    super(flags);
    this.readiness = readiness;
  }

  /** The descriptor that says what {@link poll} says, so that many can be asked at once. */
  get pollFd(): number | undefined {
    return this.readiness.fd;
  }

  override poll(): number {
    return this.readiness.poll();
  }

  override subscribe(events: number, waiter: Waiter): Unsubscribe {
    return this.readiness.subscribe(events, waiter);
  }
}
