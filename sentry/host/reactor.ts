/** A watch on a host descriptor; see {@link Reactor.watch}. */
export interface Watch {
  /** Changes what is watched; 0 pauses. Level-triggered, poll(2) bits. */
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
  /** Calls `ready` with the ready poll(2) bits whenever `fd` has one of `events`. */
  watch(fd: number, events: number, ready: (events: number) => void): Watch;
  /** Calls `fire` once when the monotonic clock reaches `deadlineNs`; see {@link Reactor.now}. */
  at(deadlineNs: bigint, fire: () => void): Timer;
  /** The host's CLOCK_MONOTONIC in nanoseconds. */
  now(): bigint;
  /** Calls `run` once, soon, after what the loop is doing now. */
  post(run: () => void): void;
}
