import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";
import type { LogChoice, LogPiece } from "../../api/engine/containers.ts";
import { type LogEntry, readLog } from "../../sentry/container/log-reader.ts";

/** So soon after a start, in milliseconds, a program may not have come to print its first words. */
const FIRST_WORDS_MS = 200;
/** And so soon after some of them the others may still come. */
const NEXT_WORDS_MS = 10;

/** Until when a log is followed. */
export interface LogEnd {
  /** The container's end. */
  readonly ended: Promise<unknown>;
  /**
   * Absent: until the end. Else also until something has been printed, but no longer than so many milliseconds:
   * clients start a container, read its log at once, and expect what a program prints when it starts.
   */
  readonly firstWordsMs?: number;
}

/** How long to wait for what has been started at that time, in milliseconds since the epoch; 0: not at all. */
export function firstWordsMs(startedAt: number): number {
  return Math.min(FIRST_WORDS_MS, Math.max(0, startedAt + FIRST_WORDS_MS - Date.now()));
}

/** Follows a log without looking at it all the time: the host tells when it has changed. */
export async function* readPieces(
  path: string,
  choice: LogChoice,
  end: LogEnd | undefined,
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
  let over = end === undefined;
  let wake = () => {};
  const stir = () => {
    changed = true;
    wake();
  };
  // Before the first reading: what comes in between is noticed.
  const watcher: FSWatcher | undefined = over ? undefined : watch(dirname(path), stir);
  watcher?.on("error", stir);
  const follower = readLog(path, selection, take);
  const finish = () => {
    over = true;
    stir();
  };
  end?.ended.then(finish);
  let timer = end?.firstWordsMs === undefined ? undefined : setTimeout(finish, end.firstWordsMs);
  gone.addEventListener("abort", stir);
  try {
    for (;;) {
      if (timer !== undefined && ready.length > 0) {
        clearTimeout(timer);
        timer = setTimeout(finish, NEXT_WORDS_MS);
      }
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
    clearTimeout(timer);
    watcher?.close();
    follower.close();
    gone.removeEventListener("abort", stir);
  }
}

/** The log's times have milliseconds; clients expect what Go writes. */
function nanoTime(time: string): string {
  return time.replace(/\.(\d{1,8})Z$/, (_whole, digits: string) => `.${digits.padEnd(9, "0")}Z`);
}
