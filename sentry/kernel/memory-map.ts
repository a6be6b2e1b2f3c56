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
  /** What is mapped, by address. */
  mappings(process: Process): readonly MappingInfo[];
  use(process: Process): MemoryUse;
}
