import { ANONYMOUS_LABEL, type Volume, VolumeStore } from "../../sentry/container/volumes.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import { applyFilters, hasLabel } from "../filter.ts";
import type { Values } from "../option.ts";
import type { VOLUME_PRUNE_OPTIONS } from "../options.ts";
import { size } from "../output.ts";

const FILTERS = {
  label: ({ labels }: Volume, value: string) => hasLabel(labels, value),
  "label!": ({ labels }: Volume, value: string) => !hasLabel(labels, value),
};

export function main(values: Values<typeof VOLUME_PRUNE_OPTIONS>): number {
  const store = openContainers();
  const removed = new VolumeStore(store.directories.root).prune(
    store.list(),
    (volume) =>
      (values.all || hasLabel(volume.labels, ANONYMOUS_LABEL)) &&
      applyFilters([volume], values.filter, FILTERS).length > 0,
  );
  if (removed.length > 0) process.stdout.write("Deleted Volumes:\n");
  for (const { name } of removed) process.stdout.write(`${name}\n`);
  const bytes = removed.reduce((sum, volume) => sum + volume.bytes, 0);
  process.stdout.write(`Total reclaimed space: ${size(bytes)}\n`);
  return EXIT.ok;
}
