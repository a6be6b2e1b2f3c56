import { HostMemory } from "../host/memory.ts";
import type { IoBuffer } from "./io-buffer.ts";

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
