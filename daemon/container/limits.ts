import { availableParallelism } from "node:os";
import { ApiError } from "../../api/errors.ts";
import type { HostConfigBody } from "../../api/routes/container-bodies.ts";
import { isUlimit } from "../../sentry/container/ulimit-name.ts";
import type { LimitsSpec } from "../../sentry/spec.ts";

const MEMORY_BYTES_MIN = 6 * 1024 * 1024;
const NANO = 1e9;
/** The kernel's own, in microseconds, for a quota without one. */
const CPU_PERIOD_US = 100_000;
const CPUS_MAX = 8192;

/** What docker's own warnings are about where a host has no such controller. */
const NOT_ENFORCED: readonly (readonly [keyof HostConfigBody, what: string])[] = [
  ["CpuShares", "CPU shares"],
  ["BlkioWeight", "Block I/O weight"],
  ["BlkioDeviceReadBps", "BPS Block I/O read limit"],
  ["BlkioDeviceWriteBps", "BPS Block I/O write limit"],
  ["BlkioDeviceReadIOps", "IOPS Block read limit"],
  ["BlkioDeviceWriteIOps", "IOPS Block write limit"],
  ["CpuRealtimePeriod", "CPU real-time period"],
  ["CpuRealtimeRuntime", "CPU real-time runtime"],
  ["CpusetMems", "Memory nodes (cpuset-mems)"],
  ["MemoryReservation", "Memory reservation"],
  ["OomKillDisable", "Disabling the OOM killer"],
  ["DeviceCgroupRules", "Device cgroup rules"],
  ["KernelMemoryTCP", "Kernel memory TCP limit"],
];

type Numbers = Readonly<Record<"memory" | "swap" | "reservation" | "shares" | "weight", number>>;

function numbersOf(resources: HostConfigBody): Numbers {
  return {
    memory: resources.Memory ?? 0,
    swap: resources.MemorySwap ?? 0,
    reservation: resources.MemoryReservation ?? 0,
    shares: resources.CpuShares ?? 0,
    weight: resources.BlkioWeight ?? 0,
  };
}

/** What docker refuses whatever the host can do, and its words for it. */
const REFUSED: readonly (readonly [
  refuses: (resources: HostConfigBody) => boolean,
  why: (resources: HostConfigBody) => string,
])[] = [
  [
    (each) => numbersOf(each).memory !== 0 && numbersOf(each).memory < MEMORY_BYTES_MIN,
    () => "Minimum memory limit allowed is 6MB",
  ],
  [
    (each) => {
      const { memory, swap } = numbersOf(each);
      return memory > 0 && swap > 0 && swap < memory;
    },
    () => "Minimum memoryswap limit should be larger than memory limit, see usage",
  ],
  [
    ({ MemorySwappiness }) => (MemorySwappiness ?? -1) < -1 || (MemorySwappiness ?? -1) > 100,
    ({ MemorySwappiness }) =>
      `Invalid value: ${MemorySwappiness}, valid memory swappiness range is 0-100`,
  ],
  [
    (each) => numbersOf(each).reservation > 0 && numbersOf(each).reservation < MEMORY_BYTES_MIN,
    () => "Minimum memory reservation allowed is 6MB",
  ],
  [
    (each) => numbersOf(each).memory > 0 && numbersOf(each).reservation > numbersOf(each).memory,
    () => "Minimum memory limit can not be less than memory reservation limit, see usage",
  ],
  [
    (each) => numbersOf(each).shares < 0,
    ({ CpuShares }) => `invalid CPU shares (${CpuShares}): value must be a positive integer`,
  ],
  [
    (each) =>
      numbersOf(each).weight > 0 && (numbersOf(each).weight < 10 || numbersOf(each).weight > 1000),
    () => "Range of blkio weight is from 10 to 1000",
  ],
];

/** What a container may use. @param warnings gets what is asked for and not enforced. */
export function limitsOf(resources: HostConfigBody, warnings: string[]): LimitsSpec {
  const { Memory, PidsLimit, Ulimits, CpusetCpus } = resources;
  for (const [refuses, why] of REFUSED) {
    if (refuses(resources)) throw new ApiError("INVALID", why(resources));
  }
  const cpus = cpusOf(resources);
  const cpuset = CpusetCpus ? cpusetOf(CpusetCpus) : undefined;
  if (resources.CpusetMems) setOf(resources.CpusetMems, "mems");
  for (const [name, what] of NOT_ENFORCED) {
    const asked: unknown = resources[name];
    if (asked && !(Array.isArray(asked) && asked.length === 0)) {
      warnings.push(`${what} cannot be enforced here. It is kept and shown, and has no effect.`);
    }
  }
  return {
    ...(Memory != null && Memory > 0 ? { memoryBytes: Memory } : {}),
    ...(PidsLimit != null && PidsLimit > 0 ? { pids: PidsLimit } : {}),
    ...(cpus === undefined ? {} : { cpus }),
    ...(cpuset === undefined ? {} : { cpuset }),
    ulimits: (Ulimits ?? []).map(({ Name, Soft, Hard }) => {
      if (!isUlimit(Name)) throw new ApiError("INVALID", `invalid ulimit type: ${Name ?? ""}`);
      return { name: Name, soft: Soft ?? 0, hard: Hard ?? 0 };
    }),
  };
}

/** `--cpus`, or a quota in a period. @throws {ApiError} in docker's words. */
function cpusOf({ NanoCpus, CpuQuota, CpuPeriod }: HostConfigBody): number | undefined {
  const present = availableParallelism();
  if (NanoCpus) {
    if (CpuPeriod || CpuQuota) {
      const other = CpuPeriod ? "CPU Period" : "CPU Quota";
      throw new ApiError(
        "INVALID",
        `Conflicting options: Nano CPUs and ${other} cannot both be set.`,
      );
    }
    if (NanoCpus < NANO / 100 || NanoCpus > present * NANO) {
      throw new ApiError(
        "INVALID",
        `range of CPUs is from 0.01 to ${present}.00, as there are only ${present} CPUs available`,
      );
    }
    return NanoCpus / NANO;
  }
  if (CpuPeriod && (CpuPeriod < 1000 || CpuPeriod > 1_000_000)) {
    throw new ApiError(
      "INVALID",
      "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    );
  }
  if (CpuQuota && CpuQuota > 0) {
    if (CpuQuota < 1000) {
      throw new ApiError("INVALID", "CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    return CpuQuota / (CpuPeriod || CPU_PERIOD_US);
  }
  return undefined;
}

/** A list such as `0-2,4`. @throws {ApiError} in docker's words. */
export function cpusetOf(text: string): readonly number[] {
  const cpus = setOf(text, "cpus");
  const present = availableParallelism();
  const missing = [...cpus].some((cpu) => cpu >= present);
  if (missing) {
    throw new ApiError(
      "INVALID",
      `Requested CPUs are not available - requested ${text}, available: 0-${present - 1}`,
    );
  }
  return [...cpus].sort((a, b) => a - b);
}

/** @throws {ApiError} `INVALID` for what is no list of numbers. */
function setOf(text: string, what: "cpus" | "mems"): ReadonlySet<number> {
  const members = new Set<number>();
  for (const part of text.split(",")) {
    const [, first = "", last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    if (first === "" || Number(last) < Number(first) || Number(last) >= CPUS_MAX) {
      throw new ApiError("INVALID", `Invalid value ${text} for cpuset ${what}`);
    }
    for (let member = Number(first); member <= Number(last); member++) members.add(member);
  }
  return members;
}
