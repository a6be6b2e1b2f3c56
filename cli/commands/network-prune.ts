import type { NetworkRecord } from "../../sentry/container/network/network-record.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { pruneNetworks } from "../../sentry/container/network/prune-networks.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import { applyFilters, hasLabel } from "../filter.ts";
import type { Values } from "../option.ts";
import type { NETWORK_PRUNE_OPTIONS } from "../options.ts";
import { parseTime } from "../time.ts";

const FILTERS = {
  label: ({ labels }: NetworkRecord, value: string) => hasLabel(labels, value),
  "label!": ({ labels }: NetworkRecord, value: string) => !hasLabel(labels, value),
  until: ({ createdAt }: NetworkRecord, value: string) => createdAt < parseTime(value, Date.now()),
};

export function main(values: Values<typeof NETWORK_PRUNE_OPTIONS>): number {
  const store = openContainers();
  const networks = new NetworkStore(store.directories);
  const matches = (network: NetworkRecord) =>
    applyFilters([network], values.filter, FILTERS).length > 0;
  const removed = pruneNetworks(store, networks, matches);
  if (removed.length > 0) process.stdout.write("Deleted Networks:\n");
  for (const { name } of removed) process.stdout.write(`${name}\n`);
  return EXIT.ok;
}
