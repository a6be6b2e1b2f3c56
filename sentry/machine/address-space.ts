import { randomBytes } from "node:crypto";
import { native } from "../../ring/native.ts";
import { EAGAIN, type Errno } from "../abi/errno.ts";
import { call } from "../host/call.ts";
import type { Watch } from "../host/reactor.ts";
import type { Process } from "../kernel/process.ts";
import { NO_USAGE, type Usage } from "../kernel/usage.ts";
import type { ExecutorThread } from "./executor-thread.ts";
import { ProcessMemory } from "./guest-memory.ts";
import type { RingHub } from "./hub.ts";
import { OwnedRanges } from "./owned-ranges.ts";
import { SLOT_COUNT, THREAD_GONE } from "./protocol.ts";

/** One host process that runs guest code. A vfork child has one of its own in its parent's address space. */
export class Executor {
  readonly space: AddressSpace;
  /** What runs in it; execve(2) takes it away and gives it another executor. */
  process: Process | undefined;
  /** What it must show to attach. */
  readonly token: bigint = randomBytes(8).readBigUInt64LE();
  /** Host pid, once it has attached. */
  pid: number | undefined;
  /** A pidfd for it, once it has attached. */
  pidfd = -1;
  watch: Watch | undefined;
  /** What its process used in executors before this one, and in threads of this one that have ended. */
  past: Usage = NO_USAGE;
  /** What this very process had resident before it became a part of it, in bytes. */
  residentBefore = 0;
  /** Its first thread's host id, if it is a part of this very process. */
  hostedTid: number | undefined;
  /** It makes itself known through its ring and is the sentry's own child. See `Environment` in guest/native. */
  attachesByRing = false;
  /** To be killed, possibly before it has attached. */
  doomed = false;
  /** The host has confirmed its end. */
  ended = false;

  constructor(space: AddressSpace, process: Process) {
    this.space = space;
    this.process = process;
    space.executors.add(this);
  }

  /** The host has confirmed its end: there is no more to hear of it. The pidfd is the caller's. */
  leave(): void {
    this.watch?.close();
    this.watch = undefined;
    this.pidfd = -1;
    this.ended = true;
  }

  /** Ends it; the host confirms through the pidfd. */
  kill(): void {
    this.doomed = true;
    if (this.pidfd >= 0) call("pidfd_send_signal", this.pidfd, 9, null, 0);
  }
}

/** One guest address space: a ring, its threads by slot, and the memory. */
export class AddressSpace {
  readonly ring: number;
  /** The ring's descriptor, until the executor has it; then -1. */
  ringFd: number;
  readonly executors = new Set<Executor>();
  readonly memory = new ProcessMemory(() => this.#memoryPid());
  /** Which of its addresses are the guest's. */
  readonly owned: OwnedRanges;
  readonly #hub: RingHub;
  readonly #threads: (ExecutorThread | undefined)[] = [];
  readonly #leaving = new Set<number>();

  private constructor(hub: RingHub, ring: number, fd: number, parent: AddressSpace | undefined) {
    this.owned = new OwnedRanges(this.memory, parent?.owned);
    this.#hub = hub;
    this.ring = ring;
    this.ringFd = fd;
  }

  /** @param parent what it will be a copy of; absent: an empty one. */
  static create(hub: RingHub, parent?: AddressSpace): AddressSpace | Errno {
    const made = hub.create();
    return "ring" in made ? new AddressSpace(hub, made.ring, made.fd, parent) : made;
  }

  /** A slot for a new thread, its signal mask set. @returns `EAGAIN` when there are too many threads. */
  allocate(mask: bigint): number | Errno {
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.#threads[slot] !== undefined || this.#isLeaving(slot)) continue;
      native.hubInitSlot(this.#hub.handle, this.ring, slot, mask);
      return slot;
    }
    return EAGAIN;
  }

  thread(slot: number): ExecutorThread | undefined {
    return this.#threads[slot];
  }

  attach(slot: number, thread: ExecutorThread | undefined): void {
    this.#threads[slot] = thread;
  }

  /** A slot's thread has been told to end; until it says that it has heard, nobody else can have the slot. */
  leave(slot: number): void {
    this.#threads[slot] = undefined;
    this.#leaving.add(slot);
  }

  #isLeaving(slot: number): boolean {
    if (!this.#leaving.has(slot)) return false;
    if (native.hubTid(this.#hub.handle, this.ring, slot) !== THREAD_GONE) return true;
    this.#leaving.delete(slot);
    return false;
  }

  /** All threads, of all processes that share the space. */
  *threads(): Iterable<ExecutorThread> {
    for (const thread of this.#threads) if (thread !== undefined) yield thread;
  }

  /** The ring's descriptor has reached its executor, or never will. */
  closeRingFd(): void {
    if (this.ringFd >= 0) call("close", this.ringFd);
    this.ringFd = -1;
  }

  /** No executor is left. */
  destroy(): void {
    this.closeRingFd();
    this.#hub.destroy(this.ring);
  }

  #memoryPid(): number | undefined {
    for (const executor of this.executors) if (executor.pid !== undefined) return executor.pid;
    return undefined;
  }
}
