import type { Errno } from "../abi/errno.ts";
import type { MappingInfo } from "../fs/proc/info.ts";
import type { Process } from "./process.ts";

/** How much memory a process uses, in bytes. */
export interface MemoryUse {
  readonly virtual: number;
  readonly resident: number;
  readonly shared: number;
}

/** What is known of the address spaces of processes; for /proc. */
export interface MemoryMap {
  /** What is mapped, by address; `counted`: and how many pages of it are where. */
  mappings(process: Process, counted?: boolean): readonly MappingInfo[];
  use(process: Process): MemoryUse;
  /**
   * Which of `pages` pages from `start` on are in memory, a byte with 1 or 0 for each: mincore(2).
   * @returns `ENOMEM` when one of them is not mapped.
   */
  resident(process: Process, start: number, pages: number): Uint8Array | Errno;
}
