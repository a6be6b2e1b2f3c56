import { availableParallelism, freemem, loadavg, totalmem } from "node:os";

/** What uname(2) says of the kernel: the Linux whose behaviour the sentry follows. */
export const RELEASE = "6.6.0-dd";
export const VERSION = "#1 SMP PREEMPT_DYNAMIC dd";

/** How many CPUs guest code can run on. */
export function cpuCount(): number {
  return availableParallelism();
}

/** The host's memory in bytes. */
export function hostMemory(): { readonly total: number; readonly free: number } {
  return { total: totalmem(), free: freemem() };
}

/** The host's load averages over 1, 5 and 15 minutes. */
export function hostLoad(): readonly number[] {
  return loadavg();
}
