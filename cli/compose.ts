import type { SentryConstructor } from "../sentry/spec.ts";

/** The sentry that runs containers in this process; loaded only where one is run. */
export async function loadSentry(): Promise<SentryConstructor> {
  return (await import("../sentry/sentry.ts")).Sentry;
}

/** What stands in for a sentry where a container is only opened for its files. */
export async function loadOpenedContainer(): Promise<SentryConstructor> {
  return (await import("../sentry/opened-container.ts")).OpenedContainer;
}
