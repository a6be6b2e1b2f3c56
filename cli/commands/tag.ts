import { ImageStore } from "../../sentry/image/image-store.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { TAG_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

export async function main(
  _values: Values<typeof TAG_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const [source = "", target = ""] = operands;
  await new ImageStore(openDirectories().root).tag(source, target);
  return EXIT.ok;
}
