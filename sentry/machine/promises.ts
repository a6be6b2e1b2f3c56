import { call } from "../host/call.ts";
import type { ExecutorThread } from "./executor-thread.ts";

/** Descriptors that threads are about to collect; the sentry's until they are collected or not. */
export class Promises {
  readonly #promised = new Map<ExecutorThread, number[]>();

  /** Promises `fds` in this order, which are the promise's from now on, instead of what was promised before. */
  make(thread: ExecutorThread, fds: readonly number[]): void {
    this.break(thread);
    this.#promised.set(thread, [...fds]);
  }

  /** The next one the thread is to have. */
  of(thread: ExecutorThread): number | undefined {
    return this.#promised.get(thread)?.[0];
  }

  /** The thread has the next one, or has been told why not. */
  keep(thread: ExecutorThread): void {
    const fd = this.#promised.get(thread)?.shift();
    if (fd !== undefined) call("close", fd);
  }

  /** Nothing that was promised will be collected any more. */
  break(thread: ExecutorThread): void {
    for (const fd of this.#promised.get(thread) ?? []) call("close", fd);
    this.#promised.delete(thread);
  }
}
