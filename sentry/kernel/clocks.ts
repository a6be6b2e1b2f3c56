/** The clocks of clock_gettime(2) as the container's processes see them. */
import { EINVAL, Errno } from "../abi/errno.ts";
import type { Reactor } from "../host/reactor.ts";
import { clockNow as hostClock } from "../host/time.ts";
import type { Process } from "./process.ts";
import type { Task } from "./task.ts";

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
const CLOCK_MONOTONIC_RAW = 4;
const CLOCK_REALTIME_COARSE = 5;
const CLOCK_MONOTONIC_COARSE = 6;
const CLOCK_BOOTTIME = 7;
const CLOCK_REALTIME_ALARM = 8;
const CLOCK_BOOTTIME_ALARM = 9;
const CLOCK_TAI = 11;

/** Which of a process's CPU times a clock shows: all, or only that in user mode. */
export type CpuTimeKind = "total" | "user";

/**
 * A clock: that of the loop (which is the host's CLOCK_MONOTONIC), another of the host's, or the CPU time of
 * a process or thread.
 */
export type Clock =
  | { readonly kind: "monotonic"; readonly reactor: Reactor }
  | { readonly kind: "host"; readonly id: number }
  | { readonly kind: "process"; readonly process: Process; readonly which: CpuTimeKind }
  | { readonly kind: "thread"; readonly task: Task };

// The alarm clocks differ from their base only in waking a suspended machine.
const HOST_CLOCKS: ReadonlyMap<number, number> = new Map([
  [CLOCK_REALTIME, CLOCK_REALTIME],
  [CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_RAW],
  [CLOCK_REALTIME_COARSE, CLOCK_REALTIME_COARSE],
  [CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_COARSE],
  [CLOCK_BOOTTIME, CLOCK_BOOTTIME],
  [CLOCK_REALTIME_ALARM, CLOCK_REALTIME],
  [CLOCK_BOOTTIME_ALARM, CLOCK_BOOTTIME],
  [CLOCK_TAI, CLOCK_TAI],
]);

/**
 * The clock that `id` means to `task`, the CPU clocks of other processes included; see clock_getcpuclockid(3).
 * @returns `EINVAL` for a clock that does not exist.
 */
export function clockOf(task: Task, id: number): Clock | Errno {
  if (id === CLOCK_MONOTONIC) return { kind: "monotonic", reactor: task.kernel.reactor };
  const host = HOST_CLOCKS.get(id);
  if (host !== undefined) return { kind: "host", id: host };
  if (id === CLOCK_PROCESS_CPUTIME_ID) {
    return { kind: "process", process: task.process, which: "total" };
  }
  if (id === CLOCK_THREAD_CPUTIME_ID) return { kind: "thread", task };
  if (id >= 0) return EINVAL;

  // `~pid << 3 | per thread << 2 | kind`, `<linux/posix-timers.h>`; kind 3 is a descriptor's clock.
  const kind = id & 3;
  const pid = ~(id >> 3);
  if (kind === 3) return EINVAL;
  if (id & 4) {
    const other = pid === 0 ? task : task.kernel.pids.task(pid);
    return other === undefined || other.process !== task.process
      ? EINVAL
      : { kind: "thread", task: other };
  }
  const process = pid === 0 ? task.process : task.kernel.pids.process(pid);
  if (process === undefined) return EINVAL;
  return { kind: "process", process, which: kind === 1 ? "user" : "total" };
}

/** The clock's time in nanoseconds. CPU times that the host does not tell stay at 0. */
export function clockNow(clock: Clock): bigint {
  switch (clock.kind) {
    case "monotonic":
      return clock.reactor.now();
    case "host": {
      const now = hostClock(clock.id);
      return now instanceof Errno ? 0n : now;
    }
    case "process": {
      const { process } = clock;
      const usage = process.kernel.machine.usage?.(process) ?? process.usage;
      return clock.which === "user" ? usage.userNs : usage.userNs + usage.systemNs;
    }
    case "thread":
      return clock.task.kernel.machine.cpuTime?.(clock.task) ?? 0n;
  }
}
