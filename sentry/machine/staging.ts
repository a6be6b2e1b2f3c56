import { type Hub, native } from "../../ring/native.ts";
import { call } from "../host/call.ts";
import { HostMemory } from "../host/memory.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";

/** The staging area of one slot: shared with the executor, so it is written, and read only by copying. */
export class StagingArea {
  readonly #hub: Hub;
  readonly #ring: number;
  readonly #slot: number;
  /** Where it lies in this process. */
  readonly address: number;

  constructor(hub: Hub, ring: number, slot: number) {
    this.#hub = hub;
    this.#ring = ring;
    this.#slot = slot;
    this.address = native.hubStagingAddress(hub, ring, slot);
  }

  /** Stores `bytes` at `offset`. @throws Error when they do not fit: the caller checks. */
  store(offset: number, bytes: Uint8Array): void {
    // An empty array has no address.
    if (bytes.length === 0) return;
    native.hubStage(this.#hub, this.#ring, this.#slot, offset, bytes);
  }
}

/** Room in a staging area for what a call reads; the executor copies it to where the guest wants it. */
export class StagedBuffer implements IoBuffer {
  readonly #area: StagingArea;
  readonly #offset: number;
  readonly length: number;

  constructor(area: StagingArea, offset: number, length: number) {
    this.#area = area;
    this.#offset = offset;
    this.length = length;
  }

  get address(): number {
    return this.#area.address + this.#offset;
  }

  take(count: number = this.length): Uint8Array {
    const copy = new HostMemory(count);
    const local = new BigUint64Array([BigInt(copy.address), BigInt(count)]);
    const remote = new BigUint64Array([BigInt(this.address), BigInt(count)]);
    call("process_vm_readv", process.pid, local, 1, remote, 1, 0);
    return copy.bytes;
  }

  put(bytes: Uint8Array, offset = 0): void {
    this.#area.store(this.#offset + offset, bytes);
  }

  upTo(length: number): StagedBuffer {
    return new StagedBuffer(this.#area, this.#offset, Math.min(length, this.length));
  }

  from(offset: number): StagedBuffer {
    return new StagedBuffer(this.#area, this.#offset + offset, this.length - offset);
  }
}
