import { createReadStream } from "node:fs";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { load } from "../../sentry/image/load.ts";
import { parsePlatform } from "../../sentry/image/platform.ts";
import { familiarName } from "../../sentry/image/reference.ts";
import { openDirectories } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import type { LOAD_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

export async function main(values: Values<typeof LOAD_OPTIONS>): Promise<number> {
  if (values.input === undefined && process.stdin.isTTY) {
    throw usageError("there is no archive to read", "Give it with -i FILE, or pipe it in");
  }
  const archive = values.input === undefined ? process.stdin : createReadStream(values.input);
  const loaded = await load(new ImageStore(openDirectories().root), archive, {
    ...(values.platform === undefined ? {} : { platform: parsePlatform(values.platform) }),
  });
  for (const { image, names } of loaded) {
    const lines = names.length > 0 ? names.map(familiarName) : [image.id];
    for (const line of lines) {
      const label = names.length > 0 ? "Loaded image: " : "Loaded image ID: ";
      process.stdout.write(`${values.quiet ? "" : label}${line}\n`);
    }
  }
  return EXIT.ok;
}
