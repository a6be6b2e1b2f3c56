/** What the host says its processes use. See proc_pid_stat(5). */
import { readFileSync } from "node:fs";
import { Errno } from "../abi/errno.ts";
import { clockNow } from "../host/time.ts";
import { NO_USAGE, type Usage } from "../kernel/usage.ts";

const PAGE = 4096;
/** CPUCLOCK_SCHED, and CPUCLOCK_PERTHREAD_MASK beside it. `<linux/posix-timers.h>` */
const CLOCK_OF_PROCESS = 2;
const CLOCK_OF_THREAD = 6;

/** What a host process has used, its ended threads included; nothing when it is gone. */
export function processUsage(pid: number): Usage {
  const usage = usageAt(`/proc/${pid}`, (~pid << 3) | CLOCK_OF_PROCESS);
  const status = readText(`/proc/${pid}/status`);
  const number = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  return {
    ...usage,
    maxResidentBytes: number("VmHWM") * 1024,
    voluntarySwitches: number("voluntary_ctxt_switches"),
    involuntarySwitches: number("nonvoluntary_ctxt_switches"),
  };
}

/** What a thread of this very process has used; nothing when it is gone. Its memory is not its own. */
export function ownThreadUsage(tid: number): Usage {
  return usageAt(`/proc/self/task/${tid}`, (~tid << 3) | CLOCK_OF_THREAD);
}

/** @param clock of its CPU time, which is exact; the host splits it into user and system by ticks. */
function usageAt(directory: string, clock: number): Usage {
  const stat = readText(`${directory}/stat`);
  const total = clockNow(clock);
  if (stat === "" || total instanceof Errno) return NO_USAGE;
  // The name may contain anything, a closing parenthesis too: fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => fields[number - 3] ?? "0";
  const [user, system] = [BigInt(field(14)), BigInt(field(15))];
  const ticks = user + system;
  const systemNs = ticks === 0n ? 0n : (total * system) / ticks;
  return {
    ...NO_USAGE,
    userNs: total - systemNs,
    systemNs,
    minorFaults: Number(field(10)),
    majorFaults: Number(field(12)),
  };
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

/** The state letter of one host thread; empty when it is gone. @param directory its directory in /proc. */
export function hostState(directory: string): string {
  const stat = readText(`${directory}/stat`);
  // Behind the name, which may contain anything.
  return stat.slice(stat.lastIndexOf(")") + 2).slice(0, 1);
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

/**
 * Bytes that this process and others have had disks read and write. The sentry does most of its guests'
 * file work itself. See proc_pid_io(5).
 */
export function blockTransfer(pids: Iterable<number>): { read: number; written: number } {
  const sum = { read: 0, written: 0 };
  for (const pid of ["self", ...pids]) {
    const text = readText(`/proc/${pid}/io`);
    sum.read += Number(/^read_bytes: (\d+)$/m.exec(text)?.[1] ?? 0);
    sum.written += Number(/^write_bytes: (\d+)$/m.exec(text)?.[1] ?? 0);
  }
  return sum;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
