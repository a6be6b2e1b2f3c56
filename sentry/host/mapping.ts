import { native } from "../../ring/native.ts";
import { type Errno, errnoOf } from "../abi/errno.ts";

/**
 * The first `length` (at least 1) bytes of a file as memory, read by the host only where it is
 * looked at. The view stays good after `fd` is closed and is unmapped when nothing refers to it.
 * Never write to it, and map only files that nobody truncates: both are fatal faults. See mmap(2).
 */
export function mapReadOnly(fd: number, length: number): Uint8Array | Errno {
  const mapped = native.mapReadOnly(fd, length);
  return typeof mapped === "number" ? errnoOf(-mapped) : new Uint8Array(mapped);
}
