import { native } from "../../ring/native.ts";

/**
 * Bytes of the sentry at an address that does not move, for host calls that take pointers inside
 * structures: iovecs, message headers, results.
 */
export class HostMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where `bytes` begin, for the host. Valid while this object is alive. */
  readonly address: number;

  /** @param length at least 1: zeroed; or bytes to be used where they are, which stay in place. */
  constructor(length: number | Uint8Array) {
    // Slow buffers are never carved out of Node's pool, so nobody else shares the allocation.
    this.bytes =
      typeof length === "number" ? Buffer.allocUnsafeSlow(Math.max(length, 1)).fill(0) : length;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.address = native.addressOf(this.bytes);
  }
}
