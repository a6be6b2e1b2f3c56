/** The host's epoll. See epoll(7). */
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { HostMemory } from "./memory.ts";

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLEXCLUSIVE = 0x10000000;
export const EPOLLWAKEUP = 0x20000000;
export const EPOLLONESHOT = 0x40000000;
export const EPOLLET = 0x80000000;

const O_CLOEXEC = 0o2000000;
/** `struct epoll_event` is packed on x86-64 only. `<linux/eventpoll.h>` */
const EVENT_SIZE = process.arch === "x64" ? 12 : 16;
const DATA_OFFSET = process.arch === "x64" ? 4 : 8;
/** Events one wait brings at most. */
const MAX_EVENTS = 256;

const control = new HostMemory(EVENT_SIZE);
const timeout = new HostMemory(16);

/** One ready descriptor: which events, and the data it was registered with, as a number below 2^53. */
export interface ReadyEvent {
  readonly events: number;
  readonly key: number;
}

/** One ready descriptor, with all 64 bits of its data. */
export interface EpollEvent {
  readonly events: number;
  readonly data: bigint;
}

/** One epoll instance of the host; the caller chooses the data. */
export class HostEpoll {
  /** Readable (in the sense of poll) while something registered is ready. */
  readonly fd: number;
  readonly #events = new HostMemory(EVENT_SIZE * MAX_EVENTS);

  private constructor(fd: number) {
    this.fd = fd;
  }

  static create(): HostEpoll | Errno {
    const fd = call("epoll_create1", O_CLOEXEC);
    return fd instanceof Errno ? fd : new HostEpoll(fd);
  }

  /** See epoll_ctl(2). @param events EPOLL* bits, with EPOLLET and the like. */
  control(operation: number, fd: number, events: number, data: bigint): Errno | undefined {
    control.view.setUint32(0, events >>> 0, true);
    control.view.setBigUint64(DATA_OFFSET, data, true);
    const result = call("epoll_ctl", this.fd, operation, fd, control.bytes);
    return result instanceof Errno ? result : undefined;
  }

  /**
   * See epoll_wait(2).
   * @param maximum at most how many events, at least 1.
   * @param timeoutNs how long to wait; 0n: not at all; undefined: until something happens.
   * @returns the events; none at the timeout or when a signal interrupted the wait.
   */
  wait(maximum: number, timeoutNs: bigint | undefined): ReadyEvent[] {
    const limit = Math.min(maximum, MAX_EVENTS);
    const count = this.#wait(limit, timeoutNs);
    const ready: ReadyEvent[] = [];
    if (count instanceof Errno) return ready;
    const { view } = this.#events;
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_SIZE;
      const low = view.getUint32(at + DATA_OFFSET, true);
      const high = view.getUint32(at + DATA_OFFSET + 4, true);
      ready.push({ events: view.getUint32(at, true), key: high * 2 ** 32 + low });
    }
    return ready;
  }

  /** What is ready now, at most `maximum` descriptors. */
  collect(maximum: number): EpollEvent[] {
    const count = this.#wait(Math.min(maximum, MAX_EVENTS), 0n);
    const ready: EpollEvent[] = [];
    if (count instanceof Errno) return ready;
    const { view } = this.#events;
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_SIZE;
      const data = view.getBigUint64(at + DATA_OFFSET, true);
      ready.push({ events: view.getUint32(at, true), data });
    }
    return ready;
  }

  close(): void {
    call("close", this.fd);
  }

  #wait(limit: number, timeoutNs: bigint | undefined): number | Errno {
    if (timeoutNs === 0n || timeoutNs === undefined) {
      const ms = timeoutNs === undefined ? -1 : 0;
      return call("epoll_pwait", this.fd, this.#events.bytes, limit, ms, null, 8);
    }
    // Milliseconds are too coarse for a guest's short sleeps.
    timeout.view.setBigInt64(0, timeoutNs / 1_000_000_000n, true);
    timeout.view.setBigInt64(8, timeoutNs % 1_000_000_000n, true);
    return call("epoll_pwait2", this.fd, this.#events.bytes, limit, timeout.bytes, null, 8);
  }
}
