import { toText } from "../../sentry/abi/bytes.ts";
import { FilesClient } from "../../sentry/container/files-client.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { DIFF_OPTIONS } from "../options.ts";
import { printRows } from "../output.ts";
import type { Services } from "../services.ts";

const LETTERS = { modified: "C", added: "A", deleted: "D" } as const;
const COLUMNS = [
  ["CHANGE TYPE", "Type"],
  ["PATH", "Path"],
] as const;

export async function main(
  values: Values<typeof DIFF_OPTIONS>,
  operands: readonly string[],
  services: Services,
): Promise<number> {
  const store = openContainers();
  const container = store.find(operands[0] ?? "");
  const files = new FilesClient(store, container, services.backgroundProgram);
  const rows = (await files.changes()).map(({ kind, path }) => ({
    Type: LETTERS[kind],
    Path: toText(path),
  }));
  if (values.format === undefined && !values.json) {
    for (const { Type, Path } of rows) process.stdout.write(`${Type} ${Path}\n`);
  } else {
    printRows(rows, COLUMNS, values);
  }
  return EXIT.ok;
}
