import { EAGAIN, ERESTARTSYS, type Errno } from "../abi/errno.ts";
import type { Pollable } from "../vfs/poll.ts";
import type { Task } from "./task.ts";

/** What a handler returns when its task waits: the result comes later, through `Task.complete`. */
export const PARKED: unique symbol = Symbol("parked");
export type Parked = typeof PARKED;

/** A source and the events of it that end the wait. */
export interface Wait {
  readonly source: Pollable;
  readonly events: number;
}

/** How a wait ends other than by success. */
export interface WaitOptions {
  /**
   * When to give up, on the reactor's clock; default never. For a relative timeout take
   * {@link Task.deadlineAfter}: then a restarted call keeps its deadline.
   */
  readonly deadlineNs?: bigint | undefined;
  /** The result at the deadline; default `EAGAIN`. */
  readonly onTimeout?: () => number | Errno;
  /** The result when a signal interrupts the wait; default `ERESTARTSYS`. */
  readonly interrupted?: Errno;
  /** What part of the work is done: when it is not 0, it is the result of a wait that ends early. */
  readonly progress?: () => number;
  /** Turns the count a parked call has come to into its result; default: the count is the result. */
  readonly conclude?: (count: number) => number | Errno;
  /** Called once when a wait that parked the task is over, before the result is known to the guest. */
  readonly ended?: () => void;
}

/**
 * Runs `attempt` now and, as long as it answers `EAGAIN`, again after each event of the sources.
 * @returns the result at once if there is one, else {@link PARKED}; the task then completes with the
 *   attempt's result, with the timeout's, or interrupted.
 */
export function blockOn(
  task: Task,
  waits: readonly Wait[],
  attempt: () => number | Errno,
  options: WaitOptions = {},
): number | Errno | Parked {
  const first = attempt();
  if (first !== EAGAIN) return first;
  const done = () => options.progress?.() || undefined;
  if (task.hasDeliverableSignal()) return done() ?? options.interrupted ?? ERESTARTSYS;

  const cleanups: (() => void)[] = [];
  const finish = (result: number | Errno) => {
    for (const cleanup of cleanups) cleanup();
    options.ended?.();
    const { conclude } = options;
    task.complete(typeof result === "number" && conclude ? conclude(result) : result);
  };
  let trying = false;
  const retry = () => {
    // An attempt may itself change what it waits for.
    if (trying) return;
    trying = true;
    const result = attempt();
    trying = false;
    if (result !== EAGAIN) finish(result);
  };
  task.park((result) => {
    if (options.deadlineNs !== undefined) task.restartUntil(options.deadlineNs, result);
    // As in Linux, what has become ready at the same time counts more than the signal.
    const last = task.exited ? EAGAIN : attempt();
    finish(last === EAGAIN ? (done() ?? result) : last);
  }, options.interrupted ?? ERESTARTSYS);
  for (const { source, events } of waits) cleanups.push(source.subscribe(events, retry));
  if (options.deadlineNs !== undefined) {
    const timer = task.kernel.reactor.at(options.deadlineNs, () =>
      finish(done() ?? options.onTimeout?.() ?? EAGAIN),
    );
    cleanups.push(() => timer.cancel());
  }
  // A source may have become ready between the first attempt and the subscription.
  const second = attempt();
  if (second !== EAGAIN) {
    for (const cleanup of cleanups) cleanup();
    task.unpark();
    return second;
  }
  return PARKED;
}
