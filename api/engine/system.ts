import type { Filters } from "../filters.ts";
import type { JsonObject } from "./json.ts";

export interface EventsChoice {
  /** Milliseconds since the epoch: replay what happened since. */
  readonly since: number | undefined;
  /** End then; in the past: after the replay. */
  readonly until: number | undefined;
  readonly filters: Filters;
}

/** The engine as a whole. */
export interface SystemEngine {
  info(): Promise<JsonObject>;
  version(): JsonObject;
  /** Events as they happen, until `gone`. */
  events(choice: EventsChoice, gone: AbortSignal): AsyncIterable<JsonObject>;
  diskUsage(types: readonly string[]): Promise<JsonObject>;
}
