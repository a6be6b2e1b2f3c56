/** What a container uses, as `GET /containers/{id}/stats` tells it: for a host with version 2 control groups. */
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import type { JsonObject } from "../../api/engine/json.ts";
import { askOnce } from "../../sentry/container/ask.ts";
import type { Container } from "../../sentry/container/record.ts";
import type { ContainerStats } from "../../sentry/spec.ts";
import type { DaemonContext } from "../context.ts";

/** Docker's own pace. */
const INTERVAL_MS = 1000;
/** USER_HZ: what /proc/stat counts in; see proc_stat(5). */
const TICK_NS = 10_000_000;
/** user, nice, system, idle, iowait, irq, softirq, steal: what docker adds up. */
const CPU_FIELDS = 8;
const NEVER = "0001-01-01T00:00:00Z";

interface Sample {
  readonly time: string;
  readonly cpu: JsonObject;
  readonly stats: ContainerStats | undefined;
}

/**
 * Samples of a container: one a second until it is gone, or one.
 * @param oneShot do not wait a second to have something to compare with.
 */
export async function* samples(
  context: DaemonContext,
  container: Container,
  { stream, oneShot }: { readonly stream: boolean; readonly oneShot: boolean },
  gone: AbortSignal,
): AsyncIterable<JsonObject> {
  const { id } = container.record.spec;
  let before: Sample | undefined;
  if (!stream && !oneShot) {
    before = await sampleOf(context, id);
    await pause(INTERVAL_MS, gone);
  }
  while (!gone.aborted) {
    const current = context.store.read(id);
    if (current === undefined) return;
    const sample = await sampleOf(context, id);
    yield describe(current, sample, before);
    if (!stream) return;
    before = sample;
    await pause(INTERVAL_MS, gone);
  }
}

async function sampleOf({ store }: DaemonContext, id: string): Promise<Sample> {
  const container = store.read(id);
  const time = new Date().toISOString().replace("Z", "000000Z");
  if (container?.state.status !== "running") return { time: NEVER, cpu: NO_CPU, stats: undefined };
  try {
    const { stats } = await askOnce(store, container, { op: "stats" }, "stats");
    return { time, cpu: cpuOf(stats), stats };
  } catch {
    // It ended between the look and the question.
    return { time: NEVER, cpu: NO_CPU, stats: undefined };
  }
}

function describe({ record }: Container, now: Sample, before: Sample | undefined): JsonObject {
  const { stats } = now;
  return {
    read: now.time,
    preread: before?.time ?? NEVER,
    pids_stats:
      stats === undefined
        ? {}
        : { current: stats.pids, ...(stats.pidsLimit ? { limit: stats.pidsLimit } : {}) },
    blkio_stats: blockOf(stats),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: now.cpu,
    precpu_stats: before?.cpu ?? NO_CPU,
    memory_stats: memoryOf(stats),
    name: `/${record.name}`,
    id: record.spec.id,
    ...networksOf(stats),
  };
}

const THROTTLING = { periods: 0, throttled_periods: 0, throttled_time: 0 };
const NO_CPU: JsonObject = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: THROTTLING,
};

function cpuOf({ cpuUserNs, cpuSystemNs }: ContainerStats): JsonObject {
  return {
    cpu_usage: {
      total_usage: cpuUserNs + cpuSystemNs,
      usage_in_kernelmode: cpuSystemNs,
      usage_in_usermode: cpuUserNs,
    },
    system_cpu_usage: hostCpuNs(),
    online_cpus: availableParallelism(),
    throttling_data: THROTTLING,
  };
}

/** CPU time of the whole host since it was started, in nanoseconds. */
function hostCpuNs(): number {
  const fields = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]?.trim().split(/\s+/) ?? [];
  const ticks = fields.slice(1, 1 + CPU_FIELDS).reduce((sum, field) => sum + Number(field), 0);
  return ticks * TICK_NS;
}

function memoryOf(stats: ContainerStats | undefined): JsonObject {
  if (stats === undefined) return {};
  const { memoryBytes, sentryMemoryBytes, memoryLimitBytes } = stats;
  return {
    usage: memoryBytes,
    // Of the container's memory none is cache. The sentry's own is beside it.
    stats: { anon: memoryBytes, file: 0, inactive_file: 0, sentry: sentryMemoryBytes },
    limit: memoryLimitBytes ?? totalmem(),
  };
}

function blockOf(stats: ContainerStats | undefined): JsonObject {
  const entry = (op: string, value: number) => ({ major: 0, minor: 0, op, value });
  const transferred =
    stats === undefined
      ? null
      : [entry("read", stats.blockReadBytes), entry("write", stats.blockWriteBytes)];
  return {
    io_service_bytes_recursive: transferred,
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function networksOf(stats: ContainerStats | undefined): JsonObject {
  if (stats === undefined || stats.interfaces.length === 0) return {};
  const networks = stats.interfaces.map(({ name, rxBytes, rxPackets, txBytes, txPackets }) => [
    name,
    {
      rx_bytes: rxBytes,
      rx_packets: rxPackets,
      rx_errors: 0,
      rx_dropped: 0,
      tx_bytes: txBytes,
      tx_packets: txPackets,
      tx_errors: 0,
      tx_dropped: 0,
    },
  ]);
  return { networks: Object.fromEntries(networks) };
}

function pause(ms: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      gone.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    gone.addEventListener("abort", end);
    if (gone.aborted) end();
  });
}
