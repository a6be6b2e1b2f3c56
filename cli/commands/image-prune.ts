import { createInterface } from "node:readline/promises";
import { imageUsers } from "../../sentry/container/image-users.ts";
import { ContainerStore } from "../../sentry/container/store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { pruneImages } from "../../sentry/image/prune.ts";
import { openDirectories } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import { filtersOf } from "../image-filters.ts";
import type { IMAGE_PRUNE_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";
import { size } from "../output.ts";

export async function main(values: Values<typeof IMAGE_PRUNE_OPTIONS>): Promise<number> {
  const directories = openDirectories();
  if (!values.force && !(await agreed(values.all))) return EXIT.ok;
  const filters = { ...filtersOf(values.filter), dangling: [String(!values.all)] };
  const containers = new ContainerStore(directories);
  const { records, reclaimed } = await pruneImages(new ImageStore(directories.root), filters, () =>
    imageUsers(containers),
  );
  for (const record of records) {
    const line =
      "untagged" in record ? `untagged: ${record.untagged}` : `deleted: ${record.deleted}`;
    process.stdout.write(`${line}\n`);
  }
  process.stdout.write(`Total reclaimed space: ${size(reclaimed)}\n`);
  return EXIT.ok;
}

async function agreed(all: boolean): Promise<boolean> {
  if (!process.stdin.isTTY) throw usageError("this asks first", "Without a terminal, use --force");
  const what = all ? "all images that no container has" : "all images without a name";
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y/i.test(await lines.question(`Remove ${what}? [y/N] `));
  } finally {
    lines.close();
  }
}
