/**
 * Readiness: what poll(2) calls events, and who wants to hear of a change. Bits are Linux's POLL* values,
 * which are also epoll's.
 */
export const POLLIN = 0x1;
export const POLLPRI = 0x2;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;
export const POLLRDNORM = 0x40;
export const POLLRDBAND = 0x80;
export const POLLWRNORM = 0x100;
export const POLLWRBAND = 0x200;
export const POLLRDHUP = 0x2000;

/** Called when something may have become ready; it must look again, a call is only a hint. */
export type Waiter = (events: number) => void;

/** Ends a subscription; calling it twice is harmless. */
export type Unsubscribe = () => void;

/** Anything a task can wait for. */
export interface Pollable {
  /** The events that are ready now, whatever the caller is interested in. */
  poll(): number;
  /**
   * Calls `waiter` after each change that may have made one of `events` ready, until unsubscribed.
   * Never calls it before returning. `POLLERR` and `POLLHUP` are always of interest.
   */
  subscribe(events: number, waiter: Waiter): Unsubscribe;
}

/** The waiters of one object the sentry implements itself. */
export class WaitQueue {
  readonly #waiters = new Map<symbol, { events: number; waiter: Waiter }>();

  /** How many waiters there are: objects that watch a host descriptor stop when it drops to 0. */
  get size(): number {
    return this.#waiters.size;
  }

  /** The union of the events that anyone waits for. */
  get interest(): number {
    let events = 0;
    for (const entry of this.#waiters.values()) events |= entry.events;
    return events;
  }

  subscribe(events: number, waiter: Waiter): Unsubscribe {
    const key = Symbol();
    this.#waiters.set(key, { events: events | POLLERR | POLLHUP, waiter });
    return () => this.#waiters.delete(key);
  }

  /** Tells every waiter interested in one of `events`, in the order in which they came. */
  wake(events: number): void {
    for (const [key, entry] of [...this.#waiters]) {
      if (entry.events & events && this.#waiters.has(key)) entry.waiter(events);
    }
  }

  /** As {@link wake}, but only the first interested waiter: exclusive wake-ups. */
  wakeOne(events: number): void {
    for (const entry of this.#waiters.values()) {
      if (entry.events & events) {
        entry.waiter(events);
        return;
      }
    }
  }
}

/** A source that is always ready, as regular files and directories are. */
export const ALWAYS_READY: Pollable = {
  poll: () => POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM,
  subscribe: () => () => {},
};
