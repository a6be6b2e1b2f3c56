import { closeSync, writeSync } from "node:fs";
import { BUSY, REPORT_FD } from "../sentry/container/files-client.ts";
import { serveOpenedFiles } from "../sentry/container/opened-files.ts";
import type { SentryConstructor } from "../sentry/spec.ts";
import { openContainers } from "./context.ts";
import { EXIT } from "./errors.ts";

/** The whole life of a process that has the container `id` open for its files; see files-client.ts. */
export function openInBackground(id: string, load: () => Promise<SentryConstructor>): void {
  open(id, load).then(tell, (error: unknown) => {
    tell(String((error as Error).message).replaceAll("\n", " ") || "unknown");
    process.exit(EXIT.failed);
  });
}

async function open(id: string, load: () => Promise<SentryConstructor>): Promise<string> {
  const Opened = await load();
  const opened = serveOpenedFiles(openContainers(), id, Opened, () => process.exit(EXIT.ok));
  return opened ? "" : BUSY;
}

function tell(line: string): void {
  writeSync(REPORT_FD, `${line}\n`);
  closeSync(REPORT_FD);
}
