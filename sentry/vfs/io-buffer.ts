import type { Errno } from "../abi/errno.ts";

/**
 * The bytes of one read- or write-like call, at a fixed place in the sentry's own address space, so that
 * one host call can be pointed at them without another copy.
 *
 * The bytes of a guest's write may change while they are looked at (they can lie in memory shared with
 * the executor): hand `address` to exactly one host call, or parse only what {@link take} returned.
 */
export interface IoBuffer {
  /** How many bytes the guest asked to transfer; may be 0. */
  readonly length: number;
  /** Where the bytes are, for a host call; valid until the guest's call completes. */
  readonly address: number;
  /** A private copy of the first `count` bytes (default: all). */
  take(count?: number): Uint8Array;
  /** Stores `bytes` at `offset`; the caller keeps within `length`. */
  put(bytes: Uint8Array, offset?: number): void;
  /** The first `length` bytes, or all there are, as a buffer of their own over the same place. */
  upTo(length: number): IoBuffer;
  /** The part from `offset` on, as a buffer of its own over the same place. */
  from(offset: number): IoBuffer;
}

/** What a transfer returns: how many bytes moved, or why none did. */
export type Transfer = number | Errno;
