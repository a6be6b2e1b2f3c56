import { EEXIST, ENOENT, EPERM, Errno } from "../abi/errno.ts";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, HostEpoll } from "./epoll.ts";
import type { Reactor, Timer, Watch } from "./reactor.ts";
import { TimerHeap } from "./timer-heap.ts";

const POLLERR_HUP = 0x8 | 0x10;
/** poll(2) bits of a descriptor that is always ready. */
const ALWAYS = 0x1 | 0x4;
/** Events handled by one turn before timers are looked at again. */
const EVENTS_PER_TURN = 256;

interface Entry {
  events: number;
  readonly edge: boolean;
  readonly ready: (events: number) => void;
  closed: boolean;
}

/** All watches of one descriptor; the host knows their union. */
interface Registration {
  readonly fd: number;
  readonly entries: Set<Entry>;
  /** What the host was told; 0: not registered. */
  armed: number;
  /** The host cannot poll it (a regular file). */
  alwaysReady: boolean;
}

/** A {@link Reactor} on the host's epoll, for whoever has no loop of its own. */
export class EpollReactor implements Reactor {
  readonly #epoll: HostEpoll;
  readonly #registrations = new Map<number, Registration>();
  readonly #timers = new TimerHeap();
  #posted: (() => void)[] = [];
  readonly #shares = new Set<object>();

  /** @throws when the host has no descriptor left. */
  constructor() {
    const epoll = HostEpoll.create();
    if (epoll instanceof Errno) throw new Error(`Cannot create an epoll instance: ${epoll}`);
    this.#epoll = epoll;
  }

  /** Readable while a watched descriptor is ready: lets another loop include this one. */
  get fd(): number {
    return this.#epoll.fd;
  }

  /** When the next timer is due, on {@link now}'s clock. */
  get nextDeadlineNs(): bigint | undefined {
    return this.#posted.length > 0 ? 0n : this.#timers.next;
  }

  /** Whether Node's loop is to have its turn; see {@link shareWithNode}. */
  get isShared(): boolean {
    return this.#shares.size > 0;
  }

  shareWithNode(): { close(): void } {
    const share = { close: () => this.#shares.delete(share) };
    this.#shares.add(share);
    return share;
  }

  now(): bigint {
    // libuv reads CLOCK_MONOTONIC.
    return process.hrtime.bigint();
  }

  post(run: () => void): void {
    this.#posted.push(run);
  }

  at(deadlineNs: bigint, fire: () => void): Timer {
    return this.#timers.add(deadlineNs, fire);
  }

  watch(
    fd: number,
    events: number,
    ready: (events: number) => void,
    trigger: "level" | "edge" = "level",
  ): Watch {
    const registration = this.#registrations.get(fd) ?? {
      fd,
      entries: new Set(),
      armed: 0,
      alwaysReady: false,
    };
    this.#registrations.set(fd, registration);
    const entry: Entry = { events, edge: trigger === "edge", ready, closed: false };
    registration.entries.add(entry);
    this.#arm(registration);
    return {
      setEvents: (changed) => {
        if (entry.closed) return;
        entry.events = changed;
        this.#arm(registration);
      },
      close: () => {
        if (entry.closed) return;
        entry.closed = true;
        registration.entries.delete(entry);
        this.#arm(registration);
        if (registration.entries.size === 0 && this.#registrations.get(fd) === registration) {
          this.#registrations.delete(fd);
        }
      },
    };
  }

  /**
   * One round: waits at most `timeoutMs` (undefined: until something happens) for a descriptor, a timer or a
   * posted call, and runs what is due.
   */
  turn(timeoutMs?: number): void {
    for (const { events, key } of this.#epoll.wait(EVENTS_PER_TURN, this.#patience(timeoutMs))) {
      const registration = this.#registrations.get(key);
      if (registration !== undefined) this.#dispatch(registration, events);
    }
    this.#timers.run(this.now());
    const posted = this.#posted;
    this.#posted = [];
    for (const run of posted) run();
  }

  /** Turns until `stopped` answers true. */
  run(stopped: () => boolean): void {
    while (!stopped()) this.turn();
  }

  close(): void {
    this.#epoll.close();
  }

  #patience(timeoutMs: number | undefined): bigint | undefined {
    if (this.#posted.length > 0) return 0n;
    const own = timeoutMs === undefined ? undefined : BigInt(Math.ceil(timeoutMs * 1e6));
    const deadline = this.#timers.next;
    if (deadline === undefined) return own;
    const left = deadline - this.now();
    const untilTimer = left > 0n ? left : 0n;
    return own === undefined || untilTimer < own ? untilTimer : own;
  }

  #dispatch(registration: Registration, events: number): void {
    for (const entry of [...registration.entries]) {
      const relevant = events & (entry.events | POLLERR_HUP);
      if (!entry.closed && entry.events !== 0 && relevant !== 0) entry.ready(relevant);
    }
  }

  /** Tells the host what is wanted now. An edge is armed afresh each time, so that nothing is missed. */
  #arm(registration: Registration): void {
    let wanted = 0;
    let edge = true;
    for (const entry of registration.entries) {
      wanted |= entry.events;
      if (entry.events !== 0 && !entry.edge) edge = false;
    }
    const { fd } = registration;
    if (registration.alwaysReady) {
      if (wanted !== 0) this.#dispatchSoon(registration);
      return;
    }
    if (wanted === 0) {
      if (registration.armed !== 0) this.#epoll.control(EPOLL_CTL_DEL, fd, 0, 0n);
      registration.armed = 0;
      return;
    }
    const bits = edge ? (wanted | EPOLLET) >>> 0 : wanted;
    const first = registration.armed === 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    let error = this.#epoll.control(first, fd, bits, BigInt(fd));
    // The number may have been closed and given to another file behind our back.
    if (error === ENOENT) error = this.#epoll.control(EPOLL_CTL_ADD, fd, bits, BigInt(fd));
    else if (error === EEXIST) error = this.#epoll.control(EPOLL_CTL_MOD, fd, bits, BigInt(fd));
    if (error === EPERM) {
      registration.alwaysReady = true;
      this.#dispatchSoon(registration);
    } else if (error !== undefined) {
      throw new Error(`Cannot watch descriptor ${fd}: ${error}`);
    }
    registration.armed = bits;
  }

  /** A level that the host cannot tell us about: again each round for level-triggered watches. */
  #dispatchSoon(registration: Registration): void {
    this.post(() => {
      this.#dispatch(registration, ALWAYS);
      for (const entry of registration.entries) {
        if (entry.events & ALWAYS && !entry.edge) {
          this.#dispatchSoon(registration);
          return;
        }
      }
    });
  }
}
