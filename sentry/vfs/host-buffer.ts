import { HostMemory } from "../host/memory.ts";
import type { IoBuffer } from "./io-buffer.ts";

/** Sizes that are leased, and how many free ones of each are kept. */
const LEASE_MIN = 256;
const LEASE_MAX = 1 << 20;
const LEASES_KEPT = 8;
const leasable = new Map<number, HostMemory[]>();

/** An {@link IoBuffer} over memory of the sentry's own: for gathered vectors and for the sentry itself. */
export class HostBuffer implements IoBuffer {
  readonly length: number;
  readonly #memory: HostMemory;
  readonly #start: number;

  constructor(memory: HostMemory, start: number, length: number) {
    this.#memory = memory;
    this.#start = start;
    this.length = length;
  }

  /** Room for `length` bytes. */
  static allocate(length: number): HostBuffer {
    return new HostBuffer(new HostMemory(length), 0, length);
  }

  /** `bytes` themselves, which nobody else uses any more. */
  static over(bytes: Uint8Array): HostBuffer {
    return new HostBuffer(new HostMemory(bytes), 0, bytes.length);
  }

  /**
   * Room for `length` zeroed bytes that {@link giveBack} returns for other calls: allocations outside the
   * heap are dear, and calls come and go with the same sizes.
   */
  static lease(length: number): HostBuffer {
    const size = Math.max(2 ** Math.ceil(Math.log2(Math.max(length, 1))), LEASE_MIN);
    if (size > LEASE_MAX) return HostBuffer.allocate(length);
    const memory = leasable.get(size)?.pop();
    if (memory === undefined) return new HostBuffer(new HostMemory(size), 0, length);
    memory.bytes.fill(0, 0, length);
    return new HostBuffer(memory, 0, length);
  }

  /** Ends a lease: nothing may look at the buffer any more. Harmless for other buffers of their own memory. */
  giveBack(): void {
    const size = this.#memory.bytes.length;
    if (size > LEASE_MAX || size < LEASE_MIN || 2 ** Math.round(Math.log2(size)) !== size) return;
    const free = leasable.get(size) ?? [];
    leasable.set(size, free);
    if (free.length < LEASES_KEPT) free.push(this.#memory);
  }

  /** A copy of `bytes`. */
  static of(bytes: Uint8Array): HostBuffer {
    const buffer = HostBuffer.allocate(bytes.length);
    buffer.put(bytes);
    return buffer;
  }

  get address(): number {
    return this.#memory.address + this.#start;
  }

  /** The first `count` bytes themselves, not a copy. */
  view(count: number = this.length): Uint8Array {
    return this.#memory.bytes.subarray(this.#start, this.#start + Math.min(count, this.length));
  }

  take(count: number = this.length): Uint8Array {
    return Uint8Array.from(this.view(count));
  }

  put(bytes: Uint8Array, offset = 0): void {
    this.#memory.bytes.set(bytes, this.#start + offset);
  }

  /** The first `length` bytes, as a buffer over the same place. */
  upTo(length: number): HostBuffer {
    return new HostBuffer(this.#memory, this.#start, Math.min(length, this.length));
  }

  from(offset: number): HostBuffer {
    return new HostBuffer(this.#memory, this.#start + offset, this.length - offset);
  }
}
