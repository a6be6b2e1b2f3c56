import { createReadStream } from "node:fs";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { importRoot } from "../../sentry/image/import-root.ts";
import { parsePlatform } from "../../sentry/image/platform.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { IMPORT_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

export async function main(
  values: Values<typeof IMPORT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const [file = "-", reference] = operands;
  const { platform, message } = values;
  const archive = file === "-" ? process.stdin : createReadStream(file);
  const image = await importRoot(new ImageStore(openDirectories().root), archive, {
    changes: values.change,
    ...(reference === undefined ? {} : { reference }),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(message === undefined ? {} : { message }),
  });
  process.stdout.write(`${image.id}\n`);
  return EXIT.ok;
}
