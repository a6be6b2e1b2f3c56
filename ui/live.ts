/** What changes by itself: the engine's events, and views that follow them. */
import { complain } from "./dom.ts";
import { jsonLines } from "./stream.ts";

/** Ends what a view has started. */
export type End = () => void;

const AGAIN_MS = 3000;
/** Several events in a row make one change. */
const SETTLE_MS = 150;

interface EngineEvent {
  readonly Type: string;
}

/** Calls `change` at once, and after every event of one of `types`. */
export function follow(types: readonly string[], change: () => Promise<void>): End {
  const gone = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = () => {
    change().catch((error: unknown) => {
      if (!gone.signal.aborted) complain(error);
    });
  };
  const watch = async () => {
    while (!gone.signal.aborted) {
      try {
        const query = { filters: JSON.stringify({ type: types }) };
        for await (const _ of jsonLines<EngineEvent>("/events", { query, signal: gone.signal })) {
          clearTimeout(timer);
          timer = setTimeout(run, SETTLE_MS);
        }
      } catch {
        // The daemon has gone; it may come back.
      }
      if (!gone.signal.aborted) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  };
  run();
  void watch();
  return () => {
    gone.abort();
    clearTimeout(timer);
  };
}

/** Hands on the values of a stream until the view ends or the stream does. */
export function pour<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  take: (value: T) => void,
): End {
  const gone = new AbortController();
  (async () => {
    for await (const value of open(gone.signal)) {
      if (gone.signal.aborted) return;
      take(value);
    }
  })().catch((error: unknown) => {
    if (!gone.signal.aborted) complain(error);
  });
  return () => gone.abort();
}
