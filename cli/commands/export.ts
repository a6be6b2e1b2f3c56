import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { FilesClient } from "../../sentry/container/files-client.ts";
import { openContainers } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { EXPORT_OPTIONS } from "../options.ts";
import type { Services } from "../services.ts";

export async function main(
  values: Values<typeof EXPORT_OPTIONS>,
  operands: readonly string[],
  services: Services,
): Promise<number> {
  const { output } = values;
  if (output === undefined && process.stdout.isTTY) {
    throw usageError("cowardly refusing to save to a terminal", "Use -o, or redirect");
  }
  const store = openContainers();
  const container = store.find(operands[0] ?? "");
  const tar = await new FilesClient(store, container, services.backgroundProgram).export();
  if (output === undefined) await pipeline(tar, process.stdout, { end: false });
  else await pipeline(tar, createWriteStream(output, { mode: 0o600 }));
  return EXIT.ok;
}
