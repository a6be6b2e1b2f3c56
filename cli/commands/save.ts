import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { parsePlatform } from "../../sentry/image/platform.ts";
import { save } from "../../sentry/image/save.ts";
import { openDirectories } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import type { SAVE_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

export async function main(
  values: Values<typeof SAVE_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const { output, platform } = values;
  if (output === undefined && process.stdout.isTTY) {
    throw usageError("an archive on a terminal is of no use", "Give a file with -o FILE");
  }
  const store = new ImageStore(openDirectories().root);
  const archive = await save(store, operands, {
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  const target = output === undefined ? process.stdout : createWriteStream(output, { mode: 0o600 });
  await pipeline(Readable.from(archive, { objectMode: false }), target);
  return EXIT.ok;
}
