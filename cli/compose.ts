import type { SentryConstructor } from "../sentry/spec.ts";

/** The sentry that runs containers in this process; loaded only where one is run. */
export async function loadSentry(): Promise<SentryConstructor> {
  return (await import("../sentry/sentry.ts")).Sentry;
}
