import { writtenBytes } from "../../sentry/container/disk-usage.ts";
import { removeContainer } from "../../sentry/container/lifecycle.ts";
import type { Container } from "../../sentry/container/record.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import { applyFilters, hasLabel, type Matchers } from "../filter.ts";
import type { Values } from "../option.ts";
import type { CONTAINER_PRUNE_OPTIONS } from "../options.ts";
import { size } from "../output.ts";

const MATCHERS: Matchers<Container> = {
  label: ({ record }, value) => hasLabel(record.labels, value),
  "label!": ({ record }, value) => !hasLabel(record.labels, value),
};

export function main(values: Values<typeof CONTAINER_PRUNE_OPTIONS>): number {
  const store = openContainers();
  const removed: string[] = [];
  let bytes = 0;
  for (const { record, state } of applyFilters(store.list(), values.filter, MATCHERS)) {
    if (state.status === "running") continue;
    const { id } = record.spec;
    const written = writtenBytes(store, id);
    // Somebody may be starting or removing it: then it is not ours to remove.
    const held = store.tryHold(id);
    if (held === undefined) continue;
    removeContainer(store, held, false);
    removed.push(id);
    bytes += written;
  }
  if (removed.length > 0) process.stdout.write("Deleted Containers:\n");
  for (const id of removed) process.stdout.write(`${id}\n`);
  process.stdout.write(`Total reclaimed space: ${size(bytes)}\n`);
  return EXIT.ok;
}
