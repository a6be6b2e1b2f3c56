import type { SentryConstructor } from "../sentry/spec.ts";
import { CliError, EXIT } from "./errors.ts";

/** The sentry that runs containers in this process. */
export async function loadSentry(): Promise<SentryConstructor> {
  throw new CliError("NO_SENTRY", "This build has no sentry yet", { exitCode: EXIT.dd });
}
