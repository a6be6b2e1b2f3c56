import { historyOf } from "../../sentry/image/history.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { HISTORY_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";
import { type Columns, duration, printRows, size } from "../output.ts";

const COLUMNS: Columns = [
  ["IMAGE", "ID"],
  ["CREATED", "CreatedSince"],
  ["CREATED BY", "CreatedBy"],
  ["SIZE", "Size"],
  ["COMMENT", "Comment"],
];
const MISSING = "<missing>";
const SHORT_ID = "sha256:".length + 12;
const COMMAND_WIDTH = 45;

export async function main(
  values: Values<typeof HISTORY_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = new ImageStore(openDirectories().root);
  const whole = values["no-trunc"];
  const rows = (await historyOf(store, await store.get(operands[0] ?? ""))).map((step) => {
    const id = whole ? step.id : step.id?.slice("sha256:".length, SHORT_ID);
    const command = step.createdBy.replace(/\s+/g, " ");
    const cut = command.length > COMMAND_WIDTH && !whole;
    const age = step.created === undefined ? Number.NaN : Date.now() - Date.parse(step.created);
    return {
      ID: id ?? MISSING,
      CreatedAt: step.created ?? "",
      CreatedSince: Number.isNaN(age) ? "N/A" : `${duration(age)} ago`,
      CreatedBy: cut ? `${command.slice(0, COMMAND_WIDTH - 1)}…` : command,
      Size: size(step.size),
      Comment: step.comment,
    };
  });
  if (values.quiet) for (const { ID } of rows) process.stdout.write(`${ID}\n`);
  else printRows(rows, COLUMNS, values);
  return EXIT.ok;
}
