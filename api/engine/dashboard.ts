import type { JsonObject } from "./json.ts";

/** What the dashboard needs beyond docker's API. */
export interface DashboardEngine {
  /** Serves the dashboard, if it is not served yet. @returns where, with a code that is good for one sign-in. */
  open(): Promise<{ readonly Url: string }>;
  /** What a container has tried to reach outside of its networks; with `follow`, also what it will. */
  egress(reference: string, follow: boolean, gone: AbortSignal): Promise<AsyncIterable<JsonObject>>;
}
