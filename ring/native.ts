import { createRequire } from "node:module";

/** A register of a host call: a value, the bytes a pointer argument points at, or a null pointer. */
export type Register = number | bigint | Uint8Array | BigUint64Array | Int32Array | null;

/** What the addon exports; see the `.cc` file named beside each member. */
export interface Native {
  /** One raw host system call; the result, or the negative host errno. `ring/host_call.cc` */
  syscall(number: number, ...registers: Register[]): number;
  /** The address of an array's first byte. `ring/host_call.cc` */
  addressOf(array: Uint8Array): number;
  /**
   * On every thread of the process: drops the capabilities that the bits of `keep` do not name, sets
   * no_new_privs and enters a Landlock domain, each thread in one of its own.
   * @returns how many, or the negative host errno. `ring/restrict_threads.cc`
   */
  restrictThreads(rulesetFd: number, keep: number): number;
  /** A read-only view of a file's first bytes, or the negative host errno. `ring/mapping.cc` */
  mapReadOnly(fd: number, length: number): ArrayBuffer | number;

  /** The sentry's end of all rings of a container. `ring/hub_binding.cc`, as all of `hub*` */
  createHub(): Hub;
  hubDoorbellFd(hub: Hub): number;
  /** The private copies of submissions (`Submission[32]`), followed by their payloads. */
  hubBatch(hub: Hub): Uint8Array;
  /** Makes waits end when `epollFd` or Node's own loop is ready. Once. */
  hubWatch(hub: Hub, epollFd: number): void;
  /** @returns the ring's index, or a negative errno; `fd[0]` becomes its descriptor. */
  hubCreateRing(hub: Hub, fd: Int32Array): number;
  hubDestroyRing(hub: Hub, ring: number): void;
  /**
   * Waits for submissions: spins `spinNs`, then sleeps up to `timeoutMs` (-1: for ever).
   * @returns their count in the low 8 bits, above it 1: descriptors ready, 2: Node's loop ready.
   */
  hubWait(hub: Hub, spinNs: number, timeoutMs: number): number;
  /** @returns a ring whose executor broke the protocol, each once, or -1 when there is no other. */
  hubTakeViolation(hub: Hub): number;
  hubComplete(
    hub: Hub,
    ring: number,
    slot: number,
    verb: number,
    result: number,
    operands: BigUint64Array | null,
  ): void;
  hubStage(hub: Hub, ring: number, slot: number, offset: number, bytes: Uint8Array): void;
  hubStagingAddress(hub: Hub, ring: number, slot: number): number;
  hubSignalMask(hub: Hub, ring: number, slot: number): bigint;
  hubTid(hub: Hub, ring: number, slot: number): number;
  hubInitSlot(hub: Hub, ring: number, slot: number, signalMask: bigint): void;
  hubPending(hub: Hub, ring: number, slot: number, signals: bigint): void;
  hubAttention(hub: Hub, ring: number, slot: number, value: number): void;

  /**
   * Starts a guest on a thread of this process. @returns its first thread's host id, or a negative errno.
   * `guest/hosted/binding.cc`, as the next
   */
  startHosted(hub: Hub, ring: number, steps: number, files: Int32Array, lifeFd: number): number;
  /** Values for the auxiliary vector of a program hosted here. */
  hostedAuxv(): Record<"hwcap" | "hwcap2" | "minsigstksz" | "clockTick" | "vdso", bigint>;

  /** @returns the launcher's pid or a negative errno. `ring/descriptors.cc`, as the next two */
  spawnLauncher(path: string, stage: string, stderrFd: number, fds: Int32Array): number;
  /** @returns the bytes sent, or a negative errno. */
  sendDescriptors(socket: number, bytes: Uint8Array, fds: Int32Array): number;
  /** @returns the bytes received, or a negative errno; unused places in `fds` become -1. */
  receiveDescriptors(socket: number, bytes: Uint8Array, fds: Int32Array): number;
}

declare const hub: unique symbol;
/** A handle on a native hub; it lives as long as JavaScript refers to it. */
export interface Hub {
  readonly [hub]: never;
}

/** The project's only native addon. This is the only place that loads it. */
export const native: Native = createRequire(import.meta.url)(
  "../../Release/dd_ring.node",
) as Native;
