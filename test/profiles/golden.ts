import { readFileSync, writeFileSync } from "node:fs";
import type { ExecutionContext } from "ava";

const folder = new URL("../../../../test/golden/", import.meta.url);

/**
 * Compares a text with the reviewed one in test/golden. With UPDATE_GOLDEN=1 it becomes the reviewed one:
 * look at the diff.
 */
export function matchesGolden(t: ExecutionContext, name: string, text: string): void {
  const file = new URL(name, folder);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  t.is(text, readFileSync(file, "utf8"));
}
