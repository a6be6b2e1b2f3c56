import { toText } from "../../sentry/abi/bytes.ts";
import { askOnce } from "../../sentry/container/ask.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { TOP_OPTIONS } from "../options.ts";
import { printRows } from "../output.ts";

const COLUMNS = [
  ["UID", "UID"],
  ["PID", "PID"],
  ["PPID", "PPID"],
  ["STATE", "State"],
  ["THREADS", "Threads"],
  ["STARTED", "Started"],
  ["TIME", "Time"],
  ["CMD", "Command"],
] as const;

export async function main(
  values: Values<typeof TOP_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const container = store.find(operands[0] ?? "");
  const { processes } = await askOnce(store, container, { op: "top" }, "top");
  const rows = processes.map((process) => ({
    UID: String(process.uid),
    PID: String(process.pid),
    PPID: String(process.ppid),
    State: process.state,
    Threads: String(process.threads),
    Started: new Date(process.startedAt).toISOString().slice(11, 19),
    Time: `${(process.cpuMs / 1000).toFixed(2)}s`,
    Command: toText(process.command),
  }));
  printRows(rows, COLUMNS, values);
  return EXIT.ok;
}
