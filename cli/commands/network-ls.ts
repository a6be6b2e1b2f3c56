import { type NetworkRecord, PREDEFINED } from "../../sentry/container/network/network-record.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import { applyFilters, hasLabel } from "../filter.ts";
import type { Values } from "../option.ts";
import type { NETWORK_LS_OPTIONS } from "../options.ts";
import { printRows } from "../output.ts";

const COLUMNS = [
  ["NETWORK ID", "ID"],
  ["NAME", "Name"],
  ["DRIVER", "Driver"],
  ["SCOPE", "Scope"],
] as const;
const SHORT_ID = 12;

const FILTERS = {
  id: ({ id }: NetworkRecord, value: string) => id.startsWith(value),
  name: ({ name }: NetworkRecord, value: string) => name.includes(value),
  label: ({ labels }: NetworkRecord, value: string) => hasLabel(labels, value),
  driver: ({ driver }: NetworkRecord, value: string) => driver === value,
  type: ({ name }: NetworkRecord, value: string) =>
    value === (PREDEFINED.has(name) ? "builtin" : "custom"),
};

export function main(values: Values<typeof NETWORK_LS_OPTIONS>): number {
  const all = new NetworkStore(openDirectories()).list();
  const found = applyFilters(all, values.filter, FILTERS);
  const rows = [...found]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((network) => ({
      ID: values["no-trunc"] ? network.id : network.id.slice(0, SHORT_ID),
      Name: network.name,
      Driver: network.driver,
      Scope: "local",
      IPv6: String(network.enableIPv6),
      Internal: String(network.internal),
      CreatedAt: new Date(network.createdAt).toISOString(),
      Labels: Object.entries(network.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
    }));
  if (values.quiet) for (const { ID } of rows) process.stdout.write(`${ID}\n`);
  else printRows(rows, COLUMNS, values);
  return EXIT.ok;
}
