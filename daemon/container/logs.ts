import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";
import type { LogChoice, LogPiece } from "../../api/engine/containers.ts";
import { type LogEntry, readLog } from "../../sentry/container/log-reader.ts";

/** Follows a log without looking at it all the time: the host tells when it has changed. */
export async function* readPieces(
  path: string,
  choice: LogChoice,
  ended: Promise<unknown> | undefined,
  gone: AbortSignal,
): AsyncIterable<LogPiece> {
  const ready: LogPiece[] = [];
  const take = (entry: LogEntry) => {
    if (!choice[entry.stream]) return;
    ready.push({
      stream: entry.stream,
      time: nanoTime(entry.time),
      bytes: Buffer.from(entry.log, "utf8"),
      details: Object.entries(entry.attrs ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
        .join(","),
    });
  };
  const selection = { tail: choice.tail, since: choice.since, until: choice.until };
  let changed = true;
  let over = !choice.follow || ended === undefined;
  let wake = () => {};
  const stir = () => {
    changed = true;
    wake();
  };
  // Before the first reading: what comes in between is noticed.
  const watcher: FSWatcher | undefined = over ? undefined : watch(dirname(path), stir);
  watcher?.on("error", stir);
  const follower = readLog(path, selection, take);
  ended?.then(() => {
    over = true;
    stir();
  });
  gone.addEventListener("abort", stir);
  try {
    for (;;) {
      for (let piece = ready.shift(); piece !== undefined; piece = ready.shift()) yield piece;
      if (gone.aborted) return;
      if (!changed) {
        if (over) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      changed = false;
      follower.readNew();
    }
  } finally {
    watcher?.close();
    follower.close();
    gone.removeEventListener("abort", stir);
  }
}

/** The log's times have milliseconds; clients expect what Go writes. */
function nanoTime(time: string): string {
  return time.replace(/\.(\d{1,8})Z$/, (_whole, digits: string) => `.${digits.padEnd(9, "0")}Z`);
}
