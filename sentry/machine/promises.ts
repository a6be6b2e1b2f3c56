import { call } from "../host/call.ts";
import type { ExecutorThread } from "./executor-thread.ts";

/** Descriptors that threads are about to collect, one each; the sentry's until they are collected or not. */
export class Promises {
  readonly #promised = new Map<ExecutorThread, number>();

  /** Promises `fd`, which is the promise's from now on, instead of what was promised before. */
  make(thread: ExecutorThread, fd: number): void {
    this.break(thread);
    this.#promised.set(thread, fd);
  }

  of(thread: ExecutorThread): number | undefined {
    return this.#promised.get(thread);
  }

  /** The promise has been kept, or never will be. */
  break(thread: ExecutorThread): void {
    const fd = this.#promised.get(thread);
    if (fd === undefined) return;
    this.#promised.delete(thread);
    call("close", fd);
  }
}
