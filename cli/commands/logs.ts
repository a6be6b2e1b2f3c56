import { existsSync } from "node:fs";
import { join } from "node:path";
import { ContainerError } from "../../sentry/container/errors.ts";
import { type LogEntry, readLog } from "../../sentry/container/log-reader.ts";
import { LOG_FILE } from "../../sentry/container/streams.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { LOGS_OPTIONS } from "../options.ts";
import { parseCount } from "../sizes.ts";
import { parseTime } from "../time.ts";

const LINES_MAX = 10_000_000;

export async function main(
  values: Values<typeof LOGS_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const name = operands[0] ?? "";
  const { record, state } = store.find(name);
  const { id } = record.spec;
  const path = join(store.directoryOf(id), LOG_FILE);
  const unlogged =
    state.status === "running" ? !state.logged : state.status === "exited" && !existsSync(path);
  if (unlogged) {
    throw new ContainerError(
      "NO_LOG",
      `container ${name} was started in the foreground and has no log`,
      "Its output went to the terminal it was started in; use -d for a log",
    );
  }
  const all = values.tail === undefined || values.tail === "all";
  const now = Date.now();
  const selection = {
    tail: all ? undefined : parseCount(values.tail ?? "", "--tail", 0, LINES_MAX),
    since: values.since === undefined ? undefined : parseTime(values.since, now),
    until: values.until === undefined ? undefined : parseTime(values.until, now),
  };
  const show = (entry: LogEntry) => {
    const chosen = Object.entries(entry.attrs ?? {}).map(([key, value]) => `${key}=${value}`);
    const details = values.details ? `${chosen.join(",")} ` : "";
    const text = `${values.timestamps ? `${entry.time} ` : ""}${details}${entry.log}`;
    process[entry.stream].write(text);
  };
  const follower = readLog(path, selection, show);
  if (values.follow) await follower.follow(() => store.read(id)?.state.status === "running");
  else follower.close();
  return EXIT.ok;
}
