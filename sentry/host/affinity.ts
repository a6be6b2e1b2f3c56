import { EINVAL, Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

/** Most CPUs a Linux kernel is built for. */
const CPUS_MAX = 8192;

/**
 * Lets a process run on these CPUs only; its threads and children to come inherit that. See
 * sched_setaffinity(2). @returns EINVAL when there is none of them.
 */
export function setAffinity(pid: number, cpus: readonly number[]): Errno | undefined {
  const mask = new Uint8Array(CPUS_MAX / 8);
  for (const cpu of cpus) {
    if (cpu < 0 || cpu >= CPUS_MAX) return EINVAL;
    mask[cpu >>> 3] = (mask[cpu >>> 3] ?? 0) | (1 << (cpu & 7));
  }
  const result = call("sched_setaffinity", pid, mask.length, mask);
  return result instanceof Errno ? result : undefined;
}
