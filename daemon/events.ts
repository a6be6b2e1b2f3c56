import type { JsonObject } from "../api/engine/json.ts";
import type { EventsChoice } from "../api/engine/system.ts";
import type { Filters } from "../api/filters.ts";

export type EventType = "container" | "image" | "volume" | "network" | "builder" | "daemon";

/** Something that happened. */
export interface EngineEvent {
  readonly type: EventType;
  readonly action: string;
  /** Of what it happened to: an id, or a volume's name. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface PastEvent extends EngineEvent {
  /** Nanoseconds since the epoch. */
  readonly timeNs: bigint;
}

/** Docker keeps as many for those who ask later. */
const PAST_MAX = 256;
/** Of one listener that does not read; with more it is cut off. */
const UNREAD_MAX = 65_536;
const NS_PER_MS = 1_000_000n;

/** What happens, for everybody who listens, and for those who come a little later. */
export class EventLog {
  private readonly past: PastEvent[] = [];
  private readonly listeners = new Set<(event: PastEvent) => void>();
  private lastNs = 0n;

  /** Tells everybody. */
  emit(type: EventType, action: string, id: string, attributes: Record<string, string> = {}): void {
    const now = BigInt(Date.now()) * NS_PER_MS + (process.hrtime.bigint() % NS_PER_MS);
    // No two at the same time, and none before the one before it.
    this.lastNs = now > this.lastNs ? now : this.lastNs + 1n;
    const event = { type, action, id, attributes, timeNs: this.lastNs };
    this.past.push(event);
    if (this.past.length > PAST_MAX) this.past.shift();
    for (const listener of this.listeners) listener(event);
  }

  /** Calls the listener with everything that happens from now on. @returns ends that. */
  subscribe(listener: (event: PastEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** See {@link import("../api/engine/system.ts").SystemEngine.events}. */
  async *listen(choice: EventsChoice, gone: AbortSignal): AsyncIterable<JsonObject> {
    const { since, until, filters } = choice;
    const unread: PastEvent[] = [];
    let wake = () => {};
    let ended = false;
    const end = () => {
      ended = true;
      wake();
    };
    const listener = (event: PastEvent) => {
      if (!matches(event, filters)) return;
      unread.push(event);
      if (unread.length > UNREAD_MAX) end();
      wake();
    };
    if (since !== undefined || until !== undefined) {
      for (const event of this.past) if (isSince(event, since ?? 0)) listener(event);
    }
    const live = until === undefined || until > Date.now();
    if (live) this.listeners.add(listener);
    const timer =
      live && until !== undefined
        ? setTimeout(end, Math.min(until - Date.now(), 2 ** 31 - 1))
        : undefined;
    gone.addEventListener("abort", end);
    try {
      for (;;) {
        for (let event = unread.shift(); event !== undefined; event = unread.shift()) {
          if (until === undefined || Number(event.timeNs / NS_PER_MS) <= until)
            yield describe(event);
        }
        if (ended || !live) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
      this.listeners.delete(listener);
      gone.removeEventListener("abort", end);
    }
  }
}

function isSince({ timeNs }: PastEvent, sinceMs: number): boolean {
  return Number(timeNs / NS_PER_MS) >= Math.floor(sinceMs);
}

function matches({ type, action, id, attributes }: PastEvent, filters: Filters): boolean {
  const verb = action.split(":", 1)[0];
  const names = (kind: EventType) => (wanted: string) =>
    type === kind && (id === wanted || id.startsWith(wanted) || attributes["name"] === wanted);
  const images = (wanted: string) => {
    const image = type === "image" ? (attributes["name"] ?? id) : attributes["image"];
    return image === wanted || image?.replace(/:[^:/]*$/, "") === wanted || id === wanted;
  };
  return (
    filters.some("type", (wanted) => wanted === type) &&
    filters.some("event", (wanted) => wanted === action || wanted === verb) &&
    filters.some("container", names("container")) &&
    filters.some("volume", names("volume")) &&
    filters.some("network", names("network")) &&
    filters.some("image", images) &&
    filters.some("daemon", () => type === "daemon") &&
    filters.some("scope", (wanted) => wanted === "local") &&
    !["plugin", "service", "node", "secret", "config"].some((name) => filters.has(name)) &&
    filters.matchesLabels(attributes)
  );
}

function describe({ type, action, id, attributes, timeNs }: PastEvent): JsonObject {
  const from = type === "container" ? attributes["image"] : undefined;
  return {
    // What clients older than 1.22 read; newer ones still do.
    ...(type === "container" || type === "image" ? { status: action, id } : {}),
    ...(from === undefined ? {} : { from }),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: "local",
    time: Number(timeNs / 1_000_000_000n),
    timeNano: Number(timeNs),
  };
}
