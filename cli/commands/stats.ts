import { askOnce } from "../../sentry/container/ask.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { STATS_OPTIONS } from "../options.ts";
import { printRows, size } from "../output.ts";

const COLUMNS = [
  ["CONTAINER ID", "ID"],
  ["NAME", "Name"],
  ["CPU TIME", "CPUTime"],
  ["MEM USAGE / LIMIT", "MemUsage"],
  ["PIDS", "PIDs"],
] as const;

export async function main(
  values: Values<typeof STATS_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const containers =
    operands.length > 0
      ? operands.map((name) => store.find(name))
      : store.list().filter(({ state }) => state.status === "running");
  const rows = await Promise.all(
    containers.map(async (container) => {
      const { stats } = await askOnce(store, container, { op: "stats" }, "stats");
      const limit = stats.memoryLimitBytes === undefined ? "-" : size(stats.memoryLimitBytes);
      return {
        ID: container.record.spec.id.slice(0, 12),
        Name: container.record.name,
        CPUTime: `${(stats.cpuMs / 1000).toFixed(2)}s`,
        MemUsage: `${size(stats.memoryBytes)} / ${limit}`,
        PIDs: String(stats.pids),
      };
    }),
  );
  printRows(rows, COLUMNS, values);
  return EXIT.ok;
}
