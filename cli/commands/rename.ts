import { renameContainer } from "../../sentry/container/record-changes.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";

export async function main(_values: object, operands: readonly string[]): Promise<number> {
  const store = openContainers();
  const [container = "", name = ""] = operands;
  await renameContainer(store, store.find(container), name);
  return EXIT.ok;
}
