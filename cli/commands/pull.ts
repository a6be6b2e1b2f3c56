import { HOST_IMAGE } from "../../sentry/container/run-image.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { parsePlatform } from "../../sentry/image/platform.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { PULL_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";
import { pullImage } from "../pull-image.ts";

export async function main(
  values: Values<typeof PULL_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const name = operands[0] ?? "";
  if (name === HOST_IMAGE) {
    process.stdout.write(`${name} is this machine's own programs: there is nothing to pull\n`);
    return EXIT.ok;
  }
  const store = new ImageStore(openDirectories().root);
  const { platform, quiet, insecure } = values;
  const options = {
    insecure,
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  };
  await pullImage(store, name, options, quiet ? "none" : "stdout", values["all-tags"]);
  if (quiet) process.stdout.write(`${name}\n`);
  return EXIT.ok;
}
