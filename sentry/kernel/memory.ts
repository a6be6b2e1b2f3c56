import type { ByteString } from "../abi/bytes.ts";
import type { Errno } from "../abi/errno.ts";

/** A process's memory as the sentry may touch it: by copy, with bad addresses answered by `EFAULT`. */
export interface GuestMemory {
  /** A private copy of `length` bytes at `addr`. @returns `EFAULT` unless all of them are readable. */
  copyIn(addr: number, length: number): Uint8Array | Errno;
  /** Stores `bytes` at `addr`. @returns `EFAULT` unless all of them are writable. */
  copyOut(addr: number, bytes: Uint8Array): Errno | undefined;
  /**
   * The NUL-terminated string at `addr`, without the NUL.
   * @returns `ENAMETOOLONG` when there is no NUL in the first `limit` bytes, `EFAULT` for bad memory.
   */
  copyInString(addr: number, limit: number): ByteString | Errno;
}
