/** A watch on a host descriptor; see {@link Reactor.watch}. */
export interface Watch {
  /** Changes what is watched, poll(2) bits; 0 pauses. */
  setEvents(events: number): void;
  /** Ends the watch. The descriptor stays the caller's. */
  close(): void;
}

/** A pending timer. */
export interface Timer {
  /** Cancels it; harmless once it has fired. */
  cancel(): void;
}

/**
 * The sentry's one loop, as the parts that wait for the host see it. Callbacks run on the loop, one after
 * the other, never inside the call that registered them.
 */
export interface Reactor {
  /**
   * Calls `ready` with the ready poll(2) bits when `fd` has one of `events`: as long as it has one
   * (`level`, the default), or once per change, and once after each `setEvents` (`edge`).
   * A descriptor that the host cannot poll, such as a regular file's, is always ready.
   */
  watch(
    fd: number,
    events: number,
    ready: (events: number) => void,
    trigger?: "level" | "edge",
  ): Watch;
  /** Calls `fire` once when the monotonic clock reaches `deadlineNs`; see {@link Reactor.now}. */
  at(deadlineNs: bigint, fire: () => void): Timer;
  /** The host's CLOCK_MONOTONIC in nanoseconds. */
  now(): bigint;
  /** Calls `run` once, soon, after what the loop is doing now. */
  post(run: () => void): void;
  /**
   * Gives Node's own loop its turn after each of ours, and keeps waits short, until the share is closed: for
   * work on Node's streams and promises, which wake our wait only when Node has had a turn since.
   */
  shareWithNode(): { close(): void };
}
