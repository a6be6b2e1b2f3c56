import type { JsonObject } from "../../api/engine/json.ts";
import { ImageError } from "../../sentry/image/errors.ts";

/** Tells one message; those that wait while a client does not read are dropped if they say they may be. */
export type Tell = (message: JsonObject, options?: { readonly droppable: boolean }) => void;

/** Messages that wait for a client. Above, progress that is out of date anyway is dropped. */
const WAITING_MAX = 256;
/** Between two messages about the progress of one thing. */
const PROGRESS_MS = 100;
const BAR_WIDTH = 50;

/**
 * The messages that `work` tells, as it tells them; then what it failed with.
 * @param gone stops the work; so does a reader who stops.
 */
export async function* messagesOf(
  gone: AbortSignal,
  work: (tell: Tell, signal: AbortSignal) => Promise<void>,
): AsyncGenerator<JsonObject, void, void> {
  const stop = new AbortController();
  const waiting: JsonObject[] = [];
  let wake: () => void = () => undefined;
  let ended = false;
  const tell: Tell = (message, { droppable } = { droppable: false }) => {
    if (droppable && waiting.length >= WAITING_MAX) return;
    waiting.push(message);
    wake();
  };
  const signal = AbortSignal.any([gone, stop.signal]);
  const working = work(tell, signal).finally(() => {
    ended = true;
    wake();
  });
  working.catch(() => undefined); // it is looked at below
  try {
    for (;;) {
      yield* waiting.splice(0);
      if (waiting.length > 0) continue;
      if (ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    await working;
  } finally {
    stop.abort(new ImageError("ABORTED"));
  }
}

/** Tells how far things are, not more often than people can read. */
export class Progress {
  private readonly tell: Tell;
  private readonly toldAt = new Map<string, number>();

  constructor(tell: Tell) {
    this.tell = tell;
  }

  /** @param id of what it is about: a layer */
  status(id: string, status: string): void {
    this.tell({ status, progressDetail: {}, id });
  }

  bytes(id: string, status: string, current: number, total: number): void {
    const now = performance.now();
    if (current < total && now - (this.toldAt.get(id) ?? Number.NEGATIVE_INFINITY) < PROGRESS_MS) {
      return;
    }
    this.toldAt.set(id, now);
    const progressDetail = { current, total };
    const progress = bar(current, total);
    this.tell({ status, progressDetail, progress, id }, { droppable: true });
  }
}

/** `[=====>     ]  1.5MB/3MB`, for clients that print what they get. */
function bar(current: number, total: number): string {
  const done = total === 0 ? BAR_WIDTH : Math.floor((Math.min(current, total) * BAR_WIDTH) / total);
  const arrow = done < BAR_WIDTH ? ">" : "";
  const gap = " ".repeat(Math.max(0, BAR_WIDTH - done - arrow.length));
  const line = `[${"=".repeat(done)}${arrow}${gap}]`;
  return `${line} ${humanSize(current).padStart(6)}/${humanSize(total)}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Docker's short form of a size: four digits that count. */
function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}
