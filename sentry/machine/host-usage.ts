/** What the host says its processes use. See proc_pid_stat(5). */
import { readFileSync } from "node:fs";
import { NO_USAGE, type Usage } from "../kernel/usage.ts";

const PAGE = 4096;
/** Nanoseconds per clock tick: `_SC_CLK_TCK` is 100 on every Linux. */
const TICK_NS = 10_000_000n;

/**
 * The use of one host process or thread.
 * @param directory its directory in /proc.
 * @returns nothing used when it is gone.
 */
export function hostUsage(directory: string): Usage {
  try {
    const stat = readFileSync(`${directory}/stat`, "latin1");
    // The name may contain anything, a closing parenthesis too: fields are counted from the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const field = (number: number) => fields[number - 3] ?? "0";
    return {
      ...NO_USAGE,
      userNs: BigInt(field(14)) * TICK_NS,
      systemNs: BigInt(field(15)) * TICK_NS,
      maxResidentBytes: Number(field(24)) * PAGE,
      minorFaults: Number(field(10)),
      majorFaults: Number(field(12)),
    };
  } catch {
    return NO_USAGE;
  }
}

/**
 * The CPU time of one host thread in nanoseconds, as its scheduler counts it; 0 when it is gone.
 * @param directory its directory in /proc.
 */
export function hostCpuNs(directory: string): bigint {
  try {
    return BigInt(readFileSync(`${directory}/schedstat`, "latin1").split(" ")[0] ?? "0");
  } catch {
    return 0n;
  }
}

/** Bytes a host process has resident; 0 when it is gone. */
export function hostResidentBytes(pid: number): number {
  try {
    const pages = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1] ?? "0";
    return Number(pages) * PAGE;
  } catch {
    return 0;
  }
}

/**
 * Bytes that a host process has written and nobody else has: what it costs the machine, file contents left
 * out. Memory shared with a fork counts for both.
 */
export function hostPrivateBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const kilobytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);
    return (kilobytes("RssAnon") + kilobytes("RssShmem")) * 1024;
  } catch {
    return 0;
  }
}
